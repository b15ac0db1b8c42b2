"""What is wrong with a `.data` file, line by line, and with where weights are to be saved."""

import os
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator

from darknet_kit.core.findings import Finding, Note, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.spelling import find_near
from darknet_kit.dataset.checks.lists import read_start

_PATHS = ("train", "valid", "names", "backup", "results", "difficult", "map", "labels")
_KEYS = (*_PATHS, "classes", "eval", "top", "tree", "leaves", "test", "saveweights", "savelast")
_LITERAL = ("'", '"', "#", "~", "$")  # what people mean to be something else than itself
_SPACE_BYTES = 2 << 30  # eight whole YOLOv4s
_DEFAULT_BACKUP = "/backup/"  # AlexeyAB src/detector.c


def check_data_text(path: str, flavor: Flavor, note: Note) -> None:
    """Look at the lines of a `.data` file."""
    content = read_start(path, "Darknet .data file", flavor, note)
    if content is None:
        return
    if content.startswith(BOM_UTF8):
        message = "starts with a byte order mark: its first key is not found"
        note(fault("byte-order-mark", flavor, path, message, 1))
    if b"\r\n" in content:
        note(fault("crlf", flavor, path, "lines end with CR and LF"))
    text = content.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape")
    first: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or line.lstrip()[:1] in ("#", ";"):
            continue
        for code, message in _check_line(key, value):
            note(fault(code, flavor, path, message, number))
        before = first.setdefault(key, number)
        if before != number:
            message = f"{key} is also in line {before}, which counts"
            note(fault("duplicate-key", flavor, path, message, number))


def _check_line(key: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield code and message of what is wrong with a line."""
    if key not in _KEYS:
        near = find_near(key, _KEYS)
        shown = key or "a line without a key"
        yield "unknown-key", f"{shown}: did you mean {near[0]}?" if near else shown
    if len(value.split()) > 1 or any(sign in value for sign in _LITERAL):
        yield "bad-value", f"{key} = {value}"
    elif key in _PATHS and value and not os.path.isabs(value):
        yield "relative-path", f"{key} = {value}"


def check_backup(backup: str | None, data: str, flavor: Flavor) -> Iterator[Finding]:
    """Look whether weights can be saved in the folder that `backup` names."""
    folder = backup or _DEFAULT_BACKUP
    named = folder if backup else f"{folder}, which engines take where no line `backup =` is"
    if not os.path.isdir(folder):
        yield fault("no-backup", flavor, data, f"there is no folder {named}")
    elif not os.access(folder, os.W_OK):
        yield fault("no-backup", flavor, data, f"you may not write into {named}")
    elif (free := shutil.disk_usage(folder).free) < _SPACE_BYTES:
        yield fault(
            "little-space", flavor, data, f"{free / (1 << 20):,.0f} MB are free in {folder}"
        )
