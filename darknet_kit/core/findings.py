"""What a check finds: one mistake at a time, and their sum."""

import contextlib
import csv
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from darknet_kit.core.faults import FAULTS, Level
from darknet_kit.core.files import replacing
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import printable
from darknet_kit.errors import AnyPath, DkitError

_EXAMPLES = 3
_COLUMNS = ("code", "level", "path", "line", "message", "cure")


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in one file. `line` is 1-based, 0 where there is none."""

    code: str
    level: Level
    path: str
    message: str
    cure: str
    line: int = 0


Note = Callable[[Finding], None]
"""Called with each finding."""


def fault(code: str, flavor: Flavor, path: str, message: str, line: int = 0) -> Finding:
    """Return a finding of the table, as bad as it is to this flavour."""
    row = FAULTS[code]
    level = Level.ERROR if flavor in row.fatal else row.level
    return Finding(code, level, path, message, row.cure, line)


def of_error(error: DkitError, path: str = "") -> Finding:
    """Return as a finding what kept a file from being looked at."""
    where = error.path or path
    return Finding(error.code, Level.ERROR, where, error.message, error.hint, error.line or 0)


@dataclass(slots=True)
class Group:
    """All findings of one code: how many, the worst level among them, and the first few."""

    code: str
    level: Level
    count: int = 0
    examples: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Findings, counted; of each code only the first few are kept, so that memory stays flat.

    Of `only`, where it names codes, all others are passed over, and those of `ignore`.
    """

    only: Collection[str] = ()
    ignore: Collection[str] = ()
    groups: dict[str, Group] = field(default_factory=dict)

    def takes(self, finding: Finding) -> bool:
        """Tell whether a finding is one of those that were asked for; count it if so."""
        if finding.code in self.ignore or (self.only and finding.code not in self.only):
            return False
        group = self.groups.setdefault(finding.code, Group(finding.code, finding.level))
        group.level = max(group.level, finding.level)
        group.count += 1
        if len(group.examples) < _EXAMPLES:
            group.examples.append(finding)
        return True

    def total(self, level: Level) -> int:
        """Return how many findings are of codes of this level."""
        return sum(group.count for group in self.groups.values() if group.level is level)

    def ranked(self) -> list[Group]:
        """Return the groups, the worst first, then those with the most findings."""
        return sorted(self.groups.values(), key=lambda one: (-one.level, -one.count, one.code))


@contextlib.contextmanager
def writing_findings(path: AnyPath) -> Iterator[Note]:
    """Write findings as they come, as CSV: code, level, path, line, message, cure.

    Raises WriteError.
    """
    with replacing(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)

        def write(finding: Finding) -> None:
            row = [finding.code, finding.level, finding.path, finding.line or "", finding.message]
            writer.writerow([printable(str(cell)) for cell in (*row, finding.cure)])

        yield write


def is_findings(path: AnyPath) -> bool:
    """Tell whether a file is one that `writing_findings` wrote."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with open(path, "rb") as stream:
            return stream.readline(100) == ",".join(_COLUMNS).encode() + b"\n"
    except OSError:
        return False
