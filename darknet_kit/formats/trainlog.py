"""A training log as a whole: its curves, its mAP, its restarts, and how it ended."""

import bisect
import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath, LogError
from darknet_kit.formats.logevent import (
    EngineError,
    EngineWarning,
    Event,
    Finished,
    Iteration,
    MapResult,
    RunStarted,
    WeightsSaved,
)
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.logstream import iter_log

__all__ = ["Log", "LogGatherer", "LogReader", "Metrics", "iter_log", "read_log"]

# Which of the errors at the end of a log tells most: one death prints several.
_TELLING = ("out-of-memory", "cuda-error", "killed", "missing-file", "engine-error", "crashed")
_KEPT_ERRORS = 100
_BEST = "_best.weights"  # where all engines that calculate mAP save the network of the best
# A line that goes back is believed when the next one goes on from it; engines count by the
# number of GPUs.
_MOST_GPUS = 64
_REGION_LINE = re.compile(rb"(?m)^(?:v3 \(?\w+ loss, |Region \d+ Avg )")
_LOG_HINT = "Give the file that the output of `darknet detector train` was written to."


def _floats() -> "array[float]":
    return array("d")


def _integers() -> "array[int]":
    return array("q")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The iteration lines as columns of equal length; unknown values are nan.

    Iterations strictly rise: where a run went back, the later lines replace the earlier.
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

    def append(self, line: Iteration) -> None:
        """Add one iteration at the end."""
        self.iteration.append(line.iteration)
        self.loss.append(line.loss)
        self.avg_loss.append(line.avg_loss)
        self.learning_rate.append(line.learning_rate)
        self.seconds.append(line.seconds)
        self.images.append(line.images)
        self.hours_left.append(math.nan if line.hours_left is None else line.hours_left)

    def drop_from(self, iteration: int) -> None:
        """Forget `iteration` and all that follow it."""
        start = bisect.bisect_left(self.iteration, iteration)
        del self.iteration[start:], self.images[start:]
        for column in (self.loss, self.avg_loss, self.learning_rate, self.seconds, self.hours_left):
            del column[start:]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where an engine process began anew; lines from `resumed_at` on were repeated."""

    reached: int
    resumed_at: int


@dataclass(frozen=True, slots=True)
class WarningCount:
    """How often the engine warned of one thing, with the first such line."""

    code: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a log ends: finished, stopped (nothing says why), or the code of an EngineError."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """What a log tells, with the later truth where a run went back to an earlier iteration.

    `embedded` is whether the embedded engine wrote it, in AlexeyAB's form. `diverged_at` is the
    iteration from which the average loss is nan or inf to the end.
    `damaged` counts lines that could not be read.
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

    @property
    def engine(self) -> str:
        """Return what has trained, in words; empty where no line tells it."""
        return "embedded engine" if self.embedded else str(self.flavor or "")

    @property
    def best_map(self) -> MapResult | None:
        """Return the best mAP; of equal ones the last, which is what `_best.weights` holds."""
        known = [result for result in self.maps if not math.isnan(result.map50)]
        return max(reversed(known), key=lambda result: result.map50, default=None)


class LogGatherer:
    """Collects events into a Log, also while a run is going on."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self._maps: list[MapResult] = []
        self._cuts: list[Cut] = []
        self._errors: list[EngineError] = []
        self._last_errors: list[EngineError] = []
        self._warnings: dict[str, WarningCount] = {}
        self._last_weights: str | None = None
        self._best_weights: str | None = None
        self._started = False
        self._finished = False
        self._doubtful: Iteration | None = None
        self._damaged = 0
        self.events = 0

    def start(self) -> None:
        """Tell that what follows comes from another engine process."""
        self._started = True

    def add(self, event: Event) -> None:
        """Take in the next event."""
        self.events += 1
        if isinstance(event, Iteration):
            self._add_iteration(event)
        elif isinstance(event, MapResult):
            self._maps.append(event)
        elif isinstance(event, WeightsSaved):
            self._last_weights = event.path
            if event.path.endswith(_BEST):
                self._best_weights = event.path
        elif isinstance(event, EngineWarning):
            known = self._warnings.get(event.code, WarningCount(event.code, 0, event.message))
            self._warnings[event.code] = WarningCount(known.code, known.count + 1, known.example)
        else:
            self._add_mark(event)

    def _add_mark(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.start()
            self._finished = False
        elif isinstance(event, Finished):
            self._finished = True
        elif isinstance(event, EngineError):
            self._last_errors.append(event)
            if len(self._errors) < _KEPT_ERRORS:
                self._errors.append(event)

    def _add_iteration(self, line: Iteration) -> None:
        metrics, doubtful = self._metrics, self._doubtful
        last = metrics.iteration[-1] if metrics else 0
        goes_back = line.iteration <= last
        if goes_back and not self._started:
            follows = doubtful and 0 < line.iteration - doubtful.iteration <= _MOST_GPUS
            if doubtful is None or not follows:
                self._doubt(line, last)
                return
            self._cut(last, doubtful.iteration)
            metrics.append(doubtful)
        else:
            self._damaged += doubtful is not None
            if self._started and metrics:
                self._cut(last, line.iteration)
        self._doubtful = None
        self._started = self._finished = False
        self._last_errors.clear()
        metrics.append(line)

    def _doubt(self, line: Iteration, last: int) -> None:
        self._damaged += self._doubtful is not None
        self._doubtful = line if line.iteration < last else None

    def _cut(self, reached: int, resumed_at: int) -> None:
        self._metrics.drop_from(resumed_at)
        self._maps = [m for m in self._maps if m.iteration is None or m.iteration < resumed_at]
        self._cuts = [cut for cut in self._cuts if cut.resumed_at < resumed_at]
        self._cuts.append(Cut(reached, resumed_at))

    def log(self, reader: LogReader) -> Log:
        """Return all that was gathered so far; `reader` is the one that made the events."""
        metrics = self._metrics
        return Log(
            flavor=reader.flavor,
            embedded=reader.embedded,
            metrics=metrics,
            maps=tuple(self._maps),
            cuts=tuple(self._cuts),
            errors=tuple(self._errors),
            warnings=tuple(self._warnings.values()),
            ending=self._ending(),
            max_batches=reader.max_batches,
            last_weights=self._last_weights,
            best_weights=self._best_weights,
            diverged_at=_find_divergence(metrics),
            damaged=self._damaged + (self._doubtful is not None) + reader.damaged,
        )

    def _ending(self) -> Ending:
        if self._finished:
            return Ending("finished")
        if not self._last_errors:
            return Ending("stopped")
        worst = min(self._last_errors, key=lambda error: _TELLING.index(error.code))
        return Ending(worst.code, worst.message)


def _find_divergence(metrics: Metrics) -> int | None:
    finite = next(
        (i for i in range(len(metrics) - 1, -1, -1) if math.isfinite(metrics.avg_loss[i])), -1
    )
    return metrics.iteration[finite + 1] if finite + 1 < len(metrics) else None


def read_log(*sources: AnyPath, progress: Progress = no_progress) -> Log:
    """Read the log of a run, or its several logs in the order in which they were written.

    Raises LogError, with code not-a-log or no-iterations where there is nothing to draw.
    """
    gatherer, reader = LogGatherer(), LogReader()
    for source in sources:
        gatherer.start()
        for event in iter_log(source, progress, reader):
            gatherer.add(event)
    log = gatherer.log(reader)
    if not log.metrics:
        raise _no_iterations(sources[-1], log, bool(gatherer.events))
    return log


def _no_iterations(source: AnyPath, log: Log, has_events: bool) -> LogError:
    with open(source, "rb") as stream:
        head = stream.read(1 << 16)
    code, hint = "no-iterations", _LOG_HINT
    if not head.strip():
        code, message = "not-a-log", "this file is empty"
    elif log.maps:
        message = (
            f"this is the output of a mAP calculation ({log.maps[-1].map50:.2%}); "
            "it has no iterations of a training"
        )
    elif log.ending.code == "finished":
        message = "the engine found nothing to do: its weights had reached max_batches already"
        hint = "Start from those weights with -clear, or raise max_batches."
    elif log.errors:
        message = f"the engine stopped before its first iteration: {log.ending.message}"
        hint = "Cure that first; there is nothing to draw yet."
    elif _REGION_LINE.search(head):
        message = "this holds the engine's lines per head, but none of its iteration lines"
        hint = "Those go to standard output: run `darknet … > train.log 2>&1`, and give that file."
    elif has_events:
        message = "this training ended before its first iteration"
    else:
        code, message = "not-a-log", "this is no log of a Darknet training"
    return LogError(message, code=code, hint=hint, path=source)
