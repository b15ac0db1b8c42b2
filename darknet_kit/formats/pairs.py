"""Images and their Pascal XML, wherever the two lie in a tree: matched by stem.

`<filename>` is not asked: in real sets it names other images. Folders that only say what kind of
file they hold do not count, so `VOC2007/Annotations/1.xml` belongs to `VOC2007/JPEGImages/1.jpg`,
`val_annotations/1.xml` to `val_images/1.jpg`, and `Annotations/CLS-LOC/train/n0/a.xml` to
`Data/CLS-LOC/train/n0/a.JPEG`.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

import msgspec

from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, stems_of
from darknet_kit.errors import AnyPath
from darknet_kit.formats.foldernames import Place, describe_folder, place_of
from darknet_kit.formats.strangers import no_annotations
from darknet_kit.formats.tree import Folder, list_tree, names_alike, spell_alike


@dataclass(slots=True)
class Pairs:
    """What one walk over a tree found.

    `items` are sorted by path; those without an annotation are in `unlabelled`. `folders` are the
    paths below the root of all folders that can be read, `class_lists` those of files that may be
    lists of classes.
    """

    root: str
    items: list[Item] = field(default_factory=list)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    class_lists: list[str] = field(default_factory=list)


def find_pairs(
    root: AnyPath,
    progress: Progress = no_progress,
    wanted: str = "voc",
    images: AnyPath | None = None,
    below: str = "",
) -> Pairs:
    """Walk a tree and match its images to its XML files. Raises DatasetError.

    `images` is where to look for the images instead, as if that folder were `below` the root.
    `progress` is told how many were found; errors speak of the format `wanted`.
    """
    top = os.path.abspath(root)
    if not os.path.isdir(top):
        raise no_annotations(top, wanted)
    folders = list_tree(top, progress)
    if not any(folder.annotations for folder in folders):
        raise no_annotations(top, wanted)
    return _match(folders, list_images(images, progress, below) if images else None)


def find_images(root: AnyPath, progress: Progress = no_progress) -> Pairs:
    """Walk a tree for its images alone: all of them are `unlabelled`. Raises DatasetError."""
    return _match(list_images(root, progress))


def list_images(root: AnyPath, progress: Progress, below: str = "") -> list[Folder]:
    """Return all folders as `list_tree` does, with the images alone, and as if the root were
    `below` another one. Raises DatasetError."""
    return [
        replace(folder, annotations=[], relative=f"{below}/{folder.relative}".strip("/"))
        for folder in list_tree(root, progress)
    ]


def _match(folders: list[Folder], images: Sequence[Folder] | None = None) -> Pairs:
    """Match what lies in folders; `images` are other folders for the images, instead."""
    readable = [folder.relative for folder in folders if not folder.unreadable]
    lists = [
        f"{folder.relative}/{name}".lstrip("/") for folder in folders for name in folder.class_lists
    ]
    pairs = Pairs(folders[0].path, folders=readable, class_lists=lists)
    if images is not None:
        folders = [*(replace(folder, images=[]) for folder in folders), *images]
    pairs.problems.extend(unreadable(folders))
    _Matching(pairs, folders).match()
    for found in (pairs.items, pairs.unlabelled):
        found.sort(key=attrgetter("image"))
    return pairs


def unreadable(folders: Iterable[Folder]) -> list[Problem]:
    """Return a problem for each folder that could not be listed."""
    return [
        Problem("cannot-read", folder.path, f"cannot list this folder: {folder.unreadable}")
        for folder in folders
        if folder.unreadable
    ]


_Note = tuple[str, str]
"""Where an annotation lies: its folder and its suffix, as an Item has them."""
_NOWHERE: _Note = ("", "")
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
        astray: list[tuple[str, _Note]] = []
        free: dict[Place, _Table] = {}
        for place, folders in self._places.items():
            # Masks lie under the same stems.
            masks = bool(place) and place[-1].startswith("Segmentation")
            if masks or not any(folder.images for folder in folders):
                astray.extend(_iter_notes(folders))
            elif any(folder.annotations for folder in folders):
                self._file(self._match_place(folders))
            else:
                free[place] = self._tabulate(folders, {})
        self._match_astray(astray, free)
        for table in free.values():
            self._file(table)

    def _match_place(self, folders: list[Folder]) -> _Table:
        """Match the annotations of a place to its images.

        Numbers for names come back in every set: from a place with images of its own no
        annotation is matched to another one's.
        """
        notes: dict[str, _Note] = {}
        more: list[tuple[str, _Note]] = []
        for stem, note in _iter_notes(folders):
            if notes.setdefault(stem, note) is not note:
                more.append((stem, note))
        table = self._tabulate(folders, notes)
        missing = [(stem, notes[stem]) for stem in notes.keys() - table.keys()]
        missing = _match_alike(table, sorted(missing)) if missing else missing
        for stem, note in (*missing, *more):
            self._pairs.problems.append((_second if stem in table else _missing)(stem, note))
        return table

    def _tabulate(self, folders: list[Folder], notes: Mapping[str, _Note]) -> _Table:
        table: _Table = {}
        for folder in folders:
            place, split = describe_folder(folder.relative)
            for stem, name in zip(stems_of(folder.images), folder.images, strict=True):
                note, suffix = notes.get(stem, _NOWHERE)
                item = Item(folder.path, name, place, note, suffix, split)
                other = table.setdefault(stem, item)
                if other is not item:
                    message = f"shares its stem, and so its label, with {other.image}"
                    self._pairs.problems.append(Problem("same-stem", item.image, message))
        return table

    def _match_astray(self, astray: list[tuple[str, _Note]], free: dict[Place, _Table]) -> None:
        """Match by stem alone, among the places that have no annotations of their own."""
        tables: dict[str, list[_Table]] = defaultdict(list)
        for table in free.values() if astray else ():
            for stem in table:
                tables[stem].append(table)
        for stem, note in astray:
            fitting = tables.get(stem, [])
            if len(fitting) > 1:
                self._pairs.problems.append(self._ambiguous(stem, note, fitting))
            elif not fitting:
                self._pairs.problems.append(_missing(stem, note))
            elif fitting[0][stem].notes:
                self._pairs.problems.append(_second(stem, note))
            else:
                item = fitting[0][stem]
                split = item.split or describe_folder(note[0].removeprefix(self._pairs.root)[1:])[1]
                fitting[0][stem] = msgspec.structs.replace(
                    item, notes=note[0], suffix=note[1], split=split
                )

    def _file(self, table: _Table) -> None:
        for item in table.values():
            (self._pairs.items if item.notes else self._pairs.unlabelled).append(item)

    def _ambiguous(self, stem: str, note: _Note, tables: list[_Table]) -> Problem:
        first, second = (
            os.path.relpath(table[stem].folder, self._pairs.root) for table in tables[:2]
        )
        message = f"there are images with the stem {stem!r} in {first!r} and in {second!r}"
        return Problem("ambiguous-image", _path_of(stem, note), message)


def _match_alike(table: _Table, notes: list[tuple[str, _Note]]) -> list[tuple[str, _Note]]:
    """Match annotations to images whose names differ as the names of other machines do, or that
    end in the image's own suffix (`1.jpg.xml`); return those that are left."""
    free = {
        name: stem for stem, item in table.items() if not item.notes for name in (stem, item.file)
    }
    alike, left = names_alike(free), []
    for stem, note in notes:
        own = free.get(alike.get(spell_alike(stem), ""), "")
        if own and not table[own].notes:
            # By its whole path: the stem is another one.
            table[own] = msgspec.structs.replace(table[own], notes=_path_of(stem, note))
        else:
            left.append((stem, note))
    return left


def _iter_notes(folders: Iterable[Folder]) -> Iterator[tuple[str, _Note]]:
    """Yield the stem of each annotation, and where it lies."""
    for folder in folders:
        notes: dict[str, _Note] = {}
        for name in folder.annotations:
            stem, _, suffix = name.rpartition(".")
            note = notes.get(suffix)
            if note is None:
                note = notes[suffix] = (folder.path, f".{suffix}")
            yield stem, note


def _path_of(stem: str, note: _Note) -> str:
    return f"{note[0]}/{stem}{note[1]}"


def _second(stem: str, note: _Note) -> Problem:
    message = "another annotation of the same image was taken already"
    return Problem("duplicate-image", _path_of(stem, note), message)


def _missing(stem: str, note: _Note) -> Problem:
    message = f"there is no image with the stem {stem!r}"
    return Problem("missing-image", _path_of(stem, note), message)


def item_of(folder: Folder, name: str) -> Item:
    """Return the item of an image as yet without annotation, its split as its folders say."""
    place, split = describe_folder(folder.relative)
    return Item(folder.path, name, place, split=split)
