"""How fast a training goes by the clock on the wall, loading, mAP and saving included."""

import time
from collections import deque

_WINDOW_SECONDS = 900.0
_STEP_SECONDS = 5.0  # one mark each, so that the window stays small


class Pace:
    """Iterations and images a second, over the last quarter of an hour.

    It begins with the first iteration that this process sees, so that a run which goes on from
    earlier weights is not taken for a fast one. Silence, as while mAP is computed, counts.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int, int]] = deque()
        self._last = (0, 0)

    def note(self, iteration: int, images: int, now: float | None = None) -> None:
        """Take in an iteration; `images` were seen since the network was new, `now` is a time of
        the monotonic clock."""
        at = time.monotonic() if now is None else now
        if self._marks and (iteration < self._last[0] or images < self._last[1]):
            self._marks.clear()  # a new attempt began further back
        self._last = (iteration, images)
        if not self._marks or at - self._marks[-1][0] >= _STEP_SECONDS:
            self._marks.append((at, iteration, images))
        while len(self._marks) > 2 and at - self._marks[1][0] > _WINDOW_SECONDS:
            self._marks.popleft()

    def seconds_per_iteration(self, now: float | None = None) -> float | None:
        """Return the time that an iteration takes, None before a second one came."""
        if not self._marks or self._last[0] == self._marks[0][1]:
            return None
        at, iteration, _ = self._marks[0]
        return ((time.monotonic() if now is None else now) - at) / (self._last[0] - iteration)

    def images_per_second(self, now: float | None = None) -> float | None:
        """Return the images of a second, None before a second iteration came."""
        if not self._marks or self._last[1] == self._marks[0][2]:
            return None
        at, _, images = self._marks[0]
        passed = (time.monotonic() if now is None else now) - at
        return (self._last[1] - images) / passed if passed > 0 else None

    def seconds_until(self, iteration: int, now: float | None = None) -> float | None:
        """Return the time until an iteration is done, None where nobody knows the pace."""
        pace = self.seconds_per_iteration(now)
        return None if pace is None else max(0, iteration - self._last[0]) * pace
