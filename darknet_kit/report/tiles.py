"""The images of a sample, decoded small, with their boxes: what sheets and pages are made of."""

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from darknet_kit.core.boxes import box_from_cxcywh_norm
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.dataset.sample import Drawn
from darknet_kit.formats.image import is_image
from darknet_kit.report.drawing import DrawnBox, open_picture

_SHARD = 24  # images
NO_IMAGE = "no image"
"""The reason of a tile that stands for a file which is none, such as an annotation."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One image, its longer side `size` px, and its boxes in these pixels, the largest first.

    Where there is no `picture`, `reason` says why.
    """

    drawn: Drawn
    picture: Image.Image | None
    boxes: Sequence[DrawnBox] = ()
    reason: str = ""

    @property
    def name(self) -> str:
        return os.path.basename(self.drawn.candidate.image)


def make_tiles(
    images: Sequence[Drawn],
    names: Sequence[str],
    size: int,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[Tile]:
    """Yield a tile for each image, in order; `names` are those of the classes."""
    make = functools.partial(_make_some, names=names, size=size)
    done = 0
    for tiles in map_shards(make, shards(images, _SHARD), workers=workers):
        done += len(tiles)
        progress(done, len(images))
        yield from tiles


def _make_some(images: Sequence[Drawn], names: Sequence[str], size: int) -> list[Tile]:
    return [_make_tile(drawn, names, size) for drawn in images]


def _make_tile(drawn: Drawn, names: Sequence[str], size: int) -> Tile:
    path = drawn.candidate.image
    if not drawn.candidate.split and not is_image(path):  # an annotation whose image is missing
        return Tile(drawn, None, reason=NO_IMAGE)
    if not os.path.isfile(path):  # a pipe would be waited for
        return Tile(drawn, None, reason="there is no such file")
    try:
        picture = open_picture(path, 2 * size)
    except OSError as error:
        return Tile(drawn, None, reason=error.strerror or _said(str(error)))
    picture = picture.resize(_fit(picture.size, size))
    boxes = [
        DrawnBox(
            box_from_cxcywh_norm(label.cx, label.cy, label.width, label.height, *picture.size),
            label.class_id,
            names[label.class_id] if 0 <= label.class_id < len(names) else f"#{label.class_id}?",
        )
        for label in drawn.labels or ()
    ]
    boxes.sort(key=lambda one: -one.box.width * one.box.height)
    return Tile(drawn, picture, boxes)


def _said(reason: str) -> str:
    """Return what a decoder said, in other words where its own are long."""
    return "this is no image that can be read" if "cannot identify" in reason else reason


def _fit(size: tuple[int, int], most: int) -> tuple[int, int]:
    scale = most / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
