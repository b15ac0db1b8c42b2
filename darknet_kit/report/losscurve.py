"""The loss of a training as a curve: of each iteration, averaged, and on a scale that shows it."""

import math
from array import array
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullFormatter

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas, Numbers
from darknet_kit.report.curves import (
    average_curve,
    envelop_curve,
    reduce_curve,
    tabulate_metrics,
)
from darknet_kit.report.summary import format_loss

Scale = Literal["auto", "log", "linear", "darknet"]

BINS = 1300  # about one per pixel of the axes' width
_FEW = 20  # iterations that a line alone may not show
_LONG = 20  # iterations to a pixel, from which a curve of all would be a broad bar
_LOG_FROM = 30.0  # the highest average loss over the lowest
DARKNET_TOP = 20.0  # max_chart_loss of a cfg that has none: AlexeyAB, src/parser.c


def plot_loss(canvas: Canvas, log: Log, scale: Scale, smooth: int) -> list[Artist]:
    """Draw the loss; return what belongs into the legend.

    The heavy line is the engine's average or, with `smooth`, the mean of so many iterations.
    """
    table = tabulate_metrics(log.metrics)
    raw, line = _plot_raw(canvas, table), _plot_average(canvas, table, smooth)
    line.set_label(f"mean loss of {smooth:,} iterations" if smooth else "average loss")
    scale_loss(canvas, log, scale)
    return [raw, line]


def _plot_raw(canvas: Canvas, table: pd.DataFrame) -> Artist:
    raw: Artist
    if len(table) > BINS:
        raw = _fill_band(canvas, envelop_curve(table, "loss", BINS), 0.25)
    else:
        places = canvas.timeline.place(table["iteration"])
        color = canvas.theme.loss
        (raw,) = canvas.axes.plot(places, table["loss"], color=color, alpha=0.35, lw=1)
    raw.set_label("loss of one iteration")
    return raw


def _plot_average(canvas: Canvas, table: pd.DataFrame, smooth: int) -> Artist:
    column = "avg_loss"
    if smooth:
        table, column = table.assign(mean=average_curve(table, smooth)), "mean"
    average = reduce_curve(table, column, BINS)
    if len(table) > _LONG * BINS:
        average, column = envelop_curve(table, column, BINS), "middle"
        _fill_band(canvas, average, 0.4)
    places = canvas.timeline.place(average["iteration"])
    (line,) = canvas.axes.plot(places, average[column], color=canvas.theme.loss, lw=1.7)
    line.set_marker("o" if len(table) <= _FEW else "")
    return line


def _fill_band(canvas: Canvas, band: pd.DataFrame, alpha: float) -> Artist:
    # With an edge, since a spike of one pixel would fade away.
    return canvas.axes.fill_between(
        canvas.timeline.place(band["iteration"]),
        band["low"],
        band["high"],
        color=canvas.theme.loss,
        alpha=alpha,
        linewidth=0.7,
    )


def scale_loss(canvas: Canvas, log: Log, scale: Scale) -> None:
    """Set up the axis of the loss so that what matters of it can be seen."""
    axes = canvas.axes
    axes.set_ylabel("loss", color=canvas.theme.loss)
    axes.tick_params(axis="y", labelcolor=canvas.theme.loss)
    average, loss = (_finite(column) for column in (log.metrics.avg_loss, log.metrics.loss))
    if not len(average):
        axes.set_yticks([])
        return
    # Before a loss becomes nan it explodes, and all that went before would lie flat.
    calm = average[: -max(10, len(average) // 20)]
    highest = 3 * calm.max() if log.diverged_at and len(calm) else math.inf
    if scale == "darknet":
        axes.set_ylim(0, DARKNET_TOP)
        axes.yaxis.set_major_locator(MultipleLocator(DARKNET_TOP / 10))
    elif is_logarithmic(average, scale):
        top = min(max(average.max(), loss.max()), 10 * average.max(), highest)
        _scale_log(axes, average[average > 0].min() / 1.6, top * 1.2)
    else:
        _scale_linear(canvas, average, highest)
    if average.max() > axes.get_ylim()[1]:
        _note_above(canvas, f"\N{UPWARDS ARROW} up to {format_loss(average.max())}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def is_logarithmic(average: Numbers, scale: Scale) -> bool:
    """Tell whether these losses, all finite, are to be shown on a logarithmic axis."""
    positive = average[average > 0]
    if not len(positive) or scale not in ("auto", "log"):
        return False
    return scale == "log" or bool(positive.max() / positive.min() >= _LOG_FROM)


def _scale_linear(canvas: Canvas, average: Numbers, highest: float) -> None:
    # The first iterations may be a thousand times higher than all that matters.
    settled = average[len(average) // 20 :]
    top = min(max(settled.max(), 0) * 1.15, highest)
    canvas.axes.set_ylim(min(settled.min(), 0) * 1.15, top or 1.0)


def _scale_log(axes: Axes, low: float, high: float) -> None:
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(low, high)
    decades = math.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 4.2 else (1,)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _note_above(canvas: Canvas, text: str) -> None:
    canvas.axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(5, -4),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=canvas.theme.loss,
        bbox={"boxstyle": "round,pad=0.2", "fc": canvas.theme.paper, "ec": "none", "alpha": 0.8},
    )


def _finite(column: "array[float]") -> Numbers:
    values = np.asarray(column)
    finite: Numbers = values[np.isfinite(values)]
    return finite
