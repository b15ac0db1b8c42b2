"""Difficult objects of the images to validate on, in label files of their own.

mAP is to take a detection of one for neither right nor wrong. AlexeyAB's `detector map` and the
embedded engine's do where the `.data` file has a key `difficult`: a list of paths, one for each
line of `valid`, from which labels are found as an image's are (AlexeyAB src/detector.c,
`validate_detector_map`). Other engines pass over the key. No image needs to be at such a path.
"""

import os
from collections.abc import Sequence

from darknet_kit.core.files import make_folder, write_bytes
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.records import Item
from darknet_kit.dataset.place import view_path
from darknet_kit.formats.yolo import label_path

_FOLDER = "difficult_objects"
_NONE = "none.jpg"


def write_difficult(
    folder: str, item: Item, lines: Sequence[str], flavor: Flavor, *, write: bool
) -> str:
    """Write the labels of an image's difficult objects; return the path that stands for it.

    `folder` is that of the data set. An image without any gets an empty path, and no file; see
    `fill_gaps`. Raises WriteError.
    """
    if not lines:
        return ""
    path = view_path(os.path.join(folder, _FOLDER), item)
    if write:
        _write_label(path, "".join(lines), flavor)
    return path


def fill_gaps(folder: str, paths: Sequence[str], flavor: Flavor, *, write: bool) -> list[str]:
    """Return the list that `difficult` is to name, empty where no image has such objects.

    Those that have none share an empty label file, since the engine would put down a missing one
    in its `bad.list`. Raises WriteError.
    """
    if not any(paths):
        return []
    none = os.path.join(folder, _FOLDER, _NONE)
    if write:
        _write_label(none, "", flavor)
    return [path or none for path in paths]


def find_difficult(paths: Sequence[str]) -> set[int]:
    """Return the places in such a list that stand for images with difficult objects."""
    none = f"/{_FOLDER}/{_NONE}"
    return {place for place, path in enumerate(paths) if not path.endswith(none)}


def _write_label(path: str, content: str, flavor: Flavor) -> None:
    label = label_path(path, flavor) or ""
    make_folder(os.path.dirname(label))
    write_bytes(label, content.encode())
