"""A log as tidy tables, one fact a row, and those as CSV, JSON and Parquet.

Fractions are 0 to 1, sizes are in px. A value that the engine did not tell is empty in CSV and null
in JSON and Parquet; a loss that is nan or inf is written so in CSV and Parquet, and null in JSON.
"""

import bisect
import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from darknet_kit.errors import ToolchainError
from darknet_kit.formats.logresult import Log

FORMATS = ("csv", "json", "parquet")


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one kind: whole, float or text; None where one is not known."""

    kind: str
    values: Sequence[Any]

    @property
    def dtype(self) -> str:
        """Return the name of the type in which pandas holds them, not known ones too."""
        return {"whole": "Int64", "float": "float64", "text": "string"}[self.kind]


Table = dict[str, Column]


def tabulate(log: Log) -> dict[str, Table]:
    """Return the tables of a log: iterations, maps, classes, parts, resizes, warnings, errors,
    restarts, damage, run."""
    return {
        "iterations": _iterations(log),
        "maps": _maps(log),
        "classes": _classes(log),
        "parts": _parts(log),
        "resizes": _rows(
            {"iteration": "whole", "width": "whole", "height": "whole", "mini_batch": "whole"},
            ((r.iteration, r.width, r.height, r.mini_batch) for r in log.resizes),
        ),
        "warnings": _rows(
            {"code": "text", "count": "whole", "first_iteration": "whole", "example": "text"},
            ((w.code, w.count, w.iteration, w.example) for w in log.warnings),
        ),
        "errors": _rows(
            {"iteration": "whole", "code": "text", "message": "text"},
            ((error.iteration, error.code, error.message) for error in log.errors),
        ),
        "restarts": _rows(
            {"reached": "whole", "resumed_at": "whole"},
            ((cut.reached, cut.resumed_at) for cut in log.cuts),
        ),
        "damage": _rows(
            {"log": "text", "line": "whole", "text": "text"},
            ((damage.path, damage.line, damage.text) for damage in log.damage),
        ),
        "run": _run(log),
    }


def _rows(kinds: dict[str, str], rows: Iterable[Sequence[Any]]) -> Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return {
        name: Column(kind, values)
        for (name, kind), values in zip(kinds.items(), columns, strict=True)
    }


def _iterations(log: Log) -> Table:
    metrics = log.metrics
    return {
        "iteration": Column("whole", metrics.iteration),
        "loss": Column("float", metrics.loss),
        "avg_loss": Column("float", metrics.avg_loss),
        "learning_rate": Column("float", metrics.learning_rate),
        "seconds": Column("float", _known(metrics.seconds)),
        "images": Column("whole", metrics.images),
        "hours_left": Column("float", _known(metrics.hours_left)),
        "mini_batch": Column("whole", _mini_batches(log)),
    }


def _known(values: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


def _mini_batches(log: Log) -> list[int | None]:
    column: list[int | None] = [None] * len(log.metrics)
    for change in log.mini_batches:
        start = bisect.bisect_left(log.metrics.iteration, change.iteration or 0)
        column[start:] = [change.images] * (len(column) - start)
    return column


def _maps(log: Log) -> Table:
    names = ("precision", "recall", "f1", "average_iou")
    rows, best = [], -math.inf
    for result in log.maps:
        is_best = result.map50 >= best  # of equal ones the later, as the engines have it
        best = result.map50 if is_best else best
        told = (getattr(result, name) for name in names)
        rows.append(
            (result.iteration, result.iou_threshold, result.map50, best, int(is_best), *told)
        )
    kinds = {"iteration": "whole", "iou_threshold": "float", "map": "float", "best": "float"}
    return _rows(kinds | {"is_best": "whole"} | dict.fromkeys(names, "float"), rows)


def _classes(log: Log) -> Table:
    kinds = {"iteration": "whole", "class_id": "whole", "name": "text", "ap": "float"}
    return _rows(
        kinds | {"tp": "whole", "fp": "whole"},
        (
            (result.iteration, entry.class_id, entry.name, entry.ap, entry.tp, entry.fp)
            for result in log.maps
            for entry in result.classes
        ),
    )


def _parts(log: Log) -> Table:
    parts = log.parts
    return {
        "iteration": Column("whole", parts.iteration),
        "box": Column("float", parts.box),
        "objectness": Column("float", _known(parts.objectness)),
        "class": Column("float", _known(parts.classes)),
        "objectness_and_class": Column("float", parts.objectness_and_class),
    }


def _run(log: Log) -> Table:
    last = log.metrics.iteration[-1] if log.metrics else None
    kinds = {"engine": "text", "ending": "text", "message": "text", "iteration": "whole"}
    kinds |= {"max_batches": "whole", "diverged_at": "whole", "damaged": "whole"}
    row = (log.engine or None, log.ending.code, log.ending.message or None, last)
    row_of_limits = (log.max_batches, log.diverged_at, log.damaged)
    weights = (log.last_weights, log.best_weights)
    kinds |= {"last_weights": "text", "best_weights": "text"}
    return _rows(kinds, [(*row, *row_of_limits, *weights)])


def format_table(table: Table, form: str) -> bytes:
    """Return a table as a file in one of FORMATS.

    Raises ToolchainError (`missing-extra`) where pyarrow, which writes Parquet, is not installed.
    """
    if form == "csv":
        return _format_csv(table)
    return _format_json(table) if form == "json" else _format_parquet(table)


def _iter_rows(table: Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.values for column in table.values()), strict=True)


def _format_csv(table: Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows([_cell(value) for value in row] for row in _iter_rows(table))
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    return f"{value:.10g}" if isinstance(value, float) else value


def _format_json(table: Table) -> bytes:
    names = list(table)
    rows = (
        json.dumps(dict(zip(names, map(_finite, row), strict=True)), ensure_ascii=False)
        for row in _iter_rows(table)
    )
    return ("[" + ",\n".join(rows) + "]\n").encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _format_parquet(table: Table) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ToolchainError(
            "Parquet files are written by pyarrow, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[parquet]', or take --tables csv",
        ) from error
    types = {"whole": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string()}
    columns = {
        name: pyarrow.array(column.values, types[column.kind]) for name, column in table.items()
    }
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), content)
    return content.getvalue()
