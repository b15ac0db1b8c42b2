"""Images and their Pascal XML, wherever the two lie in a tree: matched by stem.

`<filename>` is not asked: in real sets it names other images. Folders that only say what kind of
file they hold do not count, so `VOC2007/Annotations/1.xml` belongs to `VOC2007/JPEGImages/1.jpg`
and `Annotations/CLS-LOC/train/n0/a.xml` to `Data/CLS-LOC/train/n0/a.JPEG`.
"""

import functools
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split, stem_of
from darknet_kit.errors import AnyPath
from darknet_kit.formats.strangers import no_annotations
from darknet_kit.formats.tree import (
    ANNOTATION_FOLDERS,
    IMAGE_FOLDERS,
    Folder,
    list_tree,
)

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
_YEAR = re.compile(r"\d{4}$")  # COCO's train2017

Place = tuple[str, ...]
"""The folders of a file that say more than its kind."""


@dataclass(slots=True)
class Pairs:
    """What one walk over a tree found.

    `items` are sorted by path; those without an annotation are in `unlabelled`. `folders` are the
    paths below the root of all folders that can be read.
    """

    root: str
    items: list[Item] = field(default_factory=list)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def find_pairs(root: AnyPath, progress: Progress = no_progress, wanted: str = "voc") -> Pairs:
    """Walk a tree and match its images to its XML files. Raises DatasetError.

    `progress` is told how many images were found; errors speak of the format `wanted`.
    """
    top = os.path.abspath(root)
    if not os.path.isdir(top):
        raise no_annotations(top, wanted)
    folders = list_tree(top, progress)
    if not any(folder.annotations for folder in folders):
        raise no_annotations(top, wanted)
    return _match(folders)


def find_images(root: AnyPath, progress: Progress = no_progress) -> Pairs:
    """Walk a tree for its images alone: all of them are `unlabelled`. Raises DatasetError."""
    return _match([replace(folder, annotations=[]) for folder in list_tree(root, progress)])


def _match(folders: list[Folder]) -> Pairs:
    readable = [folder.relative for folder in folders if not folder.unreadable]
    pairs = Pairs(folders[0].path, folders=readable)
    pairs.problems.extend(unreadable(folders))
    _Matching(pairs, folders).match()
    pairs.items.sort(key=lambda item: item.image)
    pairs.unlabelled.sort(key=lambda item: item.image)
    return pairs


def unreadable(folders: Iterable[Folder]) -> list[Problem]:
    """Return a problem for each folder that could not be listed."""
    return [
        Problem("cannot-read", folder.path, f"cannot list this folder: {folder.unreadable}")
        for folder in folders
        if folder.unreadable
    ]


_Table = dict[str, Item]
"""The images of a place by their stems, with their annotations as far as they are found."""


class _Matching:
    """Annotations to images, place by place: a tree's stems are never held all at once."""

    def __init__(self, pairs: Pairs, folders: list[Folder]) -> None:
        self._pairs = pairs
        self._places: dict[Place, list[Folder]] = defaultdict(list)
        for folder in folders:
            if folder.images or folder.annotations:
                self._places[place_of(folder.relative)].append(folder)

    def match(self) -> None:
        """Fill `items` and `unlabelled`: images in the right place first, then by stem alone."""
        astray: list[tuple[Folder, str]] = []
        free: dict[Place, _Table] = {}
        for place, folders in self._places.items():
            # Masks lie under the same stems.
            masks = bool(place) and place[-1].startswith("Segmentation")
            table = {} if masks else self._tabulate(folders)
            for folder in folders:
                astray.extend((folder, name) for name in self._match_folder(folder, table))
            if any(folder.annotations for folder in folders):
                self._file(table)
            else:
                free[place] = table
        self._match_astray(astray, free)
        for table in free.values():
            self._file(table)

    def _tabulate(self, folders: list[Folder]) -> _Table:
        table: _Table = {}
        for folder in folders:
            place, split = _describe(folder.relative)
            for name in folder.images:
                item = Item(folder.path, name, place, split=split)
                other = table.setdefault(stem_of(name), item)
                if other is not item:
                    message = f"shares its stem, and so its label, with {other.image}"
                    self._pairs.problems.append(Problem("same-stem", item.image, message))
        return table

    def _match_folder(self, folder: Folder, table: _Table) -> Iterator[str]:
        """Match one folder's annotations to the images of its place; yield those of no image.

        Numbers for names come back in every set: from a place with images of its own no
        annotation is matched to another one's.
        """
        for name in folder.annotations:
            if stem_of(name) in table:
                self._take(table, folder, name)
            elif table:
                self._pairs.problems.append(_missing(folder, name))
            else:
                yield name

    def _match_astray(self, astray: list[tuple[Folder, str]], free: dict[Place, _Table]) -> None:
        """Match by stem alone, among the places that have no annotations of their own."""
        tables: dict[str, list[_Table]] = defaultdict(list)
        for table in free.values() if astray else ():
            for stem in table:
                tables[stem].append(table)
        for folder, name in astray:
            fitting = tables.get(stem_of(name), [])
            if len(fitting) == 1:
                self._take(fitting[0], folder, name)
            elif fitting:
                self._pairs.problems.append(self._ambiguous(folder, name, fitting))
            else:
                self._pairs.problems.append(_missing(folder, name))

    def _take(self, table: _Table, folder: Folder, name: str) -> None:
        stem = stem_of(name)
        item = table[stem]
        if item.notes:
            message = "another annotation of the same image was taken already"
            path = f"{folder.path}/{name}"
            self._pairs.problems.append(Problem("duplicate-image", path, message))
        else:
            suffix = sys.intern(name[len(stem) :])
            table[stem] = Item(item.folder, item.file, item.place, folder.path, suffix, item.split)

    def _file(self, table: _Table) -> None:
        for item in table.values():
            (self._pairs.items if item.notes else self._pairs.unlabelled).append(item)

    def _ambiguous(self, folder: Folder, name: str, tables: list[_Table]) -> Problem:
        stem = stem_of(name)
        first, second = (
            os.path.relpath(table[stem].folder, self._pairs.root) for table in tables[:2]
        )
        message = f"there are images with the stem {stem!r} in {first!r} and in {second!r}"
        return Problem("ambiguous-image", f"{folder.path}/{name}", message)


def _missing(folder: Folder, name: str) -> Problem:
    message = f"there is no image with the stem {stem_of(name)!r}"
    return Problem("missing-image", f"{folder.path}/{name}", message)


def item_of(folder: Folder, name: str) -> Item:
    """Return the item of an image as yet without annotation, its split as its folders say."""
    place, split = _describe(folder.relative)
    return Item(folder.path, name, place, split=split)


@functools.lru_cache(maxsize=1 << 12)
def _describe(relative: str) -> tuple[str, Split | Literal[""]]:
    place = place_of(relative)
    return "/".join(place), _split_of(place)


def place_of(relative: str) -> Place:
    """Return the folders of a path that say more than what kind of file they hold."""
    parts = relative.split("/") if relative else []
    return tuple(part for part in parts if part.lower() not in _KIND_FOLDERS)


def split_of_folder(name: str) -> Split | Literal[""]:
    """Return the split that a folder's name stands for (`val`, `train2017`), if any."""
    return SPLIT_FOLDERS.get(_YEAR.sub("", name.lower()), "")


def _split_of(place: Place) -> Split | Literal[""]:
    return next(filter(None, map(split_of_folder, reversed(place))), "")
