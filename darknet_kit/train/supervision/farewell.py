"""When an engine that shall end may be ended: after its next checkpoint.

Darknet dies at once of any signal and saves nothing, so up to a hundred iterations would be lost.
The embedded engine saves by itself when it is asked to end, and need not be waited for.

Borrowed rule: `_last` (AlexeyAB `src/detector.c`, `savelast`; hank-ai `src-lib/detector.cpp`) and
`.backup` (pjreddie `examples/detector.c`) are written every hundred iterations.
"""

import time

from darknet_kit.formats.logevent import Iteration, WeightsSaved
from darknet_kit.train.runs.status import Stopping
from darknet_kit.train.supervision.pace import Pace
from darknet_kit.train.weights.keeping import WeightsKept

CHECKPOINT_EVERY = 100  # iterations
_PATIENCE_SECONDS = 60.0  # from the engine's word that it saves until the weights were looked at


class Farewell:
    """Follows the events of attempts, takes in wishes to stop, and says when it is time."""

    def __init__(self, max_batches: int, *, saves_itself: bool) -> None:
        self._max_batches = max_batches
        self._saves_itself = saves_itself
        self._pace = Pace()
        self._iteration = self._kept = 0  # the last one reported, and saved
        self._saved: dict[str, int] = {}
        self._saved_at: float | None = None
        self._wishes = 0
        self._is_told = self._is_over = False

    def ask(self, *, now: bool = False) -> bool:
        """Take in a wish to stop; tell whether the engine shall be asked to end in this moment:
        the second time, `now`, or where nothing would be lost. Safe in a signal handler."""
        self._wishes += 1
        loses_nothing = self._iteration <= self._kept
        if now or self._wishes > 1 or loses_nothing:
            self._is_over = True
        return self._is_over or self._saves_itself

    def begin(self, iteration: int) -> None:
        """Take in that an attempt starts from the weights of an iteration."""
        self._iteration = self._kept = iteration
        self._saved_at = None

    def note(self, event: object) -> bool:
        """Take in an event; tell whether the engine, having been let go on, shall end after it."""
        if isinstance(event, Iteration):
            self._iteration = event.iteration
            self._pace.note(event.iteration, event.images)
        elif isinstance(event, WeightsSaved):
            self._saved[event.path.rpartition("/")[2]] = event.iteration or self._iteration
            self._saved_at = time.monotonic()
        is_kept = isinstance(event, WeightsKept)
        if isinstance(event, WeightsKept):
            self._kept = self._saved.pop(event.name, self._kept)
            self._saved_at = None
        if not self._is_waiting() or not (is_kept or self._was_saved_long_ago()):
            return False
        self._is_over = True
        return not self._saves_itself

    def announce(self) -> Stopping | None:
        """Return what is waited for, once; None where nothing is, or it was returned before."""
        if self._is_told or not self._is_waiting():
            return None
        self._is_told = True
        every = 1 if self._saves_itself else CHECKPOINT_EVERY
        at = min((self._iteration // every + 1) * every, self._max_batches)
        return Stopping(at, self._pace.seconds_until(at))

    def _is_waiting(self) -> bool:
        return self._wishes > 0 and not self._is_over

    def _was_saved_long_ago(self) -> bool:
        """Tell of weights that lie where nobody looks at them before the engine's end."""
        at = self._saved_at
        return at is not None and time.monotonic() - at > _PATIENCE_SECONDS
