"""The chart of a training: loss and mAP over the iterations, on one picture.

Drawn without a screen, and without the global state of pyplot.
"""

import io
import math
import textwrap
import warnings
from array import array
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from darknet_kit.core.files import write_bytes
from darknet_kit.errors import AnyPath
from darknet_kit.formats.logevent import MapResult
from darknet_kit.formats.trainlog import Log
from darknet_kit.report.curves import (
    envelop_curve,
    reduce_curve,
    tabulate_metrics,
)
from darknet_kit.report.marks import (
    LOSS_COLOR,
    MAP_COLOR,
    mark_best,
    mark_cuts,
    mark_divergence,
    mark_schedule,
    write_labels,
)
from darknet_kit.report.summary import describe_log, format_iteration, format_loss

Scale = Literal["auto", "log", "linear"]

_INCHES = (11.0, 6.2)
_DOTS_PER_INCH = 150
_BINS = 1300  # about one per pixel of the axes' width
_FEW = 20  # iterations that a line alone may not show
_LONG = 20  # iterations to a pixel, from which a curve of all would be a broad bar
_LOG_FROM = 30.0  # the highest average loss over the lowest
_SUBTITLE_WIDTH = 120  # characters
_TITLE_WIDTH = 70


def draw_training(log: Log, *paths: AnyPath, title: str = "", scale: Scale = "auto") -> list[Path]:
    """Draw the chart of a training into files, by their endings: .png, .svg or .pdf.

    Raises WriteError.
    """
    figure = plot_training(log, title=title, scale=scale)
    for path in paths:
        write_bytes(path, render_figure(figure, Path(path).suffix.lstrip(".").lower()))
    return [Path(path) for path in paths]


def render_figure(figure: Figure, kind: str) -> bytes:
    """Return a picture as png, svg or pdf; the same log gives the same bytes."""
    stamps: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    picture = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "darknet-kit"}), warnings.catch_warnings():
        # A title in a script that the font lacks is drawn as boxes, and that is no trouble.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(picture, format=kind, dpi=_DOTS_PER_INCH, metadata=stamps.get(kind))
    return picture.getvalue()


def plot_training(log: Log, *, title: str = "", scale: Scale = "auto") -> Figure:
    """Return the chart of a training: loss, mAP, learning rate, restarts, divergence."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.07)
    axes = figure.add_subplot()
    handles = _plot_loss(axes, log, scale)
    results = [m for m in log.maps if m.iteration is not None and math.isfinite(m.map50)]
    if results:
        handles += _plot_map(axes, results)
    handles += mark_divergence(axes, log)
    rows = write_labels(axes, mark_schedule(axes, log) + mark_cuts(axes, log))
    _write_heading(axes, title, describe_log(log), rows)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=10
    )
    return figure


def _write_heading(axes: Axes, title: str, subtitle: str, rows: int) -> None:
    """Write title and subtitle over the axes and over the `rows` of labels there."""
    lines = textwrap.wrap(subtitle, _SUBTITLE_WIDTH)
    height = 7 + 12 * rows
    _write_above(axes, "\n".join(lines), height, fontsize=10, color="#333333")
    _write_above(axes, cut_title(title), height + 15 * len(lines) + 3, fontsize=14, weight="bold")


def cut_title(title: str, letters: int = _TITLE_WIDTH) -> str:
    """Return a title that fits over a chart: of a long one, its beginning and its end."""
    if len(title) <= letters:
        return title
    half = letters // 2 - 1
    return f"{title[:half]} … {title[-half:]}"


def _write_above(axes: Axes, text: str, points: float, **style: Any) -> None:
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, points),
        textcoords="offset points",
        parse_math=False,
        **style,
    )


def _plot_loss(axes: Axes, log: Log, scale: Scale) -> list[Artist]:
    table = tabulate_metrics(log.metrics)
    raw: Artist
    if len(table) > _BINS:
        raw = _fill_band(axes, envelop_curve(table, "loss", _BINS), 0.25)
    else:
        (raw,) = axes.plot(table["iteration"], table["loss"], color=LOSS_COLOR, alpha=0.35, lw=1)
    average = reduce_curve(table, "avg_loss", _BINS)
    column = "avg_loss"
    if len(table) > _LONG * _BINS:
        average, column = envelop_curve(table, "avg_loss", _BINS), "middle"
        _fill_band(axes, average, 0.4)
    (line,) = axes.plot(average["iteration"], average[column], color=LOSS_COLOR, lw=1.7)
    line.set_marker("o" if len(table) <= _FEW else "")
    raw.set_label("loss of one iteration")
    line.set_label("average loss")
    _scale_loss(axes, log, scale)
    _scale_iterations(axes, log)
    return [raw, line]


def _fill_band(axes: Axes, band: pd.DataFrame, alpha: float) -> Artist:
    # With an edge, since a spike of one pixel would fade away.
    return axes.fill_between(
        band["iteration"], band["low"], band["high"], color=LOSS_COLOR, alpha=alpha, linewidth=0.7
    )


def _scale_iterations(axes: Axes, log: Log) -> None:
    first, last = log.metrics.iteration[0], log.metrics.iteration[-1]
    axes.set_xlim(0 if first < last / 20 else min(first, last - 1), last)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_iteration(value, last)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _scale_loss(axes: Axes, log: Log, scale: Scale) -> None:
    axes.set_ylabel("loss", color=LOSS_COLOR)
    axes.tick_params(axis="y", labelcolor=LOSS_COLOR)
    average, loss = (_finite(column) for column in (log.metrics.avg_loss, log.metrics.loss))
    if not len(average):
        axes.set_yticks([])
        return
    # Before a loss becomes nan it explodes, and all that went before would lie flat.
    calm = average[: -max(10, len(average) // 20)]
    highest = 3 * calm.max() if log.diverged_at and len(calm) else math.inf
    positive = average[average > 0]
    spread = positive.max() / positive.min() if len(positive) else 1.0
    if len(positive) and (scale == "log" or (scale == "auto" and spread >= _LOG_FROM)):
        top = min(max(average.max(), loss.max()), 10 * average.max(), highest)
        _scale_log(axes, positive.min() / 1.6, top * 1.2)
    else:
        # The first iterations may be a thousand times higher than all that matters.
        settled = average[len(average) // 20 :]
        top = min(max(settled.max(), 0) * 1.15, highest)
        axes.set_ylim(min(settled.min(), 0) * 1.15, top or 1.0)
        if average.max() > top:
            _note_above(axes, f"\N{UPWARDS ARROW} up to {format_loss(average.max())}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _note_above(axes: Axes, text: str) -> None:
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(5, -4),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=LOSS_COLOR,
        bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.8},
    )


def _finite(column: "array[float]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    values = np.asarray(column)
    finite: np.ndarray[Any, np.dtype[np.float64]] = values[np.isfinite(values)]
    return finite


def _scale_log(axes: Axes, low: float, high: float) -> None:
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(low, high)
    decades = math.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 4.2 else (1,)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _plot_map(axes: Axes, results: list[MapResult]) -> list[Artist]:
    right = axes.twinx()
    iterations = [result.iteration or 0 for result in results]
    percents = [100 * result.map50 for result in results]
    (line,) = right.plot(
        iterations,
        percents,
        color=MAP_COLOR,
        linewidth=1.4,
        marker="o",
        markevery=1 + len(results) // 150,
        markersize=3.5,
        markeredgecolor="white",
        markeredgewidth=0.4,
        label=f"mAP at IoU {results[-1].iou_threshold or 0.5:g}",
    )
    right.set_ylim(0, 105)
    right.set_yticks(range(0, 101, 20), [f"{percent} %" for percent in range(0, 101, 20)])
    right.tick_params(axis="y", labelcolor=MAP_COLOR)
    right.set_ylabel("mAP", color=MAP_COLOR)
    right.spines[["top", "left"]].set_visible(False)
    best = max(range(len(percents)), key=lambda index: (percents[index], index))
    mark_best(right, iterations[best], percents[best])
    return [line]
