"""The chart of a data set: every number that it should show, at any number of classes."""

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from darknet_kit.dataset.stats import Stats, stats
from darknet_kit.report.charts import render_figure
from darknet_kit.report.classtable import list_classes
from darknet_kit.report.statschart import plot_stats
from tests.conftest import Ended

from .sets import Boxes, write_labels

Dkit = Callable[..., Ended]


def boxes_of(class_id: int) -> int:
    return 1 + 60 // (class_id + 1)


def count(folder: Path, names: Sequence[str]) -> Stats:
    """Return a set with `boxes_of` each class to train on; all but the last have a valid one."""
    images: dict[str, Boxes] = {
        f"i{n}": [(n, 0.1 + n / len(names) / 2, 0.2)] * boxes_of(n) for n in range(len(names))
    }
    valid: dict[str, Boxes] = {"v": [(n, 0.5, 0.5) for n in range(len(names) - 1)]}
    return stats(write_labels(folder, names, train=images, valid=valid), workers=1)


def name_classes(classes: int) -> list[str]:
    return [f"class {number}" for number in range(classes)]


def draw(made: Stats, title: str = "a set") -> Figure:
    figure = plot_stats(made, list_classes(made), title)
    figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def bars(axes: Axes) -> dict[float, float]:
    """Return the height of each bar by its middle."""
    found = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    return {round(bar.get_center()[0], 9): bar.get_height() for bar in found}


@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        (1, [0]),
        (30, [0, 15, 29]),
        (31, [0, 15, 16, 30]),
        (100, [0, 49, 50, 99]),
        (101, [0, 14, 86, 100]),
        (1000, [0, 14, 985, 999]),
    ],
)
def test_classes_and_their_boxes_are_named(tmp_path: Path, classes: int, shown: list[int]) -> None:
    said = words(draw(count(tmp_path, name_classes(classes))))
    for number in shown:
        assert f"class {number}" in said
        assert str(boxes_of(number)) in said
    names = {word for word in said if word.startswith("class ")}
    assert len(names) == (classes if classes <= 100 else 30)
    assert said.count("0") >= 1  # of the last class there is no box to validate on
    boxes = sum(map(boxes_of, range(classes))) + classes - 1
    heading = f"{classes:,} class{'es' if classes > 1 else ''}, {boxes:,} boxes in {classes + 1:,} "
    assert any(word.startswith(heading) for word in said)


def test_ticks_of_few_boxes_are_whole_numbers(tmp_path: Path) -> None:
    images: dict[str, Boxes] = {str(number): [(number, 0.5, 0.5)] for number in range(101)}
    figure = draw(stats(write_labels(tmp_path, name_classes(101), train=images)))
    (ranks,) = (axes for axes in figure.axes if axes.get_title("left") == "all classes, by rank")
    low, high = ranks.get_ylim()
    ticks = [tick for tick in ranks.get_yticks() if low <= tick <= high]
    assert ticks == [0, 1]


@pytest.mark.parametrize("classes", [1, 20, 80, 300])
def test_no_text_leaves_the_picture_or_covers_another(tmp_path: Path, classes: int) -> None:
    figure = draw(count(tmp_path, name_classes(classes)), "A title of some length")
    width, height = figure.get_size_inches() * figure.dpi
    ticks = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in axis.get_ticklabels(which="both")
    }
    boxes = {t: t.get_window_extent() for t in texts(figure) if t not in ticks}
    for text, box in boxes.items():
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
    titles = [
        boxes[text] for text in boxes if text.get_fontweight() == "bold" and text.get_text() != "0"
    ]
    assert len(titles) >= 5  # the picture's, the classes', and three below
    for one, other in itertools.combinations(titles, 2):
        assert not one.overlaps(other)


def test_boxes_are_where_their_sizes_are(tmp_path: Path) -> None:
    """Eight of 208 x 52 px, of 4 to 1; one as large as the image; in an image each."""
    images: dict[str, Boxes] = {f"i{n}": [(0, 0.5, 0.125)] for n in range(8)}
    data = write_labels(tmp_path, ["cat"], train={**images, "all": [(0, 1, 1)]})
    figure = draw(stats(data))
    sizes, aspects, crowds = figure.axes[-3:]
    (mesh,) = sizes.collections
    grid: np.ndarray[Any, Any] = np.ma.filled(np.ma.asarray(mesh.get_array()), 0)
    assert (grid.sum(), grid.max(), grid[-1, -1]) == (9, 8, 1)
    assert "median 208 x 52" in " ".join(words(figure))
    assert bars(aspects) == {2: 8, 0: 1}  # octaves
    assert bars(crowds) == {1: 9}
    assert {"median 4.00", "median 1"} <= set(words(figure))


def test_a_wide_network_sees_wider_boxes(tmp_path: Path) -> None:
    data = write_labels(tmp_path, ["cat"], train={"i": [(0, 0.25, 0.25)]})
    figure = draw(stats(data, size=(832, 416)))
    assert bars(figure.axes[-2]) == {1: 1}
    assert {"median 2.00", "box sizes at 832 x 416"} <= set(words(figure))


def test_images_with_most_boxes_share_a_bar(tmp_path: Path) -> None:
    images: dict[str, Boxes] = {f"i{n:03}": [(0, 0.5, 0.5)] * (n % 8) for n in range(199)}
    data = write_labels(tmp_path, ["cat"], train={**images, "crowd": [(0, 0.5, 0.5)] * 60})
    figure = draw(stats(data))
    assert bars(figure.axes[-1]) == {
        **dict.fromkeys(range(7), 25),
        7: 25,
    }  # 199 is 8 x 25 less one of seven
    assert "7+" in words(figure)


@pytest.mark.parametrize(
    "name", ["$100 and \\frac{", "臉書 обучение", "a" * 255, "<b>&amp;", "50% {x}", "\x1b[2J"]
)
def test_any_name_is_text(tmp_path: Path, name: str) -> None:
    figure = plot_stats(made := count(tmp_path, [name, "b"]), list_classes(made), name)
    assert render_figure(figure, "svg")


@pytest.mark.parametrize(
    ("train", "lack"),
    [
        ({}, "there are no boxes"),
        ({"a": None}, "there are no boxes"),
        ({"a": []}, "there are no boxes"),
        ({"a": [(0, 0.001, 0.001)]}, "no box is a pixel wide"),
        ({"a": [(0, 0.003, 0.003)]}, "shape of boxes"),
    ],
)
def test_sets_of_next_to_nothing_can_be_drawn(
    tmp_path: Path, train: dict[str, Boxes], lack: str
) -> None:
    figure = draw(stats(write_labels(tmp_path, ["cat", "dog"], train=train)))
    assert {"cat", "dog", "box sizes at 416 x 416", lack} <= set(words(figure))


def test_the_command_writes_the_same_pictures_each_time(tmp_path: Path, dkit: Dkit) -> None:
    data = write_labels(tmp_path, ["cat", "dog"], train={"a": [(0, 0.5, 0.5), (1, 0.2, 0.9)]})
    files = [tmp_path / f"out.{kind}" for kind in ("png", "svg", "csv")]
    options = [word for file in files for word in ("-o", file)]
    ended = dkit("stats", data, *options)
    assert ended.exit_code == 0
    with Image.open(files[0]) as picture:
        assert picture.width == 1650
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
    assert etree.parse(files[1]).getroot().tag.endswith("svg")
    again = dkit("stats", data, *options)
    assert again.stdout.count("up to date") == 3


def test_without_the_extra_a_chart_is_refused_and_a_table_is_not(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_labels(tmp_path, ["cat"], train={"a": [(0, 0.5, 0.5)]})
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused = dkit("stats", data, "-o", tmp_path / "out.png")
    assert refused.exit_code == 4
    assert "pip install 'darknet-kit[charts]'" in refused.stderr
    assert dkit("stats", data, "-o", tmp_path / "out.csv").exit_code == 0
