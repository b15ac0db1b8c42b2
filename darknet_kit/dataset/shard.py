"""The unit of conversion work: a pure, picklable function over a short list of images.

It writes nothing but label files and links, each whole or absent; running it twice is harmless.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from darknet_kit.core.boxes import BoxConvention, is_inside, ordered, overhang
from darknet_kit.core.contents import iter_contents
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, Item, LabelledObject, stem_of, unpack
from darknet_kit.core.wording import counted
from darknet_kit.dataset.difficult import write_difficult
from darknet_kit.dataset.labelfiles import LabelFiles
from darknet_kit.dataset.labels import EDGE_PX, Labelled, ObjectRules, label_objects, shows_none
from darknet_kit.dataset.place import Layout, place
from darknet_kit.errors import DatasetError
from darknet_kit.formats.coco import CocoEntry
from darknet_kit.formats.datafile import format_lines
from darknet_kit.formats.image import read_image_header
from darknet_kit.formats.pascal import find_names, parse_content
from darknet_kit.formats.pascalfast import parse_plain


@dataclass(frozen=True, slots=True)
class ShardRules:
    """What is the same for every image of a conversion. `folder` is that of the data set.

    `class_ids` as in `label_objects`; `drop_negatives` leaves out images that show none of them.
    """

    folder: str
    layout: Layout
    class_ids: dict[str, int]
    convention: BoxConvention
    objects: ObjectRules
    drop_negatives: bool = False
    verify_images: bool = False
    replace_labels: bool = False
    write: bool = True


@dataclass(slots=True)
class ShardResult:
    """What came of a shard. `listed` are the lines for the list of images, `images` their number;
    where they are to validate on, `difficult` runs parallel. `left_out` counts images that show
    none of the classes that were chosen, `from_zero` boxes that begin before pixel 1."""

    listed: str = ""
    images: int = 0
    difficult: list[str] = field(default_factory=list)
    difficult_boxes: int = 0
    from_zero: int = 0
    negatives: int = 0
    left_out: int = 0
    written: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def convert_shard(items: Sequence[Item], rules: ShardRules) -> ShardResult:
    """Write the labels of some images that have annotation files of their own, or none.

    Raises WriteError.
    """
    annotations = _iter_annotations(items, rules.convention)
    return _convert(zip(items, annotations, strict=True), rules)


def convert_parsed(
    jobs: Sequence[tuple[Item, Annotation | CocoEntry | None]], rules: ShardRules
) -> ShardResult:
    """Write the labels of some images whose annotations are given. Raises WriteError."""
    parsed = ((item, one.parse() if isinstance(one, CocoEntry) else one) for item, one in jobs)
    return _convert(parsed, rules)


def _iter_annotations(
    items: Sequence[Item], convention: BoxConvention
) -> Iterator[Annotation | DatasetError | None]:
    unread = [item.annotation for item in items if item.notes and not item.packed]
    contents = iter_contents(unread)
    for item in items:
        if not item.notes:
            yield None
        elif item.packed:
            yield unpack(item.packed)
        else:
            yield _read(item, next(contents), convention)


def _read(
    item: Item, content: bytes | OSError, convention: BoxConvention
) -> Annotation | DatasetError:
    plain = parse_plain(content, convention) if isinstance(content, bytes) else None
    if plain is not None:
        return plain
    try:
        return parse_content(content, item.annotation, convention)
    except DatasetError as error:
        return error


def _convert(
    jobs: Iterable[tuple[Item, Annotation | DatasetError | None]], rules: ShardRules
) -> ShardResult:
    result = ShardResult()
    listed: list[str] = []
    class_ids: list[int] = []
    with LabelFiles(replace=rules.replace_labels, write=rules.write) as files:
        for item, annotation in jobs:
            labelled = _label(item, annotation, rules, result)
            if labelled is None:
                continue
            placed = place(item, rules.layout)
            put = files.put(item.image, placed, "".join(labelled.lines).encode())
            if isinstance(put, Problem):
                result.problems.append(put)
                continue
            result.written += put
            listed.append(placed.listed)
            if item.split == "valid":
                _keep_difficult(item, list(labelled.difficult), rules, result)
            result.negatives += not (labelled.lines or labelled.difficult)
            class_ids += labelled.lines.values()
    result.listed, result.images = format_lines(listed), len(listed)
    result.boxes.update(class_ids)
    return result


def _keep_difficult(item: Item, lines: list[str], rules: ShardRules, result: ShardResult) -> None:
    """Write the labels of an image's difficult objects. Raises WriteError."""
    flavor = rules.layout.flavor
    path = write_difficult(rules.folder, item, lines, flavor, write=rules.write)
    result.difficult.append(path)
    result.difficult_boxes += len(lines)


def _label(
    item: Item,
    annotation: Annotation | DatasetError | None,
    rules: ShardRules,
    result: ShardResult,
) -> Labelled | None:
    """Return the labels of one image, or None where it must be left out."""
    if annotation is None:
        return Labelled()
    problems = result.problems
    try:
        if isinstance(annotation, DatasetError):
            raise annotation
        if rules.drop_negatives and shows_none(annotation, rules.class_ids):
            result.left_out += 1
            result.excluded["other-class"] += len(annotation.objects)
            return None
        labelled = _label_objects(annotation, item, rules, problems)
    except DatasetError as error:
        problems.append(Problem(error.code, error.path or "", error.message, error.line or 0))
        return None
    if _is_misnamed(annotation.filename, item.file):
        message = f"<filename> is {annotation.filename!r:.200}"
        problems.append(Problem("other-filename", item.annotation, message))
    if labelled.excluded:
        result.excluded.update(labelled.excluded)
    if labelled.problems:
        # Without a line, a file that speaks of many images would not say which one is meant.
        problems += (
            one if one.line else replace(one, path=item.image) for one in labelled.problems
        )
        if rules.convention is BoxConvention.INCLUSIVE:
            result.from_zero += sum(map(_begins_at_zero, annotation.objects))
    if labelled.lines or _may_be_empty(labelled, annotation, rules.class_ids):
        return labelled
    # An empty label would teach the network that this image shows nothing.
    problems.append(_none_left(labelled, annotation, item.image))
    return None


def _label_objects(
    annotation: Annotation, item: Item, rules: ShardRules, problems: list[Problem]
) -> Labelled:
    """Label an image by the size that its annotation states, or by its own.

    The image is asked on request, where no usable size is stated, and where a box reaches beyond
    it, which is how width and height that were swapped show. Raises DatasetError.
    """
    width, height = annotation.width, annotation.height
    if width and height and not rules.verify_images:
        labelled = label_objects(annotation, item, width, height, rules.class_ids, rules.objects)
        # Else each of its boxes has a line, and was not mended: they lie inside.
        doubtful = labelled.problems or labelled.excluded
        if not (doubtful and _reaches_beyond(annotation)):
            return labelled
    width, height = _image_size(annotation, item.image, problems)
    return label_objects(annotation, item, width, height, rules.class_ids, rules.objects)


def _none_left(labelled: Labelled, annotation: Annotation, image: str) -> Problem:
    if labelled.excluded and len(labelled.excluded) == len(annotation.objects):
        message = f"{counted(len(labelled.excluded), 'object')}, left out on purpose"
        return Problem("only-excluded", image, message)
    return Problem("no-box-left", image, "none of its objects could be used")


def _may_be_empty(labelled: Labelled, annotation: Annotation, class_ids: dict[str, int]) -> bool:
    """Tell whether an empty label is right: no object is a statement, a negative image.

    So it is with difficult objects alone, of which mAP is told apart: it expects none of them.
    """
    reasons = labelled.excluded
    if labelled.difficult and len(reasons) == len(annotation.objects):
        return not annotation.problems and {"difficult", "other-class"}.issuperset(reasons)
    return shows_none(annotation, class_ids)


def _begins_at_zero(entry: LabelledObject) -> bool:
    """Tell whether a box taken for pixel numbers from 1 begins before pixel 1, if just."""
    return -EDGE_PX <= min(entry.box.left, entry.box.top) < 0


def _is_misnamed(filename: str, image: str) -> bool:
    """Tell whether `<filename>` is of another image; ILSVRC's has no suffix, some have folders."""
    if filename == image:
        return False
    stem = stem_of(image)
    if filename == stem:
        return False
    name = os.path.basename(filename.replace("\\", "/"))
    return bool(name) and stem not in (name, stem_of(name))


def _image_size(annotation: Annotation, image: str, problems: list[Problem]) -> tuple[int, int]:
    """Return width and height of an image in px, as it says itself. Raises DatasetError."""
    stated = (annotation.width, annotation.height)
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
        not is_inside(entry.box, width, height)
        and overhang(ordered(entry.box), width, height) > EDGE_PX
        for entry in annotation.objects
    )


def read_shard(
    items: Sequence[Item], convention: BoxConvention
) -> tuple[Counter[str], list[bytes]]:
    """Count the class names in some XML files; return each file's annotation, packed, as well.

    That is empty for all that are not plain: they are reported when they are converted.
    """
    names: list[str] = []
    packed: list[bytes] = []
    paths = [item.annotation for item in items]
    for path, content in zip(paths, iter_contents(paths), strict=True):
        plain = parse_plain(content, convention) if isinstance(content, bytes) else None
        packed.append(plain.pack() if plain else b"")
        if plain:
            names.extend(entry.name for entry in plain.objects)
        elif isinstance(content, bytes):
            with contextlib.suppress(DatasetError):
                names.extend(find_names(content, path))
    return Counter(names), packed
