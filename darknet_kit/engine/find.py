"""Find the engine that commands run, and say which one it is and why."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.embedded import EMBEDDED_ARGV, identify_embedded
from darknet_kit.engine.flavor import UNTOLD, Features, identify
from darknet_kit.engine.upstream import THIRD_PARTY
from darknet_kit.errors import AnyPath, ToolchainError

ENVIRONMENT_VARIABLE = "DKIT_DARKNET"
BUILD_RECORD = "build.json"
BINARY_NAME = "darknet"
AUTO, DARKNET, EMBEDDED = "auto", "darknet", "torch"


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that takes Darknet's command line, and what is known about it.

    `path` is the program; that of the embedded engine, which has none of its own, is the word
    `torch`. `version` (of the embedded engine: PyTorch's) and `commit` are empty where neither the
    program nor a build record beside it tells them. `reason` says, in words, why this one was
    taken.
    """

    path: Path
    flavor: Flavor
    features: Features = UNTOLD
    version: str = ""
    commit: str = ""
    reason: str = ""
    embedded: bool = False

    @property
    def argv(self) -> tuple[str, ...]:
        """The words that start it."""
        return EMBEDDED_ARGV if self.embedded else (os.fspath(self.path),)

    def __str__(self) -> str:
        if self.embedded:
            return f"the embedded engine (PyTorch {self.version}; {self.features})"
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


def find_engine(choice: AnyPath = AUTO) -> Engine:
    """Find the engine to run: `auto`, `darknet`, `torch` (the embedded one), or a path.

    `darknet` takes the first that works of $DKIT_DARKNET, engines made by `dkit build`, a built
    checkout under third_party/darknet, `darknet` on PATH. `auto` takes $DKIT_DARKNET, else the
    first of those that trains on a GPU, else the embedded engine where PyTorch is installed, else
    what is there. One that does not work here is passed over, and the reason of the next tells of
    it. Raises ToolchainError (`no-engine`, `no-torch`, `engine-does-not-start`, `not-darknet`).
    """
    word = os.fspath(choice)
    if word == EMBEDDED:
        return _start_embedded("named with --engine")
    if word == AUTO and not os.environ.get(ENVIRONMENT_VARIABLE):
        return _find_best()
    passed: list[str] = []
    for engine in _iter_working(word, passed):
        return engine
    raise _none_found(passed, "no darknet was found on this machine")


def iter_darknets() -> Iterator[Engine | ToolchainError]:
    """Yield every darknet that `darknet` would come across; for one that does not work, why."""
    for candidate in _iter_candidates(DARKNET):
        try:
            yield _try_candidate(candidate, [])
        except ToolchainError as error:
            yield error


def _find_best() -> Engine:
    passed: list[str] = []
    fallback: Engine | None = None
    because = "there is no darknet with a GPU here"
    for engine in _iter_working(DARKNET, passed):
        weakness = _find_weakness(engine)
        if not weakness:
            return engine
        if fallback is None:
            fallback, because = engine, f"{engine.path} {weakness}"
    try:
        return _start_embedded(_tell_passed(because, passed))
    except ToolchainError as error:
        if fallback is None:
            raise _none_found(
                [*passed, str(error)], "no engine was found on this machine"
            ) from error
        return replace(fallback, reason=f"{fallback.reason}; {error}")


def _start_embedded(reason: str) -> Engine:
    found = identify_embedded()
    return Engine(
        Path(EMBEDDED), found.flavor, found.features, found.version, reason=reason, embedded=True
    )


def _find_weakness(engine: Engine) -> str:
    """Say why the embedded engine trains better than this darknet; empty where it does not."""
    if engine.flavor is Flavor.ORIGINAL:
        return "computes no mAP and knows no YOLOv4"
    return (
        "is built for the CPU, where its gradients are wrong"
        if engine.features.gpu is False
        else ""
    )


def _none_found(passed: list[str], what: str) -> ToolchainError:
    because = f" ({'; '.join(passed)})" if passed else ""
    return ToolchainError(
        f"{what}{because}",
        code="no-engine",
        hint="`pip install 'darknet-kit[torch]'` brings the embedded engine; `dkit build` makes a "
        "darknet for this machine.",
    )


def _iter_working(choice: str, passed: list[str]) -> Iterator[Engine]:
    for candidate in _iter_candidates(choice):
        try:
            yield _try_candidate(candidate, passed)
        except ToolchainError as error:
            if candidate.certain:
                raise
            passed.append(str(error))


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
    commit, reason = _read_commit(path), _tell_passed(candidate.reason, passed)
    return Engine(path, identity.flavor, identity.features, identity.version, commit, reason)


def _tell_passed(reason: str, passed: list[str]) -> str:
    return f"{reason}; passed over: {'; '.join(passed)}" if passed else reason


def _iter_candidates(choice: str) -> Iterator[_Candidate]:
    if choice not in (AUTO, DARKNET):
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
        hint="Take auto, darknet, torch, or the path of a darknet binary; `dkit build` makes one.",
        path=path,
    )


def _read_commit(binary: Path) -> str:
    try:
        record = json.loads((binary.parent / BUILD_RECORD).read_bytes())
    except (OSError, ValueError):
        return ""
    commit = record.get("commit", "") if isinstance(record, dict) else ""
    return commit if isinstance(commit, str) else ""
