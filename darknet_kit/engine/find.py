"""Find the darknet that commands run, and say which one it is and why."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.flavor import UNTOLD, Features, identify
from darknet_kit.engine.upstream import THIRD_PARTY
from darknet_kit.errors import AnyPath, ToolchainError

ENVIRONMENT_VARIABLE = "DKIT_DARKNET"
BUILD_RECORD = "build.json"
BINARY_NAME = "darknet"
_WORDS = ("auto", "darknet")


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that takes Darknet's command line, and what is known about it.

    `version` and `commit` are empty where neither the program nor a build record beside it tells
    them. `reason` says, in words, why this one was taken.
    """

    path: Path
    flavor: Flavor
    features: Features = UNTOLD
    version: str = ""
    commit: str = ""
    reason: str = ""

    def __str__(self) -> str:
        made = ", ".join(word for word in (self.version, self.commit[:8]) if word)
        return f"{self.path} ({self.flavor}{f' {made}' if made else ''}; {self.features})"


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    reason: str
    certain: bool  # named by somebody: a failure is told instead of passed over


def engines_folder() -> Path:
    """Return where `dkit build` puts engines: one folder each."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "darknet-kit" / "engines"


def find_engine(choice: AnyPath = "auto") -> Engine:
    """Find the engine to run: `auto` or `darknet` looks for one, anything else is its path.

    The order is $DKIT_DARKNET, engines made by `dkit build`, a built checkout under
    third_party/darknet, `darknet` on PATH. One that does not work here is passed over, and the
    reason of the next tells of it. Raises ToolchainError (`no-engine`, `engine-does-not-start`,
    `not-darknet`).
    """
    passed: list[str] = []
    for candidate in _iter_candidates(os.fspath(choice)):
        try:
            return _try_candidate(candidate, passed)
        except ToolchainError as error:
            if candidate.certain:
                raise
            passed.append(str(error))
    because = f" ({'; '.join(passed)})" if passed else ""
    raise ToolchainError(
        f"no darknet was found on this machine{because}",
        code="no-engine",
        hint="`dkit build` makes one for this machine; `apt-get install darknet` brings a slow "
        "one for the CPU.",
    )


def _try_candidate(candidate: _Candidate, passed: list[str]) -> Engine:
    path = _find_binary(candidate)
    identity = identify(path)
    if identity.obstacle:
        raise ToolchainError(
            f"this darknet does not work here: {identity.obstacle}",
            code="engine-does-not-start",
            hint="`dkit build` makes one for this machine, `dkit build --cpu` one without a GPU.",
            path=path,
        )
    reason = candidate.reason
    if passed:
        reason += f"; passed over: {'; '.join(passed)}"
    commit = _read_commit(path)
    return Engine(path, identity.flavor, identity.features, identity.version, commit, reason)


def _iter_candidates(choice: str) -> Iterator[_Candidate]:
    if choice not in _WORDS:
        yield _Candidate(Path(choice).expanduser(), "named with --engine", True)
        return
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        reason = f"named by ${ENVIRONMENT_VARIABLE}"
        yield _Candidate(Path(named).expanduser(), reason, True)
        return
    for path in _find_built():
        yield _Candidate(path, "made by `dkit build`", False)
    for flavor in Flavor:
        path = THIRD_PARTY / flavor.value / BINARY_NAME
        if path.is_file():
            yield _Candidate(path, f"the checkout in third_party/darknet/{flavor}", False)
    on_path = shutil.which(BINARY_NAME)
    if on_path:
        yield _Candidate(Path(on_path), "`darknet` on PATH", False)


def _find_built() -> list[Path]:
    """List built engines, best first: by flavour, with CUDA before without, newest first."""
    order = [flavor.value for flavor in Flavor]

    def rank(path: Path) -> tuple[int, bool, float]:
        name = path.parent.name
        at = next((i for i, value in enumerate(order) if name.startswith(value)), len(order))
        return at, not name.endswith("cuda"), -path.stat().st_mtime

    return sorted(engines_folder().glob(f"*/{BINARY_NAME}"), key=rank)


def _find_binary(candidate: _Candidate) -> Path:
    path = candidate.path.absolute()
    if path.is_dir():
        path /= BINARY_NAME
    if path.is_file() and os.access(path, os.X_OK):
        return path
    problem = "is no program that may be run" if path.exists() else "does not exist"
    raise ToolchainError(
        f"the engine {candidate.reason} {problem}",
        code="no-engine",
        hint="Give the path of a darknet binary, or build one with `dkit build`.",
        path=path,
    )


def _read_commit(binary: Path) -> str:
    try:
        record = json.loads((binary.parent / BUILD_RECORD).read_bytes())
    except (OSError, ValueError):
        return ""
    commit = record.get("commit", "") if isinstance(record, dict) else ""
    return commit if isinstance(commit, str) else ""
