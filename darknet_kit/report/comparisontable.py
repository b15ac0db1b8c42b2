"""A comparison of trainings as text: for a terminal, as CSV, as Markdown, as a page."""

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from darknet_kit.report.classtable import align_columns, cut_name, measure_width
from darknet_kit.report.comparison import CAUSE, Row
from darknet_kit.report.page import render_page

_MOST_LETTERS = 26  # of a value in a terminal
_MARK, _BEST = "≠", "★"


def format_comparison(names: Sequence[str], rows: Sequence[Row], width: int) -> list[str]:
    """Return a comparison as lines of at most `width` columns, in several tables where it must be.

    A `≠` is before what differs, a star behind the best. Causes are sentences, and come last.
    """
    lines: list[str] = []
    causes = next((row.values for row in rows if row.name == CAUSE), ())
    rows = [row for row in rows if row.name != CAUSE]
    for part in _split(names, rows, width):
        if lines:
            lines.append("")
        table = [["", "", *(cut_name(names[index]) for index in part)]]
        for row in rows:
            mark = _MARK if row.is_change else ""
            table.append([mark, row.name, *(_cell(row, index) for index in part)])
        aligned = align_columns(table, left=tuple(range(len(table[0]))))
        lines += _with_groups(rows, aligned)
    told = [f"  {cut_name(name)}: {cause}" for name, cause in zip(names, causes, strict=True)]
    return [*lines, "", *told]


def _with_groups(rows: Sequence[Row], aligned: Sequence[str]) -> Iterator[str]:
    """Yield the aligned lines with the name of each group above its first."""
    yield aligned[0]
    group = ""
    for row, line in zip(rows, aligned[1:], strict=True):
        if row.group != group:
            group = row.group
            yield f"  {group}"
        yield line


def _split(names: Sequence[str], rows: Sequence[Row], width: int) -> list[list[int]]:
    """Return which trainings go into each table, so that none is wider than the terminal."""
    free = width - max(measure_width(row.name) for row in rows) - 8
    parts: list[list[int]] = [[]]
    left = free
    for index, name in enumerate(names):
        need = 2 + max([measure_width(cut_name(name)), *(len(_cell(row, index)) for row in rows)])
        if parts[-1] and need > left:
            parts.append([])
            left = free
        parts[-1].append(index)
        left -= need
    return parts


def _cell(row: Row, index: int) -> str:
    value = textwrap.shorten(row.values[index], 10_000)
    shown = value if len(value) <= _MOST_LETTERS else f"{value[: _MOST_LETTERS - 1]}…"
    return f"{shown} {_BEST}" if index in row.best else shown


def format_comparison_csv(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a comparison as CSV, every value whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["group", "parameter", "differs", *names])
    writer.writerows(
        [row.group, row.name, "yes" if row.differs else "no", *row.values] for row in rows
    )
    return text.getvalue()


def format_comparison_markdown(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a comparison as a Markdown table; what differs is bold."""
    head = ["", *names]
    lines = [_markdown_line(head), "|" + " --- |" * len(head)]
    for row in rows:
        name = f"**{row.name}**" if row.is_change else row.name
        values = [
            f"**{value}**" if index in row.best else value for index, value in enumerate(row.values)
        ]
        lines.append(_markdown_line([name, *values]))
    return "\n".join(lines) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    kept = (" ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(kept)} |"


def format_comparison_page(names: Sequence[str], rows: Sequence[Row], chart: Markup) -> str:
    """Return a comparison as a page that needs no network; `chart` is SVG, or empty."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    title = " · ".join(names)
    return render_page("comparison.html", title=title, names=names, groups=groups, chart=chart)
