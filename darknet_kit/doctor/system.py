"""System: what every training needs of a machine, be it by GPU or CPU."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import darknet_kit
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.mounts import find_mount, read_mounts
from darknet_kit.engine.answer import ask
from darknet_kit.engine.toolchain import parse_cpu_flags, parse_cpu_model

GIB = 1 << 30
_FEW_CORES = 4
_LITTLE_MEMORY = 4 * GIB
_SWAP_BELOW = 16 * GIB
_SMALL_SHM = 512 << 20
_FEW_FILES = 1024
_UNLIMITED = 1 << 62  # control groups of the first version say no limit with such a number
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": GIB}


def check_platform(machine: Machine) -> Iterator[Check]:
    """Name distribution and kernel; compare the clock with dkit's own files, which are older."""
    release = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read_release(machine), re.M)
    kernel = machine.kernel()
    yield found("os", f"{release[1] if release else 'Linux'}, kernel {kernel or 'not told'}")
    behind = (Path(darknet_kit.__file__).stat().st_mtime - time.time()) / 86400
    if machine.is_here and behind > 1:
        yield found("clock-behind", f"the clock is {behind:.0f} days behind dkit's own files")


def check_cpu(machine: Machine) -> Iterator[Check]:
    """Name the CPU, the cores that may be used, and AVX2 where it is missing."""
    text = machine.read("proc/cpuinfo")
    flags = parse_cpu_flags(text)
    cores = (
        len(os.sched_getaffinity(0))
        if machine.is_here
        else len(re.findall(r"^processor", text, re.M))
    )
    quota = _read_quota(machine)
    usable = min(cores, quota) if quota else float(cores)
    limit = f", {quota:g} of them by the container's limit" if quota and quota < cores else ""
    counted = "1 core" if cores == 1 else f"{cores} cores"
    yield found("cpu", f"{parse_cpu_model(text) or 'unnamed'}, {counted}{limit}")
    if flags and "avx2" not in flags:
        yield found("no-avx2", "the CPU does not offer avx2")
    if 0 < usable < _FEW_CORES:
        yield found("few-cores", f"a training may use {usable:g} of the cores")


def check_memory(machine: Machine) -> Iterator[Check]:
    """Say how much memory and swap there is, within the limits of a container."""
    table = dict(re.findall(r"^(\w+):\s*(\d+) kB", machine.read("proc/meminfo"), re.M))
    total, free, swap = (
        1024 * int(table.get(k, 0)) for k in ("MemTotal", "MemAvailable", "SwapTotal")
    )
    if not total:
        return
    limit = _read_memory_limit(machine)
    limited = (
        f", of which this container may use {limit / GIB:.1f} GiB" if 0 < limit < total else ""
    )
    yield found("memory", f"{total / GIB:.1f} GiB, {free / GIB:.1f} free{limited}")
    usable = min(total, limit) if limit else total
    if usable < _LITTLE_MEMORY:
        yield found("little-memory", f"{usable / GIB:.1f} GiB")
    if swap:
        yield found("swap", f"{swap / GIB:.1f} GiB")
    elif usable < _SWAP_BELOW:
        yield found("no-swap", f"no swap beside {usable / GIB:.1f} GiB of memory")


def check_shared_memory(machine: Machine) -> Iterator[Check]:
    """Say how large /dev/shm may grow; Docker gives 64 MB."""
    mount = find_mount(read_mounts(machine), "/dev/shm")
    if mount is None or mount.folder != "/dev/shm":
        return
    told = re.search(r"(?:^|,)size=(\d+)([kmg]?)(?:,|$)", mount.options, re.I)
    if told is None:  # half of the memory
        return
    size = int(told[1]) * _SIZES[told[2].lower()]
    code = "small-shm" if size < _SMALL_SHM else "shm"
    shown = f"{size / GIB:.1f} GiB" if size >= GIB else f"{size >> 20} MiB"
    yield found(code, f"/dev/shm may hold {shown}")


def check_limits(machine: Machine) -> Iterator[Check]:
    """Look at the number of open files, and at how this locale writes numbers."""
    told = re.search(r"^Max open files\s+(\d+)", machine.read("proc/self/limits"), re.M)
    if told and int(told[1]) < _FEW_FILES:
        yield found("few-open-files", f"ulimit -n is {told[1]}")
    variables = machine.environment
    names = ("LC_ALL", "LC_NUMERIC", "LANG")
    name = next((name for name in names if variables.get(name)), "")
    if machine.is_here and name:
        answer = ask(
            ["locale", "decimal_point"],
            environment={name: variables[name], "LC_ALL": variables.get("LC_ALL", "")},
        )
        if answer.ok and answer.stdout.strip() == ",":
            yield found("decimal-comma", f"{name}={variables[name]}")


def _read_release(machine: Machine) -> str:
    return machine.read("etc/os-release") or machine.read("usr/lib/os-release")


def _read_quota(machine: Machine) -> float:
    """Return how many cores' time a container may use; 0 without a limit."""
    words = machine.read("sys/fs/cgroup/cpu.max").split()
    if not words:
        words = [
            machine.read(f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")
        ]
    with contextlib.suppress(ValueError, ZeroDivisionError, IndexError):
        return max(0.0, int(words[0]) / int(words[1]))
    return 0.0


def _read_memory_limit(machine: Machine) -> int:
    """Return the bytes that a container may use; 0 without a limit."""
    limit = (
        machine.read_number("sys/fs/cgroup/memory.max")
        or machine.read_number("sys/fs/cgroup/memory/memory.limit_in_bytes")
        or 0
    )
    return limit if limit < _UNLIMITED else 0
