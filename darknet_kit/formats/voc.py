"""The layout of PASCAL VOC: a devkit with `ImageSets/Main`, or any folder of images and XML.

Box coordinates are the development kit's: pixel numbers from 1, both ends inside (core/boxes).
Tools that export this layout count otherwise: labelImg, CVAT, VoTT and Roboflow write edges from 0.

The development kit's lists name an image a line; lists by class add 1, 0 or -1 behind it.
"""

import os
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split, stem_of, stems_of
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import read_text
from darknet_kit.formats.foldernames import place_of, split_of_folder
from darknet_kit.formats.image import is_image
from darknet_kit.formats.pairs import Pairs, find_pairs
from darknet_kit.formats.tree import ANNOTATION_FOLDERS

_MAIN = "ImageSets/Main"
_Stated = Split | Literal[""]
_SPLIT_ORDER: tuple[Split, ...] = ("test", "valid", "train")  # the last one wins
_LIST_FOLDERS = ("/ImageSets/", "/ImageSets/Main/")


def find_voc(
    source: AnyPath, images: AnyPath | None = None, progress: Progress = no_progress
) -> Pairs:
    """Find the images and annotations of a VOC tree, with the splits that it states.

    `images` is where the images are if not there. Raises DatasetError where there is nothing to
    convert.
    """
    pairs = find_pairs(source, progress, images=images)
    if any(folder.endswith("Annotations/CLS-LOC") for folder in pairs.folders):
        raise DatasetError(
            "this is an ILSVRC tree, not a VOC one",
            code="wrong-layout",
            hint=f"dkit convert ilsvrc {shlex.quote(pairs.root)}",
            path=pairs.root,
        )
    for problem in pairs.problems:
        if problem.code == "cannot-read" and f"{problem.path}/".endswith(_LIST_FOLDERS):
            raise DatasetError(
                f"{problem.message}; its lists say what is trained on",
                code="cannot-read",
                hint="Make it readable.",
                path=problem.path,
            )
    for folder in pairs.folders:
        if folder == _MAIN or folder.endswith("/" + _MAIN):
            _apply_lists(pairs, folder.removesuffix(_MAIN).rstrip("/"))
    above, name = os.path.split(pairs.root)
    if name.lower() in ANNOTATION_FOLDERS and os.path.isdir(os.path.join(above, _MAIN)):
        _apply_lists(pairs, "..")
    return pairs


def _apply_lists(pairs: Pairs, kit: str) -> None:
    """Set the split of each image of one devkit (a path from the root) from its lists.

    Lists that name none of its images, left over from another set, decide nothing.
    """
    folder = os.path.normpath(os.path.join(pairs.root, kit))
    main = os.path.join(folder, _MAIN)
    splits = _read_splits(main)
    below = os.path.join(folder, "")
    named, bare = (_named(items, below, splits) for items in (pairs.items, pairs.unlabelled))
    splits = _without_folders(splits, {name for name, _, ours in (*named, *bare) if ours})
    found = splits.keys() & {name for name, _, ours in named if ours}
    for name in sorted(splits.keys() - found - {name for name, _, ours in bare if ours}):
        message = (
            f"{name!r} is listed as {splits[name] or 'default'}, but is not an annotated image here"
        )
        pairs.problems.append(Problem("missing-in-tree", main, message))
    if not found:
        return
    pairs.items = []
    for name, item, ours in named:
        if not ours:
            pairs.items.append(item)
        elif name in splits:
            pairs.items.append(replace(item, split=splits[name]))
        else:
            message = f"in none of the lists of {kit or '.'}/{_MAIN}"
            pairs.problems.append(Problem("not-in-split", item.image, message))
    pairs.unlabelled = [
        replace(item, split=splits[name]) if ours and name in splits else item
        for name, item, ours in bare
    ]


def _named(
    items: Sequence[Item], kit: str, splits: Mapping[str, _Stated]
) -> list[tuple[str, Item, bool]]:
    """Return each item with its name in the lists, and whether its annotation, or else it, lies in
    a devkit. The name is the stem, with the folders before it that lists have (CVAT's do)."""
    places = [item.notes or item.folder for item in items]
    ours = {place for place in set(places) if f"{place}/".startswith(kit)}
    names: Iterable[str] = stems_of([item.file for item in items])
    if any("/" in name for name in splits):
        names = (_name_in(splits, item.name) for item in items)
    # An image that its annotation calls a little otherwise may be listed by either name.
    return [
        (name if item.suffix or name in splits else _noted(item) or name, item, place in ours)
        for name, item, place in zip(names, items, places, strict=True)
    ]


def _noted(item: Item) -> str:
    return stem_of(os.path.basename(item.notes))


def _name_in(splits: Mapping[str, _Stated], name: str) -> str:
    while name not in splits and "/" in name:
        name = name.partition("/")[2]
    return name


def _without_folders(splits: Mapping[str, _Stated], names: Container[str]) -> dict[str, _Stated]:
    """Return the lists with the folders taken away of entries that no image is called by: those of
    another machine."""
    kept = dict(splits)
    stray = [name for name in splits if name not in names]
    return {name.rpartition("/")[2]: kept.pop(name) for name in stray} | kept


def _read_splits(main: str) -> dict[str, _Stated]:
    """Return the split of each entry. `train` and `val` win over `trainval`.

    CVAT calls them Train, Validation and Test.
    """
    with os.scandir(main) as entries:
        texts = [one for one in entries if one.name.endswith(".txt")]
    lists = sorted(stem_of(one.name) for one in texts if one.is_file())
    plan: list[tuple[str, _Stated]] = [
        (name, split) for split in _SPLIT_ORDER for name in lists if split_of_folder(name) == split
    ]
    if "trainval" in lists and "train" not in {split for _, split in plan}:
        plan = [("trainval", "train"), *plan]
    if "default" in lists and plan:
        plan = [("default", ""), *plan]  # CVAT's, of images that have no split
    splits: dict[str, _Stated] = {}
    for name, split in plan:
        splits.update(dict.fromkeys(_entries(main, name), split))
    if not splits:  # some tools write only the lists by class
        for name in sorted(lists):
            for ending, split in _BY_CLASS:
                if name.endswith(ending):
                    splits.update(dict.fromkeys(_entries(main, name, by_class=True), split))
    return splits


_BY_CLASS: tuple[tuple[str, Split], ...] = (("_val", "valid"), ("_train", "train"))


def _entries(main: str, name: str, *, by_class: bool = False) -> Iterator[str]:
    """Yield the stems in a list, with the folders before them that say more than a kind of file."""
    for line in read_text(os.path.join(main, f"{name}.txt"), "a split list").splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if by_class:
            entry = entry.rsplit(None, 1)[0]
        entry = stem_of(entry) if is_image(entry) else entry
        folder, slash, stem = entry.rpartition("/")
        yield "/".join((*place_of(folder), stem)) if slash else stem
