"""Objects of an instances file packed into rows of bytes, 38 of them for each.

Rows go to another process, and into the order of their images, many times faster than objects.
"""

import struct
from array import array
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from darknet_kit.formats.cocojson import CocoBox, CocoObject, Id

_ROW = struct.Struct("4di??")
_FIELDS = [("bbox", "V32"), ("category", "i4"), ("flags", "V2")]  # the same, for numpy
_NO_BOX = CocoBox(0, 0, 0, 0)
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


class PackedObjects(NamedTuple):
    """Some objects in the order of the file: the ids of their images, and their rows.

    A row holds x, y, width and height of the bbox in pixels, the place of the category's id in
    `category_ids`, whether there is a bbox, and whether the object is a crowd. Ids of images are
    in an array where all are numbers of 64 bits.
    """

    image_ids: "array[int] | list[Id]"
    category_ids: list[Id]
    rows: bytes


class GroupedObjects(NamedTuple):
    """Objects by image: `rows` has those of each, `strays` the ids of images that are not there.

    Both are in the order of the file; a stray is named once an object.
    """

    rows: list[bytes]
    category_ids: list[Id]
    strays: list[Id]


def pack_objects(objects: Sequence[CocoObject]) -> PackedObjects:
    """Pack objects, whatever their ids are."""
    places: dict[Id, int] = {}
    place, pack = places.setdefault, _ROW.pack
    rows = [
        pack(
            (box := one.bbox or _NO_BOX).x,
            box.y,
            box.width,
            box.height,
            place(one.category_id, len(places)),
            box is not _NO_BOX,
            bool(one.iscrowd),
        )
        for one in objects
    ]
    image_ids = _pack_ids([one.image_id for one in objects])
    return PackedObjects(image_ids, list(places), b"".join(rows))


def _pack_ids(ids: list[Id]) -> "array[int] | list[Id]":
    try:
        return array("q", ids)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        return ids


def unpack_rows(rows: bytes) -> Iterator[tuple[float, float, float, float, int, bool, bool]]:
    """Yield the fields of rows, in the order that `PackedObjects` names."""
    return _ROW.iter_unpack(rows)


def group_objects(parts: Sequence[PackedObjects], images: Collection[Id]) -> GroupedObjects:
    """Give every image its rows."""
    import numpy as np  # here: a conversion of XML needs none of it

    keys, *listed = _pack_ids(list(images)), *(part.image_ids for part in parts)
    plain = all(isinstance(ids, array) for ids in (keys, *listed))
    kind = np.int64 if plain else object
    owners = np.concatenate([np.array(ids, kind) for ids in listed])
    order = np.argsort(owners, kind="stable")
    rows, category_ids = _join_rows(parts)
    grouped = np.frombuffer(rows, f"V{_ROW.size}")[order].tobytes()
    owners = owners[order]
    bounds = zip(
        *(np.searchsorted(owners, np.array(keys, kind), side) * _ROW.size for side in _SIDES),
        strict=True,
    )
    found = [grouped[start:end] for start, end in bounds]
    complete = sum(map(len, found)) == len(grouped)
    strays = [] if complete else [one for ids in listed for one in ids if one not in images]
    return GroupedObjects(found, category_ids, strays)


def _join_rows(parts: Sequence[PackedObjects]) -> tuple[bytearray, list[Id]]:
    """Return the rows of all parts, and the categories that they name together."""
    import numpy as np

    places: dict[Id, int] = {}
    joined = bytearray().join(part.rows for part in parts)
    categories = np.frombuffer(joined, _FIELDS)["category"]
    end = 0
    for part in parts:
        here = slice(end, end := end + len(part.image_ids))
        place = [places.setdefault(category_id, len(places)) for category_id in part.category_ids]
        categories[here] = np.array(place, np.int32)[categories[here]]
    return joined, list(places)
