"""What is wrong with the lines of an image list, whatever they name."""

import os
from codecs import BOM_UTF8
from collections.abc import Iterator

from darknet_kit.core.findings import Note, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.checks.images import Entry

_LONGEST = 4096  # bytes of a path, in Linux
_START_BYTES = 4 << 20


def is_there(path: str, kind: str, flavor: Flavor, note: Note) -> bool:
    """Tell whether a path is a file, and note where it is not."""
    if os.path.isfile(path):
        return True
    # A pipe would be waited for; a device may never end.
    there = os.path.lexists(path)
    message = f"this is no file, and a {kind} is needed" if there else f"there is no such {kind}"
    note(fault("cannot-read" if there else "missing-file", flavor, path, message))
    return False


def read_start(path: str, kind: str, flavor: Flavor, note: Note) -> bytes | None:
    """Return the first 4 MB of a small text file, None where it cannot be read."""
    if not is_there(path, kind, flavor, note):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read(_START_BYTES)
    except OSError as error:
        note(fault("cannot-read", flavor, path, error.strerror or str(error)))
        return None


def read_list(path: str, flavor: Flavor, note: Note) -> list[Entry]:
    """Return the entries of an image list without what surrounds their paths."""
    if not is_there(path, "image list", flavor, note):
        return []
    entries: list[Entry] = []
    crlf = False
    try:
        for number, raw in _iter_lines(path):
            for code, message in _check_line(number, raw):
                # Windows' line ends are a property of the file, not of each line.
                if code != "crlf" or not crlf:
                    note(fault(code, flavor, path, message, number))
                crlf = crlf or code == "crlf"
            entry = _entry(raw)
            if entry:
                entries.append((number, entry))
    except OSError as error:
        note(fault("cannot-read", flavor, path, error.strerror or str(error)))
    return entries


def _iter_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its end; of one too long for a path only the beginning."""
    with open(path, "rb") as stream:
        number = 0
        while raw := stream.readline(2 * _LONGEST):
            number += 1
            yield number, raw
            while not raw.endswith(b"\n") and raw:
                raw = stream.readline(2 * _LONGEST)


def _check_line(number: int, raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield code and message of what is wrong with a line."""
    if number == 1 and raw.startswith(BOM_UTF8):
        yield "byte-order-mark", "starts with a byte order mark: its first image is not found"
        raw = raw.removeprefix(BOM_UTF8)
    if raw.endswith(b"\r\n"):
        yield "crlf", "lines end with CR and LF"
    text = raw.rstrip(b"\r\n")
    if len(text) > _LONGEST or b"\0" in text:
        yield "bad-line", "holds a zero byte" if b"\0" in text else "is longer than a path can be"
    elif not text.strip():
        yield "blank-line", "is blank"
    elif text != text.strip():
        yield "blank-at-end", repr(os.fsdecode(text[:200]))


def _entry(raw: bytes) -> str:
    """Return the path that is meant by a line; empty where none can be."""
    text = raw.removeprefix(BOM_UTF8).strip()
    return "" if len(text) > _LONGEST or b"\0" in text else os.fsdecode(text)
