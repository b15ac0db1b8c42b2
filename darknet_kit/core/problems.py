"""The one table of problem codes, and what is done with problems.

A problem is bad input inside a batch: the item is skipped, clipped or repaired, counted, and
listed in `problems.csv`; the rest goes on.
"""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How much a problem takes away from the result."""

    NOTE = 1  # nothing is lost: reported so that nobody has to guess
    REPAIRED = 2  # used, after a correction
    SKIPPED = 3  # a box, an annotation or an image is missing from the result


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table of problem codes."""

    severity: Severity
    meaning: str


KINDS: dict[str, Kind] = {}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong with one file. `line` is 1-based, 0 where there is none."""

    code: str
    path: str
    message: str
    line: int = 0

    @property
    def severity(self) -> Severity:
        return KINDS[self.code].severity
