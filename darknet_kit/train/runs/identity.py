"""Which process on which machine, so that a run folder can tell whether somebody works in it.

A process id alone says little: it is given again to others, means nothing on another machine or in
another container, and nothing after a restart.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """One process. `start` is in clock ticks since the machine was started (proc(5), stat field
    22), `boot` and `namespace` say where `pid` counts; each is empty or 0 where it is unknown."""

    pid: int
    start: int
    boot: str
    namespace: str
    host: str

    @property
    def is_here(self) -> bool:
        """Tell whether `pid` counts in this process's machine and container, since its start."""
        return (self.boot, self.namespace, self.host) == _place()

    @property
    def shares_kernel(self) -> bool:
        """Tell whether the process was on this machine, since its start, in any container."""
        return bool(self.boot) and self.boot == _place()[0]

    @property
    def was_restarted(self) -> bool:
        """Tell whether this is the process's machine, and it was started anew since."""
        boot, _, host = _place()
        return self.host == host and self.boot != boot

    @property
    def is_alive(self) -> bool | None:
        """Tell whether the process still runs; None where that cannot be seen from here."""
        if self.was_restarted:
            return False
        return _started(self.pid) == self.start if self.is_here else None


def identify(pid: int | None = None) -> Identity:
    """Return a process of this machine, by default this one."""
    number = os.getpid() if pid is None else pid
    boot, namespace, host = _place()
    return Identity(number, _started(number) or 0, boot, namespace, host)


def _place() -> tuple[str, str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = namespace = ""
    return boot, namespace, platform.node()


def _started(pid: int) -> int | None:
    """Return when a process started, or None where there is none, or only what is left of one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # Its name, in brackets, may hold blanks and brackets.
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state in (b"Z", b"X") else int(fields[18])
