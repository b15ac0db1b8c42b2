"""Lines of `metrics.csv` as columns, quickly: a run may have millions of them."""

import itertools
import warnings
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from darknet_kit.formats.growing import as_number, split_rows
from darknet_kit.formats.logcolumns import Metrics

_MOST = 2.0**53  # up to which floats hold every whole number


def iter_rising(names: Sequence[str], lines: Sequence[bytes]) -> Iterator[Metrics]:
    """Yield the parts of these lines within which iterations rise: a resumed run goes back."""
    metrics = parse_metrics_lines(names, lines)
    falls = np.flatnonzero(np.diff(np.asarray(metrics.iteration)) <= 0) + 1
    edges = [0, *falls.tolist(), len(metrics)]
    for first, last in itertools.pairwise(edges):
        if last > first:
            yield metrics.part(first, last)


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
