"""Readings that may fail, and rates of counters that only grow."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

MIB = 1 << 20

T = TypeVar("T")


@dataclass(slots=True)
class Rate:
    """How fast a counter grows; None at first, and where it was set back or cannot be read."""

    _last: float | None = field(default=None, init=False)
    _when: float = field(default=0.0, init=False)

    def per_second(self, counter: float | None) -> float | None:
        """Return the growth per second since the last call."""
        now = time.monotonic()
        last, elapsed = self._last, now - self._when
        self._last, self._when = counter, now
        if counter is None or last is None or counter < last or elapsed <= 0:
            return None
        return (counter - last) / elapsed

    def mib_per_second(self, counter: float | None) -> float | None:
        """Return the growth of a counter of bytes in MiB per second."""
        rate = self.per_second(counter)
        return None if rate is None else rate / MIB


def read_or(read: Callable[[], T], otherwise: T) -> T:
    """Return a reading, or `otherwise` where it fails in any way at all."""
    try:
        return read()
    except Exception:  # sensors, containers and old kernels fail in ways that nobody has listed
        return otherwise
