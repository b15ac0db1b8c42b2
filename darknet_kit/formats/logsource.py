"""Where logs come from: plain files, packed ones, pipes, notebooks, in whatever encoding.

What comes out is plain text in blocks of whole lines, without what other programs put before each.
"""

import codecs
import contextlib
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from darknet_kit.core.progress import Progress
from darknet_kit.errors import AnyPath, LogError
from darknet_kit.formats.lognoise import PADDING
from darknet_kit.formats.lognotebook import is_notebook, read_notebook
from darknet_kit.formats.logpacked import Buffered, Read, unpack
from darknet_kit.formats.logprefix import strip_prefixes
from darknet_kit.formats.logstranger import LOG_HINT, refuse_binary

if TYPE_CHECKING:
    from darknet_kit.formats.logscan import Block

_BLOCK_BYTES = 1 << 21
_HEAD_BYTES = 1 << 16
_LEAST = 64  # bytes of room, for some characters of a text that is decoded
_Fill = Callable[[memoryview], int]
_PADDING = bytes(PADDING)


class LogSource:
    """A log to read once: a path, `-` for standard input, or a binary stream.

    `head` holds the first 64 KiB of its text once `blocks` has begun.
    """

    def __init__(self, source: AnyPath | BinaryIO) -> None:
        self.path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        self._stream = None if isinstance(source, (str, os.PathLike)) else source
        self.head = b""

    @property
    def name(self) -> str:
        """Return what to call it in messages."""
        return "standard input" if self.path in (None, "-") else str(self.path)

    def blocks(self, progress: Progress) -> "Iterator[Block]":
        """Yield the text in blocks of whole lines; the last may lack its line end.

        A piece of two MiB without any line end is passed on as it is. A block is good until the
        next is asked for. Raises LogError, at once where it is no text; ToolchainError as `unpack`.
        """
        buffer, kept = bytearray(_BLOCK_BYTES + PADDING), 0
        view = memoryview(buffer)[:_BLOCK_BYTES]
        try:
            with self._opened(progress) as fill:
                while got := fill(view[kept:]):
                    size = kept + got
                    cut = buffer.rfind(b"\n", 0, size) + 1 or buffer.rfind(b"\r", 0, size) + 1
                    if not cut and size > _BLOCK_BYTES - _LEAST:
                        cut = size
                    if not self.head:
                        self.head = bytes(buffer[: min(size, _HEAD_BYTES)])
                        refuse_binary(self.head, self.name)
                    yield as_block(buffer, cut)
                    kept = size - cut
                    buffer[:kept] = buffer[cut:size]
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise unreadable(self.name, error) from error
        yield as_block(buffer, kept)

    @contextlib.contextmanager
    def _opened(self, progress: Progress) -> Iterator[_Fill]:
        """Open it; give what fills a buffer with text and returns the bytes, 0 at the end."""
        if self._stream is not None or self.path == "-":
            borrowed: Buffered = io.BufferedReader(self._stream or sys.stdin.buffer, _HEAD_BYTES)
            try:
                yield _filling(borrowed)
            finally:
                borrowed.detach()
            return
        with io.BufferedReader(io.FileIO(str(self.path)), _HEAD_BYTES) as stream:
            total = os.fstat(stream.fileno()).st_size
            fill = _filling(stream)

            def tell(buffer: memoryview) -> int:
                progress(stream.tell() if stream.seekable() else 0, total)
                return fill(buffer)

            yield tell


def as_block(text: bytes | bytearray, size: int) -> "Block":
    """Return whole lines as a block: without zero bytes, and without others' prefixes.

    Zeros fill the holes of a log that was cut while it was written to, and stand in UTF-16 that
    was appended to plain text. `text` holds PADDING bytes after the first `size`.
    """
    from darknet_kit.formats.logscan import Block  # numpy: heavy, and needed here alone

    plain: bytes | bytearray = text
    if text.find(b"\0", 0, size) >= 0:
        plain = bytes(text[:size]).replace(b"\0", b"") + _PADDING
        size = len(plain) - PADDING
    stripped = strip_prefixes(plain, size)
    if stripped is not None:
        plain, size = stripped + _PADDING, len(stripped)
    return Block(plain, size)


def _filling(stream: Buffered) -> _Fill:
    if read := unpack(stream):
        return _copying(read)
    head = stream.peek()
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's `>`
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        return _copying(lambda size: decoder.decode(stream.read(size // 2)).encode())
    if is_notebook(head):
        return _copying(io.BytesIO(read_notebook(stream.read())).read)
    return stream.readinto


def _copying(read: Read) -> _Fill:
    def fill(buffer: memoryview) -> int:
        plain = read(len(buffer))
        buffer[: len(plain)] = plain
        return len(plain)

    return fill


def unreadable(path: str, error: Exception) -> LogError:
    """Return the error for a log that the system does not let us read."""
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
