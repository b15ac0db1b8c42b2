"""Where COCO data lies: its instances files, and the images that they name.

annotations/instances_train2017.json     train2017/*.jpg  (or images/train2017/*.jpg)
train/_annotations.coco.json             train/*.jpg      (Roboflow)
annotations/instances_default.json       images/*.jpg     (CVAT)
annotations.json, result.json            anywhere below, found by name (labelme, Label Studio)
train_mine.json, mine_val.json           likewise: the set's own, where there is none of these
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from darknet_kit.core.pool import Workers, begin_shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split, stem_of
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.coco import CocoEntry, CocoFile, class_names, read_coco
from darknet_kit.formats.cocopieces import cut_file, decode_piece
from darknet_kit.formats.pairs import SPLIT_FOLDERS, item_of, unreadable
from darknet_kit.formats.strangers import no_annotations
from darknet_kit.formats.tree import Folder, list_tree, walk_tree

_STARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "valid"), ("test", "test"))
_SPLIT_WORD = re.compile(r"(?:^|[_.-])((?:train|val|valid|test)(?:\d{4})?)(?:$|[_.-])", re.I)
"""In a name as people give it: train_annotations, my-val.v2, coco_test2017."""
_INSTANCES_FILES: tuple[Callable[[str], bool], ...] = (
    lambda name: name.startswith("instances_"),
    lambda name: name == "_annotations.coco.json",
    lambda name: stem_of(name) in ("annotations", "coco", "labels", "instances", "result"),
    lambda name: stem_of(name) in SPLIT_FOLDERS,
    lambda name: name.startswith("person_keypoints_"),  # COCO's: people alone, with their boxes
    lambda name: _SPLIT_WORD.search(stem_of(name)) is not None,
)
"""How instances files are called, the surest sign first."""
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


@dataclass(slots=True)
class CocoSet:
    """Everything found: items and their entries run in parallel."""

    root: str
    names: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    entries: list[CocoEntry] = field(default_factory=list)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find_coco(
    source: AnyPath,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
    workers: Workers = 1,
) -> CocoSet | None:
    """Find and read COCO data; None where a folder holds XML and no JSON (a Pascal export).

    `source` is one instances file or a folder, `images` where its pictures are if not there.
    `progress` is told how many images were found. Raises DatasetError.
    """
    top = Path(source).absolute()
    if not top.exists() or not (top.is_dir() or top.suffix.lower() == ".json"):
        raise no_annotations(str(top), "coco")
    alone = not top.is_dir()  # then it is the whole data set, whatever split its name speaks of
    if alone:
        root, jsons, folders = _root_of(top, images), [str(top)], []
    else:
        root, folders = top, list_tree(top, progress, ".json")
        jsons = _instances_files(folders)
        if not jsons and any(folder.annotations for folder in walk_tree(top)):
            return None
    if not jsons:
        raise no_annotations(str(top), "coco")
    cuts = [cut_file(path) for path in jsons]
    pieces = [piece for cut in cuts if cut for piece in cut.pieces]
    with begin_shards(decode_piece, pieces, workers=workers) as parts:
        if alone or images:
            folders = list_tree(images or root, progress, ".json")
        index = _Index(folders)
        files = [read_coco(path, cut, parts) for path, cut in zip(jsons, cuts, strict=True)]
    if not any(file.entries for file in files):
        raise DatasetError(
            "the list of images in this file is empty",
            code="no-images",
            hint="Export it again, with its images.",
            path=jsons[0],
        )
    found = CocoSet(str(root), class_names(files), problems=unreadable(folders))
    taken: set[str] = set()
    for file in files:
        _collect(found, file, index, taken, alone=alone)
    found.unlabelled = index.unused(taken)
    return found


def _root_of(file: Path, images: AnyPath | None) -> Path:
    if images:
        return Path(images).absolute()
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _instances_files(folders: list[Folder]) -> list[str]:
    every = [os.path.join(folder.path, name) for folder in folders for name in folder.annotations]
    for is_one in _INSTANCES_FILES:
        chosen = [path for path in every if is_one(os.path.basename(path))]
        if chosen:
            return chosen
    return every if len(every) == 1 else []


class _Index:
    """The images of a tree by their file name, and which of them are in use."""

    def __init__(self, folders: list[Folder]) -> None:
        self._folders: dict[str, list[Folder]] = defaultdict(list)
        for folder in folders:
            for name in folder.images:
                self._folders[name].append(folder)

    def find(self, file_name: str, split_name: str) -> list[Item]:
        """Find by the end of the path; where several fit, take the one in the split's folder."""
        name = wanted = file_name
        if name not in self._folders:  # it has folders, most often
            wanted = os.path.normpath(file_name.replace("\\", "/"))
            name = os.path.basename(wanted)
        if name not in self._folders:
            name = _UPLOADED.sub("", name)
        folders = self._folders.get(name, [])
        if len(folders) > 1:
            end = wanted if os.path.isabs(wanted) else f"/{wanted}"
            folders = [one for one in folders if f"{one.path}/{name}".endswith(end)] or folders
        if len(folders) > 1:
            folders = [one for one in folders if split_name in one.relative.split("/")] or folders
        return [item_of(folder, name) for folder in folders]

    def unused(self, used: set[str]) -> list[Item]:
        """Return the other images, but for panoptic masks, which lie among the annotations."""
        items = [
            item_of(folder, name)
            for name, folders in self._folders.items()
            for folder in folders
            if f"{folder.path}/{name}" not in used
            and not folder.relative.startswith("annotations/panoptic_")
        ]
        return sorted(items, key=lambda item: item.image)


def _collect(
    found: CocoSet, file: CocoFile, index: _Index, taken: set[str], *, alone: bool
) -> None:
    """Add the images of one file, each with its objects, to the set."""
    split_name, stated = _split_of(file.path)
    found.problems.extend(file.problems)
    for entry in file.entries:
        name = _from_root(entry.image.file_name, file.path, found.root)
        fitting = index.find(name, split_name)
        problem = _misfit(name, fitting, taken)
        if problem:
            found.problems.append(Problem(problem[0], file.path, problem[1]))
            continue
        item = replace(fitting[0], notes=file.path, split="" if alone else stated)
        taken.add(item.image)
        found.items.append(item)
        found.entries.append(entry)


def _from_root(name: str, path: str, root: str) -> str:
    """Return a file_name that is counted from its instances file (`../images/1.jpg`) as counted
    from the root, if it stays in there."""
    if ".." not in name:
        return name
    whole = os.path.normpath(os.path.join(os.path.dirname(path), name.replace("\\", "/")))
    top = os.path.join(root, "")
    return whole.removeprefix(top) if whole.startswith(top) else name


def _misfit(name: str, fitting: list[Item], taken: set[str]) -> tuple[str, str] | None:
    """Return code and message where a file_name does not lead to exactly one new image."""
    if ".." in name.replace("\\", "/").split("/"):
        return "outside-root", f"file_name {name!r} leads out of the data set"
    if not fitting:
        return "missing-image", f"image {name!r} is not in the tree"
    if len(fitting) > 1:
        message = f"image {name!r} could be {fitting[0].image} or {fitting[1].image}"
        return "ambiguous-image", message
    if fitting[0].image in taken:
        return "duplicate-image", f"image {name!r} is listed twice"
    return None


def _split_of(path: str) -> tuple[str, Split | Literal[""]]:
    """Return the folder name that a file belongs to (`train2017`) and the split that it means."""
    stem = stem_of(os.path.basename(path))
    name = stem.removeprefix("instances_").removeprefix("person_keypoints_")
    if name == stem and stem not in SPLIT_FOLDERS:
        word = _SPLIT_WORD.search(stem)  # Roboflow: the folder says it
        name = word[1] if word else os.path.basename(os.path.dirname(path))
    for start, split in _STARTS:
        if name.lower().startswith(start):
            return name, split
    return name, ""
