"""What there is to convert: three layouts, one record of what was found in them."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from darknet_kit.core.boxes import BoxConvention
from darknet_kit.core.pool import Workers, map_shards, shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Annotation, Item
from darknet_kit.dataset.shard import collect_names
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.classlist import find_class_list
from darknet_kit.formats.coco import CocoEntry
from darknet_kit.formats.cocotree import find_coco
from darknet_kit.formats.datafile import one_line, read_names
from darknet_kit.formats.ilsvrc import Ilsvrc, find_ilsvrc
from darknet_kit.formats.synsets import Synset, display_names
from darknet_kit.formats.voc import find_voc


@dataclass(slots=True)
class Found:
    """A data set as some layout presents it, before any label is made.

    `source` and `images` are what a person named, `root` the folder of the data. `annotations`
    runs parallel to `items` where they do not come from files of their own; workers parse COCO's.
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
    annotations: Sequence[Annotation | CocoEntry] | None = None
    images: str = ""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look_for_ilsvrc(
    source: AnyPath,
    mapping: AnyPath | None = None,
    images: AnyPath | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find an ILSVRC tree; its boxes are edges from 0. Raises DatasetError."""
    tree = find_ilsvrc(source, mapping, images, progress)
    synsets = tree.synsets or _used_synsets(tree, workers)
    unnamed = "no LOC_synset_mapping.txt: classes are named by wnid"
    return Found(
        format="ilsvrc",
        source=tree.pairs.root,
        root=tree.pairs.root,
        items=tree.pairs.items,
        keys=[synset.wnid for synset in synsets],
        names=display_names(synsets),
        convention=BoxConvention.PLAIN,
        unlabelled=tree.pairs.unlabelled,
        annotations=tree.annotations,
        images=_absolute(images),
        problems=tree.pairs.problems,
        notes=[] if tree.mapping else [unnamed],
    )


def _used_synsets(tree: Ilsvrc, workers: Workers) -> list[Synset]:
    """Return the classes in use, where neither a mapping nor folders tell which there are."""
    if tree.annotations is None:
        used = _used_names(tree.pairs.items, workers)
    else:
        used = Counter(entry.name for one in tree.annotations for entry in one.objects)
    return [Synset(wnid, (wnid,)) for wnid in sorted(used)]


def _used_names(items: Sequence[Item], workers: Workers) -> Counter[str]:
    used: Counter[str] = Counter()
    for counted in map_shards(collect_names, shards(items), workers=workers):
        used.update(counted)
    return used


def look_for_voc(
    source: AnyPath,
    images: AnyPath | None = None,
    names_file: AnyPath | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find a VOC devkit, or any folder of images and Pascal XML.

    Its boxes are pixel numbers from 1, both ends inclusive. Raises DatasetError.
    """
    pairs = find_voc(source, images, progress)
    if names_file:
        names, note = _listed_names(names_file), ""
    else:
        used = _used_names(pairs.items, workers)
        names, note = find_class_list(pairs.root, used, pairs.folders)
    return Found(
        format="voc",
        source=pairs.root,
        root=pairs.root,
        items=pairs.items,
        keys=names,
        names=names,
        convention=BoxConvention.INCLUSIVE,
        unlabelled=pairs.unlabelled,
        images=_absolute(images),
        problems=pairs.problems,
        notes=[note] if note else [],
    )


def look_for_coco(
    source: AnyPath,
    images: AnyPath | None = None,
    names_file: AnyPath | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Found:
    """Find COCO instances JSON, or COCO that some tool exported as Pascal XML.

    Boxes are edges from 0 in both. Raises DatasetError.
    """
    coco = find_coco(source, images, progress, workers)
    if coco is None:
        found = look_for_voc(source, images, names_file, workers, progress)
        found.format, found.convention = "coco", BoxConvention.PLAIN
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
        convention=BoxConvention.PLAIN,
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
