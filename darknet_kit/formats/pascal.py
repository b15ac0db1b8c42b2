"""Pascal XML, one file an image: PASCAL VOC, ILSVRC, labelImg, CVAT, VoTT, Roboflow.

Elements are taken where they belong and in any order: a `<name>` inside `<owner>` or `<part>` is
no object. Untrusted: entities are not expanded, no file or network is touched. lxml is imported for
the first file that needs it.
"""

import functools
import os
import re
from typing import TYPE_CHECKING, Any

from darknet_kit.core.boxes import BoxConvention, box_from_pascal
from darknet_kit.core.contents import iter_contents
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import class_name
from darknet_kit.formats.pascalfast import find_plain_names, parse_plain

if TYPE_CHECKING:
    from lxml import etree

_TRUE = frozenset(("1", "true", "yes"))
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b[^>]{0,200}\?>")


def parse_pascal(content: bytes, path: str, convention: BoxConvention) -> Annotation:
    """Return the objects of one annotation, boxes as edges in pixels.

    An object that cannot be used becomes a problem of the result; the others stay. Raises
    DatasetError (`bad-xml`, `not-pascal`) where the whole file is of no use.
    """
    return parse_plain(content, convention) or parse_any(content, path, convention)


def parse_any(content: bytes, path: str, convention: BoxConvention) -> Annotation:
    """Do what `parse_pascal` does, by a parser of XML."""
    root = _parse_xml(content, path)
    if root.tag != "annotation":
        raise DatasetError(
            f"the root element is <{root.tag}>, not <annotation>",
            code="not-pascal",
            hint="Only Pascal VOC style XML can be converted.",
            path=path,
        )
    objects: list[LabelledObject] = []
    problems: list[Problem] = []
    width = height = 0
    filename = ""
    for child in root:
        tag = child.tag
        if tag == "object":
            parsed = _parse_object(child, path, convention)
            if isinstance(parsed, Problem):
                problems.append(parsed)
            else:
                objects.append(parsed)
        elif tag == "size":
            width, height = _parse_size(child)
        elif tag == "filename":
            filename = (child.text or "").strip()
    return Annotation(tuple(objects), width, height, filename, tuple(problems))


def read_pascal(path: AnyPath, convention: BoxConvention = BoxConvention.INCLUSIVE) -> Annotation:
    """Read one annotation file. Raises DatasetError as `parse_pascal`, or `cannot-read`."""
    (content,) = iter_contents([os.fspath(path)])
    return parse_content(content, os.fspath(path), convention)


def parse_content(content: bytes | OSError, path: str, convention: BoxConvention) -> Annotation:
    """Parse what `iter_contents` yields. Raises DatasetError as `read_pascal`."""
    if isinstance(content, OSError):
        raise DatasetError(
            f"cannot read: {content.strerror}",
            code="cannot-read",
            hint="Check that the file may be read.",
            path=path,
        ) from content
    return parse_pascal(content, path, convention)


def find_names(content: bytes, path: str) -> list[str]:
    """Return the class name of each object, for sets that come without a class list.

    Raises DatasetError as `parse_pascal`.
    """
    plain = find_plain_names(content)
    if plain is not None:
        return plain
    objects = _parse_xml(content, path).iterchildren("object")
    return list(filter(None, (class_name(one.findtext("name") or "") for one in objects)))


@functools.cache
def _parser() -> "etree.XMLParser":
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _parse_xml(content: bytes, path: str) -> "etree._Element":
    from lxml import etree

    try:
        return etree.fromstring(content, _parser())
    except etree.XMLSyntaxError as error:
        mended = _parse_in_spite(content)
        if mended is not None:
            return mended
        # lxml ends its own message with the place, which ours begins with.
        reason = (error.msg or "empty file").split("\n")[0].rpartition(", line ")
        raise DatasetError(
            f"not well-formed XML: {reason[0] or reason[2]}",
            code="bad-xml",
            hint="Restore the file from its source, or annotate the image again.",
            path=path,
            line=error.lineno or 1,
        ) from error


def _parse_in_spite(content: bytes) -> "etree._Element | None":
    """Parse what only its declaration, or a letter of no use here, spoils; None where more does.

    Tools declare UTF-16 and write UTF-8 (.NET), name encodings as Python does, or write a path in
    another one. Such letters may stand anywhere but in the name of a class.
    """
    from lxml import etree

    match = _DECLARATION.match(content)
    declaration = match[0] if match else b""
    encoding = "latin-1" if b"latin" in declaration.lower() else "utf-8"
    text = content.removeprefix(declaration).decode(encoding, "replace")
    try:
        root = etree.fromstring("\n" * declaration.count(b"\n") + text, _parser())
    except (etree.XMLSyntaxError, ValueError):
        return None
    names = (name.text or "" for name in root.iterfind("object/name"))
    return None if any("\ufffd" in name for name in names) else root


def _parse_object(
    element: "etree._Element", path: str, convention: BoxConvention
) -> LabelledObject | Problem:
    name, corners, flags = "", None, set[str]()
    for child in element:
        tag = child.tag
        if tag == "name":
            name = class_name(child.text or "")
        elif tag == "bndbox" and corners is None:
            corners = child
        elif tag in ("difficult", "truncated") and (child.text or "").strip().lower() in _TRUE:
            flags.add(tag)
    line = _line_of(element)
    if not name:
        return Problem("no-name", path, "object without a <name>, or of one too long", line)
    if corners is None:
        return Problem("no-box", path, f"{name} has no <bndbox>", line)
    numbers = [_number(corners.findtext(tag)) for tag in _CORNERS]
    bad = [tag for tag, value in zip(_CORNERS, numbers, strict=True) if value is None]
    if bad:
        text = corners.findtext(bad[0])
        shown = f"<{bad[0]}> is missing" if text is None else f"<{bad[0]}> is {text.strip()!r:.40}"
        return Problem("bad-coordinate", path, f"{name}: {shown}", _line_of(corners))
    xmin, ymin, xmax, ymax = (value or 0.0 for value in numbers)
    if xmin == xmax or ymin == ymax:
        # One pixel wide where ends are inclusive, and yet always a slip of the hand.
        message = f"{name}: {xmin:g},{ymin:g} to {xmax:g},{ymax:g} has no area"
        return Problem("empty-box", path, message, _line_of(corners))
    return LabelledObject(
        name=name,
        box=box_from_pascal(xmin, ymin, xmax, ymax, convention),
        line=_line_of(corners),
        difficult="difficult" in flags,
        truncated="truncated" in flags,
    )


def _line_of(element: "etree._Element") -> int:
    line: Any = element.sourceline  # its stub does not say what it is
    return int(line or 0)


def _number(text: str | None) -> float | None:
    """Return the number, or None for what is none (absent, empty, words, NaN, infinity)."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    if text and "_" in text:  # Python's own way to write 1000
        return None
    return value if -1e9 < value < 1e9 else None


def _parse_size(element: "etree._Element") -> tuple[int, int]:
    width, height = _number(element.findtext("width")), _number(element.findtext("height"))
    if width is None or height is None or width < 1 or height < 1:
        return 0, 0
    return int(width), int(height)
