"""Pictures with what a network found in them."""

import os
from collections.abc import Sequence

from PIL import Image, ImageOps

from darknet_kit.core.files import replacing
from darknet_kit.errors import AnyPath
from darknet_kit.evaluate.detect import Detection
from darknet_kit.report.drawing import DrawnBox, draw_boxes, open_picture
from darknet_kit.report.sheet import contact_sheet

_LEAST_PX = 320  # small pictures are enlarged, so that captions can be read


def draw_detections(
    image: str, detections: Sequence[Detection], names: Sequence[str]
) -> Image.Image:
    """Return the image with a box, a name and a confidence for each detection."""
    picture = open_picture(image)
    scale = max(1.0, _LEAST_PX / max(picture.size))
    if scale > 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size)
    boxes = [
        DrawnBox(
            found.box.scaled(scale),
            found.class_id,
            f"{names[found.class_id]} {found.confidence:.0%}",
        )
        for found in reversed(detections)  # the most confident on top
    ]
    return draw_boxes(picture, boxes)


def write_picture(picture: Image.Image, path: AnyPath) -> None:
    """Write a picture as JPEG or PNG, by its suffix. Raises WriteError."""
    is_png = os.fspath(path).lower().endswith(".png")
    with replacing(path, binary=True) as stream:
        if is_png:
            picture.save(stream, format="PNG")
        else:
            picture.save(stream, format="JPEG", quality=92)


def detection_sheet(
    pictures: Sequence[tuple[Image.Image, str]], *, columns: int = 4, size: int = 280
) -> Image.Image:
    """Return a contact sheet of drawn pictures and their captions."""
    fitted = [(ImageOps.contain(picture, (size, size)), text) for picture, text in pictures]
    return contact_sheet(fitted, columns=min(columns, len(pictures)), size=size)
