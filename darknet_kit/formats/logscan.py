"""Which lines of a block are worth reading: all but the bulk, found without a step per line."""

from typing import Any

import numpy as np
import numpy.typing as npt

from darknet_kit.formats.lognoise import BULK

_NEWLINE = ord("\n")


class Block:
    """Whole lines of a log in memory.

    `stretches` are where neighbouring lines stand that are not of the bulk: from byte, to byte.
    """

    __slots__ = ("_ends", "size", "stretches", "text")

    def __init__(self, text: bytes | bytearray, size: int) -> None:
        """Take the first `size` bytes; `text` holds PADDING more, of any value."""
        self.text = text
        self.size = size
        self._ends = _find_line_ends(np.frombuffer(text, np.uint8, size + -size % 8), size)
        self.stretches = self._find_stretches()

    @property
    def lines(self) -> int:
        """Return how many line ends there are."""
        return len(self._ends)

    @property
    def rest(self) -> bytes:
        """Return what stands after the last line end."""
        start = int(self._ends[-1]) + 1 if len(self._ends) else 0
        return bytes(self.text[start : self.size])

    def lines_of(self, positions: list[int]) -> list[int]:
        """Return the 0-based lines in which these bytes are."""
        found: list[int] = np.searchsorted(self._ends, positions).tolist()
        return found

    def _find_stretches(self) -> list[tuple[int, int]]:
        if not len(self._ends):
            return []
        starts = np.concatenate(([0], self._ends[:-1] + 1))
        told = self._find_told(starts)
        if not len(told):
            return []
        breaks = np.flatnonzero(np.diff(told) > 1)
        first = starts[told[np.concatenate(([0], breaks + 1))]]
        last = self._ends[told[np.concatenate((breaks, [len(told) - 1]))]]
        return list(zip(first.tolist(), (last + 1).tolist(), strict=True))

    def _find_told(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the indices of the lines that are not of the bulk."""
        told = np.arange(len(starts))
        words = np.ndarray((self.size,), "<u8", self.text, strides=(1,))[starts]
        last = np.frombuffer(self.text, np.uint8, self.size)[self._ends - 1]
        for word, mask, is_end in _RULES:
            begins = (words & mask) == word
            if begins.any():
                kept = np.flatnonzero(~(begins & is_end[last]))
                told, words, last = told[kept], words[kept], last[kept]
        return told


def _find_line_ends(text: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.int64]:
    """Return where line feeds are in the first `size` bytes of a whole number of words.

    Words without any are passed over first: `flatnonzero` of all bytes takes twice as long.
    """
    found = text == _NEWLINE
    found[size:] = False
    words = found.view(np.uint64)
    busy = np.flatnonzero(words != 0)
    places = np.flatnonzero(words[busy].view(bool))
    ends: npt.NDArray[np.int64] = (busy[places >> 3] << 3) + (places & 7)
    return ends


def _rule(start: bytes, ends: bytes) -> tuple[Any, Any, npt.NDArray[np.bool_]]:
    word = np.uint64(int.from_bytes(start, "little"))
    mask = np.uint64((1 << (8 * len(start))) - 1)
    is_end = np.zeros(256, bool)
    is_end[list(ends)] = True
    return word, mask, is_end


_RULES = tuple(_rule(start, ends) for start, ends in BULK)
