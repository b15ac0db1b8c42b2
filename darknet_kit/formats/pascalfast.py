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


def _numbers(*tags: str) -> str:
    return "".join(_leaf(tag, r"(-?\d{1,8}+(?:\.\d{1,20}+)?)") for tag in tags)


_SOURCE = _any_of(*map(_leaf, ("database", "annotation", "image", "flickrid")))
_OWNER = _any_of(*map(_leaf, ("flickrid", "name")))
_SIZE = _leaf("width", r"(\d{1,8}+)") + _leaf("height", r"(\d{1,8}+)") + _leaf("depth")
_HEAD = re.compile(
    r"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?:utf|UTF)-8[\"'])?\?>\n?)?"
    rf"<annotation(?: verified=[\"'](?:yes|no)[\"'])?>{_S}"
    rf"(?:{_leaf('folder')})?<filename>({_TEXT})</filename>{_S}(?:{_leaf('path')})?"
    f"{_any_of(_block('source', _SOURCE), _block('owner', _OWNER))}"
    f"{_block('size', _SIZE)}(?:{_leaf('segmented')})?",
    re.ASCII,
)
_FLAGS = _any_of(
    *(_leaf(tag) for tag in ("pose", "occluded")),
    *(_leaf(tag, "[01]?") for tag in ("truncated", "difficult")),
)
_NAME = r"(?=[^<]{1,255}<)([!-%'-;=?-~]++(?: [!-%'-;=?-~]++)*+)"
_OBJECT = re.compile(
    rf"<object>{_S}<name>{_NAME}</name>{_S}({_FLAGS})"
    rf"(?:{_block('bndbox', _numbers('xmin', 'ymin', 'xmax', 'ymax'))}"
    rf"|{_block('bndbox', _numbers('xmin', 'xmax', 'ymin', 'ymax'))})({_FLAGS})</object>{_S}",
    re.ASCII,
)
# Groups of an object: name, flags, corners, flags; and the corners as Roboflow orders them.
_USUAL = (1, 2, 3, 4, 5, 6, 11)
_BY_AXIS = (7, 9, 8, 10)
_END = re.compile(rf"</annotation>{_S}\Z")


def parse_plain(content: bytes, convention: BoxConvention) -> Annotation | None:
    """Return what `formats/pascal.parse_pascal` would; None where it has to be asked."""
    matches = _match(content)
    if matches is None:
        return None
    head, *found = matches
    text = head.string
    objects = []
    for match in found:
        name, before, x1, y1, x2, y2, after = match.group(*_USUAL)
        if x1 is None:
            x1, y1, x2, y2 = match.group(*_BY_AXIS)
        xmin, ymin, xmax, ymax = float(x1), float(y1), float(x2), float(y2)
        if xmin == xmax or ymin == ymax:
            return None  # a problem, to be told in words
        box = box_from_pascal(xmin, ymin, xmax, ymax, convention)
        line = text.count("\n", 0, match.end(2)) + 1
        flags = before + after
        difficult, truncated = "<difficult>1" in flags, "<truncated>1" in flags
        objects.append(LabelledObject(name, box, line, difficult, truncated))
    filename, wide, high = head.groups()
    width, height = int(wide), int(high)
    if not (width and height):
        width = height = 0
    return Annotation(tuple(objects), width, height, filename.strip())


def find_plain_names(content: bytes) -> list[str] | None:
    """Return what `formats/pascal.find_names` would yield; None where it has to be asked."""
    matches = _match(content)
    return None if matches is None else [match[1] for match in matches[1:]]


def _match(content: bytes) -> list[re.Match[str]] | None:
    """Return the match of everything before the objects, and one an object."""
    if len(content) > _LONGEST or not content.isascii():
        return None
    text = content.decode("ascii")
    match = _HEAD.match(text)
    if match is None:
        return None
    matches = [match]
    while match := _OBJECT.match(text, matches[-1].end()):
        matches.append(match)
    return matches if _END.match(text, matches[-1].end()) else None
