"""COCO instances JSON: images with their objects, classes in category_id order.

A `bbox` is x, y, width, height in pixels from the top-left corner, 0-based (COCO data format).
`category_id` is sparse in COCO itself (80 categories up to id 90); class_id counts from 0 in the
order of the ids, which gives Darknet's own coco.names.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
    Id,
    Misfit,
    decode_coco,
)
from darknet_kit.formats.cocoobjects import (
    PackedObjects,
    group_objects,
    pack_objects,
    unpack_rows,
)
from darknet_kit.formats.cocopieces import CocoFrame, CutFile, decode_frame
from darknet_kit.formats.datafile import class_name, unreadable_file


class CocoEntry(msgspec.Struct, frozen=True, gc=False):
    """One image of the instances file at `path` with its objects, packed as in PackedObjects.

    `categories` are their ids and names, None where there is no such category; `flaws` is what did
    not fit.
    """

    path: str
    image: CocoImage
    objects: bytes
    categories: list[tuple[Id, str | None]]
    flaws: tuple[Problem, ...] = ()

    def parse(self) -> Annotation:
        """Return the annotation of the image."""
        objects, problems = [], list(self.flaws)
        for x, y, width, height, place, has_box, iscrowd in unpack_rows(self.objects):
            category_id, name = self.categories[place]
            if name and has_box:
                box = box_from_xywh(x, y, width, height)
                if is_finite(box):
                    objects.append(LabelledObject(name, box, iscrowd=iscrowd))
                    continue
            bbox = (x, y, width, height) if has_box else None
            problems.append(self._flaw_of(category_id, name, bbox))
        return Annotation(
            tuple(objects),
            _size(self.image.width),
            _size(self.image.height),
            problems=tuple(problems),
        )

    def _flaw_of(
        self, category_id: Id, name: str | None, bbox: tuple[float, ...] | None
    ) -> Problem:
        """Return what is wrong with an object that cannot be used."""
        code = "bad-coordinate"
        if name is None:
            code, message = "unknown-class", f"there is no category {category_id}"
        elif not name:
            code, message = "no-name", f"category {category_id} has no name, or one too long"
        elif bbox is None:
            code, message = "no-box", f"{name} has no bbox"
        else:
            message = f"{name} has the bbox {bbox}"
        return Problem(code, self.path, f"{self.image.file_name}: {message}")


@dataclass(slots=True)
class CocoFile:
    """One instances file: its images in their order, each with its objects."""

    path: str
    entries: list[CocoEntry]
    categories: list[CocoCategory]
    problems: list[Problem] = field(default_factory=list)


def read_coco(
    path: AnyPath, cut: CutFile | None = None, parts: Iterable[PackedObjects | None] = ()
) -> CocoFile:
    """Read an instances file. Raises DatasetError (`not-coco`, `cannot-read`, `out-of-memory`).

    A record that does not fit becomes a problem, of its image where it names one; the rest stays.
    Where it is `cut`, `parts` begins with what `decode_piece` made of its pieces, which takes 80
    bytes an object; else it takes as much memory as the file is large, and 260 bytes an object.
    """
    try:
        return (cut and _join(str(path), cut, parts)) or _read_whole(str(path))
    except MemoryError as error:
        raise DatasetError(
            "there is not enough memory to read this file",
            code="out-of-memory",
            hint="Free some, or cut the file into several; dkit reads all that a folder holds.",
            path=path,
        ) from error


def _join(path: str, cut: CutFile, parts: Iterable[PackedObjects | None]) -> CocoFile | None:
    """Put a file together from its pieces; None where one was not of the plain kind."""
    frame = decode_frame(cut)
    listed = list(itertools.islice(parts, len(cut.pieces)))
    objects = [part for part in listed if part is not None]
    if frame is None or len(objects) < len(listed):
        return None
    return _file_of(frame, objects, (), path)


def _read_whole(path: str) -> CocoFile:
    # Hundreds of MB: nobody else holds the bytes, nor the objects once they are packed.
    document, misfits = decode_coco(_read_bytes(path), path)
    objects = [pack_objects(document.annotations)]
    document.annotations = []
    return _file_of(document, objects, misfits, path)


def _file_of(
    frame: CocoFrame | CocoDocument,
    parts: Sequence[PackedObjects],
    misfits: Sequence[Misfit],
    path: str,
) -> CocoFile:
    for category in frame.categories:
        category.name = class_name(category.name)
    file = CocoFile(path, [], frame.categories)
    images, mixed = _unique_images(frame.images, file)
    flaws = _flaws_by_image(misfits, images, file)
    objects = group_objects(parts, images)
    for image_id in objects.strays:
        message = f"an annotation names image id {image_id}, which is not there"
        file.problems.append(Problem("unknown-image", path, message))
    names = {category.id: category.name for category in frame.categories}
    categories = [(category_id, names.get(category_id)) for category_id in objects.category_ids]
    file.entries.extend(
        CocoEntry(path, image, rows, categories, tuple(flaws.get(image_id, ())))
        for (image_id, image), rows in zip(images.items(), objects.rows, strict=True)
        if image_id not in mixed
    )
    if len({entry.image.file_name for entry in file.entries}) < len(file.entries):
        _put_together(file)
    return file


def _put_together(file: CocoFile) -> None:
    """Give an image that is listed again, with other objects, all of them.

    Some converters list it once for each of its objects, under another id.
    """
    parts: dict[tuple[str, float | None, float | None], list[CocoEntry]] = defaultdict(list)
    for entry in file.entries:
        image = entry.image
        parts[image.file_name, image.width, image.height].append(entry)
    for (name, *_), entries in parts.items():
        if len(entries) > 1:
            message = f"image {name!r} is listed under {len(entries)} ids"
            file.problems.append(Problem("image-in-parts", file.path, message))
    file.entries = [
        msgspec.structs.replace(
            entries[0],
            objects=b"".join(entry.objects for entry in entries),
            flaws=tuple(flaw for entry in entries for flaw in entry.flaws),
        )
        for entries in parts.values()
    ]


def _read_bytes(path: AnyPath) -> bytes:
    try:
        with open(open_ordinary(path), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise unreadable_file(path, "a COCO instances file", error) from error


def _unique_images(
    images: Iterable[CocoImage], file: CocoFile
) -> tuple[dict[Id, CocoImage], set[Id]]:
    """Return the images by id, and the ids that stand for different ones."""
    unique: dict[Id, CocoImage] = {}
    mixed: set[Id] = set()
    for image in images:
        first = unique.setdefault(image.id, image)
        if first.file_name != image.file_name:
            mixed.add(image.id)
            pair = f"{first.file_name!r} and {image.file_name!r}"
            message = f"image id {image.id} is {pair}: whose objects are whose is not said"
            file.problems.append(Problem("ambiguous-image", file.path, message))
        elif first is not image:
            message = f"image id {image.id} is there twice; {image.file_name!r} is left out"
            file.problems.append(Problem("duplicate-image", file.path, message))
    return unique, mixed


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
