"""Where COCO data lies: its instances files, and the images that they name.

annotations/instances_train2017.json     train2017/*.jpg  (or images/train2017/*.jpg)
train/_annotations.coco.json             train/*.jpg      (Roboflow)
annotations.json                         anywhere below, found by name (labelme)
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, Item, Split
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.coco import CocoFile, CocoImage, class_names, read_coco
from darknet_kit.formats.tree import Folder, stem_of, walk_tree


@dataclass(slots=True)
class CocoSet:
    """Everything found: items and their annotations run in parallel."""

    root: str
    names: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find_coco(source: AnyPath, images: AnyPath | None = None) -> CocoSet | None:
    """Find and read COCO data; None where a folder holds XML and no JSON (a Pascal export).

    `source` is one instances file or a folder, `images` where its pictures are if not there.
    Raises DatasetError.
    """
    top = Path(source).absolute()
    if top.is_file():
        above = top.parent.parent if top.parent.name == "annotations" else top.parent
        root, jsons = Path(images).absolute() if images else above, [str(top)]
        folders = list(walk_tree(root, ".json"))
    else:
        root = top
        folders = list(walk_tree(top, ".json"))
        jsons = _instances_files(folders)
        if images:
            folders = list(walk_tree(images, ".json"))
        if not jsons and any(folder.annotations for folder in walk_tree(top)):
            return None
    if not jsons:
        raise DatasetError(
            "there is no COCO instances file in this folder or below it",
            code="no-annotations",
            hint="Give the JSON file itself, or the folder that holds it and the images.",
            path=root,
        )
    files = [read_coco(path) for path in jsons]
    found = CocoSet(str(root), class_names(files))
    index = _Index(folders)
    for file in files:
        # One file given by itself is the whole data set, whatever split its name speaks of.
        _collect(found, file, index, alone=top.is_file())
    found.unlabelled = index.unused({item.image for item in found.items})
    return found


def _instances_files(folders: list[Folder]) -> list[str]:
    every = [os.path.join(folder.path, name) for folder in folders for name in folder.annotations]
    for is_one in (
        lambda name: name.startswith("instances_"),
        lambda name: name == "_annotations.coco.json",
        lambda name: name in ("annotations.json", "coco.json", "labels.json", "instances.json"),
    ):
        chosen = [path for path in every if is_one(os.path.basename(path))]
        if chosen:
            return chosen
    return every if len(every) == 1 else []


class _Index:
    """The images of a tree by their file name."""

    def __init__(self, folders: list[Folder]) -> None:
        self._paths: dict[str, list[str]] = defaultdict(list)
        for folder in folders:
            for name in folder.images:
                self._paths[name].append(f"{folder.path}/{name}")

    def find(self, image: CocoImage, split_name: str) -> str | None:
        """Find by the end of the path; where several fit, take the one in the split's folder."""
        wanted = image.file_name.replace("\\", "/")
        paths = self._paths.get(os.path.basename(wanted), [])
        if not os.path.isabs(wanted):
            paths = [path for path in paths if path.endswith("/" + wanted)] or paths
        in_split = [path for path in paths if f"/{split_name}/" in path]
        chosen = in_split or paths
        return chosen[0] if len(chosen) == 1 else None

    def unused(self, used: set[str]) -> list[Item]:
        rest = sorted(path for paths in self._paths.values() for path in paths if path not in used)
        return [Item(path, "", stem_of(os.path.basename(path))) for path in rest]


def _collect(found: CocoSet, file: CocoFile, index: _Index, *, alone: bool) -> None:
    split_name, stated = _split_of(file.path)
    split = "" if alone else stated
    taken: set[str] = set()
    found.problems.extend(file.problems)
    for image, annotation in zip(file.images, file.annotations, strict=True):
        if ".." in image.file_name.replace("\\", "/").split("/"):
            message = f"file_name {image.file_name!r} leads out of the data set"
            found.problems.append(Problem("outside-root", file.path, message))
            continue
        path = index.find(image, split_name)
        if path is None:
            message = f"image {image.file_name!r} is not in the tree"
            found.problems.append(Problem("missing-image", file.path, message))
        elif path in taken:
            message = f"image {image.file_name!r} is listed under two ids"
            found.problems.append(Problem("duplicate-image", file.path, message))
        else:
            taken.add(path)
            name = stem_of(image.file_name.replace("\\", "/").lstrip("/"))
            found.items.append(Item(path, file.path, name, split))
            found.annotations.append(annotation)


def _split_of(path: str) -> tuple[str, Split | Literal[""]]:
    """Return the folder name that a file belongs to (`train2017`) and the split that it means."""
    stem = stem_of(os.path.basename(path))
    name = stem.removeprefix("instances_")
    if name == stem:  # Roboflow: the folder says it
        name = os.path.basename(os.path.dirname(path))
    for start, split in _STARTS:
        if name.lower().startswith(start):
            return name, split
    return name, ""


_STARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "valid"), ("test", "test"))
