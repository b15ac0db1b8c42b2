"""The classes of a data set as a table: for a terminal, and as CSV."""

import csv
import io
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.core.records import SPLITS, Split
from darknet_kit.dataset.boxshapes import ClassShape
from darknet_kit.dataset.stats import Stats

_NAME_WIDTH = 28  # columns of a terminal
_COLUMN_GAP = "  "


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class of a data set: boxes and images in each split, and the shape of its boxes."""

    class_id: int
    name: str
    wnid: str
    boxes: Mapping[Split, int]
    images: Mapping[Split, int]
    shape: ClassShape

    @property
    def all_boxes(self) -> int:
        return sum(self.boxes.values())

    @property
    def all_images(self) -> int:
        return sum(self.images.values())


ORDERS: dict[str, Callable[[ClassRow], tuple[object, ...]]] = {
    "boxes": lambda row: (-row.all_boxes, row.class_id),
    "images": lambda row: (-row.all_images, row.class_id),
    "size": lambda row: (row.shape.mean_width * row.shape.mean_height, row.class_id),
    "name": lambda row: (row.name.casefold(), row.class_id),
    "id": lambda row: (row.class_id,),
}
"""What the table may be sorted by: most boxes, most images, smallest boxes, name, class_id."""


def list_classes(stats: Stats, wnids: Sequence[str] = (), order: str = "id") -> list[ClassRow]:
    """Return a row for each class, sorted by one of ORDERS."""
    rows = [
        ClassRow(
            class_id,
            name,
            wnids[class_id] if wnids else "",
            {split: counts.boxes[class_id] for split, counts in stats.splits.items()},
            {split: counts.shown[class_id] for split, counts in stats.splits.items()},
            stats.total.shapes.by_class.get(class_id, ClassShape()),
        )
        for class_id, name in enumerate(stats.dataset.names)
    ]
    return sorted(rows, key=ORDERS[order])


def format_class_csv(rows: Sequence[ClassRow]) -> str:
    """Return classes as CSV; sizes are means, as fractions of the image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counts = [f"{split}_{what}" for split in SPLITS for what in ("boxes", "images")]
    writer.writerow(
        ["class_id", "name", "wnid", *counts, "mean_width", "mean_height", "tiny_boxes"]
    )
    for row in rows:
        cells = [one.get(split, 0) for split in SPLITS for one in (row.boxes, row.images)]
        size = [f"{row.shape.mean_width:.6f}", f"{row.shape.mean_height:.6f}", row.shape.tiny]
        writer.writerow([row.class_id, row.name, row.wnid, *cells, *size])
    return text.getvalue()


def format_class_table(
    rows: Sequence[ClassRow], splits: Sequence[Split], size: tuple[int, int], most: int
) -> list[str]:
    """Return the classes as lines, of which at most `most` for classes: the first and the last.

    The means of widths and heights are in pixels of a network's input of `size`.
    """
    titles = [f"{split} {what}" for split in splits for what in ("boxes", "images")]
    table = [["id", "class", *titles, f"mean px of {size[0]} x {size[1]}"]]
    left_out = len(rows) - most
    head = most - most // 3
    for row in rows if left_out <= 0 else [*rows[:head], *rows[len(rows) - most // 3 :]]:
        counts = [one.get(split, 0) for split in splits for one in (row.boxes, row.images)]
        table.append(
            [str(row.class_id), cut_name(row.name), *map(_count, counts), _mean(row, size)]
        )
    lines = align_columns(table, left=(1,))
    if left_out > 0:
        lines.insert(1 + head, f"  … {left_out:,} more classes: --all shows them")
    return lines


def _count(number: int) -> str:
    return f"{number:,}"


def _mean(row: ClassRow, size: tuple[int, int]) -> str:
    shape = row.shape
    if not shape.boxes:
        return "-"
    return f"{shape.mean_width * size[0]:.0f} x {shape.mean_height * size[1]:.0f}"


def align_columns(table: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the rows of a table as lines, indented; columns in `left` are flush left."""
    widths = [max(map(measure_width, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - measure_width(cell))
            cells.append(cell + blanks if index in left else blanks + cell)
        lines.append(_COLUMN_GAP + _COLUMN_GAP.join(cells).rstrip())
    return lines


def measure_width(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian characters take two."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def cut_name(name: str) -> str:
    """Return a name as it fits into a column, without what would steer the terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    if measure_width(shown) <= _NAME_WIDTH:
        return shown
    while measure_width(shown) >= _NAME_WIDTH:
        shown = shown[:-1]
    return f"{shown}…"
