"""The unit of conversion work: a pure, picklable function over a short list of images.

It writes nothing but label files and links, each whole or absent; running it twice is harmless.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from darknet_kit.core.boxes import BoxConvention, ordered, overhang
from darknet_kit.core.files import holds, link, write_bytes
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, Item
from darknet_kit.dataset.difficult import write_difficult
from darknet_kit.dataset.labels import EDGE_PX, Labelled, ObjectRules, label_objects, shows_none
from darknet_kit.dataset.place import Placed
from darknet_kit.errors import DatasetError
from darknet_kit.formats.image import read_image_header
from darknet_kit.formats.pascal import find_names, read_pascal
from darknet_kit.formats.tree import stem_of


@dataclass(frozen=True, slots=True)
class ShardRules:
    """What is the same for every image of a conversion. `folder` is that of the data set.

    `class_ids` as in `label_objects`; `drop_negatives` leaves out images that show none of them.
    """

    folder: str
    flavor: Flavor
    class_ids: dict[str, int]
    convention: BoxConvention
    objects: ObjectRules
    drop_negatives: bool = False
    verify_images: bool = False
    replace_labels: bool = False
    write: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """One image. `annotation` is given where it does not come from a file of its own."""

    placed: Placed
    annotation: Annotation | None = None


@dataclass(slots=True)
class ShardResult:
    """What came of a shard. `kept` are the listed paths, in order, and `difficult` runs parallel;
    `left_out` counts images that show none of the classes that were chosen."""

    kept: list[str] = field(default_factory=list)
    difficult: list[str] = field(default_factory=list)
    difficult_boxes: int = 0
    negatives: int = 0
    left_out: int = 0
    written: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def convert_shard(jobs: Sequence[Job], rules: ShardRules) -> ShardResult:
    """Write the labels of some images and tell what came of each. Raises WriteError."""
    result = ShardResult()
    for job in jobs:
        labelled = _label(job, rules, result)
        if labelled is None:
            continue
        content = "".join(labelled.lines).encode()
        in_the_way = find_in_the_way(job.placed, content, rules.replace_labels)
        if in_the_way:
            result.problems.append(in_the_way)
            continue
        if rules.write:
            result.written += write_placed(job.placed, content)
        result.kept.append(job.placed.listed)
        result.difficult.append(
            write_difficult(
                rules.folder, job.placed.item, labelled.difficult, rules.flavor, write=rules.write
            )
        )
        result.difficult_boxes += len(labelled.difficult)
        result.negatives += not labelled.lines
        result.boxes.update(labelled.class_ids)
        result.excluded.update(labelled.excluded)
    return result


def _label(job: Job, rules: ShardRules, result: ShardResult) -> Labelled | None:
    """Return the labels of one image, or None where it must be left out."""
    item, problems = job.placed.item, result.problems
    if not item.annotation:
        return Labelled()
    try:
        annotation = job.annotation or read_pascal(item.annotation, rules.convention)
        if rules.drop_negatives and shows_none(annotation, rules.class_ids):
            result.left_out += 1
            result.excluded["other-class"] += len(annotation.objects)
            return None
        width, height = _image_size(annotation, item.image, rules.verify_images, problems)
    except DatasetError as error:
        problems.append(Problem(error.code, error.path or "", error.message, error.line or 0))
        return None
    if _is_misnamed(annotation.filename, item.image):
        message = f"<filename> is {annotation.filename!r:.200}"
        problems.append(Problem("other-filename", item.annotation, message))
    labelled = label_objects(
        annotation,
        item.annotation,
        width,
        height,
        rules.class_ids,
        rules.objects,
        with_difficult=item.split == "valid",
    )
    problems.extend(labelled.problems)
    if labelled.lines or shows_none(annotation, rules.class_ids):
        return labelled  # no object at all is a statement: a negative image
    if labelled.excluded and len(labelled.excluded) == len(annotation.objects):
        message = f"all {len(labelled.excluded)} objects are left out on purpose"
        problems.append(Problem("only-excluded", item.image, message))
    else:
        # An empty label would teach the network that this image shows nothing.
        problems.append(Problem("no-box-left", item.image, "none of its objects could be used"))
    return None


def _is_misnamed(filename: str, image: str) -> bool:
    """Tell whether `<filename>` is of another image; ILSVRC's has no suffix, some have folders."""
    name = os.path.basename(filename.replace("\\", "/"))
    stem = stem_of(os.path.basename(image))
    return bool(name) and stem not in (name, stem_of(name))


def _image_size(
    annotation: Annotation, image: str, verify: bool, problems: list[Problem]
) -> tuple[int, int]:
    """Return width and height in px: the annotation's where sane, else the image's.

    The image is asked as well where a box reaches beyond the stated size, which is how width and
    height that were swapped show, and on request.
    """
    stated = (annotation.width, annotation.height)
    if all(stated) and not verify and not _reaches_beyond(annotation):
        return stated
    header = read_image_header(image)
    actual = (header.width, header.height)
    if header.orientation != 1:
        message = f"EXIF orientation {header.orientation}, stored {actual[0]} x {actual[1]}"
        problems.append(Problem("exif-orientation", image, message))
    if not annotation.states_size:
        return actual
    if not all(stated):
        message = f"no usable <size>; the image has {actual[0]} x {actual[1]} pixels"
        problems.append(Problem("no-size", image, message))
    elif stated != actual:
        message = f"annotated as {stated[0]} x {stated[1]}, is {actual[0]} x {actual[1]}"
        problems.append(Problem("wrong-size", image, message))
    return actual


def _reaches_beyond(annotation: Annotation) -> bool:
    width, height = annotation.width, annotation.height
    return any(
        overhang(ordered(entry.box), width, height) > EDGE_PX for entry in annotation.objects
    )


def find_in_the_way(placed: Placed, content: bytes, replace: bool) -> Problem | None:
    """Return a problem where another label is in the place of this one and must not be replaced."""
    if replace or not os.path.lexists(placed.label) or holds(placed.label, content):
        return None
    message = f"{placed.label} holds other labels; --overwrite replaces them"
    return Problem("label-exists", placed.item.image, message)


def write_placed(placed: Placed, content: bytes) -> bool:
    """Write a label and, in a view, the link beside it; return whether the label was written.

    Raises WriteError.
    """
    written = write_bytes(placed.label, content)
    if placed.listed != placed.item.image:
        link(placed.item.image, placed.listed)
    return written


def collect_names(items: Sequence[Item]) -> Counter[str]:
    """Count the class names in some XML files; unreadable ones are reported when converted."""
    names: Counter[str] = Counter()
    for path in (item.annotation for item in items):
        try:
            with open(path, "rb", buffering=0) as stream:
                names.update(find_names(stream.read(), path))
        except (OSError, DatasetError):
            continue
    return names
