"""Whether an engine still gets on, on a clock that stands still while the machine does."""

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from darknet_kit.formats.logevent import Event, Finished, Iteration, MapResult

LEAST_MINUTES = 10.0
_PACE = 20  # times the median iteration without a word
_PATIENT = 3  # times longer before the first iteration and while mAP is computed
_TALKATIVE = 4  # times longer where it prints, but no iteration
_AT_THE_END = 120.0  # seconds; engines hang in their exit, their weights written
_REMEMBERED = 50
_LONGEST_STEP = 5.0  # of a tick that should take one second
_PAUSE = 30.0
_MAP_STARTS = (b" calculation mAP", b"Calculating mAP")


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: `running` stops in a suspend, `boot` does not, `wall` is what may be set."""

    running: float
    boot: float
    wall: float


def read_clocks() -> Clocks:
    """Return Linux's clocks, as clock_gettime(2) describes them."""
    running, boot = time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME
    return Clocks(time.clock_gettime(running), time.clock_gettime(boot), time.time())


class Pulse:
    """Takes in lines, events and ticks. `minutes` without progress are a stall; 0 for a limit that
    follows the pace: the longer of 10 minutes and 20 iterations.

    Time counts only while dkit itself runs: nobody is blamed for a suspended or paused machine.
    `paused` is the number of seconds that it stood still last, `since_pause` those from then on,
    `pauses` how often it did.
    """

    def __init__(self, minutes: float = 0.0, read: Callable[[], Clocks] = read_clocks) -> None:
        self.paused = 0.0
        self.since_pause = 0.0
        self.pauses = 0
        self._minutes = minutes
        self._read = read
        self._then = read()
        self._now = 0.0  # seconds that dkit was there to see
        self._heard_at = self._iteration_at = 0.0
        self._gaps: deque[float] = deque(maxlen=_REMEMBERED)
        self._started = self._in_map = self._finished = False

    def hear(self, line: bytes) -> None:
        """Take in a line of output."""
        self._heard_at = self._now
        if line.startswith(_MAP_STARTS):
            self._in_map = True

    def note(self, event: Event) -> None:
        """Take in what a line told."""
        if isinstance(event, MapResult):
            self._in_map = False
            self._iteration_at = self._now
        elif isinstance(event, Finished):
            self._finished = True
        elif isinstance(event, Iteration):
            self._finished = False
            self._step()
            if self._started and not self._in_map:
                self._gaps.append(self._now - self._iteration_at)
            self._started, self._in_map = True, False
            self._iteration_at = self._now

    def tick(self) -> str:
        """Return what to say of an engine that does not get on; empty while it does."""
        self._step()
        limit = self.limit_seconds()
        patience = 1 if self._started and not self._in_map else _PATIENT
        silent = self._now - self._heard_at
        if silent > limit * patience:
            what = "computing mAP" if self._in_map else "training" if self._started else "starting"
            return f"the engine was {what} and has said nothing for {silent / 60:,.0f} minutes"
        idle = self._now - self._iteration_at
        if self._started and not self._in_map and idle > limit * _TALKATIVE:
            return f"the engine talks, but finished no iteration for {idle / 60:,.0f} minutes"
        return ""

    def limit_seconds(self) -> float:
        """Return how long an engine that trains may be silent."""
        if self._finished:
            return _AT_THE_END
        if self._minutes:
            return self._minutes * 60
        median = statistics.median(self._gaps) if self._gaps else 0.0
        return max(LEAST_MINUTES * 60, _PACE * median)

    def _step(self) -> None:
        now, then = self._read(), self._then
        self._then = now
        running, boot = now.running - then.running, now.boot - then.boot
        step = min(running, _LONGEST_STEP)
        self._now += step
        self.since_pause += step
        # A host that pauses its guest stops both clocks; then the time of day is put right later.
        lost = max(boot - step, now.wall - then.wall - running)
        if lost > _PAUSE:
            self.paused, self.since_pause = lost, 0.0
            self.pauses += 1
