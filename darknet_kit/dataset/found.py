"""What there is to convert: three layouts, one record of what was found in them."""

import functools
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from darknet_kit.core.boxes import BoxConvention
from darknet_kit.core.pool import Workers, map_shards, shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Annotation, Item
from darknet_kit.dataset.shard import read_shard
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.classlist import find_class_list
from darknet_kit.formats.coco import CocoEntry
from darknet_kit.formats.cocotree import find_coco
from darknet_kit.formats.datafile import one_line, read_names
from darknet_kit.formats.ilsvrc import Ilsvrc, find_ilsvrc
from darknet_kit.formats.pairs import Pairs
from darknet_kit.formats.synsets import Synset, display_names
from darknet_kit.formats.voc import find_voc

_ROOM = 64 << 20
"""Bytes for what was read before it is converted: of 400,000 images; the rest is read twice."""


@dataclass(slots=True)
class Found:
    """A data set as some layout presents it, before any label is made.

    `source` and `images` are what a person named, `root` the folder of the data. `annotations` are
    by the path of the image, where they do not come from files of their own; workers parse COCO's.
    `keys` are the class names as the annotations spell them, `names` as people read them.
    """

    format: str
    source: str
    root: str
    items: Sequence[Item]
    keys: Sequence[str]
    names: Sequence[str]
    convention: BoxConvention
    unlabelled: Sequence[Item] = ()
    annotations: Mapping[str, Annotation | CocoEntry] | None = None
    images: str = ""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def negatives(found: Found) -> list[Item]:
    """Return the images that show nothing if those without annotation do.

    Raises DatasetError (`cannot-read`) where a folder may hold annotations that nobody has seen.
    """
    for problem in found.problems:
        if problem.code == "cannot-read":
            raise DatasetError(
                f"{problem.message}; annotations in it would be missed",
                code="cannot-read",
                hint="Make it readable; without --keep-unlabelled it is listed, and the rest done.",
                path=problem.path,
            )
    return [item for item in found.unlabelled if item.split != "test"]


def look_for_ilsvrc(
    source: AnyPath,
    mapping: AnyPath | None = None,
    images: AnyPath | None = None,
    convention: BoxConvention | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find an ILSVRC tree; its boxes are edges from 0 unless told. Raises DatasetError."""
    tree = find_ilsvrc(source, mapping, images, progress)
    convention = convention or BoxConvention.PLAIN
    synsets = tree.synsets or _used_synsets(tree, convention, workers)
    paths = (item.image for item in tree.pairs.items)
    solutions = tree.annotations
    unnamed = "no LOC_synset_mapping.txt: classes are named by wnid"
    return Found(
        format="ilsvrc",
        source=tree.pairs.root,
        root=tree.pairs.root,
        items=tree.pairs.items,
        keys=[synset.wnid for synset in synsets],
        names=display_names(synsets),
        convention=convention,
        unlabelled=tree.pairs.unlabelled,
        annotations=None if solutions is None else dict(zip(paths, solutions, strict=True)),
        images=_absolute(images),
        problems=tree.pairs.problems,
        notes=[] if tree.mapping else [unnamed],
    )


def _used_synsets(tree: Ilsvrc, convention: BoxConvention, workers: Workers) -> list[Synset]:
    """Return the classes in use, where neither a mapping nor folders tell which there are."""
    if tree.annotations is None:
        used = _used_names(tree.pairs, convention, workers)
    else:
        used = Counter(entry.name for one in tree.annotations for entry in one.objects)
    return [Synset(wnid, (wnid,)) for wnid in sorted(used)]


def _used_names(pairs: Pairs, convention: BoxConvention, workers: Workers) -> Counter[str]:
    """Read all annotations for their class names; what was read stays with the items."""
    used: Counter[str] = Counter()
    kept: list[Item] = []
    room = _ROOM
    pieces = shards(pairs.items)
    work = functools.partial(read_shard, convention=convention)
    readings = map_shards(work, pieces, workers=workers)
    for piece, (counted, packed) in zip(pieces, readings, strict=True):
        used.update(counted)
        room -= sum(map(sys.getsizeof, packed))
        kept.extend(map(_with_packed, piece, packed) if room >= 0 else piece)
    pairs.items = kept
    return used


def _with_packed(item: Item, packed: bytes) -> Item:
    return replace(item, packed=packed)


def look_for_voc(
    source: AnyPath,
    images: AnyPath | None = None,
    names_file: AnyPath | None = None,
    convention: BoxConvention | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find a VOC devkit, or any folder of images and Pascal XML.

    Its boxes are pixel numbers from 1, both ends inclusive, unless told. Raises DatasetError.
    """
    pairs = find_voc(source, images, progress)
    convention = convention or BoxConvention.INCLUSIVE
    if names_file:
        names, note = _listed_names(names_file), ""
    else:
        used = _used_names(pairs, convention, workers)
        names, note = find_class_list(pairs.root, used, pairs.class_lists)
    return Found(
        format="voc",
        source=pairs.root,
        root=pairs.root,
        items=pairs.items,
        keys=names,
        names=names,
        convention=convention,
        unlabelled=pairs.unlabelled,
        images=_absolute(images),
        problems=pairs.problems,
        notes=[note] if note else [],
    )


def look_for_coco(
    source: AnyPath,
    images: AnyPath | None = None,
    names_file: AnyPath | None = None,
    convention: BoxConvention | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find COCO instances JSON, or COCO that some tool exported as Pascal XML.

    Boxes are edges from 0 in both, unless told. Raises DatasetError.
    """
    convention = convention or BoxConvention.PLAIN
    coco = find_coco(source, images, progress, workers)
    if coco is None:
        found = look_for_voc(source, images, names_file, convention, workers, progress)
        found.format = "coco"
        found.notes.append(
            "there is XML here and no JSON: boxes are edges from 0, as COCO's are, unless "
            "--box-convention says otherwise"
        )
        return found
    names = _listed_names(names_file) if names_file else coco.names
    return Found(
        format="coco",
        source=os.path.abspath(source),
        root=coco.root,
        items=coco.items,
        keys=names,
        names=names,
        convention=convention,
        unlabelled=coco.unlabelled,
        annotations=coco.entries,
        images=_absolute(images),
        problems=coco.problems,
    )


def _absolute(path: AnyPath | None) -> str:
    return os.path.abspath(path) if path else ""


def _listed_names(path: AnyPath) -> list[str]:
    names = [one_line(name) for name in read_names(path)]
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(
                f"the class {name!r} is there {count} times",
                code="duplicate-class",
                hint="Each class can have one line, and one class_id, only.",
                path=path,
            )
    return names
