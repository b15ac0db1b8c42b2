"""COCO instances JSON: typed decoding, images found by name, classes in category_id order.

A `bbox` is x, y, width, height in pixels from the top-left corner, 0-based (COCO data format).
`category_id` is sparse in COCO itself (80 categories up to id 90); class_id counts from 0 in the
order of the ids, which gives Darknet's own coco.names.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from darknet_kit.core.boxes import box_from_xywh, is_finite
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import one_line, unreadable_file

Id = int | str
"""Some tools write ids as text, and mix both: 7 and "7" are the same id."""
T = TypeVar("T")


class CocoImage(msgspec.Struct, gc=False):
    """An entry of `images`; width and height are 0 or None where the file does not say."""

    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None


class CocoObject(msgspec.Struct, gc=False):
    """An entry of `annotations`, without its segmentation."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: int | bool | None = None


class CocoCategory(msgspec.Struct, gc=False):
    """An entry of `categories`."""

    id: Id
    name: str
    supercategory: str | None = None


class _Document(msgspec.Struct):
    images: list[CocoImage]
    annotations: list[CocoObject]
    categories: list[CocoCategory]


class _LooseDocument(msgspec.Struct):
    images: list[Any]
    annotations: list[Any]
    categories: list[CocoCategory]


@dataclass(slots=True)
class CocoFile:
    """One instances file: images in its order, each with its annotation."""

    path: str
    images: list[CocoImage]
    annotations: list[Annotation]
    categories: list[CocoCategory]
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """What is known of a file so far; objects and their problems by the image's id."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    objects: dict[str, list[LabelledObject]] = field(default_factory=lambda: defaultdict(list))
    flaws: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict(list))

    def annotation(self, image: CocoImage) -> Annotation:
        key = str(image.id)
        return Annotation(
            tuple(self.objects.get(key, ())),
            _size(image.width),
            _size(image.height),
            problems=tuple(self.flaws.get(key, ())),
        )


def read_coco(path: AnyPath) -> CocoFile:
    """Read an instances file. Raises DatasetError (`not-coco`, `cannot-read`).

    A record that does not fit becomes a problem, of its image where it names one; the rest stays.
    """
    reading = _Reading(str(path))
    document = _decode(_read_bytes(path), reading)  # hundreds of MB: nobody else holds them
    for category in document.categories:
        category.name = one_line(category.name)
    images = _unique_images(document.images, reading)
    _sort_objects(document, images, reading)
    annotations = [reading.annotation(image) for image in images.values()]
    return CocoFile(
        reading.path, list(images.values()), annotations, document.categories, reading.problems
    )


def _read_bytes(path: AnyPath) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise unreadable_file(path, "a COCO instances file", error) from error


def _decode(content: bytes, reading: _Reading) -> _Document:
    body = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(body, type=_Document, strict=False)
    except (ValueError, RecursionError):
        pass
    # Slow, and only for files that need it: NaN, UTF-16, records that do not fit.
    try:
        loose = msgspec.convert(json.loads(body), type=_LooseDocument, strict=False)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"this is no COCO instances file: {error}",
            code="not-coco",
            hint="Expected an object with the lists images, annotations and categories.",
            path=reading.path,
        ) from error
    images = _fitting(loose.images, CocoImage, "images", reading)
    annotations = _fitting(loose.annotations, CocoObject, "annotations", reading)
    return _Document(images, annotations, loose.categories)


def _fitting(entries: Iterable[Any], kind: type[T], where: str, reading: _Reading) -> list[T]:
    kept = []
    for number, entry in enumerate(entries):
        try:
            kept.append(msgspec.convert(entry, type=kind, strict=False))
        except (ValueError, RecursionError) as error:
            problem = Problem("bad-record", reading.path, f"{where}[{number}]: {error}")
            image_id = entry.get("image_id") if isinstance(entry, dict) else None
            (reading.problems if image_id is None else reading.flaws[str(image_id)]).append(problem)
    return kept


def _unique_images(images: Iterable[CocoImage], reading: _Reading) -> dict[str, CocoImage]:
    unique: dict[str, CocoImage] = {}
    for image in images:
        if unique.setdefault(str(image.id), image) is not image:
            message = f"image id {image.id} is there twice; {image.file_name!r} is left out"
            reading.problems.append(Problem("duplicate-image", reading.path, message))
    return unique


def _sort_objects(document: _Document, images: dict[str, CocoImage], reading: _Reading) -> None:
    """Give every object, or what is wrong with it, to its image."""
    names = {str(category.id): category.name for category in document.categories}
    for entry in document.annotations:
        key = str(entry.image_id)
        image = images.get(key)
        if image is None:
            message = f"an annotation names image id {entry.image_id}, which is not there"
            reading.problems.append(Problem("unknown-image", reading.path, message))
            continue
        found = _object_of(entry, names.get(str(entry.category_id)), image, reading.path)
        if isinstance(found, Problem):
            reading.flaws[key].append(found)
        else:
            reading.objects[key].append(found)


def _object_of(
    entry: CocoObject, name: str | None, image: CocoImage, path: str
) -> LabelledObject | Problem:
    where = image.file_name
    if name is None:
        message = f"{where}: there is no category {entry.category_id}"
        return Problem("unknown-class", path, message)
    if not name:
        return Problem("no-name", path, f"{where}: category {entry.category_id} has no name")
    if entry.bbox is None:
        return Problem("no-box", path, f"{where}: {name} has no bbox")
    box = box_from_xywh(*entry.bbox)
    if not is_finite(box):
        return Problem("bad-coordinate", path, f"{where}: {name} has the bbox {entry.bbox}")
    return LabelledObject(name, box, iscrowd=bool(entry.iscrowd))


def _size(value: float | None) -> int:
    return int(value) if value is not None and 1 <= value < 1e9 else 0


def class_names(files: Iterable[CocoFile]) -> list[str]:
    """Return the class names of one or more files in category_id order.

    Left out, if nothing uses them: labelme's `_background_` and Roboflow's category 0, which only
    repeats the name of the others' supercategory.
    """
    names: dict[str, None] = {}
    for file in files:
        used = {entry.name for annotation in file.annotations for entry in annotation.objects}
        above = {category.supercategory for category in file.categories}
        for category in sorted(file.categories, key=_by_id):
            name = category.name
            filler = name[:1] in ("", "_") or (str(category.id) == "0" and name in above)
            if name in used or not filler:
                names.setdefault(name)
    return list(names)


def _by_id(category: CocoCategory) -> tuple[bool, int, str]:
    text = str(category.id)
    try:
        return (False, int(text), "")
    except ValueError:
        return (True, 0, text)
