"""Iteration lines printed as Darknet's C prints them, many at a time; logline reads all others.

A run of two million iterations has two million such lines, and what is done for each of them is
what reading it costs.
"""

import math
import re
from array import array

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.logcolumns import Metrics
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.lognoise import NOISE, STATUS

_FLOAT = rb"(-?(?:\d{1,60}\.\d{1,60}|nan|inf))"
_ROW = (
    rb"( ?)(\d{1,12}): %(n)b, %(n)b avg( loss)?, %(n)b rate, %(n)b seconds, "
    rb"(-?\d{1,12}) images(?:, %(n)b hours left)? ?\r?\n" % {b"n": _FLOAT}
)
_QUIET = rb"(?:(?:%b)\n)*+" % NOISE
_QUIET_AND_STATUS = rb"(?:(?:%b|%b)\n)*+" % (NOISE, STATUS)
# What to skip, and an iteration line with what to skip after it.
_FORMS = {
    known: (re.compile(quiet), re.compile(_ROW + quiet))
    for known, quiet in ((False, _QUIET), (True, _QUIET_AND_STATUS))
}


class Rows:
    """Iteration lines that followed one another, as the groups of their matches.

    `places` are the bytes at which they stand.
    """

    __slots__ = ("_reader", "_rows", "places")

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._rows: list[tuple[bytes, ...]] = []
        self.places: list[int] = []

    def skip(self, text: bytes | bytearray, position: int, end: int) -> int:
        """Return where noise ends that begins here."""
        found = _FORMS[bool(self._reader.max_batches)][0].match(text, position, end)
        return found.end() if found else position

    def take(self, text: bytes | bytearray, position: int, end: int) -> int:
        """Take the iteration line that begins here; return where it and noise end, else 0."""
        found = _FORMS[bool(self._reader.max_batches)][1].match(text, position, end)
        if found is None:
            return 0
        self._rows.append(found.groups())
        self.places.append(position)
        return found.end()

    def flush(self) -> Metrics:
        """Return the lines as columns, tell the reader of them, and forget them."""
        lead, number, loss, average, word, rate, seconds, images, left = zip(
            *self._rows, strict=True
        )
        is_alexeyab = lead[-1] or word[-1]  # it begins with a blank, or says `avg loss`
        self._reader.reach(int(number[-1]), Flavor.ALEXEYAB if is_alexeyab else Flavor.ORIGINAL)
        self._rows.clear()
        self.places.clear()
        return Metrics(
            array("q", map(int, number)),
            array("d", map(float, loss)),
            array("d", map(float, average)),
            array("d", map(float, rate)),
            array("d", map(float, seconds)),
            array("q", map(int, images)),
            array("d", map(_hours, left)),
        )


def _hours(text: bytes | None) -> float:
    """Return the hours left; nan where they are unknown, which is printed as -1."""
    hours = float(text or b"nan")
    return hours if hours >= 0 else math.nan
