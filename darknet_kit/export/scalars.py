"""A training as series of numbers, as programs that track experiments take them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.formats.logevent import MapResult
from darknet_kit.formats.trainlog import Log

_MEASURES = ("precision", "recall", "f1", "average_iou")


@dataclass(frozen=True, slots=True)
class Step:
    """What is known at an iteration; `seconds` of computing have passed until then."""

    iteration: int
    seconds: float
    values: Mapping[str, float]


def iter_steps(log: Log, most: int) -> Iterator[Step]:
    """Yield the steps of a training, at most `most` of its loss: of each stretch the lowest and
    the highest. All mAP calculations are there. Values that are nan or inf are left out."""
    metrics = log.metrics
    maps = {result.iteration: result for result in log.maps if result.iteration is not None}
    chosen = _choose(metrics.loss, most)
    passed = 0.0
    for index, iteration in enumerate(metrics.iteration):
        seconds = metrics.seconds[index]
        passed += seconds if math.isfinite(seconds) else 0.0
        values: dict[str, float] = {}
        if index in chosen:
            values = {
                "loss": metrics.loss[index],
                "avg_loss": metrics.avg_loss[index],
                "learning_rate": metrics.learning_rate[index],
            }
        if iteration in maps:
            values |= _map_values(maps[iteration])
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        if known:
            yield Step(iteration, passed, known)


def _map_values(result: MapResult) -> dict[str, float]:
    values = {"mAP50": result.map50}
    for name in _MEASURES:
        value = getattr(result, name)
        if value is not None:
            values[name] = value
    for entry in result.classes:
        values[f"AP/{entry.class_id} {entry.name}"] = entry.ap
    return values


def _choose(losses: Sequence[float], most: int) -> "range | set[int]":
    """Return which lines to keep: all, or the extremes of each of `most` / 2 stretches."""
    count, stretches = len(losses), most // 2
    if count <= most:
        return range(count)
    kept = {0, count - 1}
    for place in range(stretches):
        stretch = range(place * count // stretches, (place + 1) * count // stretches)
        known = [index for index in stretch if math.isfinite(losses[index])]
        if known:
            kept |= {min(known, key=losses.__getitem__), max(known, key=losses.__getitem__)}
    return kept
