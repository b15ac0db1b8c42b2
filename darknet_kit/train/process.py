"""One engine process: started in its own folder, read line by line, stopped without orphans."""

import contextlib
import io
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.errors import ToolchainError

TICK_SECONDS = 1.0
_BLOCK_BYTES = 1 << 16
_POLL_SECONDS = 0.02
_KILL_SECONDS = 30.0  # a process that waits for a driver in trouble outlives SIGKILL


@dataclass(frozen=True, slots=True)
class Stop:
    """How an engine is asked to end, and after how many seconds it is killed."""

    number: int = signal.SIGTERM
    patience: float = 10.0


ABRUPT = Stop()
# The embedded engine finishes its iteration and saves; its loaders pass over Ctrl-C, not over TERM.
GENTLE = Stop(signal.SIGINT, 120.0)


class EngineProcess:
    """A running engine. It has a session of its own, so that Ctrl-C in a terminal reaches dkit
    alone, which then stops the engine and all that it started."""

    def __init__(
        self, command: Sequence[str], folder: Path, stdin_text: str = "", stop: Stop = ABRUPT
    ) -> None:
        self._stop = stop
        self._stopped_at: float | None = None
        try:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.PIPE if stdin_text else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolchainError(
                f"the engine cannot be started: {error.strerror}",
                code="engine-does-not-start",
                hint="`dkit build` makes one for this machine.",
                path=command[0],
            ) from error
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(stdin_text.encode())
                self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def lines(self) -> Iterator[bytes | None]:
        """Yield the engine's output, stdout and stderr together, until it has ended; and None
        about every TICK_SECONDS, whether it prints or not.

        A line that grows without end, as counters do, comes in pieces.
        """
        assert self._process.stdout is not None
        rest = bytearray()
        with self._process.stdout as stream:
            for block in self._blocks(stream.fileno()):
                if block is None:
                    yield None
                    continue
                rest += block
                if b"\n" in block or len(rest) > _BLOCK_BYTES:
                    cut = rest.rfind(b"\n") + 1 or rest.rfind(b"\r") + 1 or len(rest)
                    yield from io.BytesIO(rest[:cut])
                    del rest[:cut]
        if rest:
            yield bytes(rest)
        while not self.has_ended(TICK_SECONDS):  # one may close its output before it ends
            yield None

    def _blocks(self, stream: int) -> Iterator[bytes | None]:
        """Yield what there is to read, as it comes, and ticks."""
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        due = time.monotonic() + TICK_SECONDS
        while True:
            left = due - time.monotonic()
            if left > 0 and poll.poll(left * 1000):
                block = os.read(stream, _BLOCK_BYTES)
                if not block:
                    return
                yield block
            elif left <= 0:
                yield None
                due = time.monotonic() + TICK_SECONDS
            elif self.has_ended():
                return  # something that it started holds the pipe open

    def has_ended(self, patience: float = 0.0) -> bool:
        """Tell whether the engine has ended, now or within `patience` seconds.

        It is not reaped: its number, and that of its group, stay its own until `end`.
        """
        if self._process.returncode is not None:
            return True
        until = time.monotonic() + patience
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._process.pid, flags) is None:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def stop(self) -> None:
        """Ask the engine to end; kill it when it does not. Safe in a signal handler, and twice."""
        self._signal(signal.SIGKILL if self.stop_requested else self._stop.number)
        if not self.stop_requested:
            self._stopped_at = time.monotonic()
            timer = threading.Timer(self._stop.patience, self._signal, (signal.SIGKILL,))
            timer.daemon = True
            timer.start()

    @property
    def stop_requested(self) -> bool:
        return self._stopped_at is not None

    def is_stuck(self) -> bool:
        """Tell whether it is still there long after it was killed: a driver holds it."""
        if self._stopped_at is None or self.has_ended():
            return False
        return time.monotonic() > self._stopped_at + self._stop.patience + _KILL_SECONDS

    def end(self) -> int:
        """Make sure that the engine and all that it started is gone; return its exit code, or minus
        the number of the signal."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        try:
            return self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL

    def _signal(self, number: int) -> None:
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


@dataclass(frozen=True, slots=True)
class Detached:
    """A program that was started to outlive this one."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, or minus the number of the signal; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None


def start_detached(command: Sequence[str], output: Path) -> Detached:
    """Start a program in a session of its own, without a terminal; what it prints is appended to
    `output`. Raises ToolchainError."""
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.fspath(output), log, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=streams,
            setsid=True,
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGHUP),
        )
    except OSError as error:
        raise ToolchainError(
            f"no process can be started: {error.strerror}",
            code="cannot-detach",
            hint="Train here instead: leave --detach out.",
            path=output,
        ) from error
    return Detached(pid)


def describe_end(returncode: int) -> str:
    """Say in words how a process ended."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def capture(command: Sequence[str], seconds: float = 10.0) -> str | None:
    """Return what a program of the system prints; None where it is missing, fails or takes long."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
