"""A contact sheet of a data set: what the engine will see, drawn for people."""

import os
import random
from collections.abc import Sequence

from PIL import Image

from darknet_kit.core.boxes import box_from_cxcywh_norm
from darknet_kit.core.files import replacing
from darknet_kit.dataset.reading import LabelledImage
from darknet_kit.errors import AnyPath
from darknet_kit.report.drawing import DrawnBox, contact_sheet, draw_boxes, open_picture


def sample(images: Sequence[LabelledImage], count: int, seed: int) -> list[LabelledImage]:
    """Draw some images, the same ones for the same seed, in list order."""
    if count >= len(images):
        return list(images)
    chosen = random.Random(seed).sample(range(len(images)), count)
    return [images[index] for index in sorted(chosen)]


def draw_sheet(
    images: Sequence[LabelledImage],
    names: Sequence[str],
    path: AnyPath,
    *,
    columns: int,
    tile_px: int,
) -> None:
    """Write a PNG of images with their labels. Raises WriteError."""
    tiles = [_tile(image, names, tile_px) for image in images]
    sheet = contact_sheet(tiles, columns=columns, size=tile_px)
    with replacing(path, binary=True) as stream:
        sheet.save(stream, format="PNG")


def _tile(image: LabelledImage, names: Sequence[str], size: int) -> tuple[Image.Image, str]:
    name = os.path.basename(image.image)
    try:
        picture = open_picture(image.image, 2 * size)
    except (OSError, ValueError, SyntaxError):
        return Image.new("RGB", (size, size), "lightgray"), f"{name}: cannot be read"
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
