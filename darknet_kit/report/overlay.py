"""Several trainings on one axis: their average losses above, their mAP below."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from darknet_kit.formats.trainlog import Log
from darknet_kit.report.canvas import Canvas, Numbers, Timeline, make_timelines, scale_timeline
from darknet_kit.report.charts import (
    Look,
    known_results,
    new_figure,
    scale_percents,
    write_heading,
    write_legend,
)
from darknet_kit.report.curves import average_curve, reduce_curve, tabulate_metrics
from darknet_kit.report.lettering import escape_controls
from darknet_kit.report.losscurve import BINS, is_logarithmic

_WIDTH, _LOSS, _MAP = 11.0, 5.2, 3.2  # inches
_DASHES = ("-", (0, (6, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
_MARKERS = "osD^vP*"


def plot_overlay(logs: Mapping[str, Log], look: Look) -> Figure:
    """Return one chart of several trainings, by their names: average loss, and mAP where known.

    A cross is where a loss became nan for good, a star the best mAP.
    """
    has_map = any(known_results(log) for log in logs.values())
    with look.theme.applied():
        figure = new_figure((_WIDTH, _LOSS + (_MAP if has_map else 0)))
        panels = figure.subplots(
            1 + has_map, 1, sharex=True, squeeze=False, height_ratios=(_LOSS, _MAP)[: 1 + has_map]
        )[:, 0]
        timelines = make_timelines([one.metrics for one in logs.values()], by_time=look.by_time)
        upper = Canvas(panels[0], _span(timelines), look.theme)
        handles: list[Artist] = []
        for number, (name, log) in enumerate(logs.items()):
            canvas = Canvas(panels[0], timelines[number], look.theme)
            handles.append(_plot_loss(canvas, log, number, look.smooth))
            handles[-1].set_label(escape_controls(name))
            if has_map:
                _plot_map(canvas.beside(panels[1]), log, number)
        _scale(upper, logs, look)
        if has_map:
            _scale_map(upper.beside(panels[1]))
            panels[0].set_xlabel("")
        told = "average loss, and mAP with a star at its best" if has_map else "average loss"
        write_heading(upper, look.title or f"{len(logs)} trainings", told)
        write_legend(figure, handles)
    return figure


def _span(timelines: list[Timeline]) -> Timeline:
    """Return a timeline from the first to the last of all."""
    low = min(one.first for one in timelines)
    ends: Numbers = np.asarray([low, max(one.last for one in timelines)])
    return Timeline(ends, ends, timelines[0].unit)


def _style(canvas: Canvas, number: int) -> tuple[str, object]:
    series = canvas.theme.series
    return series[number % len(series)], _DASHES[
        (2 * (number // len(series)) + number) % len(_DASHES)
    ]


def _plot_loss(canvas: Canvas, log: Log, number: int, smooth: int) -> Artist:
    table, column = tabulate_metrics(log.metrics), "avg_loss"
    if smooth:
        table, column = table.assign(mean=average_curve(table, smooth)), "mean"
    curve = reduce_curve(table, column, BINS)
    color, dashes = _style(canvas, number)
    places = canvas.timeline.place(curve["iteration"])
    (line,) = canvas.axes.plot(places, curve[column], color=color, ls=dashes, lw=1.5)
    if log.diverged_at is not None and len(curve):
        canvas.axes.plot(places[-1], curve[column].iloc[-1], "X", color=color, ms=10, mec="none")
    return line


def _plot_map(canvas: Canvas, log: Log, number: int) -> None:
    results = known_results(log)
    if not results:
        return
    color, dashes = _style(canvas, number)
    places = canvas.timeline.place([result.iteration or 0 for result in results])
    percents = [100 * result.map50 for result in results]
    canvas.axes.plot(
        places,
        percents,
        color=color,
        ls=dashes,
        lw=1.4,
        marker=_MARKERS[number % len(_MARKERS)],
        ms=3.5,
        markevery=1 + len(results) // 60,
    )
    best = max(range(len(percents)), key=lambda index: (percents[index], index))
    canvas.axes.plot(
        places[best], percents[best], "*", color=color, ms=14, mec=canvas.theme.ink, clip_on=False
    )


def _scale(canvas: Canvas, logs: Mapping[str, Log], look: Look) -> None:
    averages = np.concatenate([np.asarray(log.metrics.avg_loss) for log in logs.values()])
    finite: Numbers = averages[np.isfinite(averages)]
    if len(finite) and is_logarithmic(finite, look.scale):
        canvas.axes.set_yscale("log", nonpositive="clip")
        # Before a loss becomes nan it explodes; that must not flatten the other trainings.
        settled = float(np.percentile(finite, 99.5)) * 10
        canvas.axes.set_ylim(finite[finite > 0].min() / 1.6, min(finite.max(), settled) * 1.2)
        canvas.axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    elif len(finite):
        top = float(np.percentile(finite, 95)) * 1.3
        canvas.axes.set_ylim(min(0.0, float(finite.min())), top if top > 0 else 1.0)
    canvas.axes.set_ylabel("average loss")
    scale_timeline(canvas)


def _scale_map(canvas: Canvas) -> None:
    scale_timeline(canvas)
    scale_percents(canvas.axes)
    canvas.axes.set_ylabel("mAP")
