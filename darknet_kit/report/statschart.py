"""The chart of a data set: its classes, and its boxes, on one picture."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darknet_kit.dataset.stats import Stats
from darknet_kit.report.boxchart import plot_aspects, plot_crowds, plot_sizes
from darknet_kit.report.charts import cut_title
from darknet_kit.report.classchart import list_marks, measure_classes, plot_classes
from darknet_kit.report.classtable import ClassRow
from darknet_kit.report.overview import describe_sizes, describe_stats

_WIDTH, _HEADING, _BOXES = 11.0, 0.45, 3.4  # inches


def plot_stats(stats: Stats, rows: Sequence[ClassRow], title: str) -> Figure:
    """Return the chart of a data set: boxes of each class, sizes, aspects, boxes of an image."""
    heights = (_HEADING, measure_classes(len(rows)), _BOXES)
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.07)
    grid = figure.add_gridspec(3, 1, height_ratios=heights)
    _write_heading(figure.add_subplot(grid[0]), stats, title)
    plot_classes(figure, grid[1], rows, list(stats.splits))
    places = grid[2].subgridspec(1, 3, width_ratios=(1.1, 1, 1))
    sizes, aspects, crowds = (figure.add_subplot(places[0, column]) for column in range(3))
    shapes = stats.total.shapes
    if shapes.boxes:
        plot_sizes(sizes, shapes)
        plot_aspects(aspects, shapes)
        plot_crowds(crowds, stats.total.per_image)
    else:
        lack = "no box is a pixel wide" if stats.total.boxes.total() else "there are no boxes"
        for axes in (sizes, aspects, crowds):
            axes.set_axis_off()
            axes.text(0, 0.9, lack, fontsize=9, color="#333333", va="top")
    titles = {
        sizes: "box sizes at {} x {}".format(*shapes.size),
        aspects: "shape of boxes",
        crowds: "boxes in an image",
    }
    for axes, text in titles.items():
        axes.set_title(text, loc="left", fontsize=10.5, weight="bold")
    return figure


def _write_heading(axes: Axes, stats: Stats, title: str) -> None:
    subtitle = describe_stats(stats)
    if stats.total.shapes.boxes:
        subtitle += f"  ·  {describe_sizes(stats.total.shapes)}"
    axes.set_axis_off()
    axes.text(0, 1, cut_title(title), fontsize=14, weight="bold", va="top", parse_math=False)
    axes.text(0, 0, subtitle, fontsize=10, color="#333333", va="center")
    axes.legend(
        handles=list_marks(list(stats.splits)),
        loc="upper right",
        bbox_to_anchor=(1, 1.3),
        ncols=3,
        frameon=False,
        handletextpad=0.1,
    )
