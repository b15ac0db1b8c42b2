"""The class list that came with a set of Pascal XML, whichever tool wrote it.

    classes.txt, predefined_classes.txt (labelImg), class_names.txt, *.names: a name a line
labelmap.txt: a line `label:color_rgb:parts:actions` a class (CVAT, Datumaro)
*.pbtxt: item { id: 1 name: 'dog' }, ids from 1 (VoTT)
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator

from darknet_kit.formats.datafile import one_line, parse_names, read_text

_PLAIN = ("classes.txt", "predefined_classes.txt", "class_names.txt", "obj.names")
_LABELMAP = "labelmap.txt"
_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_ID = re.compile(r"\bid\s*:\s*(\d+)")
_NAME = re.compile(r"\bname\s*:\s*(?:'([^'\n]*)'|\"([^\"\n]*)\")")
_DEEPEST = 2  # folders below the root; lists do not lie among the images of single classes


def find_class_list(
    root: str, names: Iterable[str], folders: Iterable[str] = ("",)
) -> tuple[list[str], str]:
    """Return the classes in the set's own documented order, else sorted, and a note or nothing.

    A list of classes in one of the `folders` below the root is believed where it covers every
    class in use. VOC's own documented order is the alphabet, so sorting serves it too. Raises
    DatasetError.
    """
    used = set(names)
    note = ""
    for path in _candidates(root, folders):
        listed = list(map(one_line, _parser_of(path)(read_text(path, "a class list"))))
        missing = sorted(used - set(listed))
        if not missing and len(set(listed)) == len(listed):
            return [name for name in listed if name in used or not _is_filler(name)], ""
        if not note and os.path.dirname(path) == root.rstrip("/"):
            why = f"has no {missing[0]!r}" if missing else "names a class twice"
            note = f"{path} is not the class list: it {why}; classes are in alphabetical order"
    return sorted(used), note


def _candidates(root: str, folders: Iterable[str]) -> Iterator[str]:
    """Yield the files that may be class lists, those nearest to the root first."""
    near = [folder for folder in folders if folder.count("/") < _DEEPEST]
    for folder in sorted(near, key=lambda folder: (bool(folder), folder.count("/"), folder)):
        place = os.path.join(root, folder)
        for name in sorted(os.listdir(place)):
            known = name in (*_PLAIN, _LABELMAP) or name.endswith((".names", ".pbtxt"))
            if known and os.path.isfile(os.path.join(place, name)):
                yield os.path.join(place, name)


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
