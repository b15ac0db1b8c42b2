"""Build darknet: source in, a folder with a binary that starts and a record out.

A build happens in a hidden folder beside its target, which appears by a rename when all is done.
What a kill leaves there is finished by the next call with the same plan.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from darknet_kit import __version__
from darknet_kit.core.contents import digest
from darknet_kit.core.files import link, make_folder, write_text
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.engine.compilation import Compilation, Tell, compile_tree
from darknet_kit.engine.find import BINARY_NAME, BUILD_RECORD, engines_folder
from darknet_kit.engine.flavor import identify
from darknet_kit.engine.plan import BuildPlan
from darknet_kit.engine.setting import LINKS_FOLDER
from darknet_kit.engine.source import Source, place_source
from darknet_kit.engine.stub import build_stub
from darknet_kit.engine.verification import NOT_RUN, Verification, verify
from darknet_kit.errors import BuildError, DkitError, ToolchainError, UsageError

LOG = "build.log"
_PATIENCE_SECONDS = 300.0  # nvcc takes its time for one file
_OURS = frozenset((BINARY_NAME, BUILD_RECORD, LOG, "LICENSE"))


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build. `fresh` is False where it was there already and nothing was done.

    `verification` is what the record says of the binary; `obstacle` why it does not work here,
    or is empty.
    """

    binary: Path
    source: Source
    verification: dict[str, str]
    obstacle: str
    fresh: bool

    @property
    def folder(self) -> Path:
        return self.binary.parent


def target_folder(plan: BuildPlan, source: Source) -> Path:
    """Return where a build goes when no folder is named: FLAVOR-COMMIT-cpu or -cuda."""
    kind = "cuda" if plan.gpu else "cpu"
    return engines_folder() / f"{plan.flavor}-{source.label}-{kind}"


def build(
    plan: BuildPlan,
    source: Source,
    folder: Path,
    *,
    rebuild: bool = False,
    progress: Progress = no_progress,
    tell: Tell = lambda _sentence: None,
) -> Built:
    """Build a darknet into `folder`, unless just that is there already.

    `progress` counts compiled files. Raises BuildError with the code of the cause, where it is a
    known one, ToolchainError, UsageError (`folder-in-use`), WriteError.
    """
    record = _format_record(plan, source)
    _refuse_foreign(folder)
    if not rebuild:
        there = _find_finished(folder, record, source)
        if there:
            return _try_later(plan, there, record)
    work = folder.parent / f".{folder.name}.building"
    with _write_errors(folder), _locked(work, tell) as lock:
        resumed = _prepare(work, record, source)
        tell(f"getting the source: {source}")
        tree = work / "source"
        place_source(source, tree)
        _link_libraries(plan, make_folder(work / LINKS_FOLDER))
        tell(f"compiling with {plan.jobs} jobs; log: {work / LOG}")
        compile_tree(Compilation(plan, tree, work / LOG, lock, progress, tell), resumed)
        finished = _gather(plan, work)
        tell("starting it and training two iterations")
        seen = verify(plan, finished / BINARY_NAME, work / LOG)
        shutil.copy2(work / LOG, finished / LOG)
        _write_record(finished, record, seen)
        _swap(finished, folder)
        shutil.rmtree(work, ignore_errors=True)
    return Built(folder / BINARY_NAME, source, seen.record, seen.untried, fresh=True)


def _format_record(plan: BuildPlan, source: Source) -> str:
    """Return what goes into `build.json`: all that decides what the binary is, and no date."""
    record = {
        "flavor": plan.flavor.value,
        "commit": source.commit,
        "source": source.place,
        "pinned": source.pinned,
        "changed": source.changed,
        "settings": {setting.name: setting.value for setting in plan.settings},
        "versions": list(plan.versions),
        "dkit": __version__,
    }
    return json.dumps(record, indent=2) + "\n"


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier build: it would be replaced."""
    if not os.path.lexists(folder):
        return
    names = set(os.listdir(folder)) if folder.is_dir() else {"?"}
    if names <= _OURS and (not names or BUILD_RECORD in names):
        return
    raise UsageError(
        "this is no empty folder and no earlier build of dkit's",
        code="folder-in-use",
        hint="Name another folder with --out.",
        path=folder,
    )


def _find_finished(folder: Path, record: str, source: Source) -> Built | None:
    """Return the build in a folder if it is what is wanted, whole, and still starts."""
    binary = folder / BINARY_NAME
    try:
        there = json.loads((folder / BUILD_RECORD).read_bytes())
        same_binary = there.pop("sha256") == digest(binary)
        verification = dict(there.pop("verification"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    wanted = json.loads(record)
    for one in (there, wanted):
        one.pop("source", None)  # the same commit is the same source, wherever it came from
        one.pop("dkit", None)
    if there != wanted or not same_binary or not source.commit or source.changed:
        return None
    try:
        identity = identify(binary)
    except ToolchainError:
        return None
    return Built(binary, source, verification, identity.obstacle, fresh=False)


def _try_later(plan: BuildPlan, there: Built, record: str) -> Built:
    """Let a binary train that could not when it was built: the driver may have come since."""
    if there.obstacle or not there.verification["trial"].startswith(NOT_RUN):
        return there
    seen = verify(plan, there.binary, there.folder / LOG)
    _write_record(there.folder, record, seen)
    return replace(there, verification=seen.record)


@contextlib.contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Turn a failure to write anywhere below into an error that says where."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"cannot write: {error.strerror or error}",
            code="cannot-write",
            hint="Free some space, or name a writable folder with --out.",
            path=error.filename2 or error.filename or folder,  # of a copy, the second is ours
        ) from error


@contextlib.contextmanager
def _locked(work: Path, tell: Tell) -> Iterator[int]:
    """Make and hold a build's folder. Compilers inherit the lock, so it outlives a killed dkit with
    them: they end at the next line that they print, and are waited for."""
    held = False
    while not held:
        with open(make_folder(work) / ".lock", "a+") as lock:
            _wait_for_lock(lock, work, tell)
            # A build that was waited for may have ended well, and removed the folder.
            held = os.fstat(lock.fileno()).st_nlink > 0
            if held:
                lock.truncate(0)
                lock.write(f"{os.getpid()}\n")
                lock.flush()
                yield lock.fileno()


def _wait_for_lock(lock: IO[str], work: Path, tell: Tell) -> None:
    """Take the lock, or wait until those who inherited it are gone. Raises DkitError where a dkit
    holds it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    is_told = False
    while not _try_lock(lock):
        if _is_held_by_dkit(lock) or time.monotonic() > deadline:
            raise _build_running(work)
        if not is_told:
            tell("waiting for the compilers of a build that was killed")
            is_told = True
        time.sleep(0.2)


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held_by_dkit(lock: IO[str]) -> bool:
    """Tell whether the process that took the lock still runs; a file says which it was."""
    lock.seek(0)
    text = lock.read().strip()
    return not text.isdecimal() or os.path.exists(f"/proc/{text}")


def _build_running(work: Path) -> DkitError:
    return DkitError(
        "another build is at work here, or a compiler of one that was killed",
        code="build-running",
        hint="Wait for it to end, or name another folder with --out.",
        path=work,
    )


def _prepare(work: Path, record: str, source: Source) -> bool:
    """Clear what another plan left; return whether the same plan was begun here before.

    A source that has no commit, or changes on top of it, may be another one by now.
    """
    begun = work / "begun.json"
    with contextlib.suppress(OSError):
        if source.commit and not source.changed and begun.read_text() == record:
            return True
    for name in ("source", "finished", "objects", LINKS_FOLDER):
        shutil.rmtree(work / name, ignore_errors=True)
    (work / LOG).unlink(missing_ok=True)
    write_text(begun, record)
    return False


def _link_libraries(plan: BuildPlan, folder: Path) -> None:
    if plan.stub:
        build_stub(plan.stub, folder / "libcuda.so")
    for file in plan.links:
        link(file, folder / f"{file.name.partition('.so')[0]}.so")


def _gather(plan: BuildPlan, work: Path) -> Path:
    """Copy what is kept into a folder that only waits to be renamed."""
    shutil.rmtree(work / "finished", ignore_errors=True)
    finished = make_folder(work / "finished")
    place = "objects/src-cli" if plan.flavor is Flavor.HANK_AI else "source"
    for path in (work / place / BINARY_NAME, work / "source" / "LICENSE"):
        if path.is_file():
            shutil.copy2(path, finished / path.name)
    return finished


def _write_record(folder: Path, record: str, seen: Verification) -> None:
    document = {
        **json.loads(record),
        "verification": seen.record,
        "sha256": digest(folder / BINARY_NAME),
    }
    write_text(folder / BUILD_RECORD, json.dumps(document, indent=2) + "\n")


def _swap(new: Path, folder: Path) -> None:
    """Put a finished folder in the place of an earlier build."""
    old = folder.parent / f".{folder.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.is_dir():
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)
