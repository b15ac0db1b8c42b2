"""A folder tree, walked once: its images and its annotation files, folder by folder.

Hidden names (macOS leaves `._x.xml` beside `x.xml`) are passed over. Links to folders are
followed, each folder once, so that a loop of links ends.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.image import is_image


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder: its absolute path, its path below the root, and the sorted names in it."""

    path: str
    relative: str
    images: list[str]
    annotations: list[str]


def walk_tree(root: AnyPath, annotation_suffix: str = ".xml") -> Iterator[Folder]:
    """Yield every folder below `root`, itself first, in sorted order.

    Raises DatasetError where the root is missing, is no folder, or may not be read.
    """
    top = os.path.abspath(root)
    yield from _walk(top, "", annotation_suffix, set())


def _walk(path: str, relative: str, suffix: str, seen: set[tuple[int, int]]) -> Iterator[Folder]:
    try:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            return
        seen.add(identity)
        entries = list(os.scandir(path))
    except OSError as error:
        raise DatasetError(
            f"cannot list this folder: {error.strerror}",
            code="missing-folder" if isinstance(error, FileNotFoundError) else "cannot-read",
            hint="Give the folder that holds the data set, and check that you may read it.",
            path=path,
        ) from error
    images, annotations, folders = [], [], []
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        if entry.is_dir():
            folders.append(name)
        elif name.lower().endswith(suffix):
            annotations.append(name)
        elif is_image(name):
            images.append(name)
    yield Folder(path, relative, sorted(images), sorted(annotations))
    for name in sorted(folders):
        below = f"{relative}/{name}" if relative else name
        yield from _walk(os.path.join(path, name), below, suffix, seen)


def stem_of(name: str) -> str:
    """Return a file name without its last suffix."""
    return os.path.splitext(name)[0]
