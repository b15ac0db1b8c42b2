"""The mAP block of a training log: class rows, thresholds and the mean, over a dozen lines.

AlexeyAB prints a sentence per class (`src/detector.c`, `validate_detector_map`). hank-ai prints a
table since V3, with other columns in each version, so its header is read to know them.
"""

import re

from darknet_kit.formats.logevent import ClassResult, MapResult
from darknet_kit.formats.lognumber import COUNT, NUMBER, clean_text, parse_number

_PARTS = {b"n": NUMBER, b"c": COUNT}
# Anchored at the last `, ap =`, since class names may hold one. TP and FP came in 2019.
_CLASS_ROW = re.compile(
    rb"class_id ?= ?%(c)b, name ?= ?(.*),\s+ap ?= ?%(n)b ?%%"
    rb"(?:\s+\(TP ?= ?%(c)b, FP ?= ?%(c)b\))?" % _PARTS
)
_CLASS_START = re.compile(rb"(?=class_id ?= ?)")
_TABLE_HEADER = re.compile(rb"\s*Id +Name +(\S.*)$")
_TABLE_ROW = re.compile(rb"\s*%(c)b (.*)$" % _PARTS)
_WHOLE_NUMBER = re.compile(NUMBER)
_PRECISION = re.compile(rb"precision ?= ?%(n)b, recall ?= ?%(n)b, F1[- ]score ?= ?%(n)b" % _PARTS)
_AVERAGE_IOU = re.compile(rb"average IoU ?= ?%(n)b ?%%" % _PARTS)
_MEAN = re.compile(rb"mean average precision \(mAP(?:@(\d\.\d{1,6}))?\) ?= ?%(n)b(%%?)" % _PARTS)


class MapBlock:
    """Collects the lines of one mAP calculation until the line with the mean closes it."""

    __slots__ = ("average_iou", "classes", "columns", "precision")

    def __init__(self) -> None:
        self.classes: list[ClassResult] = []
        self.columns: list[bytes] | None = None  # of hank-ai's table, while one is open
        self.precision: tuple[float | None, float | None, float | None] = (None, None, None)
        self.average_iou: float | None = None

    def read_class(self, line: bytes) -> bool:
        """Read `class_id = 0, name = …`, or several; return False where one is damaged."""
        whole = True
        for row in _CLASS_START.split(line)[1:]:
            found = _CLASS_ROW.match(row)
            if found:
                self._add(found[1], found[2], found[3], found[4], found[5])
            whole = whole and found is not None
        return whole

    def read_header(self, line: bytes) -> None:
        """Open hank-ai's table, if this is its header."""
        if found := _TABLE_HEADER.match(line):
            self.columns = found[1].split()

    def read_row(self, line: bytes) -> None:
        """Read a row of the open table from the right, since class names may hold blanks."""
        columns = self.columns or []
        row = _TABLE_ROW.match(line)
        cells = row[2].rsplit(None, len(columns)) if row else []
        if row is None or len(cells) != len(columns) + 1:
            return
        values = dict(zip(columns, cells[1:], strict=True))
        ap = next((values[key] for key in columns if key.startswith((b"AP", b"AvgPrec"))), b"")
        if _WHOLE_NUMBER.fullmatch(ap):
            self._add(row[1], cells[0], ap, values.get(b"TP"), values.get(b"FP"))

    def _add(
        self, class_id: bytes, name: bytes, ap: bytes, tp: bytes | None, fp: bytes | None
    ) -> None:
        number = int(class_id)
        if self.classes and number <= self.classes[-1].class_id:
            self.classes.clear()  # the last table was broken off, and this is a new one
        ap_fraction = parse_number(ap) / 100
        result = ClassResult(number, clean_text(name), ap_fraction, _count(tp), _count(fp))
        self.classes.append(result)

    def read_threshold(self, line: bytes) -> None:
        """Read precision, recall, F1 and average IoU at the confidence threshold."""
        self.columns = None
        if found := _PRECISION.search(line):
            self.precision = (
                parse_number(found[1]),
                parse_number(found[2]),
                parse_number(found[3]),
            )
        elif found := _AVERAGE_IOU.search(line):
            self.average_iou = parse_number(found[1]) / 100

    def read_mean(self, line: bytes, iteration: int | None) -> MapResult | None:
        """Return the whole result where this line closes the block."""
        found = _MEAN.search(line)
        if found is None:
            return None
        precision, recall, f1 = self.precision
        return MapResult(
            iteration=iteration,
            map50=parse_number(found[2]) / (100 if found[3] else 1),
            iou_threshold=float(found[1]) if found[1] else None,
            classes=tuple(self.classes),
            precision=precision,
            recall=recall,
            f1=f1,
            average_iou=self.average_iou,
        )


def _count(text: bytes | None) -> int | None:
    return int(text) if text and text.isdigit() and len(text) <= 12 else None
