"""COCO instances JSON: typed decoding, images found by name, classes in category_id order.

A `bbox` is x, y, width, height in pixels from the top-left corner, 0-based (COCO data format).
`category_id` is sparse in COCO itself (80 categories up to id 90); class_id counts from 0 in the
order of the ids, which gives Darknet's own coco.names.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from darknet_kit.core.boxes import box_from_xywh, is_finite
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.errors import AnyPath, DatasetError

Id = int | str
T = TypeVar("T")


class CocoImage(msgspec.Struct, gc=False):
    """An entry of `images`; width and height are 0 where the file does not say."""

    id: Id
    file_name: str
    width: float = 0
    height: float = 0


class CocoObject(msgspec.Struct, gc=False):
    """An entry of `annotations`, without its segmentation."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: int = 0


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


def read_coco(path: AnyPath) -> CocoFile:
    """Read an instances file. Raises DatasetError (`not-coco`, `cannot-read`).

    A record that does not fit becomes a problem; the rest stays.
    """
    source = os.fspath(path)
    try:
        with open(source, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DatasetError(
            f"cannot read: {error.strerror}",
            code="cannot-read",
            hint="Check the path, and that the file may be read.",
            path=source,
        ) from error
    problems: list[Problem] = []
    document = _decode(content, source, problems)
    names = {category.id: category.name for category in document.categories}
    images = _unique_images(document.images, source, problems)
    objects = _objects_by_image(document.annotations, names, images, source, problems)
    annotations = [
        Annotation(tuple(objects.get(image.id, ())), _size(image.width), _size(image.height))
        for image in images.values()
    ]
    return CocoFile(source, list(images.values()), annotations, document.categories, problems)


def _decode(content: bytes, path: str, problems: list[Problem]) -> _Document:
    body = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(body, type=_Document, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    # Slow, and only for files that need it: NaN, UTF-16, records that do not fit.
    try:
        loose = msgspec.convert(json.loads(body), type=_LooseDocument, strict=False)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"this is no COCO instances file: {error}",
            code="not-coco",
            hint="Expected an object with the lists images, annotations and categories.",
            path=path,
        ) from error
    images = _fitting(loose.images, CocoImage, "images", path, problems)
    annotations = _fitting(loose.annotations, CocoObject, "annotations", path, problems)
    return _Document(images, annotations, loose.categories)


def _fitting(
    entries: Iterable[Any], kind: type[T], where: str, path: str, problems: list[Problem]
) -> list[T]:
    kept = []
    for number, entry in enumerate(entries):
        try:
            kept.append(msgspec.convert(entry, type=kind, strict=False))
        except msgspec.ValidationError as error:
            code = "no-box" if where == "annotations" else "unreadable-image"
            problems.append(Problem(code, path, f"{where}[{number}]: {error}"))
    return kept


def _unique_images(
    images: Iterable[CocoImage], path: str, problems: list[Problem]
) -> dict[Id, CocoImage]:
    unique: dict[Id, CocoImage] = {}
    for image in images:
        if image.id in unique:
            message = f"image id {image.id} is there twice; {image.file_name!r} is left out"
            problems.append(Problem("duplicate-image", path, message))
        else:
            unique[image.id] = image
    return unique


def _objects_by_image(
    objects: Iterable[CocoObject],
    names: dict[Id, str],
    images: dict[Id, CocoImage],
    path: str,
    problems: list[Problem],
) -> dict[Id, list[LabelledObject]]:
    by_image: dict[Id, list[LabelledObject]] = defaultdict(list)
    for entry in objects:
        image, name = images.get(entry.image_id), names.get(entry.category_id)
        if image is None:
            message = f"an annotation names image id {entry.image_id}, which is not there"
            problems.append(Problem("unknown-image", path, message))
        elif name is None:
            message = f"{image.file_name}: there is no category {entry.category_id}"
            problems.append(Problem("unknown-class", path, message))
        elif entry.bbox is None:
            problems.append(Problem("no-box", path, f"{image.file_name}: {name} has no bbox"))
        elif not is_finite(box := box_from_xywh(*entry.bbox)):
            message = f"{image.file_name}: {name} has the bbox {entry.bbox}"
            problems.append(Problem("bad-coordinate", path, message))
        else:
            by_image[image.id].append(LabelledObject(name, box, iscrowd=bool(entry.iscrowd)))
    return by_image


def _size(value: float) -> int:
    return int(value) if 1 <= value < 1e9 else 0


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
            filler = name.startswith("_") or (category.id == 0 and name in above)
            if name in used or not filler:
                names.setdefault(name)
    return list(names)


def _by_id(category: CocoCategory) -> tuple[bool, int, str]:
    if isinstance(category.id, int):
        return (False, category.id, "")
    return (True, 0, category.id)
