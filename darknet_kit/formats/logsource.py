"""Where logs come from: plain files, packed ones, pipes, notebooks, in whatever encoding.

What comes out is plain text in blocks of whole lines, without what other programs put before each.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from darknet_kit.core.progress import Progress
from darknet_kit.errors import AnyPath, LogError, ToolchainError
from darknet_kit.formats.logprefix import strip_prefixes
from darknet_kit.formats.logscan import PADDING, Block

LOG_HINT = "Give the file that the output of `darknet detector train` was written to."
_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_Fill = Callable[[memoryview], int]
_Read = Callable[[int], bytes]
_PADDING = bytes(PADDING)


class LogSource:
    """A log to read once: a path, `-` for standard input, or a binary stream.

    `head` holds the first 64 KiB of its text once `blocks` has begun.
    """

    def __init__(self, source: AnyPath | BinaryIO) -> None:
        self.path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        self._stream = None if isinstance(source, (str, os.PathLike)) else source
        self.head = b""

    def blocks(self, progress: Progress) -> Iterator[Block]:
        """Yield the text in blocks of whole lines; the last may lack its line end.

        A piece of a MiB without any line end is passed on as it is. Raises LogError, and
        ToolchainError (`missing-extra`) where a packed file needs a library that is not there.
        """
        buffer, kept = bytearray(_BLOCK_BYTES + PADDING), 0
        view = memoryview(buffer)[:_BLOCK_BYTES]
        try:
            with self._opened(progress) as fill:
                while got := fill(view[kept:]):
                    size = kept + got
                    cut = buffer.rfind(b"\n", 0, size) + 1 or buffer.rfind(b"\r", 0, size) + 1
                    if not cut and size == _BLOCK_BYTES:
                        cut = size
                    if not self.head:
                        self.head = bytes(buffer[: min(size, _HEAD_BYTES)])
                    yield as_block(buffer, cut)
                    kept = size - cut
                    buffer[:kept] = buffer[cut:size]
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise _unreadable(self.path, error) from error
        yield as_block(buffer, kept)

    @contextlib.contextmanager
    def _opened(self, progress: Progress) -> Iterator[_Fill]:
        """Open it; give what fills a buffer with text and returns the bytes, 0 at the end."""
        if self._stream is not None or self.path == "-":
            yield _filling(self._stream or sys.stdin.buffer)
            return
        with open(str(self.path), "rb", buffering=0) as stream:
            total = os.fstat(stream.fileno()).st_size
            fill = _filling(stream)

            def tell(buffer: memoryview) -> int:
                progress(stream.tell() if stream.seekable() else 0, total)
                return fill(buffer)

            yield tell


def as_block(text: bytes | bytearray, size: int) -> Block:
    """Return whole lines as a block: without zero bytes, and without others' prefixes.

    Zeros fill the holes of a log that was cut while it was written to, and stand in UTF-16 that
    was appended to plain text. `text` holds PADDING bytes after the first `size`.
    """
    plain: bytes | bytearray = text
    if text.find(b"\0", 0, size) >= 0:
        plain = bytes(text[:size]).replace(b"\0", b"") + _PADDING
        size = len(plain) - PADDING
    stripped = strip_prefixes(plain, size)
    if stripped is not None:
        plain, size = stripped + _PADDING, len(stripped)
    return Block(plain, size)


class _Headed(io.RawIOBase):
    """A stream of which the first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO | io.RawIOBase) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._head and isinstance(self._rest, io.RawIOBase):
            return self._rest.readinto(buffer) or 0
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer)) or b""
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _filling(stream: BinaryIO | io.RawIOBase) -> _Fill:
    head = stream.read(_HEAD_BYTES) or b""
    whole = _Headed(head, stream)
    for magic, unpack in _PACKED:
        if head.startswith(magic):
            return _copying(unpack(io.BufferedReader(whole)))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's `>`
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        buffered = io.BufferedReader(whole)
        return _copying(lambda size: decoder.decode(buffered.read(size // 2)).encode())
    if _is_notebook(head):
        return _copying(io.BytesIO(_read_notebook(io.BufferedReader(whole).read())).read)
    return whole.readinto


def _copying(read: _Read) -> _Fill:
    def fill(buffer: memoryview) -> int:
        plain = read(len(buffer))
        buffer[: len(plain)] = plain
        return len(plain)

    return fill


def _unpack_zstd(stream: io.BufferedReader) -> _Read:
    try:
        import zstandard
    except ImportError as error:
        raise ToolchainError(
            "this log is packed by zstd, and the library that unpacks it is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[zstd]', or unpack it: zstd -d FILE",
        ) from error
    return zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True).read


# How packed files begin.
_PACKED: tuple[tuple[bytes, Callable[[io.BufferedReader], _Read]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream).read),
    (b"\x28\xb5\x2f\xfd", _unpack_zstd),
    (b"\xfd7zXZ\0", lambda stream: lzma.LZMAFile(stream).read),
    (b"BZh", lambda stream: bz2.BZ2File(stream).read),
)


def _is_notebook(head: bytes) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return text.startswith(b"{") and (b'"cells"' in head or b'"nbformat"' in head)


def _read_notebook(content: bytes) -> bytes:
    """Return what the cells of a notebook printed, in their order. Raises ValueError."""
    document = json.loads(content)
    cells = document.get("cells", [])
    if not isinstance(cells, list):
        raise ValueError("its cells are no list")
    outputs = (
        output
        for cell in cells
        if isinstance(cell, dict)
        for output in cell.get("outputs") or ()
        if isinstance(output, dict)
    )
    texts = (output.get("text") or output.get("data", {}).get("text/plain") for output in outputs)
    printed = ("".join(text) if isinstance(text, list) else str(text) for text in texts if text)
    return "\n".join(printed).encode("utf-8", "replace")


def _unreadable(path: str | None, error: Exception) -> LogError:
    if isinstance(error, FileNotFoundError):
        return LogError(
            "no such file; expected a training log here",
            code="missing-file",
            hint=LOG_HINT,
            path=path,
        )
    if isinstance(error, IsADirectoryError):
        return LogError(
            "this is a folder, not a training log", code="not-a-log", hint=LOG_HINT, path=path
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return LogError(
        f"cannot read this log: {reason}",
        code="cannot-read",
        hint="Check that the file is whole and that you may read it.",
        path=path,
    )
