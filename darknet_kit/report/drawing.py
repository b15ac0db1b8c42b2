"""Boxes and class names drawn on pictures, and pictures laid out on a contact sheet."""

import colorsys
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from darknet_kit.core.boxes import Box

_GOLDEN = 0.618034  # successive multiples spread hues evenly, however many classes there are
_MARGIN = 8
_CAPTION = 18


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box in pixels of its picture, its class, and the words beside it."""

    box: Box
    class_id: int
    caption: str


def class_color(class_id: int) -> tuple[int, int, int]:
    """Return the colour of a class: bright, and unlike its neighbours'."""
    hue = (0.02 + class_id * _GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)


def open_picture(path: str, most: int | None = None) -> Image.Image:
    """Decode an image as stored (EXIF orientation not applied), no side longer than `most` px.

    Raises OSError where the image cannot be decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd tags and of sizes, which do not matter here
        try:
            with Image.open(path) as image:
                if most:
                    image.draft("RGB", (most, most))  # JPEG decodes at a fraction of the cost
                picture = image.convert("RGB")
        except OSError:
            raise
        except Exception as error:  # decoders raise what they like at damaged files
            raise OSError(str(error)) from error
    if most:
        picture.thumbnail((most, most))
    return picture


def draw_boxes(picture: Image.Image, boxes: Sequence[DrawnBox]) -> Image.Image:
    """Draw boxes onto a picture, in place, and return it."""
    draw = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 160))
    font = ImageFont.load_default(max(10, round(min(picture.size) / 24)))
    for drawn in boxes:
        draw.rectangle(
            _pixels(drawn.box, picture.size), outline=class_color(drawn.class_id), width=line
        )
    for drawn in boxes:  # on top of all lines
        _draw_caption(draw, drawn, picture.size, font)
    return picture


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the first and last column and row of pixels of a box, inside the picture."""
    left, top = _inside(box.left, size[0]), _inside(box.top, size[1])
    right, bottom = _inside(box.right - 1, size[0]), _inside(box.bottom - 1, size[1])
    return left, top, max(left, right), max(top, bottom)


def _inside(position: float, length: int) -> int:
    return round(min(max(0.0, position), length - 1.0))


def _draw_caption(
    draw: ImageDraw.ImageDraw,
    drawn: DrawnBox,
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    if not drawn.caption:
        return
    left, top, _, _ = _pixels(drawn.box, size)
    color = class_color(drawn.class_id)
    width, height = map(math.ceil, draw.textbbox((0, 0), drawn.caption, font=font)[2:])
    x = max(0, min(left, size[0] - width - 5))
    y = top - height - 3 if top >= height + 3 else top
    draw.rectangle((x, y, x + width + 4, y + height + 3), fill=color)
    dark = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 128
    draw.text((x + 2, y), drawn.caption, fill="black" if dark else "white", font=font)


def contact_sheet(
    tiles: Sequence[tuple[Image.Image, str]], *, columns: int, size: int
) -> Image.Image:
    """Lay out pictures with their captions in a grid; a picture gets at most `size` px a side."""
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    fitted = [
        [(ImageOps.contain(picture, (size, size)), text) for picture, text in row] for row in rows
    ]
    heights = [max(picture.height for picture, _ in row) + _CAPTION for row in fitted]
    sheet = Image.new(
        "RGB",
        (columns * (size + _MARGIN) + _MARGIN, sum(heights) + (len(rows) + 1) * _MARGIN),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    y = _MARGIN
    for row, height in zip(fitted, heights, strict=True):
        for column, (picture, caption) in enumerate(row):
            x = _MARGIN + column * (size + _MARGIN)
            sheet.paste(picture, (x + (size - picture.width) // 2, y))
            below = y + picture.height + 2
            draw.text((x, below), _shortened(caption, font, size), "black", font)
        y += height + _MARGIN
    return sheet


def _shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> str:
    if font.getbbox(text)[2] <= width:
        return text
    while text and font.getbbox(text + "…")[2] > width:
        text = text[:-1]
    return text + "…"
