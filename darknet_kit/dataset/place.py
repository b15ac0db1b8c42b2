"""Where the images and labels of a data set lie: as they are, or in a view of links.

In place, each label is written where the engine looks for it. A view is a folder of symbolic links
with the labels beside them, under names that every engine reads the same way.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Item
from darknet_kit.formats.pairs import SPLIT_FOLDERS
from darknet_kit.formats.yolo import defuse, is_beside, is_safe, label_path

_SUFFIXES = {".jpeg": ".jpg", ".tif": ".tiff"}
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
    """All placed items, what could not be placed, and how many labels are not beside the image."""

    placed: list[Placed]
    problems: list[Problem]
    elsewhere: int = 0


def place_items(items: Iterable[Item], flavor: Flavor, view: str | None) -> Placement:
    """Decide where each image is listed and each label is written. Touches no file."""
    result = Placement([], [])
    owners: dict[str, str] = {}
    for item in items:
        listed = view_path(view, item) if view else item.image
        problem = _check(item, listed, flavor)
        label = label_path(listed, flavor) or ""
        if not problem and label in owners:
            message = f"would share its label with {owners[label]}"
            problem = Problem("same-stem", item.image, message)
        if problem:
            result.problems.append(problem)
            continue
        owners[label] = item.image
        result.elsewhere += not is_beside(listed, flavor)
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
        if part.lower() not in SPLIT_FOLDERS and part not in ("CLS-LOC", "", ".", "..")
    ]
    plain = "/".join(parts)
    safe = defuse(plain)
    for trap in _TRAPS:
        safe = safe.replace(trap, f"{trap[0]}_{trap[1:]}")
    if safe != plain:
        token = hashlib.sha256(item.name.encode("utf-8", "surrogatepass")).hexdigest()
        safe = f"{safe}-{token[:8]}"
    suffix = os.path.splitext(item.image)[1].lower()
    return os.path.join(view, item.split or "train", safe + _SUFFIXES.get(suffix, suffix))
