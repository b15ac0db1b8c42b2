"""What the kernel knows of an engine's end: errors of NVIDIA's driver (Xid), and the OOM killer.

Numbers and names of Xids are NVIDIA's (docs.nvidia.com/deploy/xid-errors); the lines are those of
the driver (`NVRM: Xid (PCI:0000:01:00): 79, ...`) and of the kernel's `mm/oom_kill.c`.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.train.process import capture

_KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # the kernel never returns more of one message
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([^)]*)\): (\d+)\b,? ?(.*)")
_LOST = re.compile(r"NVRM: .*fallen off the bus")
_OOM_TASK = re.compile(r"oom-kill:.*\btask=([^,]+),pid=(\d+)")
_OOM_KILLED = re.compile(r"[Kk]illed process (\d+),? \(([^)]*)\)")
_NAME_BYTES = 15  # of a process, in the kernel
_CRASH = re.compile(r"\[(\d+)\](?:: segfault at| general protection| trap [a-z ]+)")

_MEANINGS: dict[int, tuple[str, str]] = {
    13: ("a program on the GPU did something illegal", "As a rule a defect of the engine."),
    31: ("a program on the GPU used memory that is not its own", "As a rule the engine's defect."),
    43: ("the GPU stopped working for this program", "As a rule a defect of the engine."),
    45: ("the driver ended the program's work after another error", "Look at the Xid before it."),
    48: ("the GPU's memory had an error that ECC cannot correct", "If it returns, replace it."),
    62: ("the GPU's own controller halted", "Reset the GPU or reboot; update the driver."),
    63: ("the GPU marked bad memory to be replaced by spare rows", "Reset the GPU to do it."),
    64: ("the GPU could not mark bad memory to be replaced", "Replace the GPU if it returns."),
    74: ("a link between GPUs (NVLink) failed", "Check the bridge; reset the GPUs."),
    79: ("the GPU fell off the bus", "Check its power, heat and seat (a riser?), then reboot."),
    94: ("a memory error was contained: only this program is lost", "Resume the run."),
    95: ("a memory error could not be contained", "Reset the GPU or reboot."),
    119: ("the GPU's system processor (GSP) did not answer", "Reboot; update the driver."),
    120: ("the GPU's system processor (GSP) failed", "Reboot; update the driver."),
}
FALLEN = 79
"""The Xid of a GPU that is gone."""
HOPELESS_XIDS = frozenset((62, 74, FALLEN, 95, 119, 120))
"""After these the GPU serves nobody until it is reset."""


@dataclass(frozen=True, slots=True)
class Xid:
    """One error of the driver: its number, the card, the line, what it means and what to do."""

    number: int
    card: str
    line: str
    meaning: str
    cure: str


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


def find_xids(lines: Sequence[str]) -> list[Xid]:
    """Return the driver's errors, oldest first."""
    found = []
    for line in lines:
        if match := _XID.search(line):
            number, card = int(match[2]), match[1]
        elif _LOST.search(line):
            number, card = FALLEN, ""
        else:
            continue
        found.append(name_xid(number, line.strip(), card))
    return found


def name_xid(number: int, line: str, card: str = "") -> Xid:
    """Return an error of the driver, of whatever source, with what it means."""
    meaning, cure = _MEANINGS.get(number, ("an error of the GPU or its driver", ""))
    return Xid(number, card, line, meaning, cure)


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
