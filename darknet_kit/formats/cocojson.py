"""COCO instances JSON as it stands in the file: decoded into records, or refused with a sentence.

Decoding is typed, and so passes over segmentations, which are nine tenths of such a file.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from darknet_kit.core.problems import Problem
from darknet_kit.formats.cocokind import check_kind, check_whole, refusal

Id = int | str
"""Some tools write ids as text, and mix both: 7 and "7" are the same id."""
T = TypeVar("T")
FAILED = (ValueError, RecursionError)
"""What msgspec and json raise on bad input; errors of encoding are ValueErrors too."""


class CocoImage(msgspec.Struct, gc=False):
    """An entry of `images`; width and height are 0 or None where the file does not say."""

    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None


class CocoBox(msgspec.Struct, gc=False, array_like=True, forbid_unknown_fields=True):
    """A `bbox`: four numbers, xywh_px, 0-based."""

    x: float
    y: float
    width: float
    height: float


class CocoObject(msgspec.Struct, gc=False):
    """An entry of `annotations`, without its segmentation."""

    image_id: Id
    category_id: Id
    bbox: CocoBox | None = None
    iscrowd: int | bool | None = None


class CocoCategory(msgspec.Struct, gc=False):
    """An entry of `categories`."""

    id: Id
    name: str
    supercategory: str | None = None


class CocoDocument(msgspec.Struct):
    """An instances file; ids are all numbers, or all text."""

    images: list[CocoImage]
    annotations: list[CocoObject]
    categories: list[CocoCategory]


class _RawDocument(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[CocoCategory]


class _LooseDocument(msgspec.Struct):
    images: list[Any]
    annotations: list[Any]
    categories: list[CocoCategory]


class Misfit(NamedTuple):
    """A record that does not fit, and the image that it names, if any."""

    image_id: Id | None
    problem: Problem


def decode_coco(content: bytes, path: str) -> tuple[CocoDocument, list[Misfit]]:
    """Return what an instances file holds, and its records that do not fit.

    Raises DatasetError (`not-coco`) where the file is not one as a whole.
    """
    body = content.removeprefix(BOM_UTF8)
    misfits: list[Misfit] = []
    try:
        document = msgspec.json.decode(body, type=CocoDocument, strict=False)
    except FAILED as error:
        check_whole(body, error, path)
        document = _decode_loosely(body, path, misfits)
    _spell_ids_alike(document)
    return document, misfits


def _decode_loosely(body: bytes, path: str, misfits: list[Misfit]) -> CocoDocument:
    """Decode record by record, which is slow: for files with a record that does not fit.

    Files with NaN, which is no JSON, or in UTF-16 are decoded as a whole, which takes memory too.
    """
    loose: _RawDocument | _LooseDocument
    try:
        loose = msgspec.json.decode(body, type=_RawDocument, strict=False)
    except FAILED as failed:
        check_whole(body, failed, path)
        try:
            loose = msgspec.convert(json.loads(body), type=_LooseDocument, strict=False)
        except FAILED as error:
            raise refusal(body, error, path) from error
    document = CocoDocument(
        _fitting(loose.images, CocoImage, "images", path, misfits),
        _fitting(loose.annotations, CocoObject, "annotations", path, misfits),
        loose.categories,
    )
    if misfits and not document.annotations:
        check_kind(body, path)  # not one annotation fits: of another kind altogether, maybe
    return document


def _fitting(
    entries: Iterable[Any], kind: type[T], where: str, path: str, misfits: list[Misfit]
) -> list[T]:
    kept = []
    for number, entry in enumerate(entries):
        try:
            if isinstance(entry, msgspec.Raw):
                entry = json.loads(bytes(entry))
            kept.append(msgspec.convert(entry, type=kind, strict=False))
        except FAILED as error:
            problem = Problem("bad-record", path, f"{where}[{number}]: {error}")
            misfits.append(Misfit(_image_id(entry), problem))
    return kept


def _image_id(entry: Any) -> Id | None:
    try:
        image_id: Id = msgspec.convert(entry["image_id"], type=Id, strict=False)
    except (*FAILED, LookupError, TypeError):
        return None
    return image_id


def _spell_ids_alike(document: CocoDocument) -> None:
    """Make text of all ids if one is."""
    kinds = {type(entry.image_id) for entry in document.annotations}
    kinds.update(type(entry.category_id) for entry in document.annotations)
    kinds.update(type(image.id) for image in document.images)
    kinds.update(type(category.id) for category in document.categories)
    if str not in kinds:
        return
    for entry in document.annotations:
        entry.image_id, entry.category_id = str(entry.image_id), str(entry.category_id)
    for image in document.images:
        image.id = str(image.id)
    for category in document.categories:
        category.id = str(category.id)
