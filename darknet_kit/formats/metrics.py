"""`metrics.csv` and `map.csv`: what a log tells, one line per iteration, one per mAP calculation.

Fractions are 0 to 1. `nan` and `inf` are written as such; an empty field is a value that the
engine did not print.
"""

import csv
import io
import math
import warnings
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from darknet_kit.formats.growing import as_number, split_rows
from darknet_kit.formats.logevent import ClassResult, Iteration, MapResult
from darknet_kit.formats.trainlog import Metrics

METRICS_HEADER = "iteration,loss,avg_loss,learning_rate,seconds,images,hours_left\n"
_MOST = 2.0**53  # up to which floats hold every whole number
_MAP_COLUMNS = ("iteration", "map50", "iou_threshold", "precision", "recall", "f1", "average_iou")


def format_metrics_row(line: Iteration) -> str:
    """Return an iteration as a line of metrics.csv."""
    hours_left = math.nan if line.hours_left is None else line.hours_left
    return _metrics_row(
        line.iteration,
        line.loss,
        line.avg_loss,
        line.learning_rate,
        line.seconds,
        line.images,
        hours_left,
    )


def format_metrics_csv(metrics: Metrics) -> str:
    """Return the whole text of a metrics.csv."""
    rows = map(
        _metrics_row,
        metrics.iteration,
        metrics.loss,
        metrics.avg_loss,
        metrics.learning_rate,
        metrics.seconds,
        metrics.images,
        metrics.hours_left,
    )
    return METRICS_HEADER + "".join(rows)


def _metrics_row(
    iteration: int,
    loss: float,
    avg_loss: float,
    learning_rate: float,
    seconds: float,
    images: int,
    hours_left: float,
) -> str:
    took = "" if math.isnan(seconds) else f"{seconds:.10g}"
    left = "" if math.isnan(hours_left) else f"{hours_left:.10g}"
    return f"{iteration},{loss:.10g},{avg_loss:.10g},{learning_rate:.10g},{took},{images},{left}\n"


def parse_metrics_lines(names: Sequence[str], lines: Sequence[bytes]) -> Metrics:
    """Return lines of a metrics.csv as columns, in their order; `names` are those of its cells.

    Lines that are cut or tell no iteration are left out, other cells that hold no number are nan,
    or 0 images.
    """
    rows = _read_numbers(lines, len(names))
    if rows is None:
        texts = split_rows(lines, names)
        cells = [as_number(cell) for row in texts for cell in row]
        rows = np.asarray(cells, dtype=np.float64).reshape(len(texts), len(names))
    cells_of = dict(zip(names, rows.T, strict=True))
    unknown = np.full(len(rows), np.nan)
    iterations, images = (cells_of.get(name, unknown) for name in ("iteration", "images"))
    kept = np.abs(iterations) < _MOST  # and so no nan
    images = np.where(np.abs(images) < _MOST, images, 0)
    told = ("loss", "avg_loss", "learning_rate", "seconds", "hours_left")
    loss, average, rate, seconds, left = (
        array("d", cells_of.get(name, unknown)[kept].tobytes()) for name in told
    )
    whole, seen = (array("q", one[kept].astype(np.int64).tobytes()) for one in (iterations, images))
    return Metrics(whole, loss, average, rate, seconds, seen, left)


def _read_numbers(lines: Sequence[bytes], cells: int) -> "np.ndarray[Any, Any] | None":
    """Return lines of so many numbers or empty cells as a table; None where one is anything else.

    Several times as fast as a reader of CSV: a run may have millions of lines.
    """
    if any(line.count(b",") != cells - 1 for line in lines):
        return None
    text = b",".join(lines)
    while b",," in text:
        text = text.replace(b",,", b",nan,")
    text = (b"nan" + text) if text.startswith(b",") else text
    text += b"nan" if text.endswith(b",") else b""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy warns where it meets no number
        try:
            values = np.fromstring(text, np.float64, sep=",")
        except (DeprecationWarning, ValueError):
            return None
    return values.reshape(len(lines), cells) if len(values) == len(lines) * cells else None


def find_classes(results: Iterable[MapResult]) -> list[ClassResult]:
    """Return one entry per class of these results, by class_id, with its latest name."""
    latest = {entry.class_id: entry for result in results for entry in result.classes}
    return [latest[class_id] for class_id in sorted(latest)]


def format_map_header(classes: Sequence[ClassResult]) -> str:
    """Return the first line of map.csv: a column with the AP of each class at the end."""
    return _csv_line([*_MAP_COLUMNS, *(f"ap {entry.class_id} {entry.name}" for entry in classes)])


def format_map_row(result: MapResult, classes: Sequence[ClassResult]) -> str:
    """Return one mAP calculation as a line of map.csv, with the columns of these classes."""
    by_id = {entry.class_id: entry.ap for entry in result.classes}
    values = [getattr(result, column) for column in _MAP_COLUMNS]
    values += [by_id.get(entry.class_id) for entry in classes]
    return _csv_line(["" if value is None else f"{value:.10g}" for value in values])


def format_map_csv(results: Sequence[MapResult]) -> str:
    """Return the whole text of a map.csv."""
    classes = find_classes(results)
    rows = (format_map_row(result, classes) for result in results)
    return format_map_header(classes) + "".join(rows)


def _csv_line(fields: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()
