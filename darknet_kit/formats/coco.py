"""COCO instances JSON: images with their objects, classes in category_id order.

A `bbox` is x, y, width, height in pixels from the top-left corner, 0-based (COCO data format).
`category_id` is sparse in COCO itself (80 categories up to id 90); class_id counts from 0 in the
order of the ids, which gives Darknet's own coco.names.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
    file_name: str
    width: float | None
    height: float | None
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
            _size(self.width),
            _size(self.height),
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
        return Problem(code, self.path, f"{self.file_name}: {message}")


@dataclass(slots=True)
class CocoFile:
    """One instances file: its images in their order and, once it is read, each with its objects.

    `known` are all by their id. Of those that are listed under several ids, `images` has the
    first, and `again` the other ids by the first; of those that share one it has none.
    """

    path: str
    categories: list[CocoCategory]
    known: dict[Id, CocoImage] = field(default_factory=dict)
    images: list[CocoImage] = field(default_factory=list)
    again: dict[Id, list[Id]] = field(default_factory=dict)
    entries: list[CocoEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_coco(
    path: AnyPath, outline: CocoFile | None = None, parts: Iterable[PackedObjects | None] = ()
) -> CocoFile:
    """Read an instances file. Raises DatasetError (`not-coco`, `cannot-read`, `out-of-memory`).

    A record that does not fit becomes a problem, of its image where it names one; the rest stays.
    Where it was cut, `parts` is what came of its pieces, and `outline` what stands around them,
    which is completed. Else it is decoded as a whole, which takes as much memory as it is large,
    and 300 bytes an object.
    """
    try:
        every = list(parts)
        objects = [part for part in every if part]
        if outline and len(objects) == len(every):
            return _complete(outline, objects)
        return _read_whole(str(path))
    except MemoryError as error:
        raise DatasetError(
            "there is not enough memory to read this file",
            code="out-of-memory",
            hint="Free some, or cut the file into several; dkit reads all that a folder holds.",
            path=path,
        ) from error


def outline_coco(cut: CutFile, path: str) -> CocoFile | None:
    """Read all but the annotations; None where only the whole file tells what it says."""
    frame = decode_frame(cut)
    return _outline(frame, path) if frame else None


def _outline(frame: CocoFrame | CocoDocument, path: str) -> CocoFile:
    for category in frame.categories:
        category.name = class_name(category.name)
    file = CocoFile(path, frame.categories)
    mixed = _know_images(file, frame.images)
    file.images = [image for image in file.known.values() if image.id not in mixed]
    if len({image.file_name for image in file.images}) < len(file.images):
        _find_alike(file)
    return file


def _find_alike(file: CocoFile) -> None:
    """Keep the first of several entries of an image.

    Some converters list an image once for each of its objects, under another id.
    """
    alike: dict[tuple[str, float | None, float | None], list[CocoImage]] = defaultdict(list)
    for image in file.images:
        alike[image.file_name, image.width, image.height].append(image)
    file.images = [images[0] for images in alike.values()]
    for first, *again in alike.values():
        if again:
            file.again[first.id] = [image.id for image in again]


def _know_images(file: CocoFile, images: Iterable[CocoImage]) -> set[Id]:
    """Take in the images by id; return the ids that stand for different ones."""
    mixed = set[Id]()
    for image in images:
        first = file.known.setdefault(image.id, image)
        if first.file_name != image.file_name:
            mixed.add(image.id)
            pair = f"{first.file_name!r} and {image.file_name!r}"
            message = f"image id {image.id} is {pair}: whose objects are whose is not said"
            file.problems.append(Problem("ambiguous-image", file.path, message))
        elif first is not image:
            message = f"image id {image.id} is there twice; {image.file_name!r} is left out"
            file.problems.append(Problem("duplicate-image", file.path, message))
    return mixed


def _read_whole(path: str) -> CocoFile:
    # Hundreds of MB: nobody else holds the bytes, nor the objects once they are packed.
    document, misfits = decode_coco(_read_bytes(path), path)
    objects = [pack_objects(document.annotations)]
    document.annotations = []
    return _complete(_outline(document, path), objects, misfits)


def _complete(
    file: CocoFile, parts: Sequence[PackedObjects], misfits: Sequence[Misfit] = ()
) -> CocoFile:
    """Give the images of a file their objects, and what does not fit."""
    flaws = _flaws_by_image(misfits, file)
    objects = group_objects(parts, file.known)
    for image_id in objects.strays:
        message = f"an annotation names image id {image_id}, which is not there"
        file.problems.append(Problem("unknown-image", file.path, message))
    names = {category.id: category.name for category in file.categories}
    categories = [(category_id, names.get(category_id)) for category_id in objects.category_ids]
    rows = dict(zip(file.known, objects.rows, strict=True))
    for image_id, again in file.again.items():
        message = f"image {file.known[image_id].file_name!r} is listed under {len(again) + 1} ids"
        file.problems.append(Problem("image-in-parts", file.path, message))
        rows[image_id] += b"".join(rows[one] for one in again)
        flaws[image_id].extend(flaw for one in again for flaw in flaws[one])
    file.entries = [
        CocoEntry(
            file.path,
            image.file_name,
            image.width,
            image.height,
            rows[image.id],
            categories,
            tuple(flaws.get(image.id, ())),
        )
        for image in file.images
    ]
    return file


def _read_bytes(path: AnyPath) -> bytes:
    try:
        with open(open_ordinary(path), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise unreadable_file(path, "a COCO instances file", error) from error


def _flaws_by_image(misfits: Sequence[Misfit], file: CocoFile) -> dict[Id, list[Problem]]:
    """Give every record that does not fit to its image, or to the file where there is none."""
    by_text = {str(image_id): image_id for image_id in file.known} if misfits else {}
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
