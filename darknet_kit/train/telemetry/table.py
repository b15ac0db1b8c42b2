"""telemetry.csv as a file that only grows, by whole lines."""

from pathlib import Path
from typing import IO

from darknet_kit.core.files import open_append

_BLOCK = 1 << 16


def open_table(path: Path, header: str) -> IO[bytes]:
    """Open a table to append lines to; a new one begins with the header.

    Where a table of other columns is there, as after a change of GPUs, the next number is taken:
    telemetry-2.csv. A line that a kill cut short is ended, so that the next one stands alone.
    Raises WriteError, OSError.
    """
    number, place = 1, path
    while (first := _first_line(place)) not in (b"", header.encode()):
        number += 1
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
    stream = open_append(place, binary=True)
    if not first:
        stream.write(header.encode())
    elif not _ends_a_line(place):
        stream.write(b"\n")
    return stream


def _first_line(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.readline(_BLOCK)
    except FileNotFoundError:
        return b""


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
