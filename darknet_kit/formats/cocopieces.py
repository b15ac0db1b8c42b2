"""A large instances file in pieces, which are decoded side by side or one after the other.

Its list of annotations is cut at some `},{`. No cut is trusted: what stands before the list,
closed by `]}`, each piece in brackets, and what follows, after `{"":[`, must be JSON each. Then
the whole is, and says the same. A parser that has read the beginning is in a list in the outermost
object, or `]}` would not complete it; the list's key is `annotations`, for no backslash stands
before these quotes. A piece takes a parser from inside a list to inside it again, past one object
at least, or brackets would not complete it; so commas belong between pieces, and `]` after them.
A cut within a string or a deeper list leaves something open, which neither side can be.

What is there twice counts as it stands last, so `annotations` must not come again. Where anything
does not fit, nobody asks why: the file is decoded as a whole, which knows what to say.
"""

import os
import re
from array import array
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from darknet_kit.core.contents import open_ordinary
from darknet_kit.formats.cocojson import FAILED, CocoCategory, CocoImage, CocoObject
from darknet_kit.formats.cocoobjects import PackedObjects, pack_objects

_SIZE = 4 << 20  # bytes of a piece
_WINDOW = 1 << 16  # bytes, in which a piece may end
_NEAR_END, _FAR = 1 << 20, 64 << 20  # bytes; COCO's images, where they come last, are 33 MB
_KEY = b'"annotations"'
_OPENED = re.compile(rb"\s*:\s*\[")
_CLOSED = re.compile(rb'\]\s*,\s*"(?:images|categories|info|licenses)"\s*:\s*[\[{]')
_BETWEEN = re.compile(rb"\}\s*,\s*\{")


class Piece(NamedTuple):
    """Some annotations: the bytes of a file from `start` to before `end`."""

    path: str
    start: int
    end: int


class CutFile(NamedTuple):
    """What stands before the annotations of a file, these in pieces, and what follows them."""

    head: bytes
    pieces: list[Piece]
    tail: bytes


class CocoFrame(msgspec.Struct):
    """An instances file without its annotations."""

    images: list[CocoImage]
    categories: list[CocoCategory]


class _Part(msgspec.Struct):
    images: list[CocoImage] | UnsetType = UNSET
    categories: list[CocoCategory] | UnsetType = UNSET
    annotations: list[CocoObject] | UnsetType = UNSET


_decode_part = msgspec.json.Decoder(_Part, strict=False).decode
_decode_objects = msgspec.json.Decoder(list[CocoObject], strict=False).decode


def cut_file(path: str, size: int = _SIZE) -> CutFile | None:
    """Propose where to cut a file into pieces of about `size` bytes; None where it is small."""
    try:
        with open(open_ordinary(path), "rb") as stream:
            length = os.fstat(stream.fileno()).st_size
            head = _read_head(stream) if length > size else b""
            if not head:
                return None
            tail = _read_tail(stream, head, length)
            pieces = list(_cut(stream.fileno(), path, len(head), length - len(tail), size))
    except OSError:
        return None
    return CutFile(head, pieces, tail)


def _read_head(stream: BinaryIO) -> bytes:
    """Return all up to the first annotation, or nothing where none is found."""
    head, seen = bytearray(), 0
    while (key := head.find(_KEY, max(seen - len(_KEY), 0))) < 0:
        seen = len(head)
        head += stream.read(_SIZE)
        if len(head) == seen:
            return b""
    head += stream.read(_WINDOW)
    opened = _OPENED.match(head, key + len(_KEY))
    return bytes(head[: opened.end()]) if opened and head[key - 1] != ord("\\") else b""


def _read_tail(stream: BinaryIO, head: bytes, length: int) -> bytes:
    """Return all from the end of the annotations on: before another list, or the last there is."""
    near = min(_NEAR_END if b'"images"' in head else _FAR, length - len(head))
    stream.seek(length - near)
    content = stream.read(near)
    closed = _CLOSED.search(content)
    return content[closed.start() if closed else max(content.rfind(b"]"), 0) :]


def _cut(stream: int, path: str, start: int, end: int, size: int) -> Iterator[Piece]:
    for target in range(start + size, end, size):
        between = _BETWEEN.search(os.pread(stream, min(_WINDOW, end - target), target))
        if between and target >= start:
            yield Piece(path, start, target + between.start() + 1)
            start = target + between.end() - 1
    yield Piece(path, start, end)


def decode_frame(cut: CutFile) -> CocoFrame | None:
    """Decode what is around the annotations; None where it is not of the plain kind."""
    try:
        before = _decode_part(cut.head.removeprefix(BOM_UTF8) + b"]}")
        after = _decode_part(b'{"":[' + cut.tail)
    except FAILED:
        return None
    images = before.images if after.images is UNSET else after.images
    categories = before.categories if after.categories is UNSET else after.categories
    if images is UNSET or categories is UNSET or after.annotations is not UNSET:
        return None
    texts = [one.id for listed in (images, categories) for one in listed if type(one.id) is str]
    return None if texts else CocoFrame(images, categories)


def decode_piece(piece: Piece) -> PackedObjects | None:
    """Decode some annotations; None where they are not of the plain kind."""
    content = bytearray(piece.end - piece.start + 2)
    content[0], content[-1] = b"[]"
    try:
        with open(open_ordinary(piece.path), "rb") as stream:
            os.preadv(stream.fileno(), [memoryview(content)[1:-1]], piece.start)
        objects = pack_objects(_decode_objects(content))
    except (*FAILED, OSError):
        return None
    plain = isinstance(objects.image_ids, array) and not any(
        isinstance(category_id, str) for category_id in objects.category_ids
    )
    return objects if plain and objects.image_ids else None
