"""What the kernel knows of an engine's end: the OOM killer and crashes.

The lines are those of the kernel's `mm/oom_kill.c` and `arch/x86/mm/fault.c`.
"""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

_OOM_TASK = re.compile(r"oom-kill:.*\btask=([^,]+),pid=(\d+)")
_OOM_KILLED = re.compile(r"[Kk]illed process (\d+),? \(([^)]*)\)")
_NAME_BYTES = 15  # of a process, in the kernel
_CRASH = re.compile(r"\[(\d+)\](?:: segfault at| general protection| trap [a-z ]+)")


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
