"""Where the images and labels of a data set lie: as they are, or in a view of links.

In place, each label is written where the engine looks for it. A view is a folder of symbolic links
with the labels beside them, under names that every engine reads the same way.
"""

import functools
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import SPLITS, Item, Split
from darknet_kit.errors import UsageError
from darknet_kit.formats.foldernames import split_of_folder
from darknet_kit.formats.yolo import are_safe, defuse, is_beside, is_safe, label_path

_SUFFIXES = {".jpeg": ".jpg", ".jfif": ".jpg", ".jpe": ".jpg", ".tif": ".tiff"}
_LONGEST = 200  # bytes of a name; file systems stop at 255
# Words that make one engine or another look for the label elsewhere (formats/yolo.py).
_TRAPS = ("JPEGImages", "images", "raw", ".jpg", ".png", ".JPG", ".JPEG")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a data set lies: `view` is the folder of a view, None where labels go in place."""

    flavor: Flavor
    view: str | None = None


class Placed(msgspec.Struct, frozen=True, gc=False):
    """The path under which the lists name an image, and that of its label, empty if none."""

    listed: str
    label: str


@dataclass(slots=True)
class Placement:
    """The items of each split, in the order of their lists, what could not be placed, and all
    folders that are needed. `elsewhere` counts the labels that are not beside the image; one of
    them is `example`."""

    items: dict[Split, list[Item]]
    problems: list[Problem] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    elsewhere: int = 0
    example: str = ""


def place(item: Item, layout: Layout) -> Placed:
    """Decide where an image is listed and where its label is written. Touches no file."""
    listed = view_path(layout.view, item) if layout.view else item.image
    return Placed(listed, label_path(listed, layout.flavor) or "")


def place_items(items: Sequence[Item], layout: Layout, lists: Collection[str] = ()) -> Placement:
    """Sort items, which have their split, into lists; those without a place become problems.

    `lists` are paths that a label must not have. Touches no file.
    """
    result = Placement({split: [] for split in SPLITS})
    owners: dict[int, Item] = {}  # by the label's hash: a third of the memory
    last = dict.fromkeys(SPLITS, "")
    unsorted = set[Split]()
    for item, placed, problem in _iter_checked(items, layout, lists):
        listed, label = placed.listed, placed.label
        owner = item if problem else owners.setdefault(hash(label), item)
        if owner is not item and _share_label(owner, item, layout):
            message = f"would share its label with {owner.image}"
            problem = Problem("same-stem", item.image, message)
        if problem:
            result.problems.append(problem)
            continue
        split = item.split or "train"
        result.items[split].append(item)
        if listed < last[split]:
            unsorted.add(split)
        last[split] = listed
        result.folders.add(label.rpartition("/")[0])
        if not listed.startswith(label[:-3]):
            result.elsewhere += 1
            result.example = result.example or label
    for split in unsorted:
        result.items[split].sort(key=lambda item: place(item, layout).listed)
    return result


def _share_label(one: Item, other: Item, layout: Layout) -> bool:
    same = place(one, layout).label == place(other, layout).label
    return same and one.image != other.image


def _iter_checked(
    items: Sequence[Item], layout: Layout, lists: Collection[str]
) -> Iterator[tuple[Item, Placed, Problem | None]]:
    """Yield items, their places, and what is wrong with these: many have one check, mostly."""
    for shard in shards(items):
        placed = [place(item, layout) for item in shard]
        labels = {one.label for one in placed}
        sound = are_safe([one.listed for one in placed]) and labels.isdisjoint(("", *lists))
        for item, one in zip(shard, placed, strict=True):
            yield item, one, None if sound else _check(item, one, layout, lists)


def _check(item: Item, placed: Placed, layout: Layout, lists: Collection[str]) -> Problem | None:
    cure = "its path there is too long" if layout.view else "--out DIR gives it another in a view"
    if not is_safe(placed.listed):
        message = f"its path could not be listed safely; {cure}"
        return Problem("unsafe-path", item.image, message)
    if placed.label in lists:
        message = f"its label would be the image list {placed.label}; {cure}"
        return Problem("unsafe-path", item.image, message)
    if not placed.label:
        suffix = os.path.splitext(placed.listed)[1]
        engine = f"{layout.flavor.value} darknet"
        message = f"{engine} finds no label for a {suffix!r} image in this place"
        if not layout.view and label_path(f"/1{_view_suffix(suffix)}", layout.flavor):
            message += f"; {cure}"
        return Problem("unsupported-image", item.image, message)
    return None


def view_path(view: str, item: Item) -> str:
    """Return the path of an item's link: VIEW/SPLIT/…/stem.suffix, free of traps.

    A name that had to be changed gets a few digits of its digest, so that no two become one.
    """
    stem = item.stem
    folder, changed = _view_folder(item.place, item.split)
    safe = _without_traps(stem)
    if changed or safe != stem:
        token = hashlib.sha256(item.name.encode("utf-8", "surrogatepass")).hexdigest()
        safe = f"{safe}-{token[:8]}"
    return f"{view}/{folder}{safe}{_view_suffix(item.file[len(stem) :])}"


def _view_suffix(suffix: str) -> str:
    return _SUFFIXES.get(suffix.lower(), suffix.lower())


@functools.lru_cache(maxsize=1 << 12)
def _view_folder(place: str, split: Split | Literal[""]) -> tuple[str, bool]:
    """Return the folders of images in a view, each with `/` behind, and whether any is renamed."""
    parts = [
        part
        for part in place.split("/")
        if part not in ("CLS-LOC", "DET", "", ".", "..") and split_of_folder(part) != split
    ]
    safe = [_without_traps(part) for part in parts]
    return "".join(f"{part}/" for part in (split or "train", *safe)), safe != parts


def _without_traps(name: str) -> str:
    safe = defuse(name)
    for trap in _TRAPS:
        if trap in safe:
            safe = safe.replace(trap, f"{trap[0]}_{trap[1:]}")
    if 4 * len(safe) > _LONGEST:  # or may be, in bytes
        safe = safe.encode()[:_LONGEST].decode(errors="ignore")
    return safe


def check_view(view: str, flavor: Flavor) -> list[str]:
    """Return what people should know of a folder that is to hold links.

    Raises UsageError where it holds one for this flavour, or something no list could hold.
    """
    if not is_safe(view):
        raise UsageError(
            "a folder with such a name would end up in a shell, or break an image list",
            code="unsafe-path",
            hint="Name another folder, of letters, digits, blanks, dots, - and _.",
            path=view,
        )
    image = os.path.join(view, "train", "1.jpg")
    trapped = [other for other in Flavor if not is_beside(image, other)]
    if flavor in trapped:
        raise UsageError(
            f"{flavor.value} darknet would look for the labels of this folder elsewhere, as "
            f"{label_path(image, flavor)}",
            code="trap-in-path",
            hint="Name a folder whose full path has none of images, JPEGImages, raw, .jpg, .png.",
            path=view,
        )
    notes = [
        f"{other.value} darknet would look for the labels elsewhere, because of a word in the path "
        f"{view}"
        for other in trapped
    ]
    if flavor is Flavor.HANK_AI:
        notes.append(
            "hank-ai darknet follows links when it computes mAP, and finds no labels beside the "
            "originals; `dkit convert` without --out makes no links"
        )
    return notes
