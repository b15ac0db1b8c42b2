"""Iteration lines as columns: seven arrays, however many millions there are."""

import bisect
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from darknet_kit.formats.logevent import Iteration


def _floats() -> "array[float]":
    return array("d")


def _integers() -> "array[int]":
    return array("q")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Iteration lines as columns of equal length; unknown values are nan.

    In a whole log iterations strictly rise: where a run went back, the later lines replace the
    earlier.
    """

    iteration: "array[int]" = field(default_factory=_integers)
    loss: "array[float]" = field(default_factory=_floats)
    avg_loss: "array[float]" = field(default_factory=_floats)
    learning_rate: "array[float]" = field(default_factory=_floats)
    seconds: "array[float]" = field(default_factory=_floats)
    images: "array[int]" = field(default_factory=_integers)
    hours_left: "array[float]" = field(default_factory=_floats)

    def __len__(self) -> int:
        return len(self.iteration)

    def row(self, index: int) -> Iteration:
        """Return one line as an event."""
        left = self.hours_left[index]
        return Iteration(
            self.iteration[index],
            self.loss[index],
            self.avg_loss[index],
            self.learning_rate[index],
            self.seconds[index],
            self.images[index],
            None if math.isnan(left) else left,
        )

    def append(self, line: Iteration) -> None:
        """Add one iteration at the end."""
        self.iteration.append(line.iteration)
        self.loss.append(line.loss)
        self.avg_loss.append(line.avg_loss)
        self.learning_rate.append(line.learning_rate)
        self.seconds.append(line.seconds)
        self.images.append(line.images)
        self.hours_left.append(math.nan if line.hours_left is None else line.hours_left)

    def extend(self, other: "Metrics", start: int) -> None:
        """Add the lines of another one, from index `start` on."""
        self.iteration.extend(other.iteration[start:])
        self.images.extend(other.images[start:])
        for mine, theirs in zip(self._numbers(), other._numbers(), strict=True):
            mine.extend(theirs[start:])

    def part(self, first: int, last: int) -> "Metrics":
        """Return a copy of the lines from index `first` up to `last`."""
        loss, average, rate, seconds, left = (column[first:last] for column in self._numbers())
        images = self.images[first:last]
        return Metrics(self.iteration[first:last], loss, average, rate, seconds, images, left)

    def drop_from(self, iteration: int) -> None:
        """Forget `iteration` and all that follow it."""
        start = bisect.bisect_left(self.iteration, iteration)
        del self.iteration[start:], self.images[start:]
        for column in self._numbers():
            del column[start:]

    def _numbers(self) -> "tuple[array[float], ...]":
        return self.loss, self.avg_loss, self.learning_rate, self.seconds, self.hours_left


@dataclass(frozen=True, slots=True)
class IterationRun:
    """Iteration lines that follow one another without anything else of note between them."""

    metrics: Metrics
    lines: Sequence[int]  # of the file, 1-based: where each of them stands
