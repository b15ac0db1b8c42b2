"""Where COCO data lies: its instances files, and the images that they name.

annotations/instances_train2017.json     train2017/*.jpg  (or images/train2017/*.jpg)
train/_annotations.coco.json             train/*.jpg      (Roboflow)
annotations/instances_default.json       images/*.jpg     (CVAT)
annotations.json, result.json            anywhere below, found by name (labelme, Label Studio)
train_mine.json, mine_val.json           likewise: the set's own, where there is none of these
"""

import functools
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from darknet_kit.core.pool import Workers, begin_shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split, stem_of
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.coco import (
    CocoEntry,
    CocoFile,
    class_names,
    outline_coco,
    read_coco,
)
from darknet_kit.formats.cocoimages import ImageTree, MatchedImages
from darknet_kit.formats.cocoobjects import PackedObjects
from darknet_kit.formats.cocopieces import CutFile, cut_file, decode_piece
from darknet_kit.formats.foldernames import SPLIT_FOLDERS
from darknet_kit.formats.pairs import unreadable
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


@dataclass(slots=True)
class CocoSet:
    """Everything found; `entries` are by the path of the image."""

    root: str
    names: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    entries: dict[str, CocoEntry] = field(default_factory=dict)
    unlabelled: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, file: CocoFile, images: MatchedImages) -> None:
        """Add the images of a file that are in the tree, each with its objects."""
        self.problems.extend((*file.problems, *images.problems))
        self.items.extend(images.items)
        entries = (file.entries[number] for number in images.numbers)
        self.entries.update(zip(images.paths, entries, strict=True))


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
    root, folders = (
        (_root_of(top, images), []) if alone else (top, list_tree(top, progress, ".json"))
    )
    jsons = [str(top)] if alone else _instances_files(folders)
    if not jsons:
        if any(folder.annotations for folder in walk_tree(top)):
            return None
        raise no_annotations(str(top), "coco")
    cuts = [cut_file(path) for path in jsons]
    pieces = [piece for cut in cuts if cut for piece in cut.pieces]
    with begin_shards(decode_piece, pieces, workers=workers) as parts:
        if alone or images:
            folders = list_tree(images or root, progress, ".json")
        tree = ImageTree(str(root), folders)
        files, matched = _read_files(jsons, cuts, parts, functools.partial(_match, tree, alone))
    if not any(file.entries for file in files):
        raise _no_images(jsons[0])
    found = CocoSet(str(root), class_names(files), problems=unreadable(folders))
    for file, images_of_it in zip(files, matched, strict=True):
        found.add(file, images_of_it)
    found.unlabelled = tree.unused(found.entries)
    return found


def _no_images(path: str) -> DatasetError:
    return DatasetError(
        "the list of images in this file is empty",
        code="no-images",
        hint="Export it again, with its images.",
        path=path,
    )


def _read_files(
    paths: list[str],
    cuts: list[CutFile | None],
    parts: Iterator[PackedObjects | None],
    match: Callable[[Sequence[CocoFile]], list[MatchedImages]],
) -> tuple[list[CocoFile], list[MatchedImages]]:
    """Return the files and their images. Raises DatasetError."""
    outlines = [cut and outline_coco(cut, path) for path, cut in zip(paths, cuts, strict=True)]
    likely = [outline for outline in outlines if outline]
    # Matched while others decode: most often nothing but the objects is lacking.
    matched = match(likely) if len(likely) == len(paths) else []
    files = [
        read_coco(path, outline, itertools.islice(parts, len(cut.pieces) if cut else 0))
        for path, outline, cut in zip(paths, outlines, cuts, strict=True)
    ]
    return files, matched if files == likely else match(files)


def _match(tree: ImageTree, alone: bool, files: Sequence[CocoFile]) -> list[MatchedImages]:
    """Match the images of all files, each with the split of its file unless that is `alone`."""
    taken: set[str] = set()
    matched = []
    for file in files:
        folder, split = _split_of(file.path)
        matched.append(tree.match(file, folder, "" if alone else split, taken))
    return matched


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
