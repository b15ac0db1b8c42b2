"""A folder tree, walked once: its images and its annotation files, folder by folder.

Hidden names (macOS leaves `._x.xml` beside `x.xml`) are passed over, and so are views that dkit
made: their links lead to images that are in the tree already. Links to folders are followed, each
folder once, so that a loop of links ends.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from darknet_kit.core.progress import Progress
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.classlist import pick_class_lists
from darknet_kit.formats.image import is_image
from darknet_kit.formats.record import RECORD, is_view

ANNOTATION_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")
IMAGE_FOLDERS = ("data", "jpegimages", "images", "image", "imgs", "img")
"""In lower case: names of folders that say nothing but the kind of file in them."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder: its absolute path, its path below the root, and the sorted names in it.

    `unreadable` says why it could not be listed, and is empty where it could. `class_lists` are
    files that may be lists of classes.
    """

    path: str
    relative: str
    images: list[str]
    annotations: list[str]
    unreadable: str = ""
    class_lists: Sequence[str] = ()


def walk_tree(root: AnyPath, annotation_suffix: str = ".xml") -> Iterator[Folder]:
    """Yield every folder below `root`, itself first, in sorted order.

    Raises DatasetError where the root is missing, is no folder, or may not be read.
    """
    top = os.path.abspath(root)
    waiting = [("", top)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        relative, path = waiting.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            folder, below = _list_folder(path, relative, annotation_suffix)
        except OSError as error:
            if not relative:
                raise _no_folder(top, error) from error
            yield Folder(path, relative, [], [], error.strerror or str(error))
            continue
        if folder is not None:
            yield folder
            waiting.extend(
                (f"{relative}/{name}" if relative else name, os.path.join(path, name))
                for name in sorted(below, reverse=True)
            )


def list_tree(root: AnyPath, progress: Progress, annotation_suffix: str = ".xml") -> list[Folder]:
    """Return all folders as `walk_tree` does; `progress` is told how many images were found."""
    folders: list[Folder] = []
    count = 0
    for folder in walk_tree(root, annotation_suffix):
        folders.append(folder)
        count += len(folder.images)
        progress(count, 0)
    return folders


def _list_folder(path: str, relative: str, suffix: str) -> tuple[Folder | None, list[str]]:
    """Return a folder and the names of those in it; None for a view that dkit made."""
    files: dict[str, list[str]] = defaultdict(list)  # by suffix, so that few need a closer look
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                continue
            if name == RECORD:
                if relative and is_view(path):
                    return None, []
                continue
            try:
                if entry.is_file():
                    files[name[name.rfind(".") :]].append(name)
                elif entry.is_dir():
                    folders.append(name)
                elif entry.is_symlink() and name.lower().endswith(suffix):
                    files[suffix].append(name)  # it leads nowhere, as reading will tell
            except OSError:  # a link to itself
                if name.lower().endswith(suffix):
                    files[suffix].append(name)
    annotations = [name for end in files if end.lower() == suffix for name in files[end]]
    images = [name for end in files if is_image(end) for name in files[end]]
    lists = pick_class_lists(files)
    return Folder(path, relative, sorted(images), sorted(annotations), class_lists=lists), folders


def spell_alike(name: str) -> str:
    """Return a name as file systems compare it that ignore case (Windows) and how letters with
    accents are composed (macOS): what was one name there may be two here."""
    return unicodedata.normalize("NFC", name).casefold()


def names_alike(names: Iterable[str]) -> dict[str, str]:
    """Return names by how they are spelled alike, but for those that would be one."""
    found: dict[str, str] = {}
    several: set[str] = set()
    for name in names:
        alike = spell_alike(name)
        if found.setdefault(alike, name) != name:
            several.add(alike)
    return {alike: name for alike, name in found.items() if alike not in several}


def _no_folder(path: str, error: OSError) -> DatasetError:
    return DatasetError(
        f"cannot list this folder: {error.strerror}",
        code="missing-folder" if isinstance(error, FileNotFoundError) else "cannot-read",
        hint="Give the folder that holds the data set, and check that you may read it.",
        path=path,
    )
