"""A run in the terminal while it goes on: numbers, curves, gauges, events, the engine's words."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
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
_EVENTS = 6


def draw_screen(follower: Follower, width: int) -> RenderableType:
    """Return what a terminal of so many columns shows of a run."""
    snapshot = follower.snapshot()
    parts: list[RenderableType] = [
        _heading(snapshot),
        _progress(snapshot, width),
        _numbers(snapshot),
        _curves(follower, width - 22),
    ]
    gauges = list_gauges(snapshot.machine)
    if gauges:
        parts.append(_gauges(gauges))
    events = [event for event in snapshot.events if event.get("event") not in _DULL][-_EVENTS:]
    if events:
        parts.append(Panel(Group(*map(_event, events)), title="events", title_align="left"))
    if snapshot.lines:
        lines = Group(*(_plain(line, width - 4) for line in snapshot.lines[-8:]))
        parts.append(Panel(lines, title="engine", title_align="left"))
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
        end = time.strftime("%a %H:%M", time.localtime(time.time() + snapshot.seconds_left))
        words += f"   {format_hours(snapshot.seconds_left)} left, until {end}"
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total or 1, done, width=max(10, width - len(words) - 4)), words)
    return row


def _numbers(snapshot: Snapshot) -> RenderableType:
    table = Table.grid(padding=(0, 3))
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
    table.add_row(*(Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in known))
    return table


def _curves(follower: Follower, width: int) -> RenderableType:
    """Return the average loss, on a logarithmic scale, and mAP, as lines of blocks."""
    table = Table.grid(padding=(0, 1))
    logs = [math.log(v) if v > 0 else math.nan for v in follower.metrics.avg_loss]
    if any(map(math.isfinite, logs)):
        table.add_row(Text("loss (log)", style="dim"), Text(draw_sparkline(logs, width), "cyan"))
    if follower.maps:
        values = [value for _, value in follower.maps]
        line = draw_sparkline(values, min(width, max(len(values), 1)), 0.0, 1.0)
        table.add_row(Text("mAP", style="dim"), Text(line, "yellow"))
    return table


def draw_sparkline(
    values: Sequence[float], width: int, low: float | None = None, high: float | None = None
) -> str:
    """Return values as at most `width` blocks of eight heights, each the mean of its stretch.

    Values that are nan or inf leave a blank. The scale is from `low` to `high`, else from the
    least to the greatest mean.
    """
    count = min(width, len(values))
    means = []
    for place in range(count):
        stretch = values[place * len(values) // count : (place + 1) * len(values) // count]
        finite = [value for value in stretch if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return " " * count
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
