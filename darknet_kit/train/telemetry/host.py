"""The machine as a whole, or the part of it that a container may use."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from darknet_kit.core.cgroup import Cgroup, find_cgroup
from darknet_kit.formats.telemetry import HostSample
from darknet_kit.train.telemetry.disk import DiskMeter, DiskUse, find_disk, read_disks
from darknet_kit.train.telemetry.processor import (
    CpuMeter,
    CpuUse,
    read_clock,
    read_temperature,
)
from darknet_kit.train.telemetry.reading import MIB, Rate, read_or

_SLOW_SECONDS = 30.0  # clocks and sensors: each core and each chip is asked on its own

_Memory = tuple[float | None, float | None, float | None]
_Pair = tuple[float | None, float | None]
_NO_MEMORY: _Memory = (None, None, None)
_NO_PAIR: _Pair = (None, None)


@dataclass(slots=True)
class HostMeter:
    """Reads processor, memory, disks and network. `data` is an image, `run` the run's folder."""

    data: Path
    run: Path
    _cgroup: Cgroup = field(default_factory=find_cgroup, init=False)
    _cpu: CpuMeter = field(init=False)
    _data_disk: DiskMeter = field(init=False)
    _run_disk: DiskMeter = field(init=False)
    _swap: Rate = field(default_factory=Rate, init=False)
    _received: Rate = field(default_factory=Rate, init=False)
    _sent: Rate = field(default_factory=Rate, init=False)
    _slow: _Pair = field(default=_NO_PAIR, init=False)
    _slow_due: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._cpu = CpuMeter(self._cgroup)
        self._data_disk = DiskMeter(find_disk(self.data))
        self._run_disk = DiskMeter(find_disk(self.run))

    def read(self) -> HostSample:
        """Return what can be read; the rates are None the first time."""
        cpu = read_or(self._cpu.read, CpuUse())
        mhz, celsius = self._read_slow()
        used, available, total = read_or(self._read_memory, _NO_MEMORY)
        disks: dict[str, object] = read_or(read_disks, {})
        data = read_or(lambda: self._data_disk.read(disks), DiskUse())
        run = read_or(lambda: self._run_disk.read(disks), DiskUse())
        swap = read_or(psutil.swap_memory, None)
        received, sent = read_or(self._read_network, _NO_PAIR)
        return HostSample(
            cpu_cores=cpu.cores,
            cpu_percent=cpu.busy,
            cpu_core_percent=cpu.busiest_core,
            cpu_iowait_percent=cpu.iowait,
            cpu_steal_percent=cpu.steal,
            cpu_throttled_percent=cpu.throttled,
            cpu_mhz=mhz,
            cpu_c=celsius,
            memory_used_mib=used,
            memory_available_mib=available,
            memory_total_mib=total,
            swap_used_mib=swap.used / MIB if swap else None,
            swap_mib_s=self._swap.mib_per_second(swap.sin + swap.sout if swap else None),
            data_read_mib_s=data.read,
            data_write_mib_s=data.write,
            data_busy_percent=data.busy,
            run_read_mib_s=run.read,
            run_write_mib_s=run.write,
            run_busy_percent=run.busy,
            net_in_mib_s=received,
            net_out_mib_s=sent,
        )

    def _read_slow(self) -> _Pair:
        """Return clock and temperature, which are read once in a while only."""
        if time.monotonic() >= self._slow_due:
            self._slow = read_or(read_clock, None), read_or(read_temperature, None)
            self._slow_due = time.monotonic() + _SLOW_SECONDS
        return self._slow

    def _read_memory(self) -> _Memory:
        """Return what is used, what can still be had, and all there is, in MiB."""
        memory = psutil.virtual_memory()
        used, available, total = memory.total - memory.available, memory.available, memory.total
        limit, in_group = self._cgroup.memory, self._cgroup.read_memory()
        if limit is not None and limit < total and in_group is not None:
            used, total = in_group, limit
            available = min(available, max(0, limit - in_group))
        return used / MIB, available / MIB, total / MIB

    def _read_network(self) -> _Pair:
        """Return MiB per second in and out, of all interfaces but the loopback."""
        counters = psutil.net_io_counters(pernic=True, nowrap=False)
        outside = [counter for name, counter in counters.items() if name != "lo"]
        return (
            self._received.mib_per_second(sum(counter.bytes_recv for counter in outside)),
            self._sent.mib_per_second(sum(counter.bytes_sent for counter in outside)),
        )
