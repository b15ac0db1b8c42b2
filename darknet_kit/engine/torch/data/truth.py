"""What a label file says, as arrays.

Inside the loader an object is a row of `edges` [n, 5] float32: left, top, right and bottom in
fractions of the image, then class_id. Heads get `truths` [n, 5]: cx, cy, w, h, class_id.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import Problem
from darknet_kit.formats.yolo import Label, label_path, parse_labels, read_label_text

Edges = NDArray[np.float32]

# Label files whose content is kept; the rest are read again, which costs little beside decoding.
_MOST_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The usable objects of an image, and what was wrong with the others."""

    edges: Edges
    problems: tuple[Problem, ...] = ()


class LabelFiles:
    """Reads label files, each once as far as memory is no concern."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._kept: dict[str, LabelFile] = {}

    def read(self, image: str) -> LabelFile:
        """Return what the label file of an image says."""
        known = self._kept.get(image)
        if known is None:
            known = read_label_file(image, self.classes)
            if len(self._kept) < _MOST_KEPT:
                self._kept[image] = known
        return known


def read_label_file(image: str, classes: int) -> LabelFile:
    """Read the label file of an image, where AlexeyAB's Darknet looks for it.

    No file means that the image shows nothing. A label that cannot be meant (a class_id that does
    not exist, a box without area inside the image) is left out and named, never an error: AlexeyAB
    `src/data.c`, `correct_boxes` and `fill_truth_detection`.
    """
    path = label_path(image, Flavor.ALEXEYAB)
    if path is None:
        message = "no label is looked for beside an image of this type"
        return LabelFile(_to_edges([]), (Problem("unsupported-image", image, message),))
    text = read_label_text(path)
    if text is None:
        message = f"no label file {path}; taken as an image that shows nothing"
        return LabelFile(_to_edges([]), (Problem("missing-label", image, message),))
    labels = parse_labels(text)
    problems = tuple(_iter_problems(path, text, labels, classes))
    usable = [label for label in labels if _find_fault(label, classes) is None]
    return LabelFile(_to_edges(usable), problems)


def pick_objects(edges: Edges, most: int, rng: np.random.Generator) -> Edges:
    """Shuffle objects and keep `most` at most, so that none is always the one left out."""
    return edges[rng.permutation(len(edges))[:most]]


def drop_tiny(edges: Edges, width: int, height: int) -> Edges:
    """Drop what is narrower or lower than one pixel of the network's input."""
    if not len(edges):
        return edges
    wide = edges[:, 2] - edges[:, 0] >= 1 / width
    high = edges[:, 3] - edges[:, 1] >= 1 / height
    return edges[wide & high]


def to_truths(edges: Edges) -> NDArray[np.float32]:
    """Return cx, cy, w, h, class_id for each object."""
    truths = edges.copy()
    truths[:, :2] = (edges[:, :2] + edges[:, 2:4]) / 2
    truths[:, 2:4] = edges[:, 2:4] - edges[:, :2]
    return truths


def _to_edges(labels: list[Label]) -> Edges:
    rows = [
        (
            label.cx - label.width / 2,
            label.cy - label.height / 2,
            label.cx + label.width / 2,
            label.cy + label.height / 2,
            label.class_id,
        )
        for label in labels
    ]
    return np.array(rows, np.float32).reshape(-1, 5)


def _find_fault(label: Label, classes: int) -> tuple[str, str] | None:
    """Return the code of what is wrong with a label, and a sentence; None for a good one."""
    if not 0 <= label.class_id < classes:
        return "class-out-of-range", f"class_id {label.class_id} of {classes} classes"
    if label.width <= 0 or label.height <= 0 or (label.cx == 0 and label.cy == 0):
        return "empty-box", f"a box of {label.width:g} x {label.height:g} at {label.cx:g}"
    across = abs(label.cx - 0.5) < 0.5 + label.width / 2
    down = abs(label.cy - 0.5) < 0.5 + label.height / 2
    return None if across and down else ("empty-box", "a box that lies outside the image")


def _iter_problems(path: str, text: str, labels: list[Label], classes: int) -> Iterator[Problem]:
    for number, label in enumerate(labels):
        fault = _find_fault(label, classes)
        if fault is not None:
            yield Problem(fault[0], path, fault[1], _find_line(text, number * 5))
    if text.split()[len(labels) * 5 :]:
        message = "not five numbers; from here on the file is not read"
        yield Problem("bad-coordinate", path, message, _find_line(text, len(labels) * 5))


def _find_line(text: str, token: int) -> int:
    """Return the 1-based line on which a token, counted from 0, stands."""
    for number, line in enumerate(text.split("\n"), start=1):
        token -= len(line.split())
        if token < 0:
            return number
    return 0
