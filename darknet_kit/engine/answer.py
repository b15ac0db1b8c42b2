"""Ask a program a short question: run it with a time limit and read what it says."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.errors import AnyPath

_REDIRECTIONS = frozenset(
    ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended.

    `returncode` is negative for a signal, None where the program could not be started or was
    stopped for being late; `error` then says so.
    """

    stdout: str
    stderr: str
    returncode: int | None
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr


def ask(
    argv: Sequence[AnyPath],
    *,
    stdin: str = "",
    folder: AnyPath | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Answer:
    """Run a program with `stdin` as its whole input; a failure is an answer, never an exception.

    A program that takes longer than `timeout` seconds, or during which the user stops waiting, is
    killed with all that it started, which matters for wrapper scripts.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=clean_environment(environment or {}),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer("", "", None, getattr(error, "strerror", None) or str(error))
    with process:
        try:
            stdout, stderr = process.communicate(stdin.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_group(process)
            stdout, stderr = process.communicate()
            return Answer(*_decode(stdout, stderr), None, f"no answer in {timeout:.0f} seconds")
        except BaseException:
            kill_group(process)
            raise
    return Answer(*_decode(stdout, stderr), process.returncode)


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment in the C locale, without what would redirect git or make.

    Both hand such variables to what they start, and dkit may be started by them.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    return {**kept, "LC_ALL": "C", **more}


def kill_group(process: subprocess.Popen[bytes], kind: int = signal.SIGKILL) -> None:
    """Send a signal to a process started in a session of its own and to all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, kind)


def _decode(stdout: bytes, stderr: bytes) -> tuple[str, str]:
    return stdout.decode(errors="replace"), stderr.decode(errors="replace")
