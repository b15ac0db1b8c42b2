"""Marks on the chart of a training: schedule, restarts, pauses, divergence, the best mAP."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas
from darknet_kit.report.curves import find_burn_in, find_rate_steps, find_stalls
from darknet_kit.report.summary import format_hours

_LABEL_ROWS = 3
_LABEL_CHARACTER = 0.0073  # width of a small character as a share of the axes' width


@dataclass(frozen=True, slots=True)
class Label:
    """Small text over the axes that belongs to a place on the x-axis."""

    place: float
    text: str
    color: str
    side: str = "centre"


def mark_best(canvas: Canvas, iteration: int, percent: float, weights: str | None) -> None:
    """Put a star and its value on the best mAP, where the text does not leave the picture.

    `weights` is the file that holds it, where that is known.
    """
    axes, theme = canvas.axes, canvas.theme
    place = canvas.timeline.place_one(iteration)
    axes.plot(
        place, percent, marker="*", markersize=15, color=theme.map, mec=theme.ink, clip_on=False
    )
    low, high = axes.get_xlim()
    is_right = place > (low + high) / 2
    is_top = percent > 80
    axes.annotate(
        f"best {percent:.2f} % at {iteration:,}" + (f"\n{weights}" if weights else ""),
        (place, percent),
        xytext=(-10 if is_right else 10, -18 if is_top else 14),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top" if is_top else "bottom",
        weight="bold",
        color=theme.map,
        parse_math=False,
        bbox={"boxstyle": "round,pad=0.25", "fc": theme.paper, "ec": "none", "alpha": 0.8},
    )


def mark_schedule(canvas: Canvas, log: Log) -> list[Label]:
    """Shade the burn-in, draw a line where the learning rate steps; return their labels."""
    axes, color = canvas.axes, canvas.theme.quiet
    labels = []
    burn_in = find_burn_in(log.metrics)
    if burn_in is not None:
        left, end = axes.get_xlim()[0], canvas.timeline.place_one(burn_in)
        axes.axvspan(left, end, color=color, alpha=0.1, linewidth=0)
        labels.append(Label(left, "burn-in", color, "left"))
    for step in find_rate_steps(log.metrics):
        place = canvas.timeline.place_one(step.iteration)
        axes.axvline(place, color=color, linewidth=0.9, linestyle=(0, (5, 4)))
        labels.append(Label(place, f"learning rate {step.learning_rate:g}", color))
    return labels


def mark_cuts(canvas: Canvas, log: Log) -> list[Label]:
    """Draw a line where the training was resumed; return the labels."""
    first = log.metrics.iteration[0]
    labels = []
    for cut in log.cuts:
        if cut.resumed_at > first:
            place = canvas.timeline.place_one(cut.resumed_at)
            canvas.axes.axvline(place, color=canvas.theme.ink, linewidth=0.9, linestyle=(0, (1, 2)))
            text = f"resumed at {cut.resumed_at:,}"
            labels.append(Label(place, text, canvas.theme.ink))
    return labels


def mark_stalls(canvas: Canvas, log: Log) -> list[Label]:
    """Draw a line where one iteration took far longer than the others; return the labels."""
    labels = []
    for iteration, seconds in find_stalls(log.metrics):
        place = canvas.timeline.place_one(iteration)
        canvas.axes.axvline(place, color=canvas.theme.alarm, linewidth=0.9, linestyle=(0, (3, 2)))
        labels.append(Label(place, f"stood still {format_hours(seconds)}", canvas.theme.alarm))
    return labels


def mark_divergence(canvas: Canvas, log: Log) -> list[Artist]:
    """Shade the end of a training that diverged, cross out single iterations without a loss.

    Return what belongs into the legend.
    """
    if log.diverged_at is not None:
        _shade_end(canvas, log.diverged_at)
    losses = np.asarray(log.metrics.loss)
    lost = np.asarray(log.metrics.iteration)[~np.isfinite(losses)]
    lost = lost[lost < (log.diverged_at or math.inf)]
    if not len(lost):
        return []
    (crosses,) = canvas.axes.plot(
        canvas.timeline.place(lost),
        np.full(len(lost), 0.985),
        transform=canvas.axes.get_xaxis_transform(),
        color=canvas.theme.alarm,
        linestyle="",
        marker="x",
        label="loss is nan or inf",
    )
    return [crosses]


def _shade_end(canvas: Canvas, start: int) -> None:
    axes, alarm, place = canvas.axes, canvas.theme.alarm, canvas.timeline.place_one(start)
    first, last = axes.get_xlim()
    axes.axvspan(place, last, color=alarm, alpha=0.13, linewidth=0)
    axes.axvline(place, color=alarm, linewidth=1.2)
    is_late = place > (first + last) / 2
    axes.annotate(
        f"the loss is nan or inf from {start:,} on",
        (place, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(-8 if is_late else 8, 0),
        textcoords="offset points",
        ha="right" if is_late else "left",
        weight="bold",
        color=alarm,
    )


def write_labels(axes: Axes, labels: list[Label]) -> int:
    """Write labels over the axes, none over another; return how many rows they take.

    One for which there is no place is left out: its line in the chart stays.
    """
    first, last = axes.get_xlim()
    ends = [-1.0] * _LABEL_ROWS
    for label in sorted(labels, key=lambda label: label.place):
        width = len(label.text) * _LABEL_CHARACTER
        centre = (label.place - first) / (last - first)
        start = centre if label.side == "left" else max(0.0, min(centre - width / 2, 1 - width))
        row = next((row for row, end in enumerate(ends) if end <= start), None)
        if row is None:
            continue
        ends[row] = start + width
        axes.annotate(
            label.text,
            (start, 1),
            xycoords="axes fraction",
            xytext=(0, 4 + 12 * row),
            textcoords="offset points",
            fontsize=8.5,
            color=label.color,
        )
    return sum(end > 0 for end in ends)
