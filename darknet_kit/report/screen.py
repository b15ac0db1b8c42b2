"""A run in the terminal while it goes on: numbers, curves, gauges, events, the engine's words."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from darknet_kit.report.gauges import Gauge, list_gauges
from darknet_kit.report.lettering import escape_controls
from darknet_kit.report.summary import format_hours, format_loss
from darknet_kit.train.runs.follower import Follower, Snapshot
from darknet_kit.train.runs.state import State

_BLOCKS = " ▁▂▃▄▅▆▇█"
_STYLES = {
    State.RUNNING: "bold green",
    State.FINISHED: "bold green",
    State.INTERRUPTED: "bold yellow",
}
_DULL = frozenset(("weights-saved", "weights-kept", "weights-pruned", "resized"))
_EVENTS, _LINES = 6, 8
_FRAME = 2  # lines of a panel that hold no words
_NARROW = 70  # columns, below which the hour of the end is left out


def draw_screen(follower: Follower, console: Console, height: int | None = None) -> RenderableType:
    """Return what a terminal shows of a run, in at most `height` lines.

    Where there are few, the engine's words give way first, then the events.
    """
    snapshot, width = follower.snapshot(), console.width
    parts: list[RenderableType] = [
        _heading(snapshot),
        _progress(snapshot, width),
        _numbers(snapshot),
        _curves(follower, width - 22),
    ]
    gauges = list_gauges(snapshot.machine)
    if gauges:
        parts.append(_gauges(gauges))
    left = math.inf if height is None else height - len(console.render_lines(Group(*parts)))
    events = [event for event in snapshot.events if event.get("event") not in _DULL]
    for title, lines, most in (
        ("events", list(map(_event, events)), _EVENTS),
        ("engine", [_plain(line, width - 4) for line in snapshot.lines], _LINES),
    ):
        shown = lines[-int(min(most, left - _FRAME)) :] if left > _FRAME else []
        if shown:
            parts.append(Panel(Group(*shown), title=title, title_align="left"))
            left -= len(shown) + _FRAME
    return Group(*parts)


def _heading(snapshot: Snapshot) -> Text:
    text = Text(escape_controls(snapshot.name), style="bold")
    text.append("  ")
    text.append(snapshot.state, style=_STYLES.get(snapshot.state, "bold red"))
    if snapshot.reason:
        text.append(f"  {escape_controls(snapshot.reason)}", style="dim")
    return text


def _progress(snapshot: Snapshot, width: int) -> RenderableType:
    done, total = snapshot.iteration, snapshot.max_batches
    words = f"{done:,} of {total:,}" if total else f"{done:,}"
    if snapshot.seconds_left is not None:
        words += f"   {format_hours(snapshot.seconds_left)} left"
        if width >= _NARROW:
            end = time.localtime(time.time() + snapshot.seconds_left)
            words += time.strftime(", until %a %H:%M", end)
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total or 1, done, width=max(10, width - len(words) - 4)), words)
    return row


def _numbers(snapshot: Snapshot) -> RenderableType:
    best = ""
    if snapshot.best_map50 is not None:
        best = f", best {snapshot.best_map50:.1%} at {snapshot.best_iteration:,}"
    told = {
        "avg loss": None if snapshot.avg_loss is None else format_loss(snapshot.avg_loss),
        "mAP": None if snapshot.map50 is None else f"{snapshot.map50:.1%}{best}",
        "rate": None if snapshot.learning_rate is None else f"{snapshot.learning_rate:g}",
        "images/s": None
        if snapshot.images_per_second is None
        else f"{snapshot.images_per_second:,.1f}",
        "attempt": snapshot.attempt.lstrip("0") or None,
    }
    known = [(name, value) for name, value in told.items() if value]
    words = [Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in known]
    return Text("   ").join(words)


def _curves(follower: Follower, width: int) -> RenderableType:
    """Return the average loss, on a logarithmic scale, and mAP, as lines of blocks."""
    table = Table.grid(padding=(0, 1))
    means = average_stretches(follower.metrics.avg_loss, width)
    logs = [math.log(mean) if mean > 0 else math.nan for mean in means]
    if any(map(math.isfinite, logs)):
        table.add_row(Text("loss (log)", style="dim"), Text(draw_sparkline(logs, width), "cyan"))
    if follower.maps:
        values = [value for _, value in follower.maps]
        line = draw_sparkline(values, min(width, max(len(values), 1)), 0.0, 1.0)
        table.add_row(Text("mAP", style="dim"), Text(line, "yellow"))
    return table


def average_stretches(values: Sequence[float], width: int) -> list[float]:
    """Return the means of at most `width` stretches, of what is finite in each, or nan."""
    column, count = np.asarray(values, dtype=np.float64), min(width, len(values))
    means = []
    for place in range(count):
        stretch = column[place * len(values) // count : (place + 1) * len(values) // count]
        finite = stretch[np.isfinite(stretch)]
        means.append(float(finite.mean()) if len(finite) else math.nan)
    return means


def draw_sparkline(
    values: Sequence[float], width: int, low: float | None = None, high: float | None = None
) -> str:
    """Return values as at most `width` blocks of eight heights, each the mean of its stretch.

    Values that are nan or inf leave a blank. The scale is from `low` to `high`, else from the
    least to the greatest mean.
    """
    means = average_stretches(values, width)
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return " " * len(means)
    low = min(known) if low is None else low
    high = max(known) if high is None else high
    span = high - low or 1.0
    return "".join(
        _BLOCKS[1 + min(7, max(0, int((mean - low) / span * 8)))] if math.isfinite(mean) else " "
        for mean in means
    )


def _gauges(gauges: Sequence[Gauge]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for gauge in gauges:
        style = "red" if gauge.share > 0.95 and "memory" in gauge.name else "cyan"
        bar = ProgressBar(100, 100 * gauge.share, width=30, complete_style=style)
        table.add_row(Text(gauge.name, style="dim"), bar, gauge.text)
    return table


def _event(event: Mapping[str, Any]) -> Text:
    facts = {key: value for key, value in event.items() if key not in ("time", "event")}
    told = ", ".join(f"{key} {value}" for key, value in facts.items() if value not in ("", None))
    clock = str(event.get("time") or "")[11:19]
    return _plain(f"{clock}  {event.get('event')}  {told}")


def _plain(line: str, width: int | None = None) -> Text:
    """Return a text that is no markup and steers no terminal."""
    text = Text(escape_controls(line), no_wrap=True, overflow="ellipsis")
    if width:
        text.truncate(width, overflow="ellipsis")
    return text
