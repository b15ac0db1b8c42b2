"""The unit of a subset's work: a pure, picklable function over a short list of images.

It writes nothing but links, and beside them labels with the new class ids.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Item
from darknet_kit.dataset.difficult import write_difficult
from darknet_kit.dataset.labelfiles import LabelFiles
from darknet_kit.dataset.place import Layout, place
from darknet_kit.dataset.reading import read_image
from darknet_kit.formats.yolo import Label, format_label


@dataclass(frozen=True, slots=True)
class RelabelRules:
    """What is the same for every image: new class ids by old ones, and how many there were.

    `folder` is that of the new set; `keep_negatives` keeps images that show none of the classes.
    """

    folder: str
    new_ids: Mapping[int, int]
    classes: int
    layout: Layout
    keep_negatives: bool
    replace_labels: bool
    write: bool


@dataclass(frozen=True, slots=True)
class RelabelJob:
    """One image. From the path `difficult` the labels of its difficult objects are found."""

    item: Item
    difficult: str


@dataclass(slots=True)
class Relabelled:
    """What came of a shard. `difficult` runs parallel to the paths that are `listed`.

    Classes by their new ids: their boxes, and the `shown`, images that show them.
    """

    listed: list[str] = field(default_factory=list)
    difficult: list[str] = field(default_factory=list)
    difficult_boxes: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    shown: Counter[int] = field(default_factory=Counter)
    negatives: int = 0
    left_out: int = 0
    written: int = 0
    problems: list[Problem] = field(default_factory=list)


def relabel_shard(jobs: Sequence[RelabelJob], *, rules: RelabelRules) -> Relabelled:
    """Write links and labels of the images that are wanted. Raises WriteError."""
    done = Relabelled()
    with LabelFiles(replace=rules.replace_labels, write=rules.write) as files:
        for job in jobs:
            labels = _read(job.item.image, rules, done.problems)
            if labels is None:
                continue
            hard = _read_difficult(job, rules, done.problems)
            if not (labels or hard or rules.keep_negatives):
                done.left_out += 1
                continue
            content = "".join(map(_line, labels)).encode()
            # Links lead to the originals, not to the links of the set that this one is made of.
            original = os.path.realpath(job.item.image, strict=True)
            placed = place(job.item, rules.layout)
            put = files.put(original, placed, content)
            if isinstance(put, Problem):
                done.problems.append(put)
                continue
            done.written += put
            done.listed.append(placed.listed)
            done.negatives += not (labels or hard)
            done.boxes.update(label.class_id for label in labels)
            done.shown.update({label.class_id for label in labels})
            flavor = rules.layout.flavor
            path = write_difficult(rules.folder, job.item, hard, flavor, write=rules.write)
            done.difficult.append(path)
            done.difficult_boxes += len(hard)
    return done


def _read(image: str, rules: RelabelRules, problems: list[Problem]) -> list[Label] | None:
    """Return the labels of chosen classes, by new ids; None where image or label is not there."""
    found = read_image(image, rules.layout.flavor)
    if not os.path.isfile(image):
        problems.append(Problem("missing-image", image, "listed, but not there"))
        return None
    if found.labels is None:
        problems.append(_lacking(image, found.label))
        return None
    problems.extend(_strange(found.labels, found.label, rules.classes))
    return _choose(found.labels, rules.new_ids)


def _lacking(image: str, label: str) -> Problem:
    """Say what keeps an image from having labels: there are none, or they cannot be read."""
    if label and os.path.lexists(label):
        return Problem("cannot-read", image, f"its label cannot be read: {label}")
    return Problem("missing-label", image, f"looked for {label}")


def _strange(labels: Iterable[Label], path: str, classes: int) -> Iterator[Problem]:
    for label in labels:
        if not 0 <= label.class_id < classes:
            message = f"class_id {label.class_id}, but there are {classes} classes"
            yield Problem("class-out-of-range", path, message)


def _read_difficult(job: RelabelJob, rules: RelabelRules, problems: list[Problem]) -> list[str]:
    """Return the label lines of an image's difficult objects of chosen classes."""
    if not job.difficult:
        return []
    found = read_image(job.difficult, rules.layout.flavor)
    if found.labels is None and os.path.lexists(found.label):
        problems.append(Problem("cannot-read", found.label, "labels of difficult objects"))
    return [_line(label) for label in _choose(found.labels or (), rules.new_ids)]


def _choose(labels: Iterable[Label], new_ids: Mapping[int, int]) -> list[Label]:
    """Return the labels of chosen classes, with their new class ids."""
    return [
        replace(label, class_id=new_ids[label.class_id])
        for label in labels
        if label.class_id in new_ids
    ]


def _line(label: Label) -> str:
    return format_label(label.class_id, label.cx, label.cy, label.width, label.height)
