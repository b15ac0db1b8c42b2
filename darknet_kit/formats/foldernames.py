"""What the names of folders say of the files in them: their kind, their split, or their place.

Folders that only say what kind of file they hold do not count: `VOC2007/Annotations` is the place
`VOC2007`, and so is `VOC2007/JPEGImages`; `val_annotations` and `val_images` are both `val`.
"""

import functools
import re
from typing import Literal

from darknet_kit.core.records import Split
from darknet_kit.formats.tree import ANNOTATION_FOLDERS, IMAGE_FOLDERS

_KIND_FOLDERS = frozenset((*ANNOTATION_FOLDERS, *IMAGE_FOLDERS))
SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
_WORD_END = re.compile("[ _-]")
_YEAR = re.compile(r"\d{4}$")  # COCO's train2017

Place = tuple[str, ...]
"""The folders of a file that say more than its kind."""


@functools.lru_cache(maxsize=1 << 12)
def describe_folder(relative: str) -> tuple[str, Split | Literal[""]]:
    """Return the place of a folder, with `/`, and the split of its files where a name says it."""
    place = place_of(relative)
    return "/".join(place), _split_of(place)


def place_of(relative: str) -> Place:
    """Return the folders of a path that say more than what kind of file they hold."""
    parts = relative.split("/") if relative else []
    return tuple(filter(None, map(_meaning, parts)))


@functools.lru_cache(maxsize=1 << 12)
def _meaning(folder: str) -> str:
    """Return what a folder's name says but for kinds of files: nothing of `Annotations`, the split
    of `train_images`, and all of any other."""
    words = _WORD_END.split(folder.lower())
    more = [word for word in words if word not in _KIND_FOLDERS]
    if len(more) == 1 < len(words) and split_of_folder(more[0]):
        return more[0]
    return folder if more else ""


def split_of_folder(name: str) -> Split | Literal[""]:
    """Return the split that a folder's name stands for (`val`, `train2017`), if any."""
    return SPLIT_FOLDERS.get(_YEAR.sub("", name.lower()), "")


def _split_of(place: Place) -> Split | Literal[""]:
    return next(filter(None, map(split_of_folder, reversed(place))), "")
