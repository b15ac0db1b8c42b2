"""What the kernel knows of an engine's end: the OOM killer, crashes, and the driver's messages.

The lines are those of the kernel's `mm/oom_kill.c` and `arch/x86/mm/fault.c`.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from darknet_kit.train.process import capture

_KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # the kernel never returns more of one message
_OOM_TASK = re.compile(r"oom-kill:.*\btask=([^,]+),pid=(\d+)")
_OOM_KILLED = re.compile(r"[Kk]illed process (\d+),? \(([^)]*)\)")
_NAME_BYTES = 15  # of a process, in the kernel
_CRASH = re.compile(r"\[(\d+)\](?:: segfault at| general protection| trap [a-z ]+)")


def read_kernel_log(since: float, path: Path = _KMSG) -> list[str] | None:
    """Return the kernel's messages from a second on (CLOCK_MONOTONIC); None where one may not."""
    try:
        stream = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _read_journal(since)
    try:
        return read_records(stream, since)
    except PermissionError:
        return _read_journal(since)
    finally:
        os.close(stream)


def read_records(stream: int, since: float) -> list[str]:
    """Read `priority,number,microseconds,flags;text`, one at a time, as /dev/kmsg gives them."""
    lines: list[str] = []
    while True:
        try:
            record = os.read(stream, _RECORD_BYTES)
        except BlockingIOError:
            return lines
        except BrokenPipeError:  # that message was overwritten meanwhile
            continue
        if not record:
            return lines
        head, _, text = record.decode("utf-8", "replace").partition(";")
        with contextlib.suppress(IndexError, ValueError):
            if int(head.split(",")[2]) / 1e6 >= since:
                lines.append(text.partition("\n")[0])


def _read_journal(since: float) -> list[str] | None:
    """Ask journald, which lets the groups adm and systemd-journal read."""
    command = ["journalctl", "--dmesg", "--quiet", "--no-pager", "--output=short-monotonic"]
    text = capture(command)
    if text is None:
        return None
    lines = []
    for line in text.splitlines():
        if found := re.match(r"\[ *([0-9.]+)\] \S+ kernel: (.*)", line):
            lines += [found[2]] if float(found[1]) >= since else []
    return lines


def find_oom_kill(lines: Sequence[str], pid: int, name: str) -> str:
    """Return the line that tells that the kernel killed this process for lack of memory.

    In a container the numbers are not the kernel's; there the name has to do.
    """
    for line in reversed(lines):
        if match := _OOM_TASK.search(line):
            task, number = match[1], int(match[2])
        elif match := _OOM_KILLED.search(line):
            task, number = match[2], int(match[1])
        else:
            continue
        if number == pid or task == name[:_NAME_BYTES]:
            return line.strip()
    return ""


def find_crash(lines: Sequence[str], pid: int) -> str:
    """Return the line that tells where in the program, or in which library, a process crashed."""
    for line in reversed(lines):
        if (match := _CRASH.search(line)) and int(match[1]) == pid:
            return line.strip()
    return ""


def count_oom_kills(root: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> int | None:
    """Return how often the OOM killer struck in our control group, of version 1 or 2; None where
    that is not told."""
    try:
        lines = (own or Path("/proc/self/cgroup")).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            candidates = [root / path.lstrip("/") / "memory.events"]
        elif "memory" in controllers.split(","):
            folders = [root / "memory" / path.lstrip("/"), root / "memory"]
            candidates = [folder / "memory.oom_control" for folder in folders]
        else:
            continue
        for candidate in candidates:
            with contextlib.suppress(OSError):
                if found := re.search(r"^oom_kill (\d+)", candidate.read_text(), re.M):
                    return int(found[1])
    return None
