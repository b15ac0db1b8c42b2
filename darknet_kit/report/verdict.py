"""What a training came to, in a sentence, and what its numbers advise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.apchart import best_with_classes, rank_classes
from darknet_kit.report.charts import known_results
from darknet_kit.report.curves import find_rate_steps
from darknet_kit.report.summary import (
    computed_seconds,
    describe_ending,
    describe_reach,
    format_at,
    format_hours,
)
from darknet_kit.train.runs.history import History
from darknet_kit.train.runs.state import State

_FELL = 0.03  # of mAP below its best: more than calculations differ by from each other
_FEW_RESULTS = 5
_HOPELESS = 0.05  # mAP at the end of a training that found next to nothing
_WEAK = 0.5  # of the mean AP
_BAD = frozenset((State.CRASHED, State.DIVERGED))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`tone` is good, doubtful or bad; `sentence` says what came of it."""

    tone: str
    sentence: str


def conclude(history: History) -> Conclusion:
    """Return what became of a training."""
    log = history.log
    best = log.best_map
    reached = ""
    if best is not None:
        at = "" if best.iteration is None else f" at iteration {best.iteration:,}"
        reached = f" Best mAP {best.map50:.1%}{at}."
    seconds = history.run.seconds if history.run else 0.0
    seconds = max(seconds, computed_seconds(log.metrics))
    took = f" in {format_hours(seconds)}" if seconds else ""
    last = f"{log.metrics.iteration[-1]:,}"
    if log.diverged_at is not None:
        return Conclusion("bad", f"The loss was lost: nan from {log.diverged_at:,} on.{reached}")
    if history.run is not None and history.run.state is State.RUNNING:
        return Conclusion("doubtful", f"Still running, at iteration {last}.{reached}")
    if log.ending.code == "finished" or (history.run and history.run.state is State.FINISHED):
        return Conclusion("good", f"Finished: {last} iterations{took}.{reached}")
    how, tone = describe_ending(log), "doubtful" if log.ending.code == "stopped" else "bad"
    if history.run is not None:
        tone = "bad" if history.run.state in _BAD else tone
        if history.run.reason:
            how = f"{history.run.reason}; it had come to {describe_reach(log)}"
    return Conclusion(tone, f"{how[:1].upper()}{how[1:]}.{reached}")


def advise(log: Log) -> list[str]:
    """Return what the numbers of a training advise, each as a sentence or two."""
    return [*_advise_on_course(log), *_advise_on_classes(log), *_advise_on_loss(log)]


def _advise_on_course(log: Log) -> Iterator[str]:
    results = known_results(log)
    best = log.best_map
    if best is None or len(results) < _FEW_RESULTS:
        return
    last = results[-1]
    if last.map50 < _HOPELESS:
        yield (
            "mAP stayed near zero: look at the labels as this engine reads them (dkit check DATA), "
            "at classes and names, and at the anchors (dkit anchors DATA)."
        )
    elif best.map50 - last.map50 > _FELL:
        yield (
            f"mAP fell from {best.map50:.1%}{format_at(best)} to {last.map50:.1%} at the end: "
            "the network learned its training images by heart. Use the weights of the best mAP; "
            "more images or stronger augmentation would help."
        )
    elif (
        best is last
        and best.map50 > results[-_FEW_RESULTS].map50
        and not find_rate_steps(log.metrics)
    ):
        yield (
            "mAP was still rising and the learning rate never stepped down: a longer training, "
            "with steps at 80 and 90 % of max_batches, is likely to be better."
        )


def _advise_on_classes(log: Log) -> Iterator[str]:
    rows = rank_classes(best_with_classes(known_results(log)))
    mean = math.fsum(row.ap for row in rows) / len(rows) if rows else 0.0
    weak = [row for row in rows if row.ap < _WEAK * mean]
    if weak and mean > _HOPELESS:
        named = ", ".join(f"{row.name} ({row.ap:.0%})" for row in weak[-6:])
        more = f" and {len(weak) - 6} more" if len(weak) > 6 else ""
        yield (
            f"Found far worse than the others (mean AP {mean:.0%}): {named}{more}. dkit stats says "
            "whether they are rare or small; dkit show --class draws their labels."
        )


def _advise_on_loss(log: Log) -> Iterator[str]:
    if log.diverged_at is not None:
        yield (
            "A loss of nan does not come back: go on from weights before "
            f"{log.diverged_at:,} with half the learning rate, and look for broken labels "
            "(dkit check DATA)."
        )
