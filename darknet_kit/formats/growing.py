"""Files that somebody else is still writing: what was added since the last look."""

import csv
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from darknet_kit.errors import AnyPath

_MOST_BYTES = 4 << 20  # at a look, so that no file is taken in whole


class Tail:
    """The whole lines of a growing file, each told once.

    A file that was replaced, or became shorter, begins anew. `last` bytes are enough of what was
    there before the first look; all where it is None.
    """

    def __init__(self, path: AnyPath, last: int | None = None) -> None:
        self.path = Path(path)
        self._last = last
        self._inode = -1
        self._offset = 0
        self.restarted = False

    def read(self) -> list[bytes]:
        """Return the lines that were finished since the last look, without their ends.

        `restarted` tells whether they are the first of a file. There may be more of them at once.
        """
        try:
            with open(self.path, "rb") as stream:
                state = os.fstat(stream.fileno())
                self.restarted = state.st_ino != self._inode or state.st_size < self._offset
                if self.restarted:
                    self._inode, self._offset = state.st_ino, self._start(state.st_size)
                stream.seek(self._offset)
                block = stream.read(_MOST_BYTES)
        except OSError:
            self.restarted = False
            return []
        whole = block.rfind(b"\n") + 1
        skipped = self.restarted and self._offset > 0
        self._offset += whole
        lines = block[:whole].split(b"\n")[:-1]
        return lines[1:] if skipped else lines

    def _start(self, size: int) -> int:
        return 0 if self._last is None else max(0, size - self._last)


class GrowingTable:
    """A CSV file that grows: new rows by the names of its first line."""

    def __init__(self, path: AnyPath, last: int | None = None) -> None:
        self._tail = Tail(path, last)
        self.path = Path(path)
        self.names: list[str] = []

    @property
    def restarted(self) -> bool:
        """Tell whether the rows read last are the first of a file."""
        return self._tail.restarted

    def read(self) -> list[list[str]]:
        """Return the rows that were finished since the last look; cut ones are left out.

        Their cells are in the order of `names`. There may be more of them at once.
        """
        return split_rows(self.read_lines(), self.names)

    def read_lines(self) -> list[bytes]:
        """Return the lines of these rows as they are."""
        lines = self._tail.read()
        if self._tail.restarted:
            self.names = next(csv.reader([_first_line(self.path)]), [])
        return lines


def split_rows(lines: Iterable[bytes], names: Sequence[str]) -> list[list[str]]:
    """Return the cells of lines of a CSV file that are whole and are not its first."""
    texts = (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    return [cells for cells in csv.reader(texts) if len(cells) == len(names) and cells != names]


def _first_line(path: AnyPath) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline().rstrip("\r\n")
    except OSError:
        return ""


def as_number(text: str | None) -> float:
    """Return the number that a cell holds, nan where it holds none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def as_cell(text: str) -> float | str | None:
    """Return what a cell holds: a number, a text, or nothing."""
    value = as_number(text)
    return value if math.isfinite(value) else text or None
