"""Images and their Pascal XML, wherever the two lie in a tree: matched by stem.

`<filename>` is not asked: in real sets it names other images. Folders that only say what kind of
file they hold do not count, so `VOC2007/Annotations/1.xml` belongs to `VOC2007/JPEGImages/1.jpg`
and `Annotations/CLS-LOC/train/n0/a.xml` to `Data/CLS-LOC/train/n0/a.JPEG`.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Item, Split
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.tree import Folder, stem_of, walk_tree

_KIND_FOLDERS = frozenset(
    ("annotations", "annotation", "xml", "xmls", "labels", "data")
    + ("jpegimages", "images", "image", "imgs", "img")
)
SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}

Place = tuple[str, ...]


@dataclass(slots=True)
class Pairs:
    """What one walk over a tree found.

    `items` are sorted by path; those without an annotation are in `unlabelled`. `folders` are the
    paths of all folders below the root.
    """

    root: str
    items: list[Item] = field(default_factory=list)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def find_pairs(root: AnyPath) -> Pairs:
    """Walk a tree and match its images to its XML files. Raises DatasetError."""
    folders = list(walk_tree(root))
    pairs = Pairs(folders[0].path, folders=[folder.relative for folder in folders])
    if not any(folder.annotations for folder in folders):
        raise DatasetError(
            "there is no XML annotation in this folder or below it",
            code="no-annotations",
            hint="Give the folder that holds the annotations and the images.",
            path=pairs.root,
        )
    by_place: dict[Place, dict[str, tuple[Folder, str]]] = defaultdict(dict)
    by_stem: dict[str, list[Place]] = defaultdict(list)
    for folder in folders:
        place = _place(folder.relative)
        if place and place[-1].startswith("Segmentation"):
            continue  # VOC's masks, which share their stems with the photographs
        for name in folder.images:
            stem = stem_of(name)
            if stem in by_place[place]:
                pairs.problems.append(_same_stem(folder, name, by_place[place][stem]))
                continue
            by_place[place][stem] = (folder, name)
            by_stem[stem].append(place)
    taken: set[tuple[Place, str]] = set()
    for folder, name in _annotations(folders):
        _match(pairs, folder, name, by_place, by_stem, taken)
    for place, images in by_place.items():
        for stem, (folder, name) in images.items():
            if (place, stem) not in taken:
                pairs.unlabelled.append(_item(folder, name, ""))
    pairs.items.sort(key=lambda item: item.image)
    pairs.unlabelled.sort(key=lambda item: item.image)
    return pairs


def _annotations(folders: list[Folder]) -> Iterator[tuple[Folder, str]]:
    for folder in folders:
        for name in folder.annotations:
            yield folder, name


def _match(
    pairs: Pairs,
    folder: Folder,
    name: str,
    by_place: dict[Place, dict[str, tuple[Folder, str]]],
    by_stem: dict[str, list[Place]],
    taken: set[tuple[Place, str]],
) -> None:
    stem, path = stem_of(name), f"{folder.path}/{name}"
    places = by_stem.get(stem, [])
    place = _place(folder.relative)
    if place not in places:
        if len(places) != 1:
            pairs.problems.append(_unmatched(path, stem, places, by_place))
            return
        place = places[0]
    if (place, stem) in taken:
        message = "another annotation of the same image was taken already"
        pairs.problems.append(Problem("duplicate-image", path, message))
        return
    taken.add((place, stem))
    image_folder, image = by_place[place][stem]
    pairs.items.append(_item(image_folder, image, path))


def _unmatched(
    path: str, stem: str, places: list[Place], by_place: dict[Place, dict[str, tuple[Folder, str]]]
) -> Problem:
    if not places:
        return Problem("missing-image", path, f"there is no image with the stem {stem!r}")
    first, second = (by_place[place][stem][0].relative or "." for place in places[:2])
    message = f"there are images with the stem {stem!r} in {first!r} and in {second!r}"
    return Problem("ambiguous-image", path, message)


def _same_stem(folder: Folder, name: str, other: tuple[Folder, str]) -> Problem:
    message = f"shares its stem, and so its label, with {other[0].path}/{other[1]}"
    return Problem("same-stem", f"{folder.path}/{name}", message)


def _item(folder: Folder, name: str, annotation: str) -> Item:
    place = _place(folder.relative)
    return Item(
        image=f"{folder.path}/{name}",
        annotation=annotation,
        name="/".join((*place, stem_of(name))),
        split=_split_of(place),
    )


def _place(relative: str) -> Place:
    parts = relative.split("/") if relative else []
    return tuple(part for part in parts if part.lower() not in _KIND_FOLDERS)


def _split_of(place: Place) -> Split | Literal[""]:
    for part in reversed(place):
        if part.lower() in SPLIT_FOLDERS:
            return SPLIT_FOLDERS[part.lower()]
    return ""
