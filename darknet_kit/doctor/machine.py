"""A machine's files below one root: the running one's, or a tree that was recorded of another.

Nothing here raises for a file that is missing, unreadable or binary: it is empty.
"""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.contents import open_ordinary

_MOST_BYTES = 8 << 20  # a kernel log of a busy year is cut
_PIECE = 1 << 16
_KERNEL_LOGS = ("var/log/dmesg", "var/log/kern.log")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the files of a machine lie. Paths are given without the leading slash."""

    root: Path = Path("/")

    @property
    def is_here(self) -> bool:
        """Tell whether programs may be asked, too: this is the machine that dkit runs on."""
        return self.root == Path("/")

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of the process that looks, or looked."""
        if self.is_here:
            return os.environ
        entries = self.read_bytes("proc/self/environ").decode(errors="replace").split("\0")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def read_bytes(self, path: str) -> bytes:
        """Return the beginning of a file, at most 8 MiB; empty where there is none to read."""
        try:
            with open(open_ordinary(self.root / path), "rb", buffering=0) as stream:
                # Settings in /proc refuse to be read in one large piece.
                pieces = iter(lambda: stream.read(_PIECE), b"")
                return b"".join(itertools.islice(pieces, _MOST_BYTES // _PIECE))
        except (OSError, ValueError):
            return b""

    def read(self, path: str) -> str:
        """Return a file as text without blanks around it."""
        return self.read_bytes(path).decode(errors="replace").replace("\0", " ").strip()

    def read_number(self, path: str) -> int | None:
        """Return the number that is all a file holds, decimal or 0x…; else None."""
        try:
            return int(self.read(path), 0)
        except ValueError:
            return None

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none where it cannot be listed."""
        try:
            return sorted(os.listdir(self.root / path))
        except (OSError, ValueError):
            return []

    def target(self, path: str) -> str:
        """Return the last name of what a link leads to, as sysfs uses links; empty without one."""
        try:
            return os.path.basename(os.readlink(self.root / path))
        except (OSError, ValueError):
            return ""

    def has(self, path: str) -> bool:
        """Tell whether something of this name is there, be it a link to nothing."""
        return os.path.lexists(self.root / path)

    def kernel(self) -> str:
        """Return the release of the running kernel, like 6.1.0-18-amd64."""
        return self.read("proc/sys/kernel/osrelease")

    def read_kernel_log(self) -> str:
        """Return what syslog kept of the kernel's messages."""
        return next(filter(None, map(self.read, _KERNEL_LOGS)), "")
