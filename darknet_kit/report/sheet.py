"""A contact sheet: pictures in a grid, their captions below, and what each colour stands for."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from darknet_kit.core.wording import counted
from darknet_kit.report.drawing import draw_boxes, letter_size, word_class
from darknet_kit.report.lettering import direction_with, drawable, font_for, shorten
from darknet_kit.report.palette import class_color
from darknet_kit.report.rendered import Rendered
from darknet_kit.report.tiles import NO_IMAGE, Tile

_MARGIN = 8
_LETTERS = 12  # px, of captions
_LARGEST = 14  # px, of class names: who asks for large tiles wants to see what is on them
_ROW = 17  # px from one line of a caption to the next
_MOST_LINES = 4  # of a caption
_MOST_CLASSES = 60  # in the legend
_INK = "black"
_GROUND = "white"


def draw_sheet(tiles: Iterable[Tile], path: str, *, columns: int, tile_px: int) -> Rendered:
    """Return a PNG of tiles with their boxes, in rows of `columns`."""
    pictures, unreadable, shown = [], 0, dict[int, str]()
    for tile in tiles:
        unreadable += tile.picture is None
        shown |= {one.class_id: one.caption for one in tile.boxes}
        picture = tile.picture or draw_reason(tile.reason, tile_px)
        letters = min(letter_size(picture.size), _LARGEST)
        pictures.append((draw_boxes(picture, tile.boxes, letters), "\n".join(describe_tile(tile))))
    sheet = contact_sheet(pictures, columns=columns, size=tile_px)
    stream = io.BytesIO()
    _add_legend(sheet, sorted(shown.items())).save(stream, format="PNG")
    undrawn = [name for _, name in sorted(shown.items()) if font_for(name, _LETTERS) is None]
    return Rendered({Path(path): stream.getvalue()}, unreadable, undrawn)


def describe_tile(tile: Tile) -> list[str]:
    """Return the lines below an image: its name and boxes, then what is wrong with it."""
    labels, candidate = tile.drawn.labels, tile.drawn.candidate
    state = "left out" if labels is None else counted(len(labels), "box")
    if tile.picture is None and candidate.split:
        state = "CANNOT BE READ"
    elif tile.drawn.lacks_label:
        state = "NO LABEL FILE"
    said = dict.fromkeys(f"{one.code}: {one.message}" for one in candidate.problems)
    return [tile.name if tile.reason == NO_IMAGE else f"{tile.name}: {state}", *said]


def draw_reason(reason: str, size: int) -> Image.Image:
    """Return a grey tile that says why there is no picture."""
    tile = Image.new("RGB", (size, size * 3 // 4), "lightgray")
    lines = _wrap(reason, size - 2 * _MARGIN)
    _write(tile, lines, _MARGIN, (tile.height - _ROW * len(lines)) // 2, size - 2 * _MARGIN)
    return tile


def contact_sheet(
    tiles: Sequence[tuple[Image.Image, str]], *, columns: int, size: int
) -> Image.Image:
    """Lay out pictures with their captions in a grid; no picture is larger than `size` px."""
    wrapped = [
        (picture, [line for text in caption.split("\n") for line in _wrap(text, size)])
        for picture, caption in tiles
    ]
    rows = [wrapped[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(_height(*tile) for tile in row) for row in rows]
    width = columns * (size + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, sum(heights) + (len(rows) + 1) * _MARGIN), _GROUND)
    y = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, (picture, lines) in enumerate(row):
            x = _MARGIN + column * (size + _MARGIN)
            sheet.paste(picture, (x + (size - picture.width) // 2, y))
            _write(sheet, lines[:_MOST_LINES], x, y + picture.height + 1, size)
        y += height + _MARGIN
    return sheet


def _height(picture: Image.Image, lines: Sequence[str]) -> int:
    return picture.height + 2 + _ROW * min(len(lines), _MOST_LINES)


def _wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` px, broken between words where that can be."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        letters, font = drawable(longer, _LETTERS)
        if lines and font.getlength(letters) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]


def _write(picture: Image.Image, lines: Sequence[str], x: int, y: int, width: int) -> None:
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        text, font = drawable(line, _LETTERS)
        middle = y + number * _ROW + _ROW // 2
        cut = shorten(text, font, width)
        draw.text((x, middle), cut, _INK, font, anchor="lm", direction=direction_with(font))


def _add_legend(sheet: Image.Image, classes: Sequence[tuple[int, str]]) -> Image.Image:
    """Return the sheet with the colours of its classes below it."""
    places, rows = _lay_out(classes[:_MOST_CLASSES], sheet.width)
    if not places:
        return sheet
    surplus = len(classes) - len(places)
    height = sheet.height + (rows + (surplus > 0)) * _ROW + _MARGIN
    whole = Image.new("RGB", (sheet.width, height), _GROUND)
    whole.paste(sheet)
    draw = ImageDraw.Draw(whole)
    for (class_id, _), (x, row, name) in zip(classes, places, strict=False):
        y = sheet.height + row * _ROW
        draw.rectangle((x, y + 3, x + 10, y + 13), class_color(class_id))
        text, font = drawable(name, _LETTERS)
        draw.text((x + 15, y + _ROW // 2), text, _INK, font, anchor="lm")
    if surplus:
        more = f"and {counted(surplus, 'more class')}"
        _write(whole, [more], _MARGIN, sheet.height + rows * _ROW, sheet.width - 2 * _MARGIN)
    return whole


def _lay_out(
    classes: Sequence[tuple[int, str]], width: int
) -> tuple[list[tuple[int, int, str]], int]:
    """Return x, row and text of each entry of the legend, and how many rows they take."""
    places, x, row = [], _MARGIN, 0
    for class_id, name in classes:
        text, font = word_class(name, class_id, _LETTERS)
        text = shorten(text, font, width // 3)
        length = round(font.getlength(text)) + 15 + 2 * _MARGIN
        if x > _MARGIN and x + length > width:
            x, row = _MARGIN, row + 1
        places.append((x, row, text))
        x += length
    return places, row + 1
