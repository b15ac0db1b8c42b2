"""Training logs as files: read in blocks, never as a whole, and turned into events.

Nearly all of a log is one line per head and subdivision (18 GB in half a million iterations).
Runs of such lines are skipped by one regular expression; only the rest is looked at.
"""

import codecs
import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import BinaryIO

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath, LogError
from darknet_kit.formats.logevent import Event
from darknet_kit.formats.logline import NOISE, LogReader

_BLOCK_BYTES = 1 << 20
_BULK = re.compile(rb"(?:(?:%b)\n)*+" % NOISE)
# AlexeyAB's status line clears the screen and rings the bell; it tells max_batches, needed once.
_STATUS = rb" (?:\(next mAP|Last accuracy).*+(?<=\x07)\r?+"
_BULK_AND_STATUS = re.compile(rb"(?:(?:%b|%b)\n)*+" % (NOISE, _STATUS))
_Fill = Callable[[memoryview], int]
_LOG_HINT = "Give the file that the output of `darknet detector train` was written to."


def iter_log(
    source: AnyPath | BinaryIO,
    progress: Progress = no_progress,
    reader: LogReader | None = None,
) -> Iterator[Event]:
    """Yield what a training log tells, in its order. Raises LogError where it cannot be read.

    `source` is a path, also of a gzip or UTF-16 file, or a binary stream. Pass a `reader` to
    have its flavour and its count of damaged lines at the end.
    """
    reader = reader or LogReader()
    for block, size in _iter_blocks(source, progress):
        position = 0
        while position < size:
            bulk = (_BULK_AND_STATUS if reader.max_batches else _BULK).match(block, position, size)
            position = bulk.end() if bulk else position
            end = block.find(b"\n", position, size)
            if end < 0:
                yield from _feed_cut_off(reader, bytes(block[position:size]))
                break
            if position < end:
                yield from reader.feed(bytes(block[position:end]))
            position = end + 1


def _feed_cut_off(reader: LogReader, piece: bytes) -> tuple[Event, ...]:
    """Read the last piece of a log, which is not damaged when its line is not whole yet."""
    damaged = reader.damaged
    events = reader.feed(piece)
    reader.damaged = damaged
    return events


def _iter_blocks(source: AnyPath | BinaryIO, progress: Progress) -> Iterator[tuple[bytearray, int]]:
    """Yield a buffer, the same each time, and how much of it to read: up to the end of a line.

    A piece as long as the buffer without any line end is passed on as it is.
    """
    buffer, kept = bytearray(_BLOCK_BYTES), 0
    view = memoryview(buffer)
    with _opened(source, progress) as fill:
        while got := fill(view[kept:]):
            size = kept + got
            cut = buffer.rfind(b"\n", 0, size) + 1 or buffer.rfind(b"\r", 0, size) + 1
            if not cut and size == _BLOCK_BYTES:
                cut = size
            yield buffer, cut
            kept = size - cut
            buffer[:kept] = buffer[cut:size]
    yield buffer, kept


@contextlib.contextmanager
def _opened(source: AnyPath | BinaryIO, progress: Progress) -> Iterator[_Fill]:
    """Open a log; give what fills a buffer with plain text and returns the bytes, 0 at the end."""
    if not isinstance(source, (str, os.PathLike)):
        yield _copying(source.read)
        return
    try:
        with open(source, "rb") as stream:
            total = os.fstat(stream.fileno()).st_size
            fill = _plain(stream)

            def tell(buffer: memoryview) -> int:
                progress(stream.tell() if stream.seekable() else 0, total)
                return fill(buffer)

            yield tell
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(source, error) from error


def _plain(stream: BufferedReader) -> _Fill:
    head = stream.peek(2)[:2]
    if head == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream).readinto
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # what PowerShell's `>` writes
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        return _copying(lambda size: decoder.decode(stream.read(size // 2)).encode())
    return stream.readinto


def _copying(read: Callable[[int], bytes]) -> _Fill:
    def fill(buffer: memoryview) -> int:
        plain = read(len(buffer))
        buffer[: len(plain)] = plain
        return len(plain)

    return fill


def _unreadable(source: AnyPath, error: Exception) -> LogError:
    if isinstance(error, FileNotFoundError):
        return LogError(
            "no such file; expected a training log here",
            code="missing-file",
            hint=_LOG_HINT,
            path=source,
        )
    if isinstance(error, IsADirectoryError):
        return LogError(
            "this is a folder, not a training log", code="not-a-log", hint=_LOG_HINT, path=source
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return LogError(
        f"cannot read this log: {reason}",
        code="cannot-read",
        hint="Check that the file is whole and that you may read it.",
        path=source,
    )
