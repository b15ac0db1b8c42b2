"""Where the images and labels of a data set lie: as they are, or in a view of links.

In place, each label is written where the engine looks for it. A view is a folder of symbolic links
with the labels beside them, under names that every engine reads the same way.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import SPLITS, Item, Split
from darknet_kit.errors import UsageError
from darknet_kit.formats.pairs import split_of_folder
from darknet_kit.formats.yolo import defuse, is_beside, is_safe, label_path

_SUFFIXES = {".jpeg": ".jpg", ".tif": ".tiff"}
_LONGEST = 200  # bytes of a name; file systems stop at 255
# Words that make one engine or another look for the label elsewhere (formats/yolo.py).
_TRAPS = ("JPEGImages", "images", "raw", ".jpg", ".png", ".JPG", ".JPEG")


@dataclass(frozen=True, slots=True)
class Placed:
    """An item with the path that the lists name and the path of its label."""

    item: Item
    listed: str
    label: str


@dataclass(slots=True)
class Placement:
    """All placed items, what could not be placed, and the labels that are not beside the image."""

    placed: list[Placed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def by_split(self) -> dict[Split, list[Placed]]:
        """Return the placed items of each split that has any, in the order of their lists."""
        splits: dict[Split, list[Placed]] = {split: [] for split in SPLITS}
        for one in sorted(self.placed, key=lambda one: one.listed):
            splits[one.item.split or "train"].append(one)
        return {split: placed for split, placed in splits.items() if placed}


def place_items(items: Iterable[Item], flavor: Flavor, view: str | None) -> Placement:
    """Decide where each image is listed and each label is written. Touches no file.

    Items have their split; `view` is the folder of a view, None for labels in place.
    """
    result = Placement()
    owners: dict[str, str] = {}
    for item in items:
        listed = view_path(view, item) if view else item.image
        problem = _check(item, listed, flavor)
        label = label_path(listed, flavor) or ""
        if not problem and owners.setdefault(label, item.image) != item.image:
            message = f"would share its label with {owners[label]}"
            problem = Problem("same-stem", item.image, message)
        if problem:
            result.problems.append(problem)
            continue
        if not is_beside(listed, flavor):
            result.elsewhere.append(label)
        result.placed.append(Placed(item, listed, label))
    return result


def _check(item: Item, listed: str, flavor: Flavor) -> Problem | None:
    if not is_safe(listed):
        message = "its path could not be listed safely; --out DIR gives it another name in a view"
        return Problem("unsafe-path", item.image, message)
    if label_path(listed, flavor) is None:
        suffix = os.path.splitext(listed)[1]
        message = f"{flavor.value} darknet finds no label for a {suffix!r} image in this place"
        return Problem("unsupported-image", item.image, message)
    return None


def view_path(view: str, item: Item) -> str:
    """Return the path of an item's link: VIEW/SPLIT/…/stem.suffix, free of traps.

    A name that had to be changed gets a few digits of its digest, so that no two become one.
    """
    parts = [
        part
        for part in item.name.split("/")
        if part not in ("CLS-LOC", "DET", "", ".", "..") and split_of_folder(part) != item.split
    ]
    plain = "/".join(parts)
    safe = "/".join(map(_without_traps, parts))
    if safe != plain:
        token = hashlib.sha256(item.name.encode("utf-8", "surrogatepass")).hexdigest()
        safe = f"{safe}-{token[:8]}"
    suffix = os.path.splitext(item.image)[1].lower()
    return os.path.join(view, item.split or "train", safe + _SUFFIXES.get(suffix, suffix))


def _without_traps(name: str) -> str:
    safe = defuse(name)
    for trap in _TRAPS:
        safe = safe.replace(trap, f"{trap[0]}_{trap[1:]}")
    return safe.encode()[:_LONGEST].decode(errors="ignore")


def check_view(view: str, flavor: Flavor) -> list[Flavor]:
    """Return the other flavours for which the path of a view holds a trap.

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
    return trapped
