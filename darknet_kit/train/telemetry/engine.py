"""The engine's own use of the machine: its process and all that it started, added up."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from darknet_kit.formats.telemetry import EngineSample
from darknet_kit.train.telemetry.reading import MIB, Rate

# To find children, psutil reads /proc of every process there is. Loaders are started at the
# beginning; later a new one is rare.
_LOOK_AT_FIRST, _THEN_EVERY = 12, 12  # samples


class _Counters(NamedTuple):
    seconds: float
    read: float  # bytes; nan where the kernel does not tell
    written: float


@dataclass(slots=True)
class EngineMeter:
    """Reads the process tree of an engine. Once it is gone, every value is None."""

    pid: int
    processes: dict[int, psutil.Process] = field(default_factory=dict, init=False)
    _counters: dict[int, _Counters] = field(default_factory=dict, init=False)
    _total: _Counters = field(default=_Counters(0.0, 0.0, 0.0), init=False)
    _rates: tuple[Rate, Rate, Rate] = field(
        default_factory=lambda: (Rate(), Rate(), Rate()), init=False
    )
    _waited: Rate = field(default_factory=Rate, init=False)
    _samples: int = field(default=0, init=False)
    _changed: bool = field(default=True, init=False)

    def read(
        self, gpu_memory: Iterable[float | None] = (), image_wait: float | None = None
    ) -> EngineSample:
        """Return the sums. `gpu_memory` is what the engine holds on each GPU, in MiB, `image_wait`
        what its log says of waiting for images, in per cent."""
        self._look_for_processes()
        memory = threads = 0
        for pid, process in list(self.processes.items()):
            try:
                resident, count, counters = _read(process)
            except psutil.Error:
                del self.processes[pid]
                self._changed = True
                continue
            memory, threads = memory + resident, threads + count
            self._add(pid, counters)
        if not self.processes:
            return EngineSample()
        rates = [
            rate.per_second(counter) for rate, counter in zip(self._rates, self._total, strict=True)
        ]
        waited = self._waited.per_second(_read_core_wait(self.pid))
        held = [mib for mib in gpu_memory if mib is not None]
        return EngineSample(
            engine_cpu_percent=None if rates[0] is None else 100 * rates[0],
            engine_core_wait_percent=None if waited is None else min(100.0, 100 * waited),
            engine_image_wait_percent=image_wait,
            engine_rss_mib=memory / MIB,
            engine_threads=threads,
            engine_processes=len(self.processes),
            engine_read_mib_s=None if rates[1] is None else rates[1] / MIB,
            engine_write_mib_s=None if rates[2] is None else rates[2] / MIB,
            engine_gpu_mib=sum(held) if held else None,
        )

    def _look_for_processes(self) -> None:
        due = self._samples < _LOOK_AT_FIRST or self._samples % _THEN_EVERY == 0
        self._samples += 1
        if not (due or self._changed):
            return
        self._changed = False
        try:
            root = self.processes.get(self.pid) or psutil.Process(self.pid)
            found = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        self.processes = {one.pid: self.processes.get(one.pid, one) for one in found}

    def _add(self, pid: int, counters: _Counters) -> None:
        """Count what a process used since it was last seen; those that end take theirs along."""
        before = self._counters.get(pid, counters)
        self._counters[pid] = counters
        grown = (
            0.0 if now < then else now - then for now, then in zip(counters, before, strict=True)
        )
        self._total = _Counters(*(a + b for a, b in zip(self._total, grown, strict=True)))


def _read(process: psutil.Process) -> tuple[int, int, _Counters]:
    """Return resident bytes, threads, and what only grows. Raises psutil.Error."""
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
        threads, seconds = process.num_threads(), times.user + times.system
        try:
            moved = process.io_counters()
        except psutil.AccessDenied:
            return memory.rss, threads, _Counters(seconds, math.nan, math.nan)
        return memory.rss, threads, _Counters(seconds, moved.read_bytes, moved.write_bytes)


def _read_core_wait(pid: int) -> float | None:
    """Return the seconds for which the main thread was ready to run and had no core.

    See linux/Documentation/scheduler/sched-stats.rst; psutil does not tell. The kernel counts a
    wait when it is over, so that a short interval may seem to hold more than its own length.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
