"""The boxes of a data set: how wide and high, how stretched, how many an image has."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from darknet_kit.dataset.boxshapes import (
    AREA_STEPS,
    ASPECT_STEPS,
    EDGES_PX,
    SMALLEST_STEP,
    BoxShapes,
    find_quantile,
)
from darknet_kit.report.theme import LIGHT

_SHADES = LinearSegmentedColormap.from_list("boxes", ["#E3EFF7", LIGHT.loss, "#00304D"])
_COARSE = ((500, 4), (20_000, 2))  # with fewer boxes, as many steps of the histogram in one
_OCTAVES = 4  # of aspects, on either side of a square; of sizes at the least
_BARS = 24
_LABEL: dict[str, Any] = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.7}


def plot_sizes(axes: Axes, shapes: BoxShapes) -> None:
    """Draw how many boxes have which width and height, in pixels of the network's input."""
    across, down = shapes.size
    steps = next((steps for below, steps in _COARSE if shapes.boxes < below), 1)
    grid = np.zeros((-SMALLEST_STEP // steps,) * 2)
    for (wide, high), boxes in shapes.areas.items():
        # A box as wide as the image begins a step of its own, beyond the last.
        column, row = ((min(step, -1) - SMALLEST_STEP) // steps for step in (wide, high))
        grid[row, column] += boxes
    edges = 2.0 ** (np.arange(SMALLEST_STEP, 1, steps) / AREA_STEPS)
    shown = np.ma.masked_equal(grid, 0)
    axes.pcolormesh(edges * across, edges * down, shown, cmap=_SHADES, norm=PowerNorm(0.5))
    _scale_pixels(axes, (edges * across)[grid.any(axis=0).argmax()], across, "x")
    _scale_pixels(axes, (edges * down)[grid.any(axis=1).argmax()], down, "y")
    axes.set_aspect("equal")
    axes.set_xlabel("width, px", fontsize=9)
    axes.set_ylabel("height, px", fontsize=9)
    _mark_edges(axes)
    _mark_quantiles(axes, shapes)


def _scale_pixels(axes: Axes, low: float, high: float, name: Literal["x", "y"]) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    low = min(low, high / 2**_OCTAVES)
    (axes.set_xscale if name == "x" else axes.set_yscale)("log", base=2)
    (axes.set_xlim if name == "x" else axes.set_ylim)(low / 1.1, high)
    ticks = [2.0**power for power in range(14) if low / 1.1 <= 2**power < high / 1.7]
    axis.set_major_locator(FixedLocator([*ticks, high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.tick_params(axis=name, labelsize=8.5)


def _mark_edges(axes: Axes) -> None:
    """Draw the lines on which a box has the area of a square of so many pixels."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    for edge in EDGES_PX:
        axes.plot(
            [left, right],
            [edge**2 / left, edge**2 / right],
            color=LIGHT.quiet,
            lw=0.8,
            ls=(0, (5, 4)),
        )
        x, y = edge * 2**1.4, edge / 2**1.4
        if left * 1.3 < x < right / 1.2 and low * 1.3 < y < high / 1.2:
            axes.text(
                x,
                y,
                f"{edge} x {edge}",
                fontsize=7.5,
                color=LIGHT.quiet,
                rotation=-45,
                ha="center",
                va="center",
                bbox=_LABEL,
            )
    axes.set_ylim(low, high)


def _mark_quantiles(axes: Axes, shapes: BoxShapes) -> None:
    across, down = shapes.size
    widths, heights = (
        [at(share) * side for share in (0.05, 0.5, 0.95)]
        for at, side in ((shapes.width_at, across), (shapes.height_at, down))
    )
    style: dict[str, Any] = {"color": LIGHT.map, "lw": 1.4, "solid_capstyle": "butt"}
    axes.plot([widths[0], widths[2]], [heights[1]] * 2, marker="|", **style)
    axes.plot([widths[1]] * 2, [heights[0], heights[2]], marker="_", **style)
    axes.plot(widths[1], heights[1], "o", color=LIGHT.map, ms=6, mec="white")
    axes.annotate(
        f"median {widths[1]:.0f} x {heights[1]:.0f}, bars 5 to 95 %",
        (0, 0),
        xycoords="axes fraction",
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=8.5,
        color=LIGHT.map,
        bbox=_LABEL,
    )


def plot_aspects(axes: Axes, shapes: BoxShapes) -> None:
    """Draw how many boxes have which width over height, as the network sees them."""
    across, down = shapes.size
    steps = ASPECT_STEPS // (2 if shapes.boxes < _COARSE[0][0] else 4)
    shift = math.log2(across / down) * ASPECT_STEPS
    counts: Counter[int] = Counter()
    for step, boxes in shapes.aspects.items():
        reach = _OCTAVES * ASPECT_STEPS
        counts[math.floor(min(max(step + shift, -reach), reach) / steps + 0.5)] += boxes
    places = [number * steps / ASPECT_STEPS for number in counts]
    axes.bar(places, list(counts.values()), 0.9 * steps / ASPECT_STEPS, color=LIGHT.loss)
    median = shapes.aspect_at(0.5)
    _mark_median(axes, math.log2(median), f"{median:.2f}")
    ends = (min(-2, math.floor(min(places))), max(2, math.ceil(max(places))))
    axes.set_xlim(ends[0] - 0.3, ends[1] + 0.3)
    octaves = range(ends[0], ends[1] + 1)
    axes.set_xticks(octaves, [_name_aspect(octave) for octave in octaves])
    axes.set_xlabel("width to height", fontsize=9)
    _scale_counts(axes, "boxes")


def _name_aspect(octave: int) -> str:
    name = f"{2**octave}:1" if octave >= 0 else f"1:{2**-octave}"
    return f"{name}+" if abs(octave) == _OCTAVES else name


def plot_crowds(axes: Axes, per_image: Mapping[int, int]) -> None:
    """Draw how many images have how many boxes; the last bar holds all that have more."""
    last = max(find_quantile(per_image, 0.99), 4)
    wide = math.ceil((last + 1) / _BARS)
    bars: Counter[int] = Counter()
    for boxes, images in per_image.items():
        bars[min(boxes, last) // wide] += images
    axes.bar(list(bars), list(bars.values()), 0.9, color=LIGHT.loss)
    median, final = find_quantile(per_image, 0.5), last // wide
    _mark_median(axes, (median + 0.5) / wide - 0.5, str(median))
    apart = math.ceil((final + 1) / 8)
    ticks = {bar: str(bar * wide) for bar in range(0, final - apart // 2, apart)}
    ticks[final] = f"{final * wide}+" if max(per_image) > last else str(final * wide)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xlim(-0.6, final + 0.6)
    axes.set_xlabel("boxes", fontsize=9)
    _scale_counts(axes, "images")


def _mark_median(axes: Axes, place: float, text: str) -> None:
    axes.axvline(place, color=LIGHT.map, lw=1.4)
    axes.annotate(
        f"median {text}",
        (place, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -2),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=LIGHT.map,
        bbox=_LABEL,
    )


def _scale_counts(axes: Axes, what: str) -> None:
    axes.set_ylabel(what, fontsize=9)
    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])  # room for the median
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
