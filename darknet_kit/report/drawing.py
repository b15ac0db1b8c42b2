"""Boxes and class names drawn on pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from darknet_kit.core.boxes import Box
from darknet_kit.formats.image import open_image, require_decodable
from darknet_kit.report.lettering import (
    Font,
    GuessedFont,
    drawable,
    escape_controls,
    font_for,
    shorten,
)
from darknet_kit.report.palette import class_color, text_color

Pixels = tuple[int, int, int, int]
"""First column and row, last column and row."""

_SHADE = (20, 20, 20)  # around each frame, so that it shows on a ground of its own colour
_LEAST = 5  # px a side, so that a box of one pixel can be seen
_PAD = 2  # px left and right of a name
_WIDEST = 0.6  # of the picture
_NAMED = 0.2  # of a picture: more names would hide it
_COVERED = 0.2  # of a name: from there on it is left out rather than laid over others


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box in pixels of its picture, its class, and the words beside it."""

    box: Box
    class_id: int
    caption: str


@dataclass(frozen=True, slots=True)
class Tag:
    """Where the words of a box stand in the picture, in px; `text` is what there is room for."""

    left: int
    top: int
    width: int
    height: int
    text: str
    class_id: int


def open_picture(path: str, most: int | None = None) -> Image.Image:
    """Decode an image as stored (EXIF orientation not applied), no side longer than `most` px.

    Raises OSError where the image cannot be decoded.
    """
    try:
        with open_image(path) as image:
            if most:
                image.draft("RGB", (most, most))  # JPEG decodes at a fraction of the cost
            require_decodable(image)
            picture = _eight_bits(image).convert("RGB")
    except OSError:
        raise
    except Exception as error:  # decoders raise what they like at damaged files
        raise OSError(str(error)) from error
    if most:
        picture.thumbnail((most, most))
    return picture


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 16 bits of grey as 8, the lower ones dropped as engines do; Pillow would clip."""
    if not image.mode.startswith("I;16"):
        return image
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def draw_boxes(
    picture: Image.Image, boxes: Sequence[DrawnBox], letters: int | None = None
) -> Image.Image:
    """Draw boxes onto a picture, in place, and return it; later ones lie over earlier ones.

    `letters` is their height in px, by default as suits the picture as a whole.
    """
    draw = ImageDraw.Draw(picture)
    line = line_width(picture.size)
    letters = letters or letter_size(picture.size)
    for drawn in boxes:
        left, top, right, bottom = frame(drawn.box, picture.size)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_SHADE)
        draw.rectangle((left, top, right, bottom), outline=class_color(drawn.class_id), width=line)
    for tag in place_tags(boxes, picture.size, letters):  # on top of all lines
        _draw_tag(draw, tag, letters)
    return picture


def word_class(caption: str, class_id: int, size: int) -> tuple[str, Font]:
    """Return the words for a class, and a font of `size` px: its number if no font has them."""
    caption = escape_controls(" ".join(caption.split()))
    return drawable(caption if font_for(caption, size) else f"#{class_id}", size)


def line_width(size: tuple[int, int]) -> int:
    """Return how thick lines are in a picture of this size, in px."""
    return max(2, round(min(size) / 160))


def letter_size(size: tuple[int, int]) -> int:
    """Return how high letters are in a picture of this size, in px."""
    return max(10, round(max(size) / 27))


def frame(box: Box, size: tuple[int, int]) -> Pixels:
    """Return the pixels of a box inside the picture; a tiny one grows until it can be seen."""
    left, right = _grown(_inside(box.left, size[0]), _inside(box.right - 1, size[0]), size[0])
    top, bottom = _grown(_inside(box.top, size[1]), _inside(box.bottom - 1, size[1]), size[1])
    return left, top, right, bottom


def _inside(position: float, length: int) -> int:
    return round(min(max(0.0, position), length - 1.0))


def _grown(first: int, last: int, length: int) -> tuple[int, int]:
    lacking = _LEAST - 1 - (last - first)
    if lacking <= 0:
        return first, last
    first = max(0, min(first - lacking // 2, length - _LEAST))
    return first, min(first + _LEAST - 1, length - 1)


def place_tags(
    boxes: Sequence[DrawnBox], size: tuple[int, int], letters: int, *, elsewhere: bool = False
) -> list[Tag]:
    """Return where names in `letters` px stand so that they cover neither each other nor small
    boxes.

    The last boxes choose first; a name for which there is no room is left out. With `elsewhere`
    they are drawn by another program, which may have fonts that this machine lacks.
    """
    frames = [frame(drawn.box, size) for drawn in boxes]
    tags: list[Tag] = []
    room = _NAMED * size[0] * size[1]
    for number in range(len(boxes) - 1, -1, -1):
        tag = _tag(boxes[number], size, letters, elsewhere=elsewhere)
        if tag is None or (tags and tag.width * tag.height > room):
            continue
        small = [
            one
            for other, one in enumerate(frames)
            if other != number and _area(one) < tag.width * tag.height
        ]
        best = _best_place(tag, frames[number], size, [*map(_pixels, tags), *small])
        if best is not None:
            tags.append(Tag(*best, tag.width, tag.height, tag.text, tag.class_id))
            room -= tag.width * tag.height
    return tags


def _tag(drawn: DrawnBox, size: tuple[int, int], letters: int, *, elsewhere: bool) -> Tag | None:
    """Return the tag of a box, as yet without a place."""
    if not drawn.caption:
        return None
    font: Font | GuessedFont
    text, font = word_class(drawn.caption, drawn.class_id, letters)
    if elsewhere:
        text = escape_controls(" ".join(drawn.caption.split()))
        font = font_for(text, letters) or GuessedFont(letters)
    text = shorten(text, font, _WIDEST * size[0] - 2 * _PAD)
    width = math.ceil(font.getlength(text)) + 2 * _PAD
    return Tag(0, 0, width, round(1.3 * letters), text, drawn.class_id)


def _best_place(
    tag: Tag, around: Pixels, size: tuple[int, int], taken: Sequence[Pixels]
) -> tuple[int, int] | None:
    """Return the first place at a frame that covers nothing, else the one that covers least."""
    left, top, right, bottom = around
    above, below = top - tag.height, bottom + 1
    from_right = right + 1 - tag.width
    places = [
        *((left, above), (left, top), (from_right, above), (left, below), (from_right, below)),
        *((from_right, top), (left, below - tag.height), (right + 1, top), (left - tag.width, top)),
    ]
    best, least = None, _COVERED * tag.width * tag.height
    for x, y in places:
        x = max(0, min(x, size[0] - tag.width))
        if not 0 <= y <= size[1] - tag.height:
            continue
        spot = (x, y, x + tag.width - 1, y + tag.height - 1)
        covered = sum(_shared(spot, other) for other in taken)
        if covered < least:
            best, least = (x, y), covered
        if not covered:
            break
    return best


def _pixels(tag: Tag) -> Pixels:
    return tag.left, tag.top, tag.left + tag.width - 1, tag.top + tag.height - 1


def _area(pixels: Pixels) -> int:
    return (pixels[2] - pixels[0] + 1) * (pixels[3] - pixels[1] + 1)


def _shared(one: Pixels, other: Pixels) -> int:
    """Return how many pixels two rectangles share."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    return width * height if width > 0 and height > 0 else 0


def _draw_tag(draw: ImageDraw.ImageDraw, tag: Tag, letters: int) -> None:
    color = class_color(tag.class_id)
    draw.rectangle(_pixels(tag), fill=color)
    font: Font = drawable(tag.text, letters)[1]
    draw.text(
        (tag.left + _PAD, tag.top + tag.height // 2),
        tag.text,
        fill=text_color(color),
        font=font,
        anchor="lm",
    )
