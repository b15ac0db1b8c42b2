"""The chart of a training: loss and mAP over the iterations, on one picture.

Drawn without a screen, and without the global state of pyplot.
"""

import hashlib
import io
import math
import os
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from darknet_kit.core.files import write_bytes
from darknet_kit.errors import AnyPath
from darknet_kit.formats.logevent import MapResult
from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas, Timeline, make_timelines, scale_timeline
from darknet_kit.report.lettering import escape_controls
from darknet_kit.report.losscurve import Scale, plot_loss
from darknet_kit.report.marks import (
    mark_best,
    mark_cuts,
    mark_divergence,
    mark_schedule,
    mark_stalls,
    write_labels,
)
from darknet_kit.report.summary import describe_log
from darknet_kit.report.theme import LIGHT, Theme

_INCHES = (11.0, 6.2)
_DOTS_PER_INCH = 150
_SUBTITLE_WIDTH = 120  # characters
_TITLE_WIDTH = 70
_LEGEND_WIDTH, _LEGEND_GAP = 130, 9
_CLIP_PATH = re.compile(rb"(?<=[#\"])p[0-9a-f]{10}(?=[)\"])")


@dataclass(frozen=True, slots=True)
class Look:
    """How a chart of a training looks.

    `smooth` draws the mean of so many iterations in place of the engine's average; `by_time` puts
    the hours of computing on the x-axis.
    """

    title: str = ""
    scale: Scale = "auto"
    theme: Theme = LIGHT
    smooth: int = 0
    by_time: bool = False


def draw_training(log: Log, *paths: AnyPath, look: Look | None = None) -> list[Path]:
    """Draw the chart of a training into files, by their endings: .png, .svg or .pdf.

    Raises WriteError.
    """
    figure = plot_training(log, look)
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
    return _settle_names(picture.getvalue()) if kind == "svg" else picture.getvalue()


def _settle_names(svg: bytes) -> bytes:
    """Name clip paths by what is drawn, and number them.

    Matplotlib names them by their place, whose last digits the layout leaves to chance. Several
    pictures of a page must not share names.
    """
    digest = hashlib.sha256(_CLIP_PATH.sub(b"", svg)).hexdigest()[:8]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(_CLIP_PATH.findall(svg)))}
    return _CLIP_PATH.sub(lambda found: f"p{digest}-{numbers[found[0]]}".encode(), svg)


def plot_training(log: Log, look: Look | None = None) -> Figure:
    """Return the chart of a training: loss, mAP, learning rate, restarts, pauses, divergence."""
    look = look or Look()
    with look.theme.applied():
        figure = new_figure(_INCHES)
        (timeline,) = make_timelines([log.metrics], by_time=look.by_time)
        canvas = Canvas(figure.add_subplot(), timeline, look.theme)
        handles = plot_loss(canvas, log, look.scale, look.smooth)
        scale_timeline(canvas)
        results = known_results(log)
        if results:
            handles += _plot_map(canvas, results, log.best_weights)
        handles += mark_divergence(canvas, log)
        labels = mark_schedule(canvas, log) + mark_cuts(canvas, log) + mark_stalls(canvas, log)
        rows = write_labels(canvas.axes, labels)
        write_heading(canvas, look.title, describe_log(log), rows)
        write_legend(figure, handles)
    return figure


def new_figure(inches: tuple[float, float]) -> Figure:
    """Return a figure whose parts find their places by themselves."""
    figure = Figure(figsize=inches, layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.07)
    return figure


def known_results(log: Log) -> list[MapResult]:
    """Return the mAP calculations that have a place in a chart."""
    return [m for m in log.maps if m.iteration is not None and math.isfinite(m.map50)]


def write_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Write the legend below all axes."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = max(1, min(len(handles), _LEGEND_WIDTH // (longest + _LEGEND_GAP)))
    legend = figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=10,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def write_heading(canvas: Canvas, title: str, subtitle: str, rows: int = 0) -> None:
    """Write title and subtitle over the axes and over the `rows` of labels there."""
    lines = textwrap.wrap(subtitle, _SUBTITLE_WIDTH)
    height = 7 + 12 * rows
    axes, color = canvas.axes, canvas.theme.soft
    _write_above(axes, "\n".join(lines), height, fontsize=10, color=color)
    plain = cut_title(escape_controls(title))
    _write_above(axes, plain, height + 15 * len(lines) + 3, fontsize=14, weight="bold")


def write_heading_over(
    figure: Figure, place: SubplotSpec, look: Look, title: str, subtitle: str
) -> None:
    """Write title and subtitle over a chart of several panels, into a row of their grid."""
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    write_heading(Canvas(axes, Timeline(np.zeros(1), np.zeros(1)), look.theme), title, subtitle)


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


def _plot_map(canvas: Canvas, results: Sequence[MapResult], weights: str | None) -> list[Artist]:
    right, theme = canvas.axes.twinx(), canvas.theme
    iterations = [result.iteration or 0 for result in results]
    percents = [100 * result.map50 for result in results]
    (line,) = right.plot(
        canvas.timeline.place(iterations),
        percents,
        color=theme.map,
        linewidth=1.4,
        marker="o",
        markevery=1 + len(results) // 150,
        markersize=3.5,
        markeredgecolor=theme.paper,
        markeredgewidth=0.4,
        label=f"mAP at IoU {results[-1].iou_threshold or 0.5:g}",
    )
    scale_percents(right)
    right.tick_params(axis="y", labelcolor=theme.map)
    right.set_ylabel("mAP", color=theme.map)
    right.spines[["top", "left"]].set_visible(False)
    best = max(range(len(percents)), key=lambda index: (percents[index], index))
    name = escape_controls(os.path.basename(weights.replace("\\", "/"))) if weights else None
    mark_best(canvas.beside(right), iterations[best], percents[best], name)
    return [line]


def scale_percents(axes: Axes) -> None:
    """Set up an axis from 0 to 100 %, with room for a star at its top."""
    axes.set_ylim(0, 105)
    axes.set_yticks(range(0, 101, 20), [f"{percent} %" for percent in range(0, 101, 20)])
