"""Whether the loss of a training is lost: no number any more, or far above what it was.

One NaN on the iteration line is the end: the average never recovers in AlexeyAB's build, and the
weights are saved with it (the NaN of region and yolo lines only says that a mini-batch had no box).
An explosion is less plain, for a loss leaps and comes back: in 41,000 iterations of eight recorded
trainings it stood 15 times above its lowest at worst, and never above 10 times for more than five
iterations in a row.
"""

import math

from darknet_kit.formats.logevent import Iteration

_GIANT, _GIANT_FOR = 1e6, 10  # the largest average that a sane start was seen to have is 4,114
_FACTOR, _FACTOR_FOR = 10.0, 100
_SOUND_FACTOR = 3.0


class LossWatch:
    """Looks at iterations one by one. `burn_in` in iterations: before, only giants count.

    `sound_until` is the last iteration whose loss was near its lowest, None before any, and
    `is_sound` says that it is the last one of all.
    """

    def __init__(self, burn_in: int) -> None:
        self.sound_until: int | None = None
        self.is_sound = True
        self._burn_in = burn_in
        self._lowest = math.inf
        self._high = self._giant = 0

    def look(self, event: Iteration) -> str:
        """Return in a sentence how the loss is lost; empty while all is well."""
        loss, at = event.avg_loss, event.iteration
        if not math.isfinite(loss):
            self.is_sound = False
            return f"the average loss became {loss:g} at iteration {at:,}"
        self._lowest = min(self._lowest, loss)
        self.is_sound = loss <= _SOUND_FACTOR * self._lowest
        if self.is_sound:
            self.sound_until = at
        self._giant = self._giant + 1 if loss > _GIANT else 0
        is_high = at > self._burn_in and loss > _FACTOR * self._lowest
        self._high = self._high + 1 if is_high else 0
        if self._giant < _GIANT_FOR and self._high < _FACTOR_FOR:
            return ""
        for_long = max(self._giant, self._high)
        return (
            f"the average loss is {loss:,.6g} at iteration {at:,}, after a lowest of "
            f"{self._lowest:,.6g}, and has been so for {for_long} iterations"
        )
