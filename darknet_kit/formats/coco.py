"""COCO instances JSON: images with their objects, classes in category_id order.

A `bbox` is x, y, width, height in pixels from the top-left corner, 0-based (COCO data format).
`category_id` is sparse in COCO itself (80 categories up to id 90); class_id counts from 0 in the
order of the ids, which gives Darknet's own coco.names.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from darknet_kit.core.boxes import box_from_xywh, is_finite
from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.cocojson import (
    CocoCategory,
    CocoDocument,
    CocoImage,
    CocoObject,
    Id,
    Misfit,
    decode_coco,
)
from darknet_kit.formats.datafile import class_name, unreadable_file


class CocoEntry(msgspec.Struct, frozen=True, gc=False):
    """One image of the instances file at `path` with its objects, as they stand there.

    `names` are those of the file's categories, `flaws` what did not fit.
    """

    path: str
    image: CocoImage
    objects: list[CocoObject]
    names: dict[Id, str]
    flaws: tuple[Problem, ...] = ()

    def parse(self) -> Annotation:
        """Return the annotation of the image."""
        objects, problems = [], list(self.flaws)
        for entry in self.objects:
            name, bbox = self.names.get(entry.category_id), entry.bbox
            if name and bbox is not None:
                box = box_from_xywh(bbox.x, bbox.y, bbox.width, bbox.height)
                if is_finite(box):
                    objects.append(LabelledObject(name, box, iscrowd=bool(entry.iscrowd)))
                    continue
            problems.append(_flaw_of(entry, name, self.image.file_name, self.path))
        width, height = _size(self.image.width), _size(self.image.height)
        return Annotation(tuple(objects), width, height, problems=tuple(problems))

    def __reduce__(self) -> tuple[Any, ...]:
        # On its way to a worker: MessagePack takes a third of the time of pickling one by one.
        objects = msgspec.msgpack.encode(self.objects)
        return _unpack, (self.path, self.image, objects, self.names, self.flaws)


_OBJECTS = msgspec.msgpack.Decoder(list[CocoObject])


def _unpack(path: str, image: CocoImage, objects: bytes, *rest: Any) -> CocoEntry:
    return CocoEntry(path, image, _OBJECTS.decode(objects), *rest)


@dataclass(slots=True)
class CocoFile:
    """One instances file: its images in their order, each with its objects."""

    path: str
    entries: list[CocoEntry]
    categories: list[CocoCategory]
    problems: list[Problem] = field(default_factory=list)


def read_coco(path: AnyPath) -> CocoFile:
    """Read an instances file. Raises DatasetError (`not-coco`, `cannot-read`, `out-of-memory`).

    A record that does not fit becomes a problem, of its image where it names one; the rest stays.
    It takes as much memory as the file is large, and 260 bytes an object.
    """
    try:
        # Hundreds of MB: nobody else holds the bytes.
        document, misfits = decode_coco(_read_bytes(path), str(path))
        return _file_of(document, misfits, str(path))
    except MemoryError as error:
        raise DatasetError(
            "there is not enough memory to read this file",
            code="out-of-memory",
            hint="Free some, or cut the file into several; dkit reads all that a folder holds.",
            path=path,
        ) from error


def _file_of(document: CocoDocument, misfits: Iterable[Misfit], path: str) -> CocoFile:
    for category in document.categories:
        category.name = class_name(category.name)
    file = CocoFile(path, [], document.categories)
    images = _unique_images(document.images, file)
    flaws = _flaws_by_image(misfits, images, file)
    objects = _objects_by_image(document, images, file)
    names = {category.id: category.name for category in document.categories}
    file.entries.extend(
        CocoEntry(path, image, objects[image_id], names, tuple(flaws.get(image_id, ())))
        for image_id, image in images.items()
    )
    return file


def _read_bytes(path: AnyPath) -> bytes:
    try:
        with open(open_ordinary(path), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise unreadable_file(path, "a COCO instances file", error) from error


def _unique_images(images: Iterable[CocoImage], file: CocoFile) -> dict[Id, CocoImage]:
    unique: dict[Id, CocoImage] = {}
    for image in images:
        if unique.setdefault(image.id, image) is not image:
            message = f"image id {image.id} is there twice; {image.file_name!r} is left out"
            file.problems.append(Problem("duplicate-image", file.path, message))
    return unique


def _flaws_by_image(
    misfits: Iterable[Misfit], images: Mapping[Id, CocoImage], file: CocoFile
) -> Mapping[Id, list[Problem]]:
    """Give every record that does not fit to its image, or to the file where there is none."""
    by_text = {str(image_id): image_id for image_id in images} if misfits else {}
    flaws: dict[Id, list[Problem]] = defaultdict(list)
    for misfit in misfits:
        image_id = by_text.get(str(misfit.image_id))
        (file.problems if image_id is None else flaws[image_id]).append(misfit.problem)
    return flaws


def _objects_by_image(
    document: CocoDocument, images: Iterable[Id], file: CocoFile
) -> dict[Id, list[CocoObject]]:
    objects: dict[Id, list[CocoObject]] = {image_id: [] for image_id in images}
    for entry in document.annotations:
        listed = objects.get(entry.image_id)
        if listed is None:
            message = f"an annotation names image id {entry.image_id}, which is not there"
            file.problems.append(Problem("unknown-image", file.path, message))
        else:
            listed.append(entry)
    return objects


def _flaw_of(entry: CocoObject, name: str | None, image: str, path: str) -> Problem:
    """Return what is wrong with an object that cannot be used."""
    if name is None:
        message = f"{image}: there is no category {entry.category_id}"
        return Problem("unknown-class", path, message)
    if not name:
        return Problem(
            "no-name", path, f"{image}: category {entry.category_id} has no name, or one too long"
        )
    if entry.bbox is None:
        return Problem("no-box", path, f"{image}: {name} has no bbox")
    box = entry.bbox
    message = f"{image}: {name} has the bbox {(box.x, box.y, box.width, box.height)}"
    return Problem("bad-coordinate", path, message)


def _size(value: float | None) -> int:
    return int(value) if value is not None and 1 <= value < 1e9 else 0


def class_names(files: Iterable[CocoFile]) -> list[str]:
    """Return the class names of one or more files in category_id order.

    Left out, if nothing uses them: labelme's `_background_` and Roboflow's category 0, which only
    repeats the name of the others' supercategory.
    """
    names: dict[str, None] = {}
    for file in files:
        above = {category.supercategory for category in file.categories}
        for category in sorted(file.categories, key=_by_id):
            name = category.name
            filler = name[:1] in ("", "_") or (str(category.id) == "0" and name in above)
            if not filler or _is_used(name, file):
                names.setdefault(name)
    return list(names)


def _is_used(name: str, file: CocoFile) -> bool:
    return any(one.name == name for entry in file.entries for one in entry.parse().objects)


def _by_id(category: CocoCategory) -> tuple[bool, int, str]:
    text = str(category.id)
    try:
        return (False, int(text), "")
    except ValueError:
        return (True, 0, text)
