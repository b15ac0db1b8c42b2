"""The class list that came with a set of Pascal XML, whichever tool wrote it.

    classes.txt, predefined_classes.txt (labelImg), class_names.txt, *.names: a name a line
labelmap.txt: a line `label:color_rgb:parts:actions` a class (CVAT, Datumaro)
*.pbtxt: item { id: 1 name: 'dog' }, ids from 1 (VoTT)
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping

from darknet_kit.formats.datafile import one_line, parse_names, read_text

_LABELMAP = "labelmap.txt"
_TEXTS = frozenset(("classes.txt", "predefined_classes.txt", "class_names.txt", _LABELMAP))
_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_ID = re.compile(r"\bid\s*:\s*(\d+)")
_NAME = re.compile(r"\bname\s*:\s*(?:'([^'\n]*)'|\"([^\"\n]*)\")")
_DEEPEST = 2  # folders below the root; lists do not lie among the images of single classes


def pick_class_lists(files: Mapping[str, Iterable[str]]) -> list[str]:
    """Return which files of a folder may be class lists; the names of all are by their suffix."""
    texts = _TEXTS.intersection(files.get(".txt", ()))
    return sorted((*texts, *files.get(".names", ()), *files.get(".pbtxt", ())))


def find_class_list(
    root: str, names: Iterable[str], paths: Iterable[str] = ()
) -> tuple[list[str], str]:
    """Return the classes in the set's own documented order, else sorted, and a note or nothing.

    A list of classes, one of the `paths` below the root, is believed where it covers every class
    in use. VOC's own documented order is the alphabet, so sorting serves it too. Raises
    DatasetError.
    """
    used = set(names)
    note = ""
    near = [path for path in paths if path.count("/") <= _DEEPEST]
    for path in sorted(near, key=lambda path: (path.count("/"), os.path.split(path))):
        whole = os.path.join(root, path)
        listed = list(map(one_line, _parser_of(path)(read_text(whole, "a class list"))))
        missing = sorted(used - set(listed))
        if not missing and len(set(listed)) == len(listed):
            return [name for name in listed if name in used or not _is_filler(name)], ""
        if not note and "/" not in path:
            why = f"has no {missing[0]!r}" if missing else "names a class twice"
            note = f"{whole} is not the class list: it {why}; classes are in alphabetical order"
    return sorted(used), note


def _parser_of(path: str) -> Callable[[str], list[str]]:
    if path.endswith(".pbtxt"):
        return _parse_pbtxt
    return _parse_labelmap if os.path.basename(path) == _LABELMAP else parse_names


def _parse_labelmap(text: str) -> list[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line.split(":")[0] for line in lines if line and not line.startswith("#")]


def _parse_pbtxt(text: str) -> list[str]:
    found: list[tuple[int, str]] = []
    for item in _ITEM.finditer(text):
        number, name = _ID.search(item[1]), _NAME.search(item[1])
        if number and name:
            found.append((int(number[1]), name[1] or name[2] or ""))
    return [name for _, name in sorted(found)]


def _is_filler(name: str) -> bool:
    """Tell what tools put in front of the classes: __ignore__, _background_, background."""
    return name.startswith("_") or name == "background"
