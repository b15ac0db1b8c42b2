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

import errno
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
_BLOCK = 1 << 18  # bytes, looked through at once
_NEAR, _FAR = 1 << 20, 64 << 20  # bytes; COCO's images, where they come last, are 33 MB
_KEY = b'"annotations"'
_OPENED = re.compile(rb"[^\\]" + _KEY + rb"\s*:\s*\[")
_CLOSED = re.compile(rb'\]\s*,\s*"(?:images|categories|info|licenses)"\s*:\s*[\[{]')
_BETWEEN = re.compile(rb"\}\s*,\s*\{")


class Piece(NamedTuple):
    """The bytes of a file from `start` to before `end`; `changed` is its time, in ns."""

    path: str
    start: int
    end: int
    changed: int


class CutFile(NamedTuple):
    """What stands before the annotations of a file, these in pieces, and what follows them."""

    head: Piece
    pieces: list[Piece]
    tail: Piece


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
            status = os.fstat(stream.fileno())
            length, changed = status.st_size, status.st_mtime_ns
            start, near = _find_start(stream) if length > size else (0, 0)
            if not start:
                return None
            end = _find_end(stream, max(start, length - near))
            pieces = list(_cut(stream.fileno(), Piece(path, start, end, changed), size))
            stream.seek(0)
            first = len(BOM_UTF8) if stream.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    except OSError:
        return None
    tail = Piece(path, end, length, changed)
    return CutFile(Piece(path, first, start, changed), pieces, tail)


def _find_start(stream: BinaryIO) -> tuple[int, int]:
    """Return where the first annotation begins, 0 where none is found, and how near to the end of
    the file the last one ends: further away if the images come behind."""
    done, last, near = 0, b"", _FAR
    while block := stream.read(_BLOCK):
        window = last + block
        if near != _NEAR and b'"images"' in window:
            near = _NEAR
        if (key := window.find(_KEY)) >= 0:
            at = max(done - len(last) + key - 1, 0)
            opened = _OPENED.match(os.pread(stream.fileno(), _WINDOW, at))
            return (at + opened.end() if opened else 0), near
        done, last = done + len(block), block[-len(_KEY) :]
    return 0, near


def _find_end(stream: BinaryIO, start: int) -> int:
    """Return where the annotations end: before another list after `start`, or with the last."""
    stream.seek(start)
    content = stream.read()
    closed = _CLOSED.search(content)
    return start + max(closed.start() if closed else content.rfind(b"]"), 0)


def _cut(stream: int, whole: Piece, size: int) -> Iterator[Piece]:
    path, start, end, changed = whole
    for target in range(start + size, end, size):
        between = _BETWEEN.search(os.pread(stream, min(_WINDOW, end - target), target))
        if between and target >= start:
            yield Piece(path, start, target + between.start() + 1, changed)
            start = target + between.end() - 1
    yield Piece(path, start, end, changed)


def decode_frame(cut: CutFile) -> CocoFrame | None:
    """Decode what is around the annotations; None where it is not of the plain kind."""
    try:
        before = _decode_part(_read(cut.head, b"", b"]}"))
        after = _decode_part(_read(cut.tail, b'{"":[', b""))
    except (*FAILED, OSError):
        return None
    images = before.images if after.images is UNSET else after.images
    categories = before.categories if after.categories is UNSET else after.categories
    if images is UNSET or categories is UNSET or after.annotations is not UNSET:
        return None
    texts = [one.id for listed in (images, categories) for one in listed if type(one.id) is str]
    return None if texts else CocoFrame(images, categories)


def decode_piece(piece: Piece) -> PackedObjects | None:
    """Decode some annotations; None where they are not of the plain kind."""
    try:
        objects = pack_objects(_decode_objects(_read(piece, b"[", b"]")))
    except (*FAILED, OSError):
        return None
    plain = isinstance(objects.image_ids, array) and not any(
        isinstance(category_id, str) for category_id in objects.category_ids
    )
    return objects if plain and objects.image_ids else None


def _read(piece: Piece, before: bytes, after: bytes) -> bytearray:
    """Return a piece with something before and after it, copied once.

    Raises OSError, as where the file is another one by now.
    """
    start, end = len(before), len(before) + piece.end - piece.start
    content = bytearray(end + len(after))
    content[:start], content[end:] = before, after
    with open(open_ordinary(piece.path), "rb") as stream, memoryview(content)[start:end] as room:
        os.preadv(stream.fileno(), [room], piece.start)
        if os.fstat(stream.fileno()).st_mtime_ns != piece.changed:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    return content
