"""Pascal XML that is plain, read by two regular expressions: much faster than any parser.

Plain is what most tools write: ASCII, the usual elements in their usual order, no comment and no
entity, every object with a name and four numbers. Anything else is for `formats/pascal`, which
says what an annotation means; tests hold both to the same answer.
"""

import re

from darknet_kit.core.boxes import BoxConvention, box_from_pascal
from darknet_kit.core.records import Annotation, LabelledObject

_LONGEST = 1 << 16  # bytes; libxml2 counts no more lines than that
_S = r"[ \t\n]*+"
_TEXT = r"[ !-%'-;=?-~]*+"  # no & < >


def _leaf(tag: str, text: str = _TEXT) -> str:
    return f"<{tag}>{text}</{tag}>{_S}"


def _block(tag: str, content: str) -> str:
    return f"<{tag}>{_S}{content}</{tag}>{_S}"


def _any_of(*elements: str) -> str:
    return f"(?:{'|'.join(elements)})*+"


def _number(tag: str) -> str:
    # No -0, which an integer could not hold.
    return _leaf(tag, r"((?:-(?!0))?\d{1,8}+(?:\.\d{1,20}+)?)")


_SOURCE = _any_of(*map(_leaf, ("database", "annotation", "image", "flickrid")))
_OWNER = _any_of(*map(_leaf, ("flickrid", "name")))
_SIZE = _leaf("width", r"(\d{1,8}+)") + _leaf("height", r"(\d{1,8}+)") + _leaf("depth")
_END = rf"(?P<end></annotation>{_S}\Z)?"
_HEAD = re.compile(
    r"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?:utf|UTF)-8[\"'])?\?>\n?)?"
    rf"<annotation(?: verified=[\"'](?:yes|no)[\"'])?>{_S}"
    rf"(?:{_leaf('folder')})?<filename>({_TEXT})</filename>{_S}(?:{_leaf('path')})?"
    f"{_any_of(_block('source', _SOURCE), _block('owner', _OWNER))}"
    f"{_block('size', _SIZE)}(?:{_leaf('segmented')})?{_END}",
    re.ASCII,
)
_FLAGS = _any_of(
    *(_leaf(tag) for tag in ("pose", "occluded")),
    *(_leaf(tag, "[01]?") for tag in ("truncated", "difficult")),
)
_NAME = r"(?=[^<]{1,255}<)([!-%'-;=?-~]++(?: [!-%'-;=?-~]++)*+)"
# Roboflow has both x before both y: the group of the first xmax is empty where it comes later.
_CORNERS = (
    _number("xmin")
    + f"(?:{_number('xmax')})?+"
    + _number("ymin")
    + f"(?(4)|{_number('xmax')})"
    + _number("ymax")
)
_OBJECT = re.compile(
    rf"<object>{_S}<name>{_NAME}</name>{_S}({_FLAGS}){_block('bndbox', _CORNERS)}({_FLAGS})"
    rf"</object>{_S}{_END}",
    re.ASCII,
)


def parse_plain(content: bytes, convention: BoxConvention) -> Annotation | None:
    """Return what `formats/pascal.parse_pascal` would; None where it has to be asked."""
    text = _plain_text(content)
    match = _HEAD.match(text)
    if match is None:
        return None
    filename, wide, high, end = match.groups()
    # Most boxes are of whole pixels, which are read, and computed with, in half the time.
    number = int if text.find(".", match.end()) < 0 else float
    objects = []
    line, at = 1, 0
    while end is None:
        match = _OBJECT.match(text, match.end())
        if match is None:
            return None
        name, before, x1, early_x2, y1, x2, y2, after, end = match.groups()
        xmin, ymin, xmax, ymax = number(x1), number(y1), number(x2 or early_x2), number(y2)
        if xmin == xmax or ymin == ymax:
            return None  # a problem, to be told in words
        box = box_from_pascal(xmin, ymin, xmax, ymax, convention)
        line, at = line + text.count("\n", at, match.end(2)), match.end(2)
        flags = before + after
        difficult, truncated = "<difficult>1" in flags, "<truncated>1" in flags
        objects.append(LabelledObject(name, box, line, difficult, truncated))
    width, height = int(wide), int(high)
    if not (width and height):
        width = height = 0
    return Annotation(tuple(objects), width, height, filename.strip())


def find_plain_names(content: bytes) -> list[str] | None:
    """Return what `formats/pascal.find_names` would yield; None where it has to be asked."""
    names = []
    match = _HEAD.match(_plain_text(content))
    while match and match["end"] is None:
        if match := _OBJECT.match(match.string, match.end()):
            names.append(match[1])
    return names if match else None


def _plain_text(content: bytes) -> str:
    """Return the text of a file, or an empty one where it has to be parsed."""
    if len(content) > _LONGEST or not content.isascii():
        return ""
    return content.decode("ascii")
