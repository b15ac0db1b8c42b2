"""Marks on the chart of a training: schedule, restarts, divergence, the best mAP."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.curves import find_burn_in, find_rate_steps

# Of Okabe and Ito's colours, which people tell apart whatever their colour vision; without
# colour the curves still differ in weight and markers.
LOSS_COLOR = "#0072B2"
MAP_COLOR = "#D55E00"
QUIET_COLOR = "#6E6E6E"
ALARM_COLOR = "#A4003A"
_LABEL_ROWS = 3
_LABEL_CHARACTER = 0.0073  # width of a small character as a share of the axes' width


@dataclass(frozen=True, slots=True)
class Label:
    """Small text over the axes that belongs to an iteration."""

    iteration: float
    text: str
    color: str
    side: str = "centre"


def mark_best(axes: Axes, iteration: int, percent: float) -> None:
    """Put a star and its value on the best mAP, where the text does not leave the picture."""
    axes.plot(
        iteration, percent, marker="*", markersize=15, color=MAP_COLOR, mec="black", clip_on=False
    )
    low, high = axes.get_xlim()
    is_right = iteration > (low + high) / 2
    is_top = percent > 80
    axes.annotate(
        f"best {percent:.2f} % at {iteration:,}",
        (iteration, percent),
        xytext=(-10 if is_right else 10, -18 if is_top else 14),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top" if is_top else "bottom",
        weight="bold",
        color=MAP_COLOR,
        bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none", "alpha": 0.8},
    )


def mark_schedule(axes: Axes, log: Log) -> list[Label]:
    """Shade the burn-in, draw a line where the learning rate steps; return their labels."""
    labels = []
    burn_in = find_burn_in(log.metrics)
    if burn_in is not None:
        axes.axvspan(axes.get_xlim()[0], burn_in, color=QUIET_COLOR, alpha=0.1, linewidth=0)
        labels.append(Label(axes.get_xlim()[0], "burn-in", QUIET_COLOR, "left"))
    for step in find_rate_steps(log.metrics):
        axes.axvline(step.iteration, color=QUIET_COLOR, linewidth=0.9, linestyle=(0, (5, 4)))
        labels.append(Label(step.iteration, f"learning rate {step.learning_rate:g}", QUIET_COLOR))
    return labels


def mark_cuts(axes: Axes, log: Log) -> list[Label]:
    """Draw a line where the training was resumed; return the labels."""
    first = log.metrics.iteration[0]
    labels = []
    for cut in log.cuts:
        if cut.resumed_at > first:
            axes.axvline(cut.resumed_at, color="black", linewidth=0.9, linestyle=(0, (1, 2)))
            labels.append(Label(cut.resumed_at, f"resumed at {cut.resumed_at:,}", "black"))
    return labels


def mark_divergence(axes: Axes, log: Log) -> list[Artist]:
    """Shade the end of a training that diverged, cross out single iterations without a loss.

    Return what belongs into the legend.
    """
    if log.diverged_at is not None:
        _shade_end(axes, log.diverged_at)
    losses = np.asarray(log.metrics.loss)
    lost = np.asarray(log.metrics.iteration)[~np.isfinite(losses)]
    lost = lost[lost < (log.diverged_at or math.inf)]
    if not len(lost):
        return []
    (crosses,) = axes.plot(
        lost,
        np.full(len(lost), 0.985),
        transform=axes.get_xaxis_transform(),
        color=ALARM_COLOR,
        linestyle="",
        marker="x",
        label="loss is nan or inf",
    )
    return [crosses]


def _shade_end(axes: Axes, start: int) -> None:
    first, last = axes.get_xlim()
    axes.axvspan(start, last, color=ALARM_COLOR, alpha=0.13, linewidth=0)
    axes.axvline(start, color=ALARM_COLOR, linewidth=1.2)
    is_late = start > (first + last) / 2
    axes.annotate(
        f"the loss is nan or inf from {start:,} on",
        (start, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(-8 if is_late else 8, 0),
        textcoords="offset points",
        ha="right" if is_late else "left",
        weight="bold",
        color=ALARM_COLOR,
    )


def write_labels(axes: Axes, labels: list[Label]) -> int:
    """Write labels over the axes, none over another; return how many rows they take.

    One for which there is no place is left out: its line in the chart stays.
    """
    first, last = axes.get_xlim()
    ends = [-1.0] * _LABEL_ROWS
    for label in sorted(labels, key=lambda label: label.iteration):
        width = len(label.text) * _LABEL_CHARACTER
        centre = (label.iteration - first) / (last - first)
        start = centre if label.side == "left" else min(centre - width / 2, 1 - width)
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
