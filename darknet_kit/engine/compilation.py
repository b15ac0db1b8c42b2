"""Run the compilers: the log on disk, the count of files to the caller, the cause of a failure."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.files import open_append
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress
from darknet_kit.engine.answer import ask, clean_environment, kill_group
from darknet_kit.engine.causes import find_cause
from darknet_kit.engine.find import BINARY_NAME
from darknet_kit.engine.plan import BuildPlan
from darknet_kit.engine.setting import LINKS_FOLDER
from darknet_kit.errors import BuildError, ToolchainError

_TAIL_LINES = 12
_LONGEST_SHOWN = 400
_GRACE_SECONDS = 10.0
_COMPILES = re.compile(r"(?:^|\s)-c\s.*\s-o\s+\S+\.o\b")
_PERCENT = re.compile(r"^\[ *(\d+)%\]")

Tell = Callable[[str], None]
"""Called with a sentence for people: what is going on now."""


@dataclass(frozen=True, slots=True)
class Compilation:
    """One build as its steps see it: `lock` is a descriptor that compilers inherit."""

    plan: BuildPlan
    tree: Path
    log: Path
    lock: int
    progress: Progress
    tell: Tell

    @property
    def objects(self) -> Path:
        """CMake's folder, beside the source, which it never writes into."""
        return self.tree.parent / "objects"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the steps.

        A source without git's files must not be taken for part of a repository around it. What
        stands in LIBRARY_PATH, CMake leaves out of the run path: the stub of the driver's library
        must not be found at the start.
        """
        variables = {"GIT_CEILING_DIRECTORIES": str(self.tree.parent)}
        if self.plan.stub and self.plan.flavor is Flavor.HANK_AI:
            named = os.environ.get("LIBRARY_PATH")
            folders = [str(self.tree.parent / LINKS_FOLDER), *([named] if named else [])]
            variables["LIBRARY_PATH"] = os.pathsep.join(folders)
        return variables

    @property
    def steps(self) -> list[list[str]]:
        jobs = f"-j{self.plan.jobs}"
        if self.plan.flavor is Flavor.HANK_AI:
            compiling = ["--build", str(self.objects), "--target", "darknetcli", jobs]
            return [
                ["cmake", "-S", ".", "-B", str(self.objects), *self.plan.words],
                ["cmake", *compiling],
            ]
        return [["make", jobs, *self.plan.words]]


def compile_tree(work: Compilation, resumed: bool) -> None:
    """Compile and link. What was `resumed` and fails without a known cause starts over, once.

    Raises BuildError with the code of the cause, ToolchainError where make cannot be started.
    """
    started = work.log.stat().st_size if work.log.exists() else 0
    if _run_steps(work):
        return
    finding = find_cause(_read_log(work.log, started))
    if resumed and finding is None:
        work.tell("that failed on what an interrupted build left; starting over")
        _forget_objects(work)
        started = work.log.stat().st_size
        if _run_steps(work):
            return
        finding = find_cause(_read_log(work.log, started))
    work.tell("the log ends with:\n" + _show_tail(_read_log(work.log, started)))
    raise BuildError(
        finding.meaning if finding else "the build failed, and the log names no known cause",
        code=finding.code if finding else "build-failed",
        hint=finding.cure if finding else "The log says what the compiler did not like.",
        path=work.log,
    )


def _show_tail(lines: Sequence[str]) -> str:
    """Return the last lines that a person can read: command lines are a page each."""
    told = [line for line in lines if line.strip() and len(line) <= _LONGEST_SHOWN]
    return "\n".join(f"  {line}" for line in told[-_TAIL_LINES:])


def _run_steps(work: Compilation) -> bool:
    return all(_run_step(work, argv) for argv in work.steps)


def _run_step(work: Compilation, argv: Sequence[str]) -> bool:
    """Run one command, its words and output going to the log; tell whether it succeeded."""
    total, done = _count_files(work), 0
    with open_append(work.log, binary=True) as log:
        log.write(f"$ {shlex.join(argv)}\n".encode())
        with _started(argv, work) as process:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                log.flush()
                text = line.decode(errors="replace")
                percent = _PERCENT.match(text)
                if percent:
                    work.progress(int(percent[1]), 100)
                elif _COMPILES.search(text):
                    done = min(done + 1, total)
                    work.progress(done, total)
    return process.returncode == 0


@contextlib.contextmanager
def _started(argv: Sequence[str], work: Compilation) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program whose every descendant ends with it, however the block is left."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=work.tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(work.environment),
            start_new_session=True,
            pass_fds=(work.lock,),
        )
    except OSError as error:
        raise ToolchainError(
            f"cannot start {argv[0]}: {error.strerror}",
            code="no-compiler",
            hint="`apt-get install build-essential cmake` brings what a build needs.",
        ) from error
    with process:
        try:
            yield process
        except BaseException:
            # make removes the file it was at when it is asked to end.
            kill_group(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            kill_group(process)
            raise


def _count_files(work: Compilation) -> int:
    """Count what make has yet to compile, by asking it what it would do."""
    if work.plan.flavor is Flavor.HANK_AI:
        return 0
    answer = ask(["make", "-n", *work.plan.words], folder=work.tree, timeout=60.0)
    return sum(bool(_COMPILES.search(line)) for line in answer.stdout.splitlines())


def _read_log(path: Path, start: int) -> list[str]:
    with open(path, "rb") as stream:
        stream.seek(start)
        return stream.read().decode(errors="replace").splitlines()


def _forget_objects(work: Compilation) -> None:
    shutil.rmtree(work.objects, ignore_errors=True)
    for path in [*work.tree.rglob("*.o"), work.tree / BINARY_NAME]:
        path.unlink(missing_ok=True)
