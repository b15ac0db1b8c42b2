"""What a container may use: the limits of its control groups, version 1 and 2.

A limit may stand on a group or on any above it; the tightest counts. Numbers are those of
linux/Documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/memory.rst, and
scheduler/sched-bwc.rst.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNT = "sys/fs/cgroup"


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Limits of this process; None where there is none. `cores` may be a fraction, 2.5.

    The folders are those in which limits stand, or else this process's own.
    """

    cores: float | None = None
    memory: int | None = None  # bytes
    cpu_folder: Path | None = None
    memory_folder: Path | None = None

    def read_cpu_seconds(self) -> float | None:
        """Return the processor time that all in the group have used."""
        if self.cpu_folder is None:
            return None
        microseconds = _statistics(self.cpu_folder / "cpu.stat").get("usage_usec")
        if microseconds is not None:
            return microseconds / 1e6
        # Of version 1 both controllers are mounted together, or side by side.
        nanoseconds = _number(self.cpu_folder / "cpuacct.usage")
        if nanoseconds is None:
            beside = os.fspath(self.cpu_folder).replace("/cgroup/cpu", "/cgroup/cpuacct", 1)
            nanoseconds = _number(Path(beside) / "cpuacct.usage")
        return None if nanoseconds is None else nanoseconds / 1e9

    def read_periods(self) -> tuple[int, int] | None:
        """Return how many periods there were, and in how many the quota was used up."""
        counts = _statistics(self.cpu_folder / "cpu.stat") if self.cpu_folder else {}
        if "nr_periods" not in counts or "nr_throttled" not in counts:
            return None
        return counts["nr_periods"], counts["nr_throttled"]

    def read_memory(self) -> int | None:
        """Return bytes in use, without those of the page cache that are free to go."""
        if self.memory_folder is None:
            return None
        used = _number(self.memory_folder / "memory.current")
        if used is None:
            used = _number(self.memory_folder / "memory.usage_in_bytes")
        cached = _statistics(self.memory_folder / "memory.stat")
        idle = cached.get("total_inactive_file", cached.get("inactive_file", 0))
        return None if used is None else max(0, used - idle)


def find_cgroup(root: Path = Path("/")) -> Cgroup:
    """Find the limits under which this process runs; `root` is where /proc and /sys are."""
    paths = _own_paths(root)
    cpu = [(_quota(folder), folder) for folder in _iter_folders(root, paths, "cpu")]
    memory = [(_memory_limit(folder), folder) for folder in _iter_folders(root, paths, "memory")]
    cores, cpu_folder = _tightest(cpu)
    limit, memory_folder = _tightest(memory)
    return Cgroup(cores, None if limit is None else int(limit), cpu_folder, memory_folder)


def _tightest(found: list[tuple[float | None, Path]]) -> tuple[float | None, Path | None]:
    limited = [(limit, folder) for limit, folder in found if limit is not None]
    if limited:
        return min(limited, key=lambda pair: pair[0])
    return None, found[0][1] if found else None


def _own_paths(root: Path) -> dict[str, str]:
    """Return the path of this process's group by controller; that of version 2 by ''."""
    paths = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "", "")
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _iter_folders(root: Path, paths: dict[str, str], controller: str) -> Iterator[Path]:
    """Yield the folder of this process's group and those above it."""
    mount, path = root / _MOUNT, paths.get(controller)
    if path is not None:
        mount /= controller
    elif "" in paths:
        path = paths[""]
    else:
        return
    # Inside a container the path may be that of the host, and the mount the group itself.
    folder = Path(os.path.normpath(f"{mount}/{path}"))
    while folder != mount and mount in folder.parents:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    if mount.is_dir():
        yield mount


def _quota(folder: Path) -> float | None:
    """Return how many cores' worth of time a group may use."""
    words = _text(folder / "cpu.max").split()
    if len(words) != 2:
        words = [
            _text(folder / f"cpu.cfs_{name}_us").strip() or "0" for name in ("quota", "period")
        ]
    try:
        quota, period = float(words[0]), float(words[1])
    except ValueError:  # max
        return None
    return quota / period if quota > 0 and period > 0 else None


def _memory_limit(folder: Path) -> float | None:
    limit = _number(folder / "memory.max")
    if limit is None:
        limit = _number(folder / "memory.limit_in_bytes")
    # Version 1 writes "none" as the largest multiple of a page in 63 bits.
    return None if limit is None or limit >= 1 << 60 else limit


def _statistics(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
