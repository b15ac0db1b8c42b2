"""One engine process: started in its own folder, read line by line, stopped without orphans."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.errors import ToolchainError


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
        self.stop_requested = False
        self._stop = stop
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

    def lines(self) -> Iterator[bytes]:
        """Yield the engine's output, stdout and stderr together, until it ends."""
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            yield from stream

    def stop(self) -> None:
        """Ask the engine to end; kill it when it does not. Safe in a signal handler, and twice."""
        self._signal(signal.SIGKILL if self.stop_requested else self._stop.number)
        if not self.stop_requested:
            timer = threading.Timer(self._stop.patience, self._signal, (signal.SIGKILL,))
            timer.daemon = True
            timer.start()
        self.stop_requested = True

    def wait(self) -> int:
        """Wait for the end; return the exit code, or minus the number of the signal."""
        return self._process.wait()

    def end(self) -> int:
        """Make sure that the engine is gone, whatever happened; return its exit code."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
        return self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def describe_end(returncode: int) -> str:
    """Say in words how a process ended."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
