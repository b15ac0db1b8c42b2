"""Which image of a tree an instances file means by a file_name."""

import functools
import os
import re
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Item, Split
from darknet_kit.formats.coco import CocoFile
from darknet_kit.formats.foldernames import place_of, split_of_folder
from darknet_kit.formats.pairs import item_of
from darknet_kit.formats.tree import Folder, names_alike, spell_alike

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


@dataclass(slots=True)
class MatchedImages:
    """The images of a file that are in the tree, their paths, and their places in its list."""

    items: list[Item] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class ImageTree:
    """The images below `root` by their file name."""

    def __init__(self, root: str, folders: Iterable[Folder]) -> None:
        self._root = root
        self._folders: dict[str, list[Folder]] = defaultdict(list)
        for folder in folders:
            for name in folder.images:
                self._folders[name].append(folder)

    @functools.cached_property
    def _alike(self) -> dict[str, str]:
        return names_alike(self._folders)

    def match(
        self, file: CocoFile, folder: str, split: Split | Literal[""], taken: set[str]
    ) -> MatchedImages:
        """Find the images of a file, and add their paths to those that are `taken`.

        `split` is theirs; of images called alike, that in a `folder` of this name is meant.
        """
        matched = MatchedImages()
        for number, image in enumerate(file.images):
            name = _from_root(image.file_name, file.path, self._root)
            fitting = self._find(name, folder)
            path = fitting[0].image if fitting else ""
            problem = _misfit(name, fitting, path in taken)
            if problem:
                matched.problems.append(Problem(problem[0], file.path, problem[1]))
                continue
            taken.add(path)
            matched.items.append(replace(fitting[0], notes=file.path, split=split))
            matched.paths.append(path)
            matched.numbers.append(number)
        return matched

    def unused(self, taken: Container[str]) -> list[Item]:
        """Return the images but those that are taken, and panoptic masks, which lie among the
        annotations."""
        items = [
            item_of(folder, name)
            for name, folders in self._folders.items()
            for folder in folders
            if f"{folder.path}/{name}" not in taken
            and not folder.relative.startswith("annotations/panoptic_")
        ]
        return sorted(items, key=lambda item: item.image)

    def _find(self, file_name: str, split_name: str) -> list[Item]:
        """Find by the end of the path; where several fit, take the one in the split's folder."""
        name = wanted = file_name
        if name not in self._folders:  # it has folders, most often
            wanted = os.path.normpath(file_name.replace("\\", "/"))
            name = os.path.basename(wanted)
        if name not in self._folders:
            name = _UPLOADED.sub("", name)
        if name not in self._folders:
            name = self._alike.get(spell_alike(name), name)
        folders = self._folders.get(name, [])
        if len(folders) > 1:
            folders = _narrow(folders, name, wanted, split_name)
        return [item_of(folder, name) for folder in folders]


def _narrow(folders: list[Folder], name: str, wanted: str, split_name: str) -> list[Folder]:
    """Return those of several folders that suit best."""
    end = wanted if os.path.isabs(wanted) else f"/{wanted}"
    folders = [one for one in folders if f"{one.path}/{name}".endswith(end)] or folders
    if len(folders) > 1:
        folders = [one for one in folders if split_name in place_of(one.relative)] or folders
    split = split_of_folder(split_name)
    if len(folders) > 1 and split:
        folders = [one for one in folders if item_of(one, name).split == split] or folders
    return folders


def _from_root(name: str, path: str, root: str) -> str:
    """Return a file_name that is counted from its instances file (`../images/1.jpg`) as counted
    from the root, if it stays in there."""
    if ".." not in name:
        return name
    whole = os.path.normpath(os.path.join(os.path.dirname(path), name.replace("\\", "/")))
    top = os.path.join(root, "")
    return whole.removeprefix(top) if whole.startswith(top) else name


def _misfit(name: str, fitting: list[Item], is_taken: bool) -> tuple[str, str] | None:
    """Return code and message where a file_name does not lead to exactly one new image."""
    if ".." in name and ".." in name.replace("\\", "/").split("/"):
        return "outside-root", f"file_name {name!r} leads out of the data set"
    if not fitting:
        return "missing-image", f"image {name!r} is not in the tree"
    if len(fitting) > 1:
        message = f"image {name!r} could be {fitting[0].image} or {fitting[1].image}"
        return "ambiguous-image", message
    if is_taken:
        return "duplicate-image", f"image {name!r} is listed twice"
    return None
