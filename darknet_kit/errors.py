"""Every error that dkit raises on purpose.

    DkitError               1  the operation failed
    ├── UsageError          2  wrong usage or settings
    ├── DatasetError        1  annotations, images, labels, lists
    ├── CfgError            1  a network that cannot work
    ├── WeightsError        1  a weights file that cannot be used
    ├── LogError            1  a file that is no training log
    ├── ToolchainError      4  an engine, a compiler, a GPU or an extra is missing
    │   └── BuildError      4  the toolchain is there and the build failed
    └── TrainError          5  training failed, and its weights say so

The number is the exit code of the command that ends with the error. Bad input inside a batch
is not an error but a `core.problems.Problem`: the rest of the batch goes on.
"""

import os
from typing import Any, ClassVar

AnyPath = str | os.PathLike[str]


class DkitError(Exception):
    """An expected failure: what happened, where, and what to do next.

    `code` is a stable kebab-case name that scripts may match on. `line` is 1-based.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str = "",
        path: AnyPath | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.path = os.fspath(path) if path is not None else None
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send their errors home; by default only the message would arrive.
        details = (self.code, self.hint, self.path, self.line)
        return _restore, (type(self), self.message, *details)

    def __str__(self) -> str:
        where = (self.path or "").replace("\n", "\\n")
        if where and self.line is not None:
            where = f"{where}:{self.line}"
        return f"{where}: {self.message}" if where else self.message


def _restore(
    kind: type[DkitError], message: str, code: str, hint: str, path: str | None, line: int | None
) -> DkitError:
    return kind(message, code=code, hint=hint, path=path, line=line)


class UsageError(DkitError):
    """The command line or a setting asks for something that makes no sense."""

    exit_code = 2


class DatasetError(DkitError):
    """The annotations, images or lists as a whole cannot be used."""


class CfgError(DkitError):
    """A network file that is not one, or that no engine could train."""


class WeightsError(DkitError):
    """A weights file that is damaged or belongs to another network."""


class LogError(DkitError):
    """A file that holds no Darknet training log."""


class ToolchainError(DkitError):
    """Something the machine needs is not there."""

    exit_code = 4


class BuildError(ToolchainError):
    """A compiler ran and did not produce a working engine."""


class TrainError(DkitError):
    """Training ended without the weights it was asked for."""

    exit_code = 5
