"""Trainings side by side: what was asked of each, what differs, what came of it."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.report.summary import (
    computed_seconds,
    describe_ending,
    format_hours,
    format_loss,
    lowest_index,
)
from darknet_kit.train.runs.history import History

SETUP, NETWORK, KEYS, RESULT = "setup", "network", "cfg", "result"
CAUSE = "cause"
# What people ask first of a training; shown also where all have the same.
_CORE = frozenset(("input", "classes", "batch", "subdivisions", "learning_rate", "burn_in"))
_CORE |= {"max_batches", "steps", "scales"}
_SHAPE_KEYS = frozenset(("width", "height", "channels"))
_HEAD_KEYS_ELSEWHERE = frozenset(("classes", "mask", "num"))
UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison: a value for each training, UNKNOWN where nothing tells it.

    `differs` is whether trainings that tell it differ; `best` numbers those with the best value of
    a result, 0-based.
    """

    group: str
    name: str
    values: tuple[str, ...]
    differs: bool
    best: frozenset[int] = frozenset()

    @property
    def is_change(self) -> bool:
        """Tell whether trainings were asked for different things here."""
        return self.differs and self.group != RESULT

    @property
    def matters(self) -> bool:
        """Tell whether a person wants to see it: what differs, results, and the core."""
        return self.differs or self.group == RESULT or self.name in _CORE


def compare_trainings(histories: Sequence[History]) -> list[Row]:
    """Return what trainings were asked to do and what came of it, line by line."""
    setups = [history.settings for history in histories]
    networks = [_describe_network(history.cfg) for history in histories]
    keys = [_list_keys(history.cfg) for history in histories]
    return [
        *_parameter_rows(SETUP, setups),
        *_parameter_rows(NETWORK, networks),
        *_parameter_rows(KEYS, keys),
        *_result_rows(histories),
    ]


def _parameter_rows(group: str, told: Sequence[Mapping[str, str]]) -> Iterator[Row]:
    names = dict.fromkeys(name for one in told for name in one)
    for name in names:
        values = tuple(one.get(name, UNKNOWN) for one in told)
        # A training of which nothing is known differs in nothing.
        known = {value for value, one in zip(values, told, strict=True) if one}
        yield Row(group, name, values, len(known) > 1)


def _describe_network(cfg: Cfg | None) -> dict[str, str]:
    if cfg is None:
        return {}
    net = cfg.net
    told = {"input": f"{net.integer('width')} x {net.integer('height')}"}
    heads = find_heads(cfg)
    if heads:
        told["classes"] = ", ".join(dict.fromkeys(str(head.classes) for head in heads))
        kinds = Counter(head.section.kind for head in heads)
        told["heads"] = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    told["layers"] = str(len(cfg.layers))
    try:
        layers = infer_layers(cfg)
    except CfgError:
        return told
    told["parameters"] = f"{sum(layer.weight_floats for layer in layers) / 1e6:.2f} M"
    told["BFLOPs"] = f"{total_bflops(layers):.2f}"
    return told


def _list_keys(cfg: Cfg | None) -> dict[str, str]:
    """Return the keys of [net], then those of the heads, by name; of several heads each value."""
    if cfg is None:
        return {}
    told: dict[str, str] = {}
    for entry in cfg.net.entries:
        if entry.key not in _SHAPE_KEYS:
            told.setdefault(entry.key, entry.value)  # the engine takes the first
    for head in find_heads(cfg):
        for key in dict.fromkeys(entry.key for entry in head.section.entries):
            value = head.section.text(key)
            name = f"{head.section.kind}.{key}"
            if key in _HEAD_KEYS_ELSEWHERE or value in told.get(name, "").split(" | "):
                continue
            told[name] = f"{told[name]} | {value}" if name in told else value
    return told


def _result_rows(histories: Sequence[History]) -> Iterator[Row]:
    for name, tell, measure in _RESULTS:
        values = tuple(tell(history) or UNKNOWN for history in histories)
        best = _find_best([measure(history) for history in histories]) if measure else frozenset()
        yield Row(RESULT, name, values, len(set(values)) > 1, best)


def _find_best(measures: Sequence[float | None]) -> frozenset[int]:
    """Return which measures are the highest; none where they do not differ."""
    known = [one for one in measures if one is not None and math.isfinite(one)]
    if len(set(known)) < 2:
        return frozenset()
    return frozenset(index for index, one in enumerate(measures) if one == max(known))


def _state(history: History) -> str:
    if history.run is not None:
        return str(history.run.state)
    code = history.log.ending.code
    return "diverged" if history.log.diverged_at is not None else code


def _cause(history: History) -> str:
    if (start := history.log.diverged_at) is not None:
        return f"the loss is nan or inf from {start:,} on"
    if history.run is not None and history.run.reason:
        return history.run.reason
    return describe_ending(history.log)


def _iterations(history: History) -> str:
    last, total = history.log.metrics.iteration[-1], history.log.max_batches
    return f"{last:,}" if total in (None, last) else f"{last:,} of {total:,}"


def _start_loss(history: History) -> str:
    return format_loss(history.log.metrics.avg_loss[0])


def _best_loss(history: History) -> str:
    metrics, lowest = history.log.metrics, lowest_index(history.log.metrics)
    if lowest is None:
        return ""
    return f"{format_loss(metrics.avg_loss[lowest])} at {metrics.iteration[lowest]:,}"


def _last_loss(history: History) -> str:
    return format_loss(history.log.metrics.avg_loss[-1])


def _best_map(history: History) -> str:
    best = history.log.best_map
    if best is None:
        return ""
    at = "" if best.iteration is None else f" at {best.iteration:,}"
    return f"{best.map50:.2%}{at}"


def _measure_map(history: History) -> float | None:
    best = history.log.best_map
    return None if best is None else best.map50


def _last_map(history: History) -> str:
    return f"{history.log.maps[-1].map50:.2%}" if history.log.maps else ""


def _hours(history: History) -> str:
    seconds = computed_seconds(history.log.metrics)
    if history.run is not None:
        seconds = max(seconds, history.run.seconds)
    return format_hours(seconds) if seconds else ""


def _pace(history: History) -> str:
    seconds = computed_seconds(history.log.metrics)
    return f"{seconds / len(history.log.metrics):.3g} s" if seconds else ""


_RESULTS: tuple[
    tuple[str, Callable[[History], str], Callable[[History], float | None] | None], ...
] = (
    ("state", _state, None),
    (CAUSE, _cause, None),
    ("iterations", _iterations, None),
    ("first avg loss", _start_loss, None),
    ("lowest avg loss", _best_loss, None),  # not comparable between networks, so none is best
    ("last avg loss", _last_loss, None),
    ("best mAP", _best_map, _measure_map),
    ("last mAP", _last_map, None),
    ("time", _hours, None),
    ("an iteration", _pace, None),
)
