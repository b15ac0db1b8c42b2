"""A sample of a data set as one static page: boxes over pictures, to be filtered and enlarged.

The page needs no network and no server. Few pictures are inside it; more lie in a folder beside
it. Whatever comes from the data set, names above all, is escaped.
"""

import base64
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from darknet_kit.core.wording import counted
from darknet_kit.report.drawing import Tag, frame, letter_size, place_tags
from darknet_kit.report.page import render_page
from darknet_kit.report.palette import class_color, text_color
from darknet_kit.report.rendered import Rendered
from darknet_kit.report.tiles import NO_IMAGE, Tile

_QUALITY = 82
_NO_BOX = "none"  # stands among the class_ids for images that show nothing


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice over all figures: value, words and number of figures of each."""

    name: str
    title: str
    choices: Sequence[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Outline:
    """A box on a picture, in its px; `color` is #rrggbb."""

    class_id: int
    left: int
    top: int
    right: int
    bottom: int
    color: str


@dataclass(frozen=True, slots=True)
class Name:
    """Words on a picture: where they stand, in px, and their colours."""

    tag: Tag
    color: str
    ink: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One image as the page shows it; `source` is empty where there is no picture.

    `share` is the width of the picture in per cent of its place, so that letters are equally large
    everywhere; `letters` is their height in px.
    """

    tile: Tile
    source: str
    split: str
    state: str
    classes: str
    codes: str
    size: tuple[int, int] = (0, 0)
    share: float = 0
    letters: int = 0
    outlines: Sequence[Outline] = ()
    names: Sequence[Name] = ()
    problems: Sequence[tuple[str, str]] = ()


def draw_gallery(tiles: Iterable[Tile], path: str, *, title: str, inside: bool) -> Rendered:
    """Return a page of tiles; with `inside` their pictures are part of it."""
    folder = f"{os.path.splitext(path)[0]}_files"  # browsers' own name for what belongs to a page
    files: dict[Path, bytes] = {}
    figures: list[Figure] = []
    facts = _Facts()
    for number, tile in enumerate(tiles):
        source = ""
        if tile.picture:
            content = _jpeg(tile.picture)
            if inside:
                source = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
            else:
                name = f"{number:04}.jpg"
                files[Path(folder, name)] = content
                source = f"{quote(os.path.basename(folder))}/{name}"
        facts.add(tile)
        figures.append(_make_figure(tile, source))
    page = render_page("gallery.html", title=title, filters=facts.filters(), figures=figures)
    return Rendered({**files, Path(path): page.encode("utf-8", "replace")}, facts.unreadable)


@dataclass(slots=True)
class _Facts:
    """On how many images each class, problem and split is, for the filters."""

    classes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=lambda: {_NO_BOX: "no object"})
    unreadable: int = 0

    def add(self, tile: Tile) -> None:
        self.names |= {str(one.class_id): one.caption for one in tile.boxes}
        self.classes.update(_classes(tile))
        self.problems.update(_codes(tile))
        self.splits[_split(tile)] += 1
        self.unreadable += tile.picture is None

    def filters(self) -> list[Filter]:
        """Return a choice for each thing of which there are several."""
        classes = sorted(self.classes, key=lambda one: (-self.classes[one], one))
        offered = [
            Filter("classes", "class", [(c, self.names[c], self.classes[c]) for c in classes]),
            Filter("problems", "problem", [(c, c, n) for c, n in self.problems.most_common()]),
        ]
        splits = Filter("splits", "split", [(s, s, n) for s, n in self.splits.most_common()])
        return [one for one in offered if one.choices] + [splits] * (len(splits.choices) > 1)


def _classes(tile: Tile) -> list[str]:
    if tile.drawn.labels == []:
        return [_NO_BOX]
    return [str(class_id) for class_id in sorted({one.class_id for one in tile.boxes})]


def _codes(tile: Tile) -> list[str]:
    codes = {problem.code for problem in tile.drawn.candidate.problems}
    if tile.drawn.lacks_label:
        codes.add("missing-label")
    if tile.picture is None:
        codes.add("unreadable-image")
    return sorted(codes)


def _split(tile: Tile) -> str:
    return tile.drawn.candidate.split or "unlisted"


def _make_figure(tile: Tile, source: str) -> Figure:
    told = (tile, source, _split(tile), _state(tile))
    words = (" ".join(_classes(tile)), " ".join(_codes(tile)))
    said = dict.fromkeys((one.code, one.message) for one in tile.drawn.candidate.problems)
    if tile.picture is None:
        return Figure(*told, *words, problems=tuple(said))
    size = tile.picture.size
    letters = letter_size(size)
    tags = place_tags(tile.boxes, size, letters, elsewhere=True)
    return Figure(
        *told,
        *words,
        size=size,
        share=100 * size[0] / max(size),
        letters=letters,
        outlines=[
            Outline(one.class_id, *frame(one.box, size), _hex(class_color(one.class_id)))
            for one in tile.boxes
        ],
        names=[_make_name(tag) for tag in reversed(tags)],
        problems=tuple(said),
    )


def _make_name(tag: Tag) -> Name:
    color = class_color(tag.class_id)
    return Name(tag, _hex(color), text_color(color))


def _state(tile: Tile) -> str:
    labels = tile.drawn.labels
    if tile.reason == NO_IMAGE:
        return ""
    if labels is None:
        return "no label file" if tile.drawn.lacks_label else "left out"
    return f"{_split(tile)}, {counted(len(labels), 'box')}"


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=_QUALITY)
    return stream.getvalue()
