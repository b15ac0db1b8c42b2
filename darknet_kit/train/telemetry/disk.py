"""The disk below a folder: which one it is, what it reads and writes."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from darknet_kit.train.telemetry.reading import Rate


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Rates in MiB per second; `busy` is the share of time with anything to do, 0 to 100."""

    read: float | None = None
    write: float | None = None
    busy: float | None = None


@dataclass(slots=True)
class DiskMeter:
    """Rates of one disk or partition, by its name in /proc/diskstats; all None where it is ''."""

    name: str
    _read: Rate = field(default_factory=Rate, init=False)
    _write: Rate = field(default_factory=Rate, init=False)
    _busy: Rate = field(default_factory=Rate, init=False)

    def read(self, counters: dict[str, object]) -> DiskUse:
        """Return the rates; `counters` is what `read_disks` returned."""
        counter = counters.get(self.name)
        if counter is None:
            return DiskUse()
        busy = self._busy.per_second(getattr(counter, "busy_time", None))  # in milliseconds
        return DiskUse(
            self._read.mib_per_second(getattr(counter, "read_bytes", None)),
            self._write.mib_per_second(getattr(counter, "write_bytes", None)),
            None if busy is None else min(100.0, busy / 10),
        )


def read_disks() -> dict[str, object]:
    """Return the kernel's counters by the name of disk or partition."""
    return dict(psutil.disk_io_counters(perdisk=True, nowrap=False) or {})


def find_disk(path: Path, root: Path = Path("/")) -> str:
    """Return the name of the block device that holds a file; '' where no single one does.

    That is so for network file systems and those of containers, which have no disk of their own.
    """
    try:
        device = os.stat(path).st_dev
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    block = root / "sys/dev/block"
    if (block / number).exists():
        return (block / number).resolve().name
    # Btrfs gives its files a number of no device; the table of mounts tells where it lies.
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, source = line.partition(" - ")
        words, device_words = fields.split(), source.split()
        if len(words) > 2 and words[2] == number and len(device_words) > 1:
            name = os.path.basename(os.path.realpath(device_words[1]))
            return name if (root / "sys/class/block" / name).exists() else ""
    return ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
