"""How many boxes each class has: a row a class, or of many classes both ends and a curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from darknet_kit.core.records import Split
from darknet_kit.report.classtable import ClassRow, cut_name
from darknet_kit.report.theme import LIGHT

# Okabe and Ito's blue, vermilion and green; without colour the marks still differ.
MARKS: dict[Split, tuple[str, str]] = {
    "train": (LIGHT.loss, "o"),
    "valid": (LIGHT.map, "D"),
    "test": ("#009E73", "s"),
}
_ONE_COLUMN, _TWO_COLUMNS = 30, 100  # classes
_ENDS = 15  # classes at each end of a long list
_ROW_INCHES = 0.19
_COLUMN_POINTS = 6.2  # of a digit beside a row
_LOG_FROM = 30.0  # the commonest class over the rarest


@dataclass(frozen=True, slots=True)
class _Scale:
    """The axis of boxes that all rows share."""

    logarithmic: bool
    low: float
    high: float


def measure_classes(classes: int) -> float:
    """Return the height in inches that this many classes take."""
    if classes > _TWO_COLUMNS:
        rows = _ENDS
    else:
        rows = classes if classes <= _ONE_COLUMN else (classes + 1) // 2
    return 0.75 + _ROW_INCHES * max(rows, 4)


def plot_classes(
    figure: Figure, place: SubplotSpec, rows: Sequence[ClassRow], splits: Sequence[Split]
) -> None:
    """Draw the classes, the commonest first, into a place of the figure."""
    ranked = sorted(rows, key=lambda row: (-row.all_boxes, row.class_id))
    scale = _find_scale(ranked, splits)
    if len(ranked) > _TWO_COLUMNS:
        grid = place.subgridspec(1, 3, width_ratios=(1, 1.15, 1))
        parts = {0: ranked[:_ENDS], 2: ranked[-_ENDS:]}
        titles = {0: f"the {_ENDS} commonest of {len(ranked):,} classes", 2: f"the {_ENDS} rarest"}
        _plot_ranks(figure.add_subplot(grid[0, 1]), ranked, splits)
    else:
        columns = 1 if len(ranked) <= _ONE_COLUMN else 2
        grid = place.subgridspec(1, columns)
        size = math.ceil(len(ranked) / columns)
        parts = {n: ranked[n * size : (n + 1) * size] for n in range(columns)}
        titles = {0: "boxes of each class"}
    for column, part in parts.items():
        axes = figure.add_subplot(grid[0, column])
        _plot_rows(axes, part, splits, scale)
        axes.set_title(titles.get(column, ""), loc="left", fontsize=10.5, weight="bold")


def _find_scale(rows: Sequence[ClassRow], splits: Sequence[Split]) -> _Scale:
    counts = [row.boxes.get(split, 0) for row in rows for split in splits]
    known = [count for count in counts if count] or [1]
    if max(known) / min(known) < _LOG_FROM:
        return _Scale(False, 0, max(known) * 1.03)
    return _Scale(True, min(known) / 1.6, max(known) * 1.25)


def _plot_rows(
    axes: Axes, rows: Sequence[ClassRow], splits: Sequence[Split], scale: _Scale
) -> None:
    """Draw a line of marks for each class; where there is no box, only the number says so."""
    for split in reversed(splits):
        color, marker = MARKS[split]
        known = {place: row.boxes[split] for place, row in enumerate(rows) if row.boxes[split]}
        boxes = list(known.values())
        if split == splits[0]:
            axes.hlines(list(known), scale.low, boxes, color=color, alpha=0.25, lw=2.2)
        axes.plot(boxes, list(known), marker, color=color, ms=5, mec="white", mew=0.6, zorder=3)
    axes.set_yticks(range(len(rows)), [cut_name(row.name) for row in rows], fontsize=8.5)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _scale_boxes(axes, scale)
    _write_counts(axes, rows, splits)


def _scale_boxes(axes: Axes, scale: _Scale) -> None:
    if scale.logarithmic:
        axes.set_xscale("log")
        decades = math.log10(scale.high / scale.low)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(scale.low, scale.high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelsize=8.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _write_counts(axes: Axes, rows: Sequence[ClassRow], splits: Sequence[Split]) -> None:
    """Write the numbers beside the rows, a column for each split."""
    offset = 4.0
    for split in splits:
        shown = [f"{row.boxes[split]:,}" for row in rows]
        offset += _COLUMN_POINTS * (1 + max(map(len, shown)))
        for number, text in enumerate(shown):
            axes.annotate(
                text,
                (1, number),
                xycoords=("axes fraction", "data"),
                xytext=(offset, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=8.5,
                color=LIGHT.alarm if text == "0" else MARKS[split][0],
                weight="bold" if text == "0" else "normal",
            )


def _plot_ranks(axes: Axes, ranked: Sequence[ClassRow], splits: Sequence[Split]) -> None:
    """Draw the boxes of all classes over their rank, each split in its own order."""
    positions = np.arange(1, len(ranked) + 1)
    for split in splits:
        counts = np.array(sorted((row.boxes[split] for row in ranked), reverse=True))
        shown = np.where(counts > 0, counts, np.nan)
        color, marker = MARKS[split]
        apart = len(ranked) // 6
        axes.plot(positions, shown, marker, ls="-", color=color, mec="white", markevery=apart)
    if _find_scale(ranked, splits).logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(0, len(ranked))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(labelsize=8.5)
    axes.set_title("all classes, by rank", loc="left", fontsize=10.5, weight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def list_marks(splits: Sequence[Split]) -> list[Line2D]:
    """Return what a legend shows of the splits."""
    return [
        Line2D([], [], color=MARKS[split][0], marker=MARKS[split][1], ls="", ms=6, label=split)
        for split in splits
    ]
