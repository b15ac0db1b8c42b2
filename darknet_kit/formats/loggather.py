"""Events, as they come, gathered into a Log: where a run went back, the later truth stays."""

import math
from collections.abc import Callable
from typing import Any

from darknet_kit.formats.logcolumns import IterationRun, Metrics
from darknet_kit.formats.logevent import (
    EngineError,
    EngineWarning,
    Event,
    Finished,
    Iteration,
    LossParts,
    MapResult,
    MiniBatch,
    Resized,
    RunStarted,
    WeightsSaved,
)
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.logresult import (
    Cut,
    Damage,
    Ending,
    Log,
    LossColumns,
    WarningCount,
)
from darknet_kit.formats.logstream import DamagedLine, Told

# Which of the errors at the end of a log tells most: one death prints several.
_TELLING = ("out-of-memory", "cuda-error", "killed", "missing-file", "engine-error", "crashed")
_KEPT = 100  # errors, damaged lines
_BEST = "_best.weights"  # where all engines that calculate mAP save the network of the best
# A line that goes back is believed when the next one goes on from it; engines count by the
# number of GPUs.
_MOST_GPUS = 64


class LogGatherer:
    """Collects events into a Log, also while a run is going on."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self._parts = LossColumns()
        self._heads: dict[int, LossParts] = {}
        self._maps: list[MapResult] = []
        self._resizes: list[Resized] = []
        self._mini_batches: list[MiniBatch] = []
        self._mini_batch: int | None = None  # of the iterations to come, where it is new
        self._cuts: list[Cut] = []
        self._errors: list[EngineError] = []
        self._last_errors: list[EngineError] = []
        self._warnings: dict[str, WarningCount] = {}
        self._last_weights: str | None = None
        self._best_weights: str | None = None
        self._started = False
        self._finished = False
        self._doubtful: tuple[Iteration, Damage] | None = None
        self._damaged = 0
        self._damage: list[Damage] = []
        self._path = ""
        self.events = 0

    def start(self, path: str = "") -> None:
        """Tell that what follows comes from another engine process, and from which file."""
        self._path = path or self._path
        self._started = True

    def add_told(self, line: int, told: Told) -> None:
        """Take in what a line of the file tells, or many of them do."""
        if isinstance(told, IterationRun):
            self._add_run(told)
        elif isinstance(told, DamagedLine):
            self._keep_damage(Damage(self._path, line, told.text))
        else:
            self.add(told, line)

    def add(self, event: Event, line: int = 0) -> None:
        """Take in the next event, from this line of the file."""
        self.events += 1
        if isinstance(event, Iteration):
            self._add_iteration(event, line)
        elif add := _ADDING.get(type(event)):
            add(self, event)

    def _add_start(self, _event: RunStarted) -> None:
        self.start()
        self._finished = False

    def _add_finish(self, _event: Finished) -> None:
        self._finished = True

    def _add_map(self, event: MapResult) -> None:
        self._maps.append(event)

    def _add_resize(self, event: Resized) -> None:
        self._resizes.append(event)
        self._mini_batch = event.mini_batch or self._mini_batch

    def _add_mini_batch(self, event: MiniBatch) -> None:
        self._mini_batch = event.images

    def _add_parts(self, event: LossParts) -> None:
        known = self._heads.get(event.head)
        self._heads[event.head] = _add_up(known, event) if known else event

    def _add_weights(self, event: WeightsSaved) -> None:
        self._last_weights = event.path
        if event.path.endswith(_BEST):
            self._best_weights = event.path

    def _add_warning(self, event: EngineWarning) -> None:
        known = self._warnings.get(event.code)
        self._warnings[event.code] = WarningCount(
            event.code,
            known.count + 1 if known else 1,
            known.example if known else event.message,
            known.iteration if known else event.iteration,
        )

    def _add_error(self, event: EngineError) -> None:
        self._last_errors.append(event)
        if len(self._errors) < _KEPT:
            self._errors.append(event)

    def _add_run(self, run: IterationRun) -> None:
        """Take in iteration lines one by one until nothing is in doubt, the rest all at once."""
        metrics = run.metrics
        rising = all(map(int.__lt__, metrics.iteration, metrics.iteration[1:]))
        self.events += len(metrics)
        for index, line in enumerate(run.lines):
            self._add_iteration(metrics.row(index), line)
            if rising and self._doubtful is None:
                self._metrics.extend(metrics, index + 1)
                return

    def _add_iteration(self, line: Iteration, number: int) -> None:
        metrics, last = self._metrics, self._metrics.iteration[-1] if self._metrics else 0
        if line.iteration <= last and not self._started:
            doubtful = self._doubtful[0] if self._doubtful else None
            follows = doubtful and 0 < line.iteration - doubtful.iteration <= _MOST_GPUS
            if doubtful is None or not follows:
                self._doubt(line, last, number)
                return
            self._cut(last, doubtful.iteration)
            metrics.append(doubtful)
        else:
            self._settle_doubt()
            if self._started and metrics:
                self._cut(last, line.iteration)
        self._doubtful = None
        self._started = self._finished = False
        self._last_errors.clear()
        metrics.append(line)
        if self._heads:
            self._note_parts(line.iteration)
        if self._mini_batch:
            self._mini_batches.append(MiniBatch(line.iteration, self._mini_batch))
            self._mini_batch = None

    def _doubt(self, line: Iteration, last: int, number: int) -> None:
        self._settle_doubt()
        damage = Damage(self._path, number, f"iteration {line.iteration} after {last}")
        self._doubtful = (line, damage) if line.iteration < last else None

    def _settle_doubt(self) -> None:
        if self._doubtful is not None:
            self._damaged += 1
            self._keep_damage(self._doubtful[1])

    def _keep_damage(self, damage: Damage) -> None:
        if len(self._damage) < _KEPT:
            self._damage.append(damage)

    def _note_parts(self, iteration: int) -> None:
        parts, heads = self._parts, self._heads.values()
        parts.iteration.append(iteration)
        parts.box.append(sum(head.box / head.lines for head in heads))
        parts.objectness.append(sum(head.objectness / head.lines for head in heads))
        parts.classes.append(sum(head.classes / head.lines for head in heads))
        parts.objectness_and_class.append(
            sum(head.objectness_and_class / head.lines for head in heads)
        )
        self._heads.clear()

    def _cut(self, reached: int, resumed_at: int) -> None:
        self._metrics.drop_from(resumed_at)
        self._parts.drop_from(resumed_at)
        self._maps = [m for m in self._maps if _before(m.iteration, resumed_at)]
        self._resizes = [r for r in self._resizes if _before(r.iteration, resumed_at)]
        self._mini_batches = [m for m in self._mini_batches if _before(m.iteration, resumed_at)]
        self._cuts = [cut for cut in self._cuts if cut.resumed_at < resumed_at]
        self._cuts.append(Cut(reached, resumed_at))

    def log(self, reader: LogReader) -> Log:
        """Return all that was gathered so far; `reader` is the one that made the events."""
        metrics = self._metrics
        in_doubt = [self._doubtful[1]] if self._doubtful else []
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
            damaged=self._damaged + len(in_doubt) + reader.damaged,
            damage=(*self._damage, *in_doubt),
            resizes=tuple(self._resizes),
            mini_batches=tuple(self._mini_batches),
            parts=self._parts,
        )

    def _ending(self) -> Ending:
        if self._finished:
            return Ending("finished")
        if not self._last_errors:
            return Ending("stopped")
        worst = min(self._last_errors, key=lambda error: _TELLING.index(error.code))
        return Ending(worst.code, worst.message)


_ADDING: dict[type[Event], Callable[[LogGatherer, Any], None]] = {
    RunStarted: LogGatherer._add_start,
    MiniBatch: LogGatherer._add_mini_batch,
    LossParts: LogGatherer._add_parts,
    MapResult: LogGatherer._add_map,
    WeightsSaved: LogGatherer._add_weights,
    Resized: LogGatherer._add_resize,
    EngineWarning: LogGatherer._add_warning,
    EngineError: LogGatherer._add_error,
    Finished: LogGatherer._add_finish,
}


def _before(iteration: int | None, limit: int) -> bool:
    return iteration is None or iteration < limit


def _add_up(one: LossParts, other: LossParts) -> LossParts:
    return LossParts(
        one.head,
        one.box + other.box,
        one.objectness + other.objectness,
        one.classes + other.classes,
        one.objectness_and_class + other.objectness_and_class,
        one.lines + other.lines,
    )


def _find_divergence(metrics: Metrics) -> int | None:
    finite = next(
        (i for i in range(len(metrics) - 1, -1, -1) if math.isfinite(metrics.avg_loss[i])), -1
    )
    return metrics.iteration[finite + 1] if finite + 1 < len(metrics) else None
