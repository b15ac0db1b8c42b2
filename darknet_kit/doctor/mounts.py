"""What is mounted where."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.doctor.machine import Machine

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/mounts; `kind` is the type of file system."""

    folder: str
    kind: str
    options: str


def read_mounts(machine: Machine) -> list[Mount]:
    """Return what is mounted, in that order: a later one hides an earlier one."""
    text = machine.read("proc/self/mounts") or machine.read("proc/mounts")
    rows = (line.split() for line in text.splitlines())
    return [Mount(_unescape(row[1]), row[2], row[3]) for row in rows if len(row) >= 4]


def find_mount(mounts: Sequence[Mount], path: str) -> Mount | None:
    """Return what holds an absolute path: the longest folder above it, the last of equal ones."""
    above = [mount for mount in mounts if f"{path}/".startswith(f"{mount.folder.rstrip('/')}/")]
    longest = max((len(mount.folder) for mount in above), default=0)
    return next((one for one in reversed(above) if len(one.folder) == longest), None)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), text)
