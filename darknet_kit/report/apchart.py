"""The chart of classes: which are found well, how that came about, precision and recall."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darknet_kit.core.wording import counted
from darknet_kit.formats.logevent import ClassResult, MapResult
from darknet_kit.formats.metrics import find_classes
from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas, make_timelines, scale_timeline
from darknet_kit.report.charts import (
    Look,
    known_results,
    new_figure,
    scale_percents,
    write_heading_over,
    write_legend,
)
from darknet_kit.report.lettering import escape_controls
from darknet_kit.report.summary import format_at

_WIDTH, _HEAD, _ROW, _FRAME, _QUALITY = 11.0, 0.1, 0.24, 1.4, 2.9  # inches
_MOST_ROWS = 40  # of more classes, the best and the worst are shown
_MOST_LINES = 7  # classes that lines of one chart tell apart
_NAME_LETTERS = 24
_MEASURES = (
    ("precision", "precision", "-", "o"),
    ("recall", "recall", "--", "s"),
    ("f1", "F1", "-.", "^"),
    ("average_iou", "average IoU", ":", "D"),
)


def has_classes(log: Log) -> bool:
    """Tell whether a log tells the average precision of single classes."""
    return any(result.classes for result in known_results(log))


def plot_class_results(log: Log, look: Look) -> Figure:
    """Return the chart of classes: AP of each at the best mAP and over the training, and what the
    engine printed of precision, recall, F1 and IoU.

    A class with no AP, for it has no boxes to find, is left out of the bars.
    """
    results = known_results(log)
    best = best_with_classes(results)
    rows = _ends(rank_classes(best))
    heights = (_HEAD, max(8, len(rows)) * _ROW + _FRAME, _QUALITY)
    with look.theme.applied():
        figure = new_figure((_WIDTH, sum(heights)))
        grid = figure.add_gridspec(3, 1, height_ratios=heights)
        upper = grid[1].subgridspec(1, 2, width_ratios=(1, 1.6))
        (timeline,) = make_timelines([log.metrics], by_time=look.by_time)
        bars = Canvas(figure.add_subplot(upper[0, 0]), timeline, look.theme)
        course = bars.beside(figure.add_subplot(upper[0, 1]))
        _plot_bars(bars, rows)
        if best is not None:
            told = _describe(best, len(find_classes(results)))
            write_heading_over(figure, grid[0], look, look.title, told)
        if len(rows) <= _MOST_LINES:
            _plot_lines(course, results, rows)
        else:
            _plot_heat(figure, course, results, rows)
        quality = bars.beside(figure.add_subplot(grid[2]))
        write_legend(figure, _plot_quality(quality, results))
    return figure


def best_with_classes(results: Sequence[MapResult]) -> MapResult | None:
    """Return the best mAP that tells the average precision of single classes."""
    named = [result for result in results if result.classes]
    return max(reversed(named), key=lambda result: result.map50, default=None)


def rank_classes(result: MapResult | None) -> list[ClassResult]:
    """Return the classes of a calculation, the best found first; without those that have no AP."""
    known = [entry for entry in result.classes if math.isfinite(entry.ap)] if result else []
    return sorted(known, key=lambda entry: (-entry.ap, entry.class_id))


def _ends(ranked: list[ClassResult]) -> list[ClassResult]:
    """Return of very many classes the best and the worst."""
    half = _MOST_ROWS // 2
    return ranked if len(ranked) <= _MOST_ROWS else ranked[:half] + ranked[-half:]


def _describe(best: MapResult, classes: int) -> str:
    shown = f"the {_MOST_ROWS} best and worst of " if classes > _MOST_ROWS else ""
    return f"{shown}{counted(classes, 'class')} at the best mAP, {best.map50:.2%}{format_at(best)}"


def _plot_bars(canvas: Canvas, rows: Sequence[ClassResult]) -> None:
    axes, theme = canvas.axes, canvas.theme
    percents = [100 * entry.ap for entry in rows]
    axes.barh(range(len(rows)), percents, 0.78, color=theme.loss)
    for row, percent in enumerate(percents):
        inside = percent > 80
        axes.text(
            percent + (-1.5 if inside else 1.5),
            row,
            f"{percent:.1f}",
            ha="right" if inside else "left",
            va="center",
            fontsize=8.5,
            color=theme.paper if inside else theme.ink,
        )
    _name_rows(axes, rows)
    axes.set_xlim(0, 100)
    axes.set_xlabel("average precision, %")
    axes.spines[["top", "right"]].set_visible(False)
    if len(rows) == _MOST_ROWS:
        axes.axhline(_MOST_ROWS // 2 - 0.5, color=theme.quiet, lw=0.9, ls=(0, (5, 4)))


def _name_rows(axes: Axes, rows: Sequence[ClassResult]) -> None:
    names = [_short(entry.name) for entry in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8.5, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)


def _short(name: str) -> str:
    plain = escape_controls(name)
    return plain if len(plain) <= _NAME_LETTERS else f"{plain[: _NAME_LETTERS - 2]} …"


def _plot_lines(canvas: Canvas, results: Sequence[MapResult], rows: Sequence[ClassResult]) -> None:
    axes, styles = canvas.axes, ("-", "--", "-.", ":")
    for number, entry in enumerate(rows):
        points = [
            (result.iteration or 0, 100 * one.ap)
            for result in results
            for one in result.classes
            if one.class_id == entry.class_id
        ]
        iterations, percents = zip(*points, strict=True)
        axes.plot(
            canvas.timeline.place(iterations),
            percents,
            color=canvas.theme.series[number],
            linestyle=styles[number % len(styles)],
            linewidth=1.5,
            marker="o" if len(points) < 3 else "",
            label=_short(entry.name),
        )
    _scale_course(canvas)
    scale_percents(axes)
    # Beside the axes, so that it never covers a curve.
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _plot_heat(
    figure: Figure, canvas: Canvas, results: Sequence[MapResult], rows: Sequence[ClassResult]
) -> None:
    """Show a row for each class, the brighter the better found, beside the bars."""
    axes = canvas.axes
    places = canvas.timeline.place([result.iteration or 0 for result in results])
    row_of = {entry.class_id: row for row, entry in enumerate(rows)}
    heat = np.full((len(rows), len(results)), np.nan)
    for column, result in enumerate(results):
        for one in result.classes:
            if one.class_id in row_of:
                heat[row_of[one.class_id], column] = 100 * one.ap
    middles = (places[1:] + places[:-1]) / 2
    half = (places[-1] - middles[-1]) if len(middles) else 0.5
    edges = np.concatenate([[places[0] - half], middles, [places[-1] + half]])
    mesh = axes.pcolormesh(
        edges, np.arange(len(rows) + 1) - 0.5, heat, cmap="cividis", vmin=0, vmax=100
    )
    _scale_course(canvas)
    axes.grid(visible=False)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    figure.colorbar(mesh, ax=axes, label="average precision, %", pad=0.01, fraction=0.05)


def _scale_course(canvas: Canvas) -> None:
    scale_timeline(canvas)
    canvas.axes.set_title("over the training", loc="left", fontsize=10, color=canvas.theme.soft)


def _plot_quality(canvas: Canvas, results: Sequence[MapResult]) -> list[Artist]:
    """Draw precision, recall, F1 and IoU as the engine printed them, at its threshold."""
    axes, theme = canvas.axes, canvas.theme
    handles: list[Artist] = []
    for number, (name, label, style, marker) in enumerate(_MEASURES):
        values = [getattr(result, name) for result in results]
        known = [
            (result.iteration or 0, 100 * value)
            for result, value in zip(results, values, strict=True)
            if value is not None and math.isfinite(value)
        ]
        if known:
            iterations, percents = zip(*known, strict=True)
            handles += axes.plot(
                canvas.timeline.place(iterations),
                percents,
                color=theme.series[number],
                linestyle=style,
                marker=marker,
                markersize=3.5,
                markevery=1 + len(known) // 60,
                linewidth=1.3,
                clip_on=False,
                label=label,
            )
    scale_timeline(canvas)
    scale_percents(axes)
    axes.set_title(
        "all classes, boxes above the engine's threshold", loc="left", fontsize=10, color=theme.soft
    )
    return handles
