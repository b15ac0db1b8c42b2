"""The one table of problem codes.

A problem is bad input inside a batch: the item is skipped, clipped or repaired, counted, and
listed in `problems.csv`; the rest goes on.
"""

import csv
import heapq
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.files import write_pieces
from darknet_kit.errors import AnyPath, DatasetError


class Severity(IntEnum):
    """How much a problem takes away from the result."""

    NOTE = 1  # nothing is lost: reported so that nobody has to guess
    REPAIRED = 2  # used, after a correction
    SKIPPED = 3  # a box, an annotation or an image is missing from the result


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: how bad it is, what it means, and what dkit did."""

    severity: Severity
    meaning: str
    action: str


_NOTE, _REPAIRED, _SKIPPED = Severity.NOTE, Severity.REPAIRED, Severity.SKIPPED

KINDS: dict[str, Kind] = {
    "bad-xml": Kind(_SKIPPED, "an annotation that is no well-formed XML", "image left out"),
    "not-pascal": Kind(_SKIPPED, "XML that is no Pascal annotation", "image left out"),
    "cannot-read": Kind(_SKIPPED, "a file or folder that could not be read", "left out"),
    "bad-record": Kind(_SKIPPED, "a record of a JSON or CSV file that does not fit", "left out"),
    "missing-image": Kind(_SKIPPED, "an image that is annotated, but is not there", "left out"),
    "unreadable-image": Kind(_SKIPPED, "an image whose header cannot be read", "image left out"),
    "unsupported-image": Kind(
        _SKIPPED, "an image of a type in which the engine finds no label", "image left out"
    ),
    "unsafe-path": Kind(
        _SKIPPED, "a path that the engine would mangle or pass to a shell", "image left out"
    ),
    "outside-root": Kind(_SKIPPED, "a path that leads out of the data set", "left out"),
    "ambiguous-image": Kind(
        _SKIPPED, "an annotation that could belong to several images", "left out"
    ),
    "same-stem": Kind(_SKIPPED, "two images that would share one label file", "second left out"),
    "duplicate-image": Kind(_SKIPPED, "an image that is listed twice", "second left out"),
    "label-exists": Kind(
        _SKIPPED, "another label file is there already", "kept as it is; image left out"
    ),
    "no-box-left": Kind(_SKIPPED, "no object of the image could be used", "image left out"),
    "missing-in-tree": Kind(_SKIPPED, "in a split list, but not annotated here", "left out"),
    "no-name": Kind(_SKIPPED, "an object without a class name", "object left out"),
    "no-box": Kind(_SKIPPED, "an object without a box", "object left out"),
    "bad-coordinate": Kind(_SKIPPED, "a coordinate that is no finite number", "box left out"),
    "empty-box": Kind(_SKIPPED, "a box with no area inside the image", "box left out"),
    "unknown-class": Kind(_SKIPPED, "a class that is not in the class list", "box left out"),
    "missing-label": Kind(
        _SKIPPED, "an image without a label file where the engine looks", "image left out"
    ),
    "class-out-of-range": Kind(
        _SKIPPED, "a label whose class_id has no line in the class list", "box left out"
    ),
    "unknown-image": Kind(_SKIPPED, "an annotation of an image id that is not there", "left out"),
    "inverted-box": Kind(_REPAIRED, "a box whose corners are the wrong way round", "swapped"),
    "clipped-box": Kind(_REPAIRED, "a box that reaches out of the image", "clipped"),
    "image-in-parts": Kind(_REPAIRED, "an image that is listed under several ids", "put together"),
    "duplicate-box": Kind(_REPAIRED, "the same class and box twice in one image", "one label kept"),
    "no-size": Kind(_REPAIRED, "an annotation without a usable image size", "size from image"),
    "wrong-size": Kind(
        _REPAIRED, "an annotation whose size is not the image's", "boxes kept, size from image"
    ),
    "not-in-split": Kind(_NOTE, "annotated, but in none of the set's split lists", "left out"),
    "other-filename": Kind(_NOTE, "<filename> names another image", "matched by stem"),
    "box-at-edge": Kind(_NOTE, "a box up to one pixel beyond the image", "clipped"),
    "exif-orientation": Kind(
        _NOTE, "an image that is stored rotated; engines disagree on it", "used as stored"
    ),
    "no-annotation": Kind(_NOTE, "an image without an annotation", "left out of the lists"),
    "only-excluded": Kind(
        _NOTE, "all objects are of a kind that was left out on purpose", "image left out"
    ),
}


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


def write_problems(
    path: AnyPath, problems: Iterable[Problem], more: Callable[[], Iterable[Problem]] = tuple
) -> None:
    """Write problems, sorted by path, as CSV: code, severity, path, line, message, action.

    `more` makes some that are sorted already, and may be too many to hold. Raises WriteError.
    """
    ordered = sorted(problems, key=_order)
    write_pieces(path, lambda: _format_rows(heapq.merge(ordered, more(), key=_order)))


def _format_rows(problems: Iterable[Problem]) -> Iterator[str]:
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\n")
    writer.writerow(["code", "severity", "path", "line", "message", "action"])
    yield row.getvalue()
    for problem in problems:
        kind = KINDS[problem.code]
        row.seek(0)
        row.truncate()
        start = [problem.code, kind.severity.name.lower(), problem.path, problem.line or ""]
        # Paths may hold bytes that are no UTF-8; backslash escapes keep the file readable.
        writer.writerow([printable(str(cell)) for cell in (*start, problem.message, kind.action)])
        yield row.getvalue()


def _order(problem: Problem) -> tuple[str, int, str]:
    return problem.path, problem.line, problem.code


def iter_problems(path: AnyPath) -> Iterator[Problem]:
    """Yield the problems of a file that `write_problems` wrote. Raises DatasetError.

    Codes of other versions of dkit come through as well.
    """
    try:
        with open(open_ordinary(path), encoding="utf-8", errors="replace", newline="") as stream:
            rows = csv.DictReader(stream)
            if not {"code", "path", "line", "message"} <= set(rows.fieldnames or ()):
                raise ValueError("its first line does not name code, path, line and message")
            for row in rows:
                line = row["line"] or "0"
                yield Problem(row["code"], row["path"] or "", row["message"] or "", int(line))
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DatasetError(
            f"cannot read a list of problems here: {reason}",
            code="no-problem-list",
            hint="Give the problems.csv of `dkit convert`, or what `dkit check -o` wrote.",
            path=path,
        ) from error


def printable(text: str) -> str:
    """Return text that UTF-8 can hold: other bytes of a path become backslash escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
