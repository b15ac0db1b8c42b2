"""A contact sheet of a data set: what the engine will see, drawn for people."""

import io
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from darknet_kit.core.boxes import box_from_cxcywh_norm
from darknet_kit.dataset.reading import LabelledImage
from darknet_kit.report.drawing import DrawnBox, contact_sheet, draw_boxes, open_picture


@dataclass(slots=True)
class Sample:
    """Some images of a list in its order; of the whole list, how many there are and lack labels."""

    images: list[LabelledImage] = field(default_factory=list)
    of: int = 0
    without_label: int = 0


def draw_sample(images: Iterable[LabelledImage], count: int, seed: int) -> Sample:
    """Draw `count` images, the same ones for the same seed; holds no more than these at a time."""
    sample, chance = Sample(), random.Random(seed)
    kept: list[tuple[int, LabelledImage]] = []
    for number, image in enumerate(images):
        sample.of += 1
        sample.without_label += image.labels is None
        if number < count:
            kept.append((number, image))
        elif (place := chance.randrange(number + 1)) < count:
            kept[place] = (number, image)
    sample.images = [image for _, image in sorted(kept, key=lambda pair: pair[0])]
    return sample


@dataclass(frozen=True, slots=True)
class Sheet:
    """A finished sheet as PNG, and how many of its images could not be read."""

    png: bytes
    unreadable: int


def draw_sheet(
    images: Sequence[LabelledImage], names: Sequence[str], *, columns: int, tile_px: int
) -> Sheet:
    """Draw images with their labels, each at most `tile_px` a side."""
    tiles = [_tile(image, names, tile_px) for image in images]
    pictures = [
        (picture or Image.new("RGB", (tile_px, tile_px), "lightgray"), caption)
        for picture, caption in tiles
    ]
    stream = io.BytesIO()
    contact_sheet(pictures, columns=columns, size=tile_px).save(stream, format="PNG")
    return Sheet(stream.getvalue(), sum(picture is None for picture, _ in tiles))


def _tile(image: LabelledImage, names: Sequence[str], size: int) -> tuple[Image.Image | None, str]:
    name = os.path.basename(image.image)
    try:
        picture = open_picture(image.image, 2 * size)
    except OSError:
        return None, f"{name}: CANNOT BE READ"
    picture = picture.resize(_fit(picture.size, size))
    if image.labels is None:
        return picture, f"{name}: NO LABEL FILE"
    boxes = [
        DrawnBox(
            box_from_cxcywh_norm(label.cx, label.cy, label.width, label.height, *picture.size),
            label.class_id,
            names[label.class_id] if 0 <= label.class_id < len(names) else f"#{label.class_id}?",
        )
        for label in image.labels
    ]
    return draw_boxes(picture, boxes), f"{name}: {len(boxes)}"


def _fit(size: tuple[int, int], most: int) -> tuple[int, int]:
    scale = most / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
