"""The layout of PASCAL VOC: a devkit with `ImageSets/Main`, or any folder of images and XML.

The development kit's lists name an image a line; lists by class add 1, 0 or -1 behind it.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Item, Split
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import parse_names, read_text
from darknet_kit.formats.image import is_image
from darknet_kit.formats.pairs import Pairs, find_pairs
from darknet_kit.formats.tree import stem_of

_MAIN = "ImageSets/Main"
_NAME_FILES = ("classes.txt", "class_names.txt", "predefined_classes.txt")


def find_voc(source: AnyPath) -> Pairs:
    """Find the images and annotations of a VOC tree, with the splits that it states.

    Raises DatasetError where there is nothing to convert.
    """
    pairs = find_pairs(source)
    if any(folder.endswith("Annotations/CLS-LOC") for folder in pairs.folders):
        raise DatasetError(
            "this is an ILSVRC tree, not a VOC one",
            code="wrong-layout",
            hint=f"dkit convert ilsvrc {pairs.root}",
            path=pairs.root,
        )
    for folder in pairs.folders:
        if folder == _MAIN or folder.endswith("/" + _MAIN):
            _apply_lists(pairs, folder.removesuffix(_MAIN).rstrip("/"))
    return pairs


def _apply_lists(pairs: Pairs, kit: str) -> None:
    """Set the split of each image of one devkit (a path below the root) from its lists."""
    main = os.path.join(pairs.root, kit, _MAIN)
    splits = _read_splits(main)
    if not splits:
        return
    below = os.path.join(pairs.root, kit, "")
    found: set[str] = set()
    items: list[Item] = []
    for item in pairs.items:
        if item.image.startswith(below):
            stem = stem_of(os.path.basename(item.image))
            found.add(stem)
            if stem not in splits:
                message = f"in none of the lists of {kit or '.'}/{_MAIN}"
                pairs.problems.append(Problem("not-in-split", item.image, message))
                continue
            item = replace(item, split=splits[stem])
        items.append(item)
    pairs.items = items
    for stem in sorted(splits.keys() - found):
        message = f"{stem!r} is listed as {splits[stem]}, but is not an annotated image here"
        pairs.problems.append(Problem("missing-in-tree", main, message))


def _read_splits(main: str) -> dict[str, Split]:
    """Return the split of each stem. `train` and `val` win over `trainval`."""
    lists = {stem_of(name) for name in os.listdir(main) if name.endswith(".txt")}
    plans: tuple[dict[str, Split], ...] = (
        {"test": "test", "val": "valid", "train": "train"},
        {"test": "test", "trainval": "train"},
    )
    plan = plans[0] if "train" in lists else plans[1]
    splits: dict[str, Split] = {}
    for name, split in plan.items():
        if name in lists:
            splits.update(dict.fromkeys(_stems(main, name), split))
    if not splits:  # some tools write only the lists by class
        for name in sorted(lists):
            for ending, split in (("_val", "valid"), ("_train", "train")):
                if name.endswith(ending):
                    splits.update(dict.fromkeys(_stems(main, name, by_class=True), split))
    return splits


def _stems(main: str, name: str, *, by_class: bool = False) -> Iterator[str]:
    for line in read_text(os.path.join(main, f"{name}.txt"), "a split list").splitlines():
        entry = line.strip()
        if by_class and entry:
            entry = entry.rsplit(None, 1)[0]
        if entry:
            yield stem_of(entry) if is_image(entry) else entry


def find_class_list(root: str, names: Iterable[str]) -> list[str]:
    """Return the classes in the set's own documented order, else sorted.

    A list of classes in the root is believed where it covers every class in use. VOC's own
    documented order is the alphabet, so sorting serves it too.
    """
    used = set(names)
    for file in sorted(os.listdir(root)):
        if file in _NAME_FILES or file.endswith(".names"):
            listed = parse_names(read_text(os.path.join(root, file), "a class list"))
            if used <= set(listed) and len(set(listed)) == len(listed):
                return [name for name in listed if name in used or not name.startswith("_")]
    return sorted(used)
