"""What the parts of a chart draw on: axes, their colours, and where an iteration lies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from darknet_kit.formats.trainlog import Metrics
from darknet_kit.report.summary import format_iteration
from darknet_kit.report.theme import Theme

Numbers = np.ndarray[Any, np.dtype[np.float64]]
_MINUTES_UNTIL, _HOURS_UNTIL = 2 / 24, 7.0  # days


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where on the x-axis an iteration lies: at its number, or at the time computed until then.

    `places` holds the place of each of `iterations`, `unit` what they count.
    """

    iterations: Numbers
    places: Numbers
    unit: str = "iteration"

    @property
    def first(self) -> float:
        return float(self.places[0])

    @property
    def last(self) -> float:
        return float(self.places[-1])

    def place(self, iterations: Any) -> Numbers:
        """Return where these iterations lie."""
        if self.unit == "iteration":
            return np.asarray(iterations, dtype=np.float64)
        places: Numbers = np.interp(iterations, self.iterations, self.places)
        return places

    def place_one(self, iteration: float) -> float:
        """Return where one iteration lies."""
        return float(self.place(iteration))


def count_iterations(metrics: Metrics) -> Timeline:
    """Return the timeline of iterations by their numbers."""
    iterations = np.asarray(metrics.iteration, dtype=np.float64)
    return Timeline(iterations, iterations)


def count_time(metrics: Metrics, longest: float | None = None) -> Timeline:
    """Return the timeline of iterations by the time that was computed until each.

    `longest` (days) chooses the unit where several trainings share an axis.
    """
    iterations = np.asarray(metrics.iteration, dtype=np.float64)
    days = _computed_days(metrics)
    unit, per_day = choose_unit(float(days[-1]) if longest is None else longest)
    return Timeline(iterations, days * per_day, f"{unit} of computing")


def choose_unit(days: float) -> tuple[str, float]:
    """Return the unit in which people would tell so long a time, and how many are in a day."""
    if days < _MINUTES_UNTIL:
        return "minutes", 24.0 * 60
    return ("hours", 24.0) if days <= _HOURS_UNTIL else ("days", 1.0)


def make_timelines(metrics: Sequence[Metrics], *, by_time: bool) -> list[Timeline]:
    """Return the timelines of trainings that share an axis."""
    if not by_time:
        return [count_iterations(one) for one in metrics]
    longest = max(float(_computed_days(one)[-1]) for one in metrics)
    return [count_time(one, longest) for one in metrics]


def _computed_days(metrics: Metrics) -> Numbers:
    seconds = np.nan_to_num(np.asarray(metrics.seconds), nan=0.0, posinf=0.0, neginf=0.0)
    days: Numbers = np.cumsum(np.maximum(seconds, 0.0)) / 86400
    return days


@dataclass(frozen=True, slots=True)
class Canvas:
    """Axes to draw on, where their iterations lie, and their colours."""

    axes: Axes
    timeline: Timeline
    theme: Theme

    def beside(self, axes: Axes) -> "Canvas":
        """Return the same for other axes."""
        return Canvas(axes, self.timeline, self.theme)


def scale_timeline(canvas: Canvas) -> None:
    """Set up the x-axis, and the frame and lines that all charts of a training share."""
    axes, timeline = canvas.axes, canvas.timeline
    first, last = timeline.first, timeline.last
    whole = timeline.unit == "iteration"
    if first < last:
        axes.set_xlim(0.0 if first < last / 20 else first, last)
    else:  # a single iteration stands in the middle
        axes.set_xlim(last - 1 if whole else 0.0, last + 1 if whole else 2 * last or 1.0)
    axes.set_xlabel(timeline.unit)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=whole, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_formatter(last, whole)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=canvas.theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def _formatter(last: float, whole: bool) -> Callable[[float, int], str]:
    if whole:
        return lambda value, _: format_iteration(value, math.floor(last))
    return lambda value, _: f"{value:,g}"
