"""What is wrong with a `.names` file: what engines make of its lines, and their order."""

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence

from darknet_kit.core.findings import Finding, Note, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.checks.lists import read_start
from darknet_kit.formats.datafile import one_line, parse_names
from darknet_kit.formats.record import RECORD, read_record

# `valid` names a file after the class; `test -out` writes names into JSON as they stand; a name
# that begins with dont_show is not drawn (AlexeyAB src/detector.c, src/image.c).
_ODD = re.compile(r"""[/"\\\x00-\x1f\x7f]|^dont_show|^[#;]|^\s|\s$""")
_LISTED_BY_OTHERS = "classes.txt"  # labelImg writes one beside the labels, in its own order


def check_names(path: str, flavor: Flavor, note: Note) -> list[str] | None:
    """Look at a `.names` file; return its names, None where they are not known."""
    content = read_start(path, "class list", flavor, note)
    if content is None:
        return None
    if content.startswith(BOM_UTF8):
        message = "starts with a byte order mark: part of the first name"
        note(fault("byte-order-mark", flavor, path, message, 1))
        content = content.removeprefix(BOM_UTF8)
    if b"\r\n" in content:
        note(fault("crlf", flavor, path, "lines end with CR and LF"))
    text = content.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
    for finding in _check_lines(text.removesuffix("\n").split("\n"), path, flavor):
        note(finding)
    return parse_names(text) or None


def _check_lines(lines: Sequence[str], path: str, flavor: Flavor) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, name in enumerate(lines, start=1):
        if not name.strip():
            message = f"class {number - 1} has no name"
            yield fault("blank-class", flavor, path, message, number)
            continue
        if _ODD.search(name):
            yield fault("odd-name", flavor, path, repr(name), number)
        before = first.setdefault(one_line(name), number)
        if before != number:
            message = f"{one_line(name)!r} is also class {before - 1}"
            yield fault("duplicate-class", flavor, path, message, number)


def check_order(
    path: str, names: Sequence[str], folders: Sequence[str], flavor: Flavor
) -> Iterator[Finding]:
    """Compare the order of names with what the labels were numbered by.

    That is said by dkit's own record beside the class list, and by labelImg's list in the
    `folders` of the labels. Names that are others are taken for renamed.
    """
    record = read_record(os.path.join(os.path.dirname(path), RECORD))
    listed = record["settings"].get("classes") if record else None
    recorded = [one_line(str(name)) for name in listed] if isinstance(listed, list) else []
    sources = [(RECORD, recorded)]
    for folder in folders:
        beside = os.path.join(folder, _LISTED_BY_OTHERS)
        if os.path.isfile(beside) and not os.path.samefile(beside, path):
            start = read_start(beside, "class list", flavor, lambda _: None) or b""
            sources.append((beside, parse_names(start.decode("utf-8", "replace"))))
    for source, others in sources:
        if sorted(others) == sorted(names) and others != list(names):
            number = next(
                i for i, pair in enumerate(zip(names, others, strict=True)) if len({*pair}) > 1
            )
            message = f"class {number} is {names[number]!r}, and {others[number]!r} in {source}"
            yield fault("other-order", flavor, path, message, number + 1)
