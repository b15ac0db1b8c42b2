"""`metrics.csv` and `map.csv`: what a log tells, one line per iteration, one per mAP calculation.

Fractions are 0 to 1. `nan` and `inf` are written as such; an empty field is a value that the
engine did not print.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from darknet_kit.formats.logevent import ClassResult, Iteration, MapResult
from darknet_kit.formats.trainlog import Metrics

METRICS_HEADER = "iteration,loss,avg_loss,learning_rate,seconds,images,hours_left\n"
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
