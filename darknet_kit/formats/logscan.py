"""Which lines of a block are worth reading: all but the bulk, found without a step per line."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from darknet_kit.formats.lognoise import BULK

_NEWLINE = ord("\n")
PADDING = 8  # bytes after the text: so many are looked at at once


class Block:
    """Whole lines of a log in memory, and where each of them ends."""

    __slots__ = ("_ends", "_size", "text")

    def __init__(self, text: bytes | bytearray, size: int) -> None:
        """Take the first `size` bytes; `text` holds PADDING more, of any value."""
        self.text = text
        self._size = size
        self._ends = np.flatnonzero(np.frombuffer(text, np.uint8, size) == _NEWLINE)

    @property
    def lines(self) -> int:
        """Return how many line ends there are."""
        return len(self._ends)

    @property
    def rest(self) -> bytes:
        """Return what stands after the last line end."""
        start = int(self._ends[-1]) + 1 if len(self._ends) else 0
        return bytes(self.text[start : self._size])

    def lines_of(self, positions: list[int]) -> list[int]:
        """Return the 0-based lines in which these bytes are."""
        found: list[int] = np.searchsorted(self._ends, positions).tolist()
        return found

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield where neighbouring lines stand that are not of the bulk: from byte, to byte."""
        if not len(self._ends):
            return
        starts = np.concatenate(([0], self._ends[:-1] + 1))
        told = np.flatnonzero(~self._is_bulk(starts))
        if not len(told):
            return
        breaks = np.flatnonzero(np.diff(told) > 1)
        first = starts[told[np.concatenate(([0], breaks + 1))]]
        last = self._ends[told[np.concatenate((breaks, [len(told) - 1]))]]
        yield from zip(first.tolist(), (last + 1).tolist(), strict=True)

    def _is_bulk(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        words = np.ndarray((self._size,), "<u8", self.text, strides=(1,))[starts]
        last = np.frombuffer(self.text, np.uint8, self._size)[self._ends - 1]
        found = np.zeros(len(starts), bool)
        for word, mask, is_end in _RULES:
            begins = (words & mask) == word
            if begins.any():
                found |= begins & is_end[last]
        return found


def _rule(start: bytes, ends: bytes) -> tuple[Any, Any, npt.NDArray[np.bool_]]:
    word = np.uint64(int.from_bytes(start, "little"))
    mask = np.uint64((1 << (8 * len(start))) - 1)
    is_end = np.zeros(256, bool)
    is_end[list(ends)] = True
    return word, mask, is_end


_RULES = tuple(_rule(start, ends) for start, ends in BULK)
