"""What a whole log tells: its curves, its mAP, its restarts, how it ended, what was unreadable."""

import bisect
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.logcolumns import Metrics
from darknet_kit.formats.logevent import EngineError, MapResult, MiniBatch, Resized

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where an engine process began anew; lines from `resumed_at` on were repeated."""

    reached: int
    resumed_at: int


@dataclass(frozen=True, slots=True)
class WarningCount:
    """How often the engine warned of one thing, with the first such line and its iteration."""

    code: str
    count: int
    example: str
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a log ends: finished, stopped (nothing says why), or the code of an EngineError."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that could not be read: the log, the number of the line, 1-based, and its text."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class LossColumns:
    """Parts of the loss as columns, the mean of an iteration's mini-batches, all heads together.

    AlexeyAB does not tell objectness and class apart: they are nan, and their sum is known.
    """

    iteration: "array[int]" = field(default_factory=lambda: array("q"))
    box: "array[float]" = field(default_factory=lambda: array("d"))
    objectness: "array[float]" = field(default_factory=lambda: array("d"))
    classes: "array[float]" = field(default_factory=lambda: array("d"))
    objectness_and_class: "array[float]" = field(default_factory=lambda: array("d"))

    def drop_from(self, iteration: int) -> None:
        """Forget `iteration` and all that follow it."""
        start = bisect.bisect_left(self.iteration, iteration)
        del self.iteration[start:]
        for column in (self.box, self.objectness, self.classes, self.objectness_and_class):
            del column[start:]


@dataclass(frozen=True, slots=True)
class Log:
    """What a log tells, with the later truth where a run went back to an earlier iteration.

    `embedded` is whether the embedded engine wrote it, in AlexeyAB's form. `diverged_at` is the
    iteration from which the average loss is nan or inf to the end.
    `damaged` counts lines that could not be read; `damage` are the first hundred of them.
    `mini_batches` say from which iteration on how many images were computed at once.
    """

    flavor: Flavor | None
    embedded: bool
    metrics: Metrics
    maps: Sequence[MapResult]
    cuts: Sequence[Cut]
    errors: Sequence[EngineError]
    warnings: Sequence[WarningCount]
    ending: Ending
    max_batches: int | None
    last_weights: str | None
    best_weights: str | None
    diverged_at: int | None
    damaged: int
    damage: Sequence[Damage] = ()
    resizes: Sequence[Resized] = ()
    mini_batches: Sequence[MiniBatch] = ()
    parts: LossColumns = field(default_factory=LossColumns)

    @property
    def engine(self) -> str:
        """Return what has trained, in words; empty where no line tells it."""
        return "embedded engine" if self.embedded else str(self.flavor or "")

    @property
    def best_map(self) -> MapResult | None:
        """Return the best mAP; of equal ones the last, which is what `_best.weights` holds."""
        known = [result for result in self.maps if not math.isnan(result.map50)]
        return max(reversed(known), key=lambda result: result.map50, default=None)

    def frames(self) -> "dict[str, pd.DataFrame]":
        """Return the tables of `logtables.tabulate` as data frames of pandas."""
        import pandas as pd

        from darknet_kit.formats.logtables import tabulate

        return {
            name: pd.DataFrame(
                {key: pd.Series(column.values, dtype=column.dtype) for key, column in table.items()}
            )
            for name, table in tabulate(self).items()
        }
