"""Images and their Pascal XML, wherever the two lie in a tree: matched by stem.

`<filename>` is not asked: in real sets it names other images. Folders that only say what kind of
file they hold do not count, so `VOC2007/Annotations/1.xml` belongs to `VOC2007/JPEGImages/1.jpg`
and `Annotations/CLS-LOC/train/n0/a.xml` to `Data/CLS-LOC/train/n0/a.JPEG`.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split
from darknet_kit.errors import AnyPath
from darknet_kit.formats.strangers import no_annotations
from darknet_kit.formats.tree import (
    ANNOTATION_FOLDERS,
    IMAGE_FOLDERS,
    Folder,
    stem_of,
    walk_tree,
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
    folders = _walk(top, progress)
    if not any(folder.annotations for folder in folders):
        raise no_annotations(top, wanted)
    return _match(folders)


def find_images(root: AnyPath, progress: Progress = no_progress) -> Pairs:
    """Walk a tree for its images alone: all of them are `unlabelled`. Raises DatasetError."""
    return _match([replace(folder, annotations=[]) for folder in _walk(root, progress)])


def _walk(root: AnyPath, progress: Progress) -> list[Folder]:
    folders: list[Folder] = []
    count = 0
    for folder in walk_tree(root):
        folders.append(folder)
        count += len(folder.images)
        progress(count, 0)
    return folders


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


class _Matching:
    """Images by their place and stem, and which of them have an annotation by now."""

    def __init__(self, pairs: Pairs, folders: list[Folder]) -> None:
        self._pairs = pairs
        self._folders = folders
        self._images: dict[Place, dict[str, tuple[Folder, str]]] = defaultdict(dict)
        self._places: dict[str, list[Place]] = defaultdict(list)
        self._taken: set[tuple[Place, str]] = set()
        self._annotated = {place_of(folder.relative) for folder in folders if folder.annotations}
        for folder in folders:
            place = place_of(folder.relative)
            if not (place and place[-1].startswith("Segmentation")):  # masks, under the same stems
                self._add_images(folder, place)

    def _add_images(self, folder: Folder, place: Place) -> None:
        for name in folder.images:
            stem = stem_of(name)
            other = self._images[place].setdefault(stem, (folder, name))
            if other == (folder, name):
                self._places[stem].append(place)
            else:
                message = f"shares its stem, and so its label, with {other[0].path}/{other[1]}"
                problem = Problem("same-stem", f"{folder.path}/{name}", message)
                self._pairs.problems.append(problem)

    def match(self) -> None:
        """Fill `items` and `unlabelled`: images in the right place first, then by stem alone."""
        astray: list[tuple[Folder, str]] = []
        for folder in self._folders:
            place = place_of(folder.relative)
            for name in folder.annotations:
                if stem_of(name) in self._images.get(place, ()):
                    self._take(place, folder, name)
                else:
                    astray.append((folder, name))
        for folder, name in astray:
            places = self._free_places(stem_of(name), place_of(folder.relative))
            if len(places) == 1:
                self._take(places[0], folder, name)
            else:
                self._pairs.problems.append(self._unmatched(folder, name, places))
        for place, images in self._images.items():
            for stem, (folder, name) in images.items():
                if (place, stem) not in self._taken:
                    self._pairs.unlabelled.append(item_of(folder, name, ""))

    def _free_places(self, stem: str, place: Place) -> list[Place]:
        """Return where an annotation from `place` may find its image by stem alone.

        Numbers for names come back in every set: a folder of annotations with images of its own,
        or of images with annotations of its own, is not matched across.
        """
        if place in self._images:
            return []
        return [other for other in self._places.get(stem, ()) if other not in self._annotated]

    def _take(self, place: Place, folder: Folder, name: str) -> None:
        stem, path = stem_of(name), f"{folder.path}/{name}"
        if (place, stem) in self._taken:
            message = "another annotation of the same image was taken already"
            self._pairs.problems.append(Problem("duplicate-image", path, message))
            return
        self._taken.add((place, stem))
        image_folder, image = self._images[place][stem]
        self._pairs.items.append(item_of(image_folder, image, path))

    def _unmatched(self, folder: Folder, name: str, places: list[Place]) -> Problem:
        stem, path = stem_of(name), f"{folder.path}/{name}"
        if not places:
            return Problem("missing-image", path, f"there is no image with the stem {stem!r}")
        first, second = (self._images[place][stem][0].relative or "." for place in places[:2])
        message = f"there are images with the stem {stem!r} in {first!r} and in {second!r}"
        return Problem("ambiguous-image", path, message)


def item_of(folder: Folder, name: str, annotation: str) -> Item:
    """Return the item of an image, named by its place, its split as its folders say."""
    place = place_of(folder.relative)
    return Item(
        image=f"{folder.path}/{name}",
        annotation=annotation,
        name="/".join((*place, stem_of(name))),
        split=_split_of(place),
    )


def place_of(relative: str) -> Place:
    """Return the folders of a path that say more than what kind of file they hold."""
    parts = relative.split("/") if relative else []
    return tuple(part for part in parts if part.lower() not in _KIND_FOLDERS)


def split_of_folder(name: str) -> Split | Literal[""]:
    """Return the split that a folder's name stands for (`val`, `train2017`), if any."""
    return SPLIT_FOLDERS.get(_YEAR.sub("", name.lower()), "")


def _split_of(place: Place) -> Split | Literal[""]:
    return next(filter(None, map(split_of_folder, reversed(place))), "")
