"""Some classes of a data set as a data set of their own: links, new labels, new class ids."""

import difflib
import functools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from darknet_kit.core.files import link, make_folder, write_bytes
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import SPLITS, Item, Split
from darknet_kit.dataset.output import (
    DatasetFiles,
    OutputPaths,
    begin_record,
    claim_folder,
    write_files,
    write_record,
)
from darknet_kit.dataset.place import view_path
from darknet_kit.dataset.reading import Dataset, LabelledImage, iter_images, read_dataset
from darknet_kit.errors import AnyPath, DatasetError, UsageError
from darknet_kit.formats.datafile import read_names
from darknet_kit.formats.yolo import format_label


@dataclass(slots=True)
class Subset:
    """What a subset holds; class ids are the new ones."""

    paths: OutputPaths
    names: list[str]
    images: dict[Split, int] = field(default_factory=dict)
    boxes: dict[Split, Counter[int]] = field(default_factory=dict)
    dropped: int = 0
    written: int = 0


def subset(
    data: AnyPath,
    out: AnyPath,
    *,
    classes: Sequence[str] = (),
    top: int = 0,
    name: str | None = None,
    flavor: Flavor | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Subset:
    """Write a complete data set of some classes into `out`, images as links to the originals.

    `classes` are names or wnids and set the new order; `top` takes the classes with the most
    boxes in the training images, in the order they had. Images with none of them are left out.
    Raises DatasetError, UsageError (`unknown-class`, `no-choice`), WriteError.
    """
    source = read_dataset(data, flavor)
    images = {split: list(iter_images(source, split)) for split in SPLITS}
    if bool(classes) == bool(top):
        raise UsageError(
            "choose the classes either by name or by --top N",
            code="no-choice",
            hint="dkit subset DATA --classes cat,dog --out DIR",
        )
    chosen = _by_name(source, classes) if classes else _most_boxes(source, images["train"], top)
    folder = os.path.abspath(out)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name or os.path.basename(folder)).strip("_")
    paths = OutputPaths(folder, stem or "subset")
    names = [source.names[class_id] for class_id in chosen]
    settings = {"format": "subset", "source": str(source.data.path), "classes": names}
    record: dict[str, Any] = {"settings": {**settings, "flavor": source.flavor.value}}
    claim_folder(paths, record, own=True, again=overwrite)
    if not dry_run:
        begin_record(paths, record)
    result = Subset(paths, names)
    files = DatasetFiles(names, _wnids(source, chosen))
    new_ids = {old: new for new, old in enumerate(chosen)}
    jobs = {split: _plan(images[split], split, folder, source) for split in SPLITS}
    total = sum(map(len, jobs.values()))
    for split in SPLITS:
        boxes = result.boxes[split] = Counter()
        kept = files.lists[split] = []
        work = functools.partial(_link_shard, new_ids=new_ids, write=not dry_run)
        for done in map_shards(work, shards(jobs[split]), workers=workers):
            kept.extend(done.kept)
            boxes.update(done.boxes)
            result.written += done.written
            progress(sum(map(len, files.lists.values())), total)
        kept.sort()
        result.images[split] = len(kept)
    result.dropped = total - sum(result.images.values())
    if not dry_run:
        write_files(paths, files)
        write_record(paths, {**record, "counts": counts_of(result), "finished": True})
    return result


@dataclass(frozen=True, slots=True)
class _Job:
    image: LabelledImage
    linked: str


@dataclass(slots=True)
class _Done:
    kept: list[str] = field(default_factory=list)
    boxes: Counter[int] = field(default_factory=Counter)
    written: int = 0


def _plan(
    images: Sequence[LabelledImage], split: Split, folder: str, source: Dataset
) -> list[_Job]:
    if not images:
        return []
    above = os.path.commonpath([os.path.dirname(image.image) for image in images])
    return [
        _Job(
            image,
            view_path(
                folder,
                Item(
                    image=image.image,
                    annotation="",
                    name=os.path.splitext(os.path.relpath(image.image, above))[0],
                    split=split,
                ),
            ),
        )
        for image in images
    ]


def _link_shard(jobs: Sequence[_Job], *, new_ids: dict[int, int], write: bool) -> _Done:
    """Write links and labels of the images that show a chosen class. Raises WriteError."""
    done = _Done()
    for job in jobs:
        labels = [label for label in job.image.labels or () if label.class_id in new_ids]
        if not labels:
            continue
        content = "".join(
            format_label(new_ids[label.class_id], label.cx, label.cy, label.width, label.height)
            for label in labels
        )
        if write:
            make_folder(os.path.dirname(job.linked))
            done.written += write_bytes(os.path.splitext(job.linked)[0] + ".txt", content.encode())
            link(os.path.realpath(job.image.image), job.linked)
        done.kept.append(job.linked)
        done.boxes.update(new_ids[label.class_id] for label in labels)
    return done


def _wnids(source: Dataset, chosen: Sequence[int]) -> list[str]:
    wnids = _read_wnids(source)
    return [wnids[class_id] for class_id in chosen] if wnids else []


def _read_wnids(source: Dataset) -> list[str]:
    beside = source.data.names.with_suffix(".wnids")
    return read_names(beside) if beside.exists() else []


def _by_name(source: Dataset, classes: Sequence[str]) -> list[int]:
    ids = {name: class_id for class_id, name in enumerate(source.names)}
    ids |= {wnid: class_id for class_id, wnid in enumerate(_read_wnids(source))}
    chosen: list[int] = []
    for name in classes:
        if name not in ids:
            near = difflib.get_close_matches(name, ids, n=3, cutoff=0.6)
            raise UsageError(
                f"there is no class {name!r} in this data set",
                code="unknown-class",
                hint=f"Did you mean {' or '.join(map(repr, near))}?"
                if near
                else f"{source.data.names} lists the classes.",
                path=source.data.path,
            )
        if ids[name] not in chosen:
            chosen.append(ids[name])
    return chosen


def _most_boxes(source: Dataset, images: Sequence[LabelledImage], top: int) -> list[int]:
    boxes = Counter(label.class_id for image in images for label in image.labels or ())
    ranked = sorted(boxes, key=lambda class_id: (-boxes[class_id], class_id))
    chosen = sorted(class_id for class_id in ranked[:top] if 0 <= class_id < len(source.names))
    if not chosen:
        raise DatasetError(
            "the training images have no boxes",
            code="no-boxes",
            hint=f"`dkit show {source.data.path}` shows what the engine would see.",
            path=source.data.path,
        )
    return chosen


def counts_of(result: Subset) -> dict[str, Any]:
    """Return the counts of a subset as conversion.json and `--json` hold them."""
    return {
        "splits": {
            split: {
                "images": result.images[split],
                "boxes": result.boxes[split].total(),
                "boxes_by_class": {
                    name: result.boxes[split][class_id]
                    for class_id, name in enumerate(result.names)
                },
            }
            for split in SPLITS
            if result.images[split]
        },
        "images_left_out": result.dropped,
    }
