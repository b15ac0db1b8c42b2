"""The processor: how busy, how fast, how warm, and what takes its time away."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from darknet_kit.core.cgroup import Cgroup
from darknet_kit.train.telemetry.reading import Rate

# Names of the kernel's drivers, those that know the whole processor first.
_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "x86_pkg_temp", "soc_thermal")
_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Shares of the time of the `cores` that may be used, 0 to 100, since the last reading."""

    cores: float | None = None
    busy: float | None = None
    busiest_core: float | None = None
    iowait: float | None = None
    steal: float | None = None
    throttled: float | None = None


@dataclass(slots=True)
class CpuMeter:
    """Reads the processor; in a container with a quota, `busy` is the share of the quota."""

    cgroup: Cgroup
    _cores: list[dict[str, float]] = field(default_factory=list, init=False)
    _seconds: Rate = field(default_factory=Rate, init=False)
    _periods: tuple[int, int] | None = field(default=None, init=False)

    def read(self) -> CpuUse:
        before, self._cores = self._cores, _read_cores()
        pairs = list(zip(before, self._cores, strict=False))
        # The kernel's idle and iowait of a core may go back a little.
        spent = [{kind: max(0.0, b[kind] - a[kind]) for kind in _KINDS} for a, b in pairs]
        total = sum(sum(core.values()) for core in spent)
        if total <= 0:  # the first reading
            self._read_quota()
            return CpuUse()
        busiest = max(_busy(core) / (sum(core.values()) or 1) for core in spent)
        busy, throttled = self._read_quota()
        return CpuUse(
            cores=self.cgroup.cores or len(self._cores),
            busy=100 * sum(map(_busy, spent)) / total if busy is None else busy,
            busiest_core=100 * busiest,
            iowait=100 * sum(core["iowait"] for core in spent) / total,
            steal=100 * sum(core["steal"] for core in spent) / total,
            throttled=throttled,
        )

    def _read_quota(self) -> tuple[float | None, float | None]:
        """Return the shares of the quota that was used, and of periods in which it ran out."""
        cores = self.cgroup.cores
        if cores is None:
            return None, None
        rate = self._seconds.per_second(self.cgroup.read_cpu_seconds())
        before, self._periods = self._periods, self.cgroup.read_periods()
        throttled = None
        if before and self._periods and self._periods[0] > before[0]:
            ran_out, of = self._periods[1] - before[1], self._periods[0] - before[0]
            throttled = 100 * ran_out / of
        return None if rate is None else 100 * rate / cores, throttled


def _read_cores() -> list[dict[str, float]]:
    """Return the seconds of each core that this process may use, by what they were spent on."""
    cores: Sequence[object] = psutil.cpu_times(percpu=True)
    allowed = os.sched_getaffinity(0)
    if max(allowed) < len(cores):  # else some are switched off, and numbers tell nothing
        cores = [cores[number] for number in sorted(allowed)]
    return [{kind: getattr(core, kind, 0.0) for kind in _KINDS} for core in cores]


def _busy(core: dict[str, float]) -> float:
    # Stolen time is not ours: a core that a host takes away is not one that is used.
    return sum(core.values()) - core["idle"] - core["iowait"] - core["steal"]


def read_clock() -> float | None:
    """Return the mean clock of all cores in MHz. Slow where there are many of them."""
    clock = psutil.cpu_freq()
    return clock.current if clock and clock.current > 0 else None


def read_temperature() -> float | None:
    """Return the processor's highest temperature in degrees Celsius; guests have no sensors."""
    sensors = psutil.sensors_temperatures()
    for name in _SENSORS:
        values = [entry.current for entry in sensors.get(name, []) if entry.current]
        if values:
            return max(values)
    return None
