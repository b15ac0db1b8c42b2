"""When a network is examined while it trains, which weights are best, and when to give up."""

import math
from collections.abc import Mapping

_LEAST_BETWEEN = 100  # iterations between two mAPs, as in AlexeyAB's `train_detector`


class Selection:
    """Follows one metric. `last` and `best` are its values so far, None before the first.

    `smaller_is_better` is for losses. `patience` examinations in a row without a better value
    are too many; 0 has patience for ever.
    """

    def __init__(
        self,
        *,
        every: int,
        burn_in: int,
        start: int,
        patience: int = 0,
        smaller_is_better: bool = False,
    ) -> None:
        self.last: float | None = None
        self.best: float | None = None
        self.failures = 0
        self._every = max(every, _LEAST_BETWEEN)
        self._burn_in = burn_in
        self._examined_at = start
        self._patience = patience
        self._sign = -1.0 if smaller_is_better else 1.0

    @property
    def next_at(self) -> int:
        """The iteration from which on the next examination is due; never within burn_in."""
        return max(self._examined_at + self._every, self._burn_in)

    def note(self, iteration: int, value: float) -> bool:
        """Take a value; tell whether the weights of this iteration are the best so far.

        Of equal ones the later are, as upstream has it. A value that is no number never is.
        """
        self._examined_at, self.last = iteration, value
        better = not math.isnan(value) and (
            self.best is None or value * self._sign >= self.best * self._sign
        )
        improved = better and value != self.best
        self.failures = 0 if improved else self.failures + 1
        if better:
            self.best = value
        return better

    def numbers(self) -> dict[str, float]:
        """Return what must be kept to go on as if nothing had happened."""
        kept = {"examined_at": self._examined_at, "failures": self.failures}
        known = {"last": self.last, "best": self.best}
        return kept | {name: value for name, value in known.items() if value is not None}

    def restore(self, numbers: Mapping[str, float]) -> None:
        """Go on from what `numbers` returned; what is missing stays as it is."""
        self._examined_at = int(numbers.get("examined_at", self._examined_at))
        self.failures = int(numbers.get("failures", self.failures))
        self.last, self.best = numbers.get("last"), numbers.get("best")

    @property
    def is_hopeless(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self._patience <= self.failures
