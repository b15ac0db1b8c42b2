"""Files that grow line by line and are read while they do, or after a kill."""

import io
import os
from typing import IO

from darknet_kit.core.files import open_append
from darknet_kit.errors import AnyPath

_CHUNK = 1 << 16


def open_lines(path: AnyPath) -> IO[str]:
    """Open a text file for more lines, each of which goes out as a whole.

    A last line that a power cut or a full disk left unfinished is cut off, so that none is glued
    to it. Raises WriteError.
    """
    stream = open_append(path, binary=True)
    with open(path, "rb") as written:
        stream.truncate(_end_of_lines(written))
    return io.TextIOWrapper(stream, "utf-8", newline="\n", line_buffering=True)


def _end_of_lines(stream: IO[bytes]) -> int:
    """Return where the last whole line ends."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _CHUNK)
        stream.seek(start)
        if after := stream.read(end - start).rfind(b"\n") + 1:
            return start + after
        end = start
    return 0
