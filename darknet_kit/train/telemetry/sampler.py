"""One thread that reads all meters every few seconds and writes a line of telemetry.csv.

Whatever fails in it leaves fields empty; nothing of it reaches the training.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from darknet_kit.formats.telemetry import format_telemetry_header, format_telemetry_row
from darknet_kit.train.telemetry.gpu import GpuTrouble
from darknet_kit.train.telemetry.table import open_table
from darknet_kit.train.telemetry.waiting import Waiting

_SHORTEST = 0.1  # seconds between two samples
_PATIENCE = 5.0  # seconds: a driver that hangs may keep its caller for ever


class Sampler:
    """Samples the machine while its block runs. `iteration` is set by whoever follows the log, who
    feeds `waiting` too; `path` is the table that is written.

    `every` is in seconds, 0 for no samples at all. `folder` is where telemetry.csv lies, `image`
    one of those that are trained on, `pid` the engine.
    """

    def __init__(self, folder: Path, *, attempt: int, pid: int, image: Path, every: float) -> None:
        self.iteration = 0
        self.waiting = Waiting()
        self.path = folder / "telemetry.csv"
        self._folder, self._attempt, self._pid, self._image = folder, attempt, pid, image
        self._every = max(every, _SHORTEST) if every > 0 else 0.0
        self._troubles: queue.SimpleQueue[GpuTrouble] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> Self:
        if self._every > 0:
            self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def take_troubles(self) -> Iterator[GpuTrouble]:
        """Yield what GPUs reported since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._troubles.get_nowait()

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            self._sample_until_stopped()

    def _sample_until_stopped(self) -> None:
        # Imported here: 40 ms that no other command pays.
        from darknet_kit.engine.nvml import Nvml
        from darknet_kit.train.telemetry.machine import Machine

        with (
            Nvml() as nvml,
            contextlib.closing(Machine(nvml, self._pid, self._image, self._folder)) as machine,
            open_table(self.path, format_telemetry_header(len(nvml.handles))) as stream,
        ):
            self.path = Path(stream.name)
            machine.read(self._attempt, 0)  # from here on, rates can be told
            for _ in self._moments():
                waited = self.waiting.take_share()
                sample = machine.read(self._attempt, self.iteration, waited)
                for trouble in machine.take_troubles():
                    self._troubles.put(trouble)
                with contextlib.suppress(OSError):  # a full disk may have room again later
                    stream.write(format_telemetry_row(sample).encode())
                    stream.flush()

    def _moments(self) -> Iterator[None]:
        """Come back every so many seconds, without drift; moments that were missed are left out."""
        due = time.monotonic() + self._every
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            yield
            late = max(0.0, time.monotonic() - due)
            due += self._every * (1 + late // self._every)
