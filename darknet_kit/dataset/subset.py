"""Some classes of a data set as a data set of their own: links, new labels, new class ids."""

import difflib
import functools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_groups
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import SPLITS, Item, Split
from darknet_kit.dataset.counts import count_classes
from darknet_kit.dataset.difficult import fill_gaps, write_difficult
from darknet_kit.dataset.output import DatasetFiles, OutputPaths, Target, paths_for
from darknet_kit.dataset.place import Placed, Placement, check_view, place_items
from darknet_kit.dataset.reading import (
    Dataset,
    LabelledImage,
    iter_listed,
    read_dataset,
    read_image,
)
from darknet_kit.dataset.shard import find_in_the_way, write_placed
from darknet_kit.errors import AnyPath, DatasetError, UsageError
from darknet_kit.formats.datafile import read_difficult, read_names
from darknet_kit.formats.yolo import Label, format_label


@dataclass(slots=True)
class Subset:
    """What a subset holds; class ids are the new ones. `dropped` images show none of them.

    `difficult` objects have label files of their own, for mAP.
    """

    paths: OutputPaths
    names: list[str]
    images: dict[Split, int] = field(default_factory=dict)
    boxes: dict[Split, Counter[int]] = field(default_factory=dict)
    dropped: int = 0
    difficult: int = 0
    written: int = 0
    problems: Counter[str] = field(default_factory=Counter)


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
    if bool(classes) == bool(top):
        raise UsageError(
            "choose the classes either by name or by --top N",
            code="no-choice",
            hint="dkit subset DATA --classes cat,dog --out DIR",
        )
    source = read_dataset(data, flavor)
    folder = os.path.abspath(out)
    check_view(folder, source.flavor)
    chosen = _by_name(source, classes) if classes else _most_boxes(source, top, workers)
    names = [source.names[class_id] for class_id in chosen]
    target = Target(
        paths_for(folder, name or os.path.basename(folder)),
        _settings(source, names),
        own=True,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    target.claim()
    rules = _Rules(
        folder,
        {old: new for new, old in enumerate(chosen)},
        len(source.names),
        source.flavor,
        replace_labels=overwrite,
        write=not dry_run,
    )
    return _link_images(source, target, names, rules, workers, progress)


def _settings(source: Dataset, names: list[str]) -> dict[str, Any]:
    return {
        "format": "subset",
        "source": str(source.data.path),
        "view": True,
        "flavor": source.flavor.value,
        "classes": names,
    }


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is the same for every image: new class ids by old ones, and how many there were.

    `folder` is that of the new set.
    """

    folder: str
    new_ids: dict[int, int]
    classes: int
    flavor: Flavor
    replace_labels: bool
    write: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """One image. From the path `difficult` the labels of its difficult objects are found."""

    placed: Placed
    difficult: str


@dataclass(slots=True)
class _Done:
    """What came of a shard. `difficult` runs parallel to the paths that are `kept`."""

    kept: list[str] = field(default_factory=list)
    difficult: list[str] = field(default_factory=list)
    difficult_boxes: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    dropped: int = 0
    written: int = 0
    problems: list[Problem] = field(default_factory=list)


def _link_images(
    source: Dataset,
    target: Target,
    names: list[str],
    rules: _Rules,
    workers: int | None,
    progress: Progress,
) -> Subset:
    placement = place_items(_items(source), source.flavor, target.paths.folder)
    target.begin(placement.placed)
    result = Subset(target.paths, names)
    files = DatasetFiles(names, _wnids(source, rules.new_ids))
    problems = [*placement.problems]
    work = functools.partial(_link_shard, rules=rules)
    jobs = _jobs(source, placement)
    for split, done in map_groups(work, jobs, workers=workers, progress=progress):
        files.lists.setdefault(split, []).extend(done.kept)
        if split == "valid":
            files.difficult.extend(done.difficult)
        result.difficult += done.difficult_boxes
        result.boxes.setdefault(split, Counter()).update(done.boxes)
        result.dropped += done.dropped
        result.written += done.written
        problems.extend(done.problems)
    files.difficult = fill_gaps(rules.folder, files.difficult, rules.flavor, write=rules.write)
    result.images = {split: len(listed) for split, listed in files.lists.items()}
    result.problems.update(problem.code for problem in problems)
    target.finish(files, problems, counts_of(result))
    return result


def _items(source: Dataset) -> Iterator[Item]:
    """Yield the images of all lists, named by their paths below the folder that they share."""
    for split in SPLITS:
        images = [os.path.abspath(image) for image in iter_listed(source, split)]
        if images:
            above = os.path.commonpath([os.path.dirname(image) for image in images])
            for image in images:
                name = os.path.splitext(os.path.relpath(image, above))[0]
                yield Item(image=image, annotation="", name=name, split=split)


def _jobs(source: Dataset, placement: Placement) -> dict[Split, list[_Job]]:
    """Raises DatasetError as `read_difficult` does."""
    listed = list(iter_listed(source, "valid"))
    paths = map(os.path.abspath, listed)
    difficult = dict(zip(paths, read_difficult(source.data, listed), strict=False))
    return {
        split: [
            _Job(one, difficult.get(one.item.image, "") if split == "valid" else "")
            for one in placed
        ]
        for split, placed in placement.by_split().items()
    }


def _link_shard(jobs: Sequence[_Job], *, rules: _Rules) -> _Done:
    """Write links and labels of the images that show a chosen class. Raises WriteError."""
    done = _Done()
    for job in jobs:
        image = read_image(job.placed.item.image, rules.flavor)
        done.problems.extend(_check(image, rules.classes))
        if image.labels is None or not os.path.isfile(image.image):
            continue
        labels = _choose(image.labels, rules.new_ids)
        if not labels:
            done.dropped += 1
            continue
        content = "".join(map(_line, labels)).encode()
        # Links lead to the originals, not to the links of the set that this one is made of.
        item = structs.replace(job.placed.item, image=os.path.realpath(image.image))
        original = replace(job.placed, item=item)
        in_the_way = find_in_the_way(original, content, rules.replace_labels)
        if in_the_way:
            done.problems.append(in_the_way)
            continue
        if rules.write:
            done.written += write_placed(original, content)
        done.kept.append(original.listed)
        done.boxes.update(label.class_id for label in labels)
        _keep_difficult(job, rules, done)
    return done


def _keep_difficult(job: _Job, rules: _Rules, done: _Done) -> None:
    """Write the labels of the image's difficult objects. Raises WriteError."""
    hard = read_image(job.difficult, rules.flavor).labels if job.difficult else None
    lines = [_line(label) for label in _choose(hard or (), rules.new_ids)]
    path = write_difficult(rules.folder, job.placed.item, lines, rules.flavor, write=rules.write)
    done.difficult.append(path)
    done.difficult_boxes += len(lines)


def _check(image: LabelledImage, classes: int) -> Iterator[Problem]:
    if not os.path.isfile(image.image):
        yield Problem("missing-image", image.image, "listed, but not there")
    elif image.labels is None:
        yield Problem("missing-label", image.image, f"looked for {image.label}")
    for label in image.labels or ():
        if not 0 <= label.class_id < classes:
            message = f"class_id {label.class_id}, but there are {classes} classes"
            yield Problem("class-out-of-range", image.label, message)


def _choose(labels: Iterable[Label], new_ids: dict[int, int]) -> list[Label]:
    """Return the labels of chosen classes, with their new class ids."""
    return [
        replace(label, class_id=new_ids[label.class_id])
        for label in labels
        if label.class_id in new_ids
    ]


def _line(label: Label) -> str:
    return format_label(label.class_id, label.cx, label.cy, label.width, label.height)


def _wnids(source: Dataset, chosen: Iterable[int]) -> list[str]:
    wnids = _read_wnids(source)
    return [wnids[class_id] for class_id in chosen] if wnids else []


def _read_wnids(source: Dataset) -> list[str]:
    beside = source.data.names.with_suffix(".wnids")
    return read_names(beside) if beside.exists() else []


def _by_name(source: Dataset, classes: Sequence[str]) -> list[int]:
    """Return the class_ids of names or wnids, each once. Raises UsageError."""
    ids = {name: class_id for class_id, name in enumerate(source.names)}
    ids |= {wnid: class_id for class_id, wnid in enumerate(_read_wnids(source))}
    for name in classes:
        if name not in ids:
            lowered = {known.lower(): known for known in ids}
            near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
            raise UsageError(
                f"there is no class {name!r} in this data set",
                code="unknown-class",
                hint=f"Did you mean {' or '.join(repr(lowered[one]) for one in near)}?"
                if near
                else f"{source.data.names} lists the classes.",
                path=source.data.path,
            )
    return list(dict.fromkeys(ids[name] for name in classes))


def _most_boxes(source: Dataset, top: int, workers: int | None) -> list[int]:
    """Return the class_ids with most boxes in the training images. Raises DatasetError."""
    boxes = count_classes(source, "train", workers=workers).boxes
    known = [class_id for class_id in boxes if 0 <= class_id < len(source.names)]
    chosen = sorted(known, key=lambda class_id: (-boxes[class_id], class_id))[:top]
    if not chosen:
        raise DatasetError(
            "the training images have no boxes",
            code="no-boxes",
            hint=f"`dkit show {source.data.path}` shows what the engine would see.",
            path=source.data.path,
        )
    return sorted(chosen)


def counts_of(result: Subset) -> dict[str, Any]:
    """Return the counts of a subset as conversion.json and `--json` hold them."""
    return {
        "splits": {
            split: {
                "images": images,
                "boxes": result.boxes[split].total(),
                "boxes_by_class": {
                    name: result.boxes[split][class_id]
                    for class_id, name in enumerate(result.names)
                },
            }
            for split, images in result.images.items()
            if images
        },
        "images_left_out": result.dropped,
        "difficult_for_map": result.difficult,
        "problems": dict(sorted(result.problems.items())),
    }
