"""The layouts of ILSVRC's data, as Kaggle and image-net.org give it out.

    ILSVRC/Annotations/CLS-LOC/{train/<wnid>,val}/*.xml
    ILSVRC/Data/CLS-LOC/{train/<wnid>,val,test}/*.JPEG
    ILSVRC/ImageSets/CLS-LOC/*.txt
    LOC_synset_mapping.txt, LOC_train_solution.csv, LOC_val_solution.csv

`train` is nested by class, `val` is flat; more than half of the train images have no XML. Box
coordinates start at 0; objects are named by wnid. The detection task has DET where this has
CLS-LOC; archives of image-net.org unpack into ILSVRC2012_img_train, ILSVRC2012_bbox_train_v2 and
the like. Any part of all this may be missing; where there is no XML, the solution files serve.
"""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from darknet_kit.core.contents import read_small
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Annotation, Item, Split
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import read_text
from darknet_kit.formats.locsolution import SOLUTION, iter_solution
from darknet_kit.formats.pairs import Pairs, find_images, find_pairs
from darknet_kit.formats.pascal import find_names
from darknet_kit.formats.strangers import no_annotations
from darknet_kit.formats.synsets import MAPPING, Synset, parse_mapping

_TASKS = ("CLS-LOC", "DET")
_TRAIN_CLASS = re.compile(r"(?:Annotations|Data)/CLS-LOC/train/(n\d{8})")
_WNID = re.compile(r"n\d{8}")
_SPLIT_WORD = re.compile(r"(?:^|[_-])(train|val|test)(?:$|[_-])")
_SPLITS: dict[str, Split] = {"train": "train", "val": "valid", "test": "test"}
_PEEKED = 20  # annotations that tell whether a tree is ImageNet's


@dataclass(frozen=True, slots=True)
class Ilsvrc:
    """A tree found: `pairs`, and its classes in class_id order.

    `annotations` runs parallel to the items where a solution file holds them. `synsets` is empty
    where only the annotations know which classes there are.
    """

    pairs: Pairs
    synsets: list[Synset]
    mapping: str
    annotations: list[Annotation] | None = None


def find_ilsvrc(
    source: AnyPath,
    mapping: AnyPath | None = None,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Ilsvrc:
    """Find the images, annotations and classes of an ILSVRC tree.

    `source` is the folder that holds `Annotations` and `Data`, or one above it, or any other
    with XML whose objects are wnids; `images` is where the images are if not there. Without a
    mapping file the classes are the folders of `train`, sorted, which is the same order. Raises
    DatasetError.
    """
    top = os.path.abspath(source)
    root, task = _find_root(top, images)
    annotations: list[Annotation] | None = None
    if not task:
        pairs = _find_other_layout(top, images, progress)
    elif _has(root, "Annotations", task):
        pairs = find_pairs(root, progress, "ilsvrc", *_place_images(images, task))
        pairs.items = _of_task(pairs.items, task)
        pairs.unlabelled = _of_task(pairs.unlabelled, task)
    else:
        pairs, annotations = _pair_solutions(root, images, progress)
    found = os.fspath(mapping) if mapping else _find_mapping(root) if task != "DET" else ""
    if found:
        synsets = parse_mapping(read_text(found, "the synset mapping"), found)
    else:
        matches = filter(None, map(_TRAIN_CLASS.fullmatch, pairs.folders))
        synsets = [Synset(wnid, (wnid,)) for wnid in sorted({match[1] for match in matches})]
    return Ilsvrc(pairs, synsets, found, annotations)


def _find_root(top: str, images: AnyPath | None) -> tuple[str, str]:
    """Return the root of a tree, and its task: empty where it has another layout.

    With `images` it needs none of its own.
    """
    below = sorted(os.listdir(top)) if os.path.isdir(top) else []
    roots = [top, *(os.path.join(top, name) for name in below)]
    roots += [os.path.join(root, "ILSVRC") for root in roots]
    for task, root in itertools.product(_TASKS, roots):
        annotated = _has(root, "Annotations", task) or _find_solutions(root)
        if annotated and (images or _has(root, "Data", task)):
            return root, task
    _refuse_half(roots)
    return top, ""


def _place_images(images: AnyPath | None, task: str) -> tuple[AnyPath | None, str]:
    """Return the folder that has the images of a task, and where in a tree it would stand."""
    if images is None:
        return None, ""
    tries = (os.path.join(images, folder, task) for folder in ("ILSVRC/Data", "Data", ""))
    return next(filter(os.path.isdir, tries), images), f"Data/{task}"


def _has(root: str, kind: str, task: str) -> bool:
    return os.path.isdir(os.path.join(root, kind, task))


def _refuse_half(roots: Sequence[str]) -> None:
    """Raise DatasetError for a tree of annotations alone, or of images alone."""
    for task, root in itertools.product(_TASKS, roots):
        if _has(root, "Annotations", task):
            raise DatasetError(
                f"the annotations are here, and the images are not: there is no Data/{task}",
                code="no-images",
                hint=f"Unpack the images into {os.path.join(root, 'Data', task)}, or name the "
                "folder that has them with --images DIR.",
                path=root,
            )
        if _has(root, "Data", task):
            raise DatasetError(
                f"the images are here, and the annotations are not: there is no Annotations/{task}",
                code="no-annotations",
                hint="Unpack the annotations beside Data, or put LOC_train_solution.csv and "
                "LOC_val_solution.csv there.",
                path=root,
            )


def _find_other_layout(top: str, images: AnyPath | None, progress: Progress) -> Pairs:
    """Find images and XML in any layout, if the objects are named by wnid. Raises DatasetError."""
    pairs = find_pairs(top, progress, "ilsvrc", images)
    names = set[str]()
    for item in pairs.items[:_PEEKED]:
        try:
            names.update(find_names(read_small(item.annotation), item.annotation))
        except (OSError, DatasetError):
            continue
    if not names or not all(map(_WNID.fullmatch, names)):
        raise no_annotations(top, "ilsvrc")
    pairs.items = [replace(item, split=item.split or _split_of(item, top)) for item in pairs.items]
    return pairs


def _of_task(items: Sequence[Item], task: str) -> list[Item]:
    places = {place for place in {item.place for item in items} if place.partition("/")[0] == task}
    return [item for item in items if item.place in places]


def _split_of(item: Item, top: str) -> Split | Literal[""]:
    places = (item.place, item.notes.removeprefix(top))
    found = next(filter(None, map(_SPLIT_WORD.search, places)), None)
    return _SPLITS[found[1]] if found else ""


def _find_mapping(root: str) -> str:
    for folder in (root, os.path.dirname(root), os.path.join(root, "ImageSets", "CLS-LOC")):
        path = os.path.join(folder, MAPPING)
        if os.path.isfile(path):
            return path
    return ""


def _find_solutions(root: str) -> list[str]:
    for folder in (root, os.path.dirname(root)):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        found = sorted(filter(SOLUTION.fullmatch, names))
        if found:
            return [os.path.join(folder, name) for name in found]
    return []


def _pair_solutions(
    root: str, images: AnyPath | None, progress: Progress
) -> tuple[Pairs, list[Annotation]]:
    """Match the images of a tree to the rows of its solution files. Raises DatasetError."""
    pairs = find_images(images or root, progress)
    pairs.root = root
    items = {os.path.basename(item.name): item for item in pairs.unlabelled if item.split != "test"}
    annotated: dict[str, tuple[Item, Annotation]] = {}
    for path, (stem, annotation) in _rows(_find_solutions(root)):
        line = next((entry.line for entry in annotation.objects), 0)
        if stem in annotated:
            message = f"{stem} has a row already"
            pairs.problems.append(Problem("duplicate-image", path, message, line))
        elif stem in items:
            annotated[stem] = (replace(items[stem], notes=path), annotation)
        else:
            message = f"there is no image with the stem {stem!r}"
            pairs.problems.append(Problem("missing-image", path, message, line))
    both = sorted(annotated.values(), key=lambda pair: pair[0].image)
    pairs.items = [item for item, _ in both]
    taken = {item.image for item in pairs.items}
    pairs.unlabelled = [item for item in pairs.unlabelled if item.image not in taken]
    return pairs, [annotation for _, annotation in both]


def _rows(solutions: Sequence[str]) -> Iterator[tuple[str, tuple[str, Annotation]]]:
    for path in solutions:
        for row in iter_solution(path):
            yield path, row
