"""Runs as a table, and one run with its attempts and weights, as lines."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from darknet_kit.core.wording import counted, format_duration
from darknet_kit.report.classtable import align_columns, cut_name
from darknet_kit.train.runs.detail import WeightsFile
from darknet_kit.train.runs.listing import AttemptSummary, RunSummary
from darknet_kit.train.runs.state import State

_TITLES = ("run", "state", "iteration", "avg loss", "best mAP", "attempts", "time", "engine")
_EVENT_KEYS = ("time", "event")
_LAST = math.inf  # what a run does not tell comes after what others do


def _or_last(value: float | None) -> float:
    return _LAST if value is None or math.isnan(value) else value


ORDERS: dict[str, Callable[[RunSummary], tuple[object, ...]]] = {
    "when": lambda run: (-run.written, run.name),
    "name": lambda run: (run.name.casefold(), run.name),
    "state": lambda run: (list(State).index(run.state), -run.written),
    "iteration": lambda run: (-run.iteration, run.name),
    "loss": lambda run: (_or_last(run.avg_loss), run.name),
    "map": lambda run: (-(-1 if run.best_map50 is None else run.best_map50), run.name),
    "time": lambda run: (-run.seconds, run.name),
}
"""What the table may be sorted by: latest, name, state, most iterations, lowest loss, highest mAP,
longest."""


def format_run_table(runs: Sequence[RunSummary]) -> list[str]:
    """Return a line for each run below a line of titles; sentences on what is damaged last."""
    table = [[*_TITLES, "last written"], *map(_row, runs)]
    notes = [f"  {cut_name(run.name)}: {sentence}" for run in runs for sentence in run.damage]
    return [*align_columns(table, left=(0, 1, 7)), *notes]


def summarize_runs(runs: Sequence[RunSummary]) -> str:
    """Return how many runs there are in each state."""
    found = Counter(run.state for run in runs)
    states = ", ".join(f"{found[state]} {state}" for state in State if found[state])
    return f"{counted(len(runs), 'run')}: {states}"


def _row(run: RunSummary) -> list[str]:
    return [
        cut_name(run.name),
        run.state,
        format_progress(run),
        format_loss(run.avg_loss),
        format_best(run),
        str(len(run.attempts)),
        format_duration(run.seconds),
        run.engine or "-",
        format_time(run.written),
    ]


def format_progress(run: RunSummary) -> str:
    """Return how far a run came, as `1,200 of 6,000`."""
    return f"{run.iteration:,} of {run.max_batches:,}" if run.max_batches else f"{run.iteration:,}"


def format_loss(loss: float | None) -> str:
    """Return an average loss, or a dash where there is none."""
    return "-" if loss is None else f"{loss:.4g}"


def format_best(run: RunSummary) -> str:
    """Return the best mAP and its iteration, or a dash where there is none."""
    if run.best_map50 is None or run.best_iteration is None:
        return "-"
    return f"{run.best_map50:.1%} at {run.best_iteration:,}"


def format_time(epoch: float) -> str:
    """Return epoch seconds as local date and time, or a dash for 0."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch)) if epoch else "-"


def format_attempts(attempts: Sequence[AttemptSummary], *, is_running: bool = False) -> list[str]:
    """Return a line for each attempt: when it began, how long it took, how it ended and why; of a
    run that `is_running` the last one is under way."""
    table = []
    for attempt in attempts:
        took = format_duration(attempt.ended - attempt.began)
        is_on = is_running and attempt is attempts[-1]
        how = attempt.state or ("under way" if is_on else "no word of its end")
        why = f"{attempt.message} [{attempt.code}]" if attempt.code else ""
        at = f"at {attempt.iteration:,}" if attempt.state else ""
        table.append([attempt.number, format_time(attempt.began), took, how, at, why])
    return align_columns(table, left=(0, 1, 3, 4, 5)) if table else []


def format_weights(files: Sequence[WeightsFile]) -> list[str]:
    """Return a line for each weights file: size, iteration, and what it is."""
    table = []
    for file in files:
        at = "" if file.iteration is None else f"iteration {file.iteration:,}"
        table.append([file.path.name, f"{file.size / 1e6:,.1f} MB", at, file.what])
    return align_columns(table, left=(0, 2, 3)) if table else []


def format_event(event: Mapping[str, Any]) -> str:
    """Return a line of events.jsonl for people: when, what, and its facts."""
    facts = ", ".join(
        f"{key} {value}" for key, value in event.items() if key not in _EVENT_KEYS and value != ""
    )
    when = str(event.get("time", ""))[:19].replace("T", " ")
    return f"  {when}  {event.get('event', '')}{f': {facts}' if facts else ''}"
