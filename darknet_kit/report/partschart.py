"""The chart of the loss in parts: in all, boxes, objectness and class, a panel each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas, make_timelines, scale_timeline
from darknet_kit.report.charts import Look, new_figure, write_heading_over
from darknet_kit.report.curves import reduce_curve

_INCHES = (11.0, 7.4)
_BINS = 650  # about one per pixel of a panel's width
_MEAN_OF = 50  # parts, for the heavy line


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    iterations: Sequence[int]
    values: Sequence[float]


def has_parts(log: Log) -> bool:
    """Tell whether a log tells parts of the loss."""
    return len(log.parts.iteration) > 0


def plot_parts(log: Log, look: Look) -> Figure:
    """Return four panels: the loss, and of it boxes, objectness, classes.

    AlexeyAB's log tells the last two in one sum: then there are three, the last one wide.
    """
    panels = _list_panels(log)
    with look.theme.applied():
        figure = new_figure(_INCHES)
        grid = figure.add_gridspec(3, 2, height_ratios=(0.02, 1, 1))
        write_heading_over(figure, grid[0, :], look, look.title, "the loss in parts")
        (timeline,) = make_timelines([log.metrics], by_time=look.by_time)
        for number, panel in enumerate(panels):
            row, column = divmod(number, 2)
            wide = number == len(panels) - 1 and column == 0
            place = grid[row + 1, :] if wide else grid[row + 1, column]
            canvas = Canvas(figure.add_subplot(place), timeline, look.theme)
            _plot(canvas, panel)
    return figure


def _list_panels(log: Log) -> list[_Panel]:
    parts = log.parts
    known = [
        ("boxes", parts.box),
        ("objectness", parts.objectness),
        ("classes", parts.classes),
    ]
    told = [(title, values) for title, values in known if np.isfinite(values).any()]
    if len(told) < len(known):
        told.append(("objectness and classes", parts.objectness_and_class))
    whole = _Panel("loss", log.metrics.iteration, log.metrics.loss)
    return [whole, *(_Panel(title, parts.iteration, values) for title, values in told)]


def _plot(canvas: Canvas, panel: _Panel) -> None:
    axes, color = canvas.axes, canvas.theme.loss
    table = pd.DataFrame(
        {"iteration": np.asarray(panel.iterations), "value": np.asarray(panel.values)}
    )
    raw = reduce_curve(table, "value", _BINS)
    axes.plot(canvas.timeline.place(raw["iteration"]), raw["value"], color=color, alpha=0.3, lw=1)
    finite = table["value"].where(np.isfinite(table["value"]))
    mean = table.assign(value=finite.rolling(_MEAN_OF, min_periods=1).mean())
    line = reduce_curve(mean, "value", _BINS)
    axes.plot(canvas.timeline.place(line["iteration"]), line["value"], color=color, lw=1.7)
    settled = line["value"].iloc[len(line) // 20 :]
    positive = settled[settled > 0]
    if len(positive) and positive.max() / positive.min() >= 30:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    elif len(settled):
        axes.set_ylim(min(0.0, float(settled.min())), float(settled.max()) * 1.3 or 1.0)
    scale_timeline(canvas)
    axes.set_title(panel.title, loc="left", fontsize=10, color=canvas.theme.soft)
