"""A sample of a data set as one static page: boxes over pictures, to be filtered and enlarged.

The page needs no network and no server. Few pictures are inside it; more lie in a folder beside
it. Whatever comes from the data set, names above all, is escaped.
"""

import base64
import html
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from darknet_kit.report.drawing import Tag, frame, letter_size, place_tags
from darknet_kit.report.lettering import escape_controls
from darknet_kit.report.palette import class_color, text_color
from darknet_kit.report.rendered import Rendered
from darknet_kit.report.tiles import NO_IMAGE, Tile

_TEMPLATE = Path(__file__).with_name("gallery.html")
_QUALITY = 82
_NO_BOX = "none"  # stands among the class_ids for images that show nothing


def draw_gallery(tiles: Iterable[Tile], path: str, *, title: str, inside: bool) -> Rendered:
    """Return a page of tiles; with `inside` their pictures are part of it."""
    folder = f"{os.path.splitext(path)[0]}_files"  # browsers' own name for what belongs to a page
    files: dict[Path, bytes] = {}
    figures: list[str] = []
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
        figures.append(_figure(tile, source))
    parts = {
        "title": _escaped(title),
        "count": f"{len(figures):,}",
        "filters": facts.filters(),
        "tiles": "\n".join(figures),
    }
    # Split first: what a part holds is text and never another place to fill in.
    pieces = _TEMPLATE.read_text(encoding="utf-8").replace("{{", "}}").split("}}")
    page = "".join(parts[piece] if odd % 2 else piece for odd, piece in enumerate(pieces))
    return Rendered({**files, Path(path): page.encode()}, facts.unreadable)


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

    def filters(self) -> str:
        """Return a `select` for each thing of which there are several."""
        classes = sorted(self.classes, key=lambda one: (-self.classes[one], one))
        return "\n".join(
            [
                *_select(
                    "classes", "class", [(c, self.names[c], self.classes[c]) for c in classes]
                ),
                *_select(
                    "problems", "problem", [(c, c, n) for c, n in self.problems.most_common()]
                ),
                *_select("splits", "split", [(s, s, n) for s, n in self.splits.most_common()], 2),
            ]
        )


def _select(
    name: str, title: str, choices: Sequence[tuple[str, str, int]], least: int = 1
) -> list[str]:
    if len(choices) < least:
        return []
    options = "".join(
        f'<option value="{_escaped(value)}">{_escaped(text)} ({count:,})</option>'
        for value, text, count in choices
    )
    return [
        f'<label>{title} <select name="{name}" autocomplete="off"><option value="">all</option>'
        f"{options}</select></label>"
    ]


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


def _figure(tile: Tile, source: str) -> str:
    """Return one image with its boxes and words."""
    data = (
        f'data-classes=" {" ".join(_classes(tile))} " data-splits=" {_split(tile)} "'
        f' data-problems=" {_escaped(" ".join(_codes(tile)))} "'
    )
    name = _escaped(tile.name)
    if tile.picture is None:
        picture = f'<div class="picture reason" tabindex="0">{_escaped(tile.reason)}</div>'
    else:
        width, height = tile.picture.size
        share = 100 * width / max(width, height)  # so that letters are equally large everywhere
        picture = (
            f'<button class="picture" type="button" style="width:{share:g}%"'
            f' title="{_escaped(tile.drawn.candidate.image)}">'
            f'<img src="{source}" width="{width}" height="{height}" alt="{name}" loading="lazy"'
            f' decoding="async">{_overlay(tile, (width, height))}</button>'
        )
    said = dict.fromkeys((one.code, one.message) for one in tile.drawn.candidate.problems)
    items = "".join(f"<li><b>{_escaped(code)}</b>: {_escaped(text)}</li>" for code, text in said)
    return (
        f"<figure {data}>{picture}<figcaption>{name} "
        f'<span class="facts">{_state(tile)}</span>{f"<ul>{items}</ul>" if items else ""}'
        "</figcaption></figure>"
    )


def _state(tile: Tile) -> str:
    labels = tile.drawn.labels
    if tile.reason == NO_IMAGE:
        return ""
    if labels is None:
        return "no label file" if tile.drawn.lacks_label else "left out"
    return f"{_split(tile)}, {len(labels)} {'box' if len(labels) == 1 else 'boxes'}"


def _overlay(tile: Tile, size: tuple[int, int]) -> str:
    """Return the boxes as SVG in the pixels of the picture."""
    frames = [(one.class_id, *frame(one.box, size)) for one in tile.boxes]
    if not frames:
        return ""
    shade = "".join(f"M{x} {y}H{r + 1}V{b + 1}H{x}z" for _, x, y, r, b in frames)
    boxes = "".join(
        f'<rect class="box c{class_id}" x="{x}" y="{y}" width="{r - x + 1}" height="{b - y + 1}"'
        f' stroke="{_hex(class_color(class_id))}"/>'
        for class_id, x, y, r, b in frames
    )
    names = "".join(_name(tag, letter_size(size)) for tag in reversed(place_tags(tile.boxes, size)))
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" aria-hidden="true">'
        f'<path d="{shade}"/>{boxes}{names}</svg>'
    )


def _name(tag: Tag, letters: int) -> str:
    color = class_color(tag.class_id)
    return (
        f'<g class="c{tag.class_id}" transform="translate({tag.left} {tag.top})"><g class="name">'
        f'<rect width="{tag.width}" height="{tag.height}" fill="{_hex(color)}"/>'
        f'<text x="2" y="{tag.height * 0.76:.1f}" font-size="{letters}" fill="{text_color(color)}"'
        f' textLength="{max(1, tag.width - 4)}" lengthAdjust="spacingAndGlyphs">'
        f"{_escaped(tag.text)}</text></g></g>"
    )


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=_QUALITY)
    return stream.getvalue()


def _escaped(text: str) -> str:
    """Return a text as HTML shows it, between tags or in quotes."""
    return html.escape(escape_controls(text))
