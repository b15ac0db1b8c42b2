"""A training log in words and numbers: what was reached, how it ended, how long it took."""

import math
from dataclasses import asdict
from typing import Any

from darknet_kit.core.wording import counted
from darknet_kit.formats.logevent import MapResult
from darknet_kit.formats.trainlog import Log, Metrics

_SHOWN = 5  # damaged lines
_ENDINGS = {
    "out-of-memory": "ran out of memory",
    "cuda-error": "died of a CUDA error",
    "killed": "was killed",
    "crashed": "crashed",
    "missing-file": "could not open a file",
    "engine-error": "died of an error",
}


def format_iteration(value: float, last: int) -> str:
    """Return an iteration as an axis up to `last` shows it: 1,500, or 12.5k, or 1.2M."""
    if last >= 1_000_000 and value:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if last >= 10_000 and value else f"{value:,g}"


def format_loss(loss: float) -> str:
    """Return a loss with the digits that matter."""
    if not math.isfinite(loss):
        return str(loss)
    return f"{loss:,.0f}" if loss >= 1000 else f"{loss:.4g}"


def format_hours(seconds: float) -> str:
    """Return a long time as people say it: 45 s, 12 min, 3 h 05 min, 14 days 2 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 100 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{hours // 24} days {hours % 24} h"


def describe_log(log: Log) -> str:
    """Return what a training came to, in one line: the subtitle of its chart."""
    metrics = log.metrics
    facts = [log.engine] if log.engine else []
    facts += [describe_reach(log), f"average loss {format_loss(metrics.avg_loss[-1])}"]
    if best := log.best_map:
        facts.append(f"mAP {_percent(log.maps[-1], 1)}, best {_percent(best, 1)}")
    if metrics.learning_rate[-1] > 0:
        facts.append(f"learning rate {metrics.learning_rate[-1]:g}")
    return "  ·  ".join(facts)


def describe_reach(log: Log) -> str:
    """Return which iterations a log covers, and of how many where that is known."""
    first, last = log.metrics.iteration[0], log.metrics.iteration[-1]
    reach = f"{last:,}" if log.max_batches in (None, last) else f"{last:,} of {log.max_batches:,}"
    if first == last:
        return f"iteration {reach}"
    return f"{reach} iterations" if first <= 1 else f"iterations {first:,} to {reach}"


def describe_ending(log: Log) -> str:
    """Return how a log ends, in one sentence."""
    last = f"{log.metrics.iteration[-1]:,}"
    if log.ending.code == "finished":
        return f"finished at iteration {last}"
    if log.ending.code in _ENDINGS:
        how = _ENDINGS[log.ending.code]
        return f"the engine {how} after iteration {last}: {log.ending.message}"
    left = log.metrics.hours_left[-1]
    if left > 0:
        return f"stops mid-way at iteration {last}, with {format_hours(3600 * left)} left to go"
    return f"stops at iteration {last}; nothing says whether the training was done"


def summarize_log(log: Log) -> list[str]:
    """Return the facts of a log for people, one a line."""
    metrics = log.metrics
    facts = [
        ("engine", log.engine or "unknown"),
        ("reached", describe_reach(log)),
        ("average loss", _describe_loss(metrics)),
    ]
    if log.diverged_at is not None:
        facts.append(("diverged", f"loss nan or inf from iteration {log.diverged_at:,} to the end"))
    if best := log.best_map:
        name = f"mAP@{best.iou_threshold:.2f}" if best.iou_threshold else "mAP"
        facts.append(
            (
                name,
                f"best {_percent(best, 2)}{format_at(best)}, last {_percent(log.maps[-1], 2)}, "
                f"{counted(len(log.maps), 'calculation')}",
            )
        )
    if seconds := computed_seconds(metrics):
        each = seconds / len(metrics)
        facts.append(("time", f"{format_hours(seconds)} of computing, {each:.3g} s an iteration"))
    facts.append(("ended", describe_ending(log)))
    facts += [
        ("restarted", f"reached {cut.reached:,}, went on from {cut.resumed_at:,}")
        for cut in log.cuts
    ]
    facts += [
        (warning.code, f"{warning.count:,} times, first: {warning.example}")
        for warning in log.warnings
    ]
    if log.damaged:
        lines = "line" if log.damaged == 1 else "lines"
        facts.append(("not readable", f"{log.damaged:,} damaged {lines}, left out"))
        facts += [("", f"{d.path}:{d.line:,}: {d.text}") for d in log.damage[:_SHOWN]]
    return [f"{name:<14} {fact}" for name, fact in facts]


def _describe_loss(metrics: Metrics) -> str:
    first, last = metrics.avg_loss[0], metrics.avg_loss[-1]
    text = f"{format_loss(first)} at first, {format_loss(last)} at last"
    lowest = lowest_index(metrics)
    if lowest is None:
        return text
    at = metrics.iteration[lowest]
    return f"{text}, lowest {format_loss(metrics.avg_loss[lowest])} at {at:,}"


def list_facts(log: Log) -> dict[str, Any]:
    """Return the facts of a log for programs: JSON-ready, null for nan and for unknown."""
    metrics, lowest, best = log.metrics, lowest_index(log.metrics), log.best_map
    return {
        "engine": log.engine or None,
        "flavor": str(log.flavor) if log.flavor else None,
        "iterations": {
            "first": metrics.iteration[0],
            "last": metrics.iteration[-1],
            "count": len(metrics),
            "max_batches": log.max_batches,
        },
        "avg_loss": {
            "first": _finite(metrics.avg_loss[0]),
            "last": _finite(metrics.avg_loss[-1]),
            "lowest": None if lowest is None else metrics.avg_loss[lowest],
            "lowest_at": None if lowest is None else metrics.iteration[lowest],
        },
        "learning_rate": _finite(metrics.learning_rate[-1]),
        "diverged_at": log.diverged_at,
        "map": {
            "calculations": len(log.maps),
            "best": None if best is None else _map_facts(best),
            "last": _map_facts(log.maps[-1]) if log.maps else None,
        },
        "seconds": computed_seconds(metrics),
        "hours_left": _finite(metrics.hours_left[-1]),
        "ending": asdict(log.ending),
        "cuts": [asdict(cut) for cut in log.cuts],
        "errors": [asdict(error) for error in log.errors],
        "warnings": [asdict(warning) for warning in log.warnings],
        "damaged_lines": log.damaged,
        "damage": [asdict(damage) for damage in log.damage],
        "last_weights": log.last_weights,
        "best_weights": log.best_weights,
    }


def _map_facts(result: MapResult) -> dict[str, Any]:
    facts = asdict(result)
    facts["classes"] = [_all_finite(entry) for entry in facts["classes"]]
    return _all_finite(facts)


def _all_finite(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _finite(value) if isinstance(value, float) else value for key, value in facts.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def lowest_index(metrics: Metrics) -> int | None:
    """Return the index of the lowest average loss, if one is a number."""
    finite = (index for index, loss in enumerate(metrics.avg_loss) if math.isfinite(loss))
    return min(finite, key=lambda index: metrics.avg_loss[index], default=None)


def computed_seconds(metrics: Metrics) -> float:
    """Return how long all iterations took together, where the engine said it."""
    return math.fsum(seconds for seconds in metrics.seconds if math.isfinite(seconds))


def _percent(result: MapResult, digits: int) -> str:
    return "unknown" if math.isnan(result.map50) else f"{result.map50:.{digits}%}"


def format_at(result: MapResult) -> str:
    """Return ` at 1,200`, or nothing where a calculation tells no iteration."""
    return "" if result.iteration is None else f" at {result.iteration:,}"
