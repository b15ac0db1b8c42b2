"""`dkit compare`: trainings side by side, as a table and on one chart."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.look import look_options, make_look
from darknet_kit.cli.outcome import SKIPPED_INPUT, Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import PICTURES, kind_of, require_charts, write_files
from darknet_kit.errors import UsageError
from darknet_kit.report.comparison import Row, compare_trainings
from darknet_kit.report.comparisontable import (
    format_comparison,
    format_comparison_csv,
    format_comparison_markdown,
    format_comparison_page,
)
from darknet_kit.report.page import inline_svg
from darknet_kit.train.runs.history import History, read_history

if TYPE_CHECKING:
    from darknet_kit.report.charts import Look

_TABLES = ("csv", "md", "html")


@dkit_command(
    examples=[
        "dkit compare runs/round1 runs/round2 runs/round3",
        "dkit compare runs/* -o rounds.html -o rounds.csv -o rounds.png",
        "dkit compare first.log second.log --cfg first.cfg --cfg second.cfg",
    ]
)
@click.argument("trainings", metavar="RUN|LOG...", type=GivenPath(), nargs=-1, required=True)
@click.option(
    "--cfg",
    "cfgs",
    type=GivenPath(),
    multiple=True,
    help="The network of each LOG, in their order.  [default: LOG's name with .cfg, if there]",
)
@click.option("--all", "show_all", is_flag=True, help="Show also what all have alike.")
@click.option(
    "-o",
    "--output",
    "outputs",
    type=GivenPath(),
    multiple=True,
    help="Write a table (.csv, .md), a page (.html) or a chart (.png, .svg, .pdf).",
)
@click.option("--title", default="", help="Over the chart.")
@look_options
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def compare(
    trainings: tuple[str, ...],
    cfgs: tuple[str, ...],
    show_all: bool,
    outputs: tuple[str, ...],
    title: str,
    scale: str,
    smooth: int | None,
    by_time: bool,
    theme: str,
    overwrite: bool,
) -> Outcome:
    """Set trainings side by side: what differs, what came of it.

    A training is a run folder, or any Darknet log. The table shows what differs, marked, and the
    results; files hold all of it. Losses of different networks or data do not compare; mAP does,
    on the same images.
    """
    _check_request(trainings, cfgs, outputs)
    histories = []
    with progress_bar("Reading", "bytes") as progress:
        for index, path in enumerate(trainings):
            cfg = cfgs[index] if index < len(cfgs) else None
            histories.append(read_history(path, cfg, progress))
    names = _name_apart(histories)
    rows = compare_trainings(histories)
    look = make_look(title, scale, smooth, by_time, theme) if _wants_chart(outputs) else None
    done = write_files(_render(names, histories, rows, outputs, look), overwrite)
    shown_rows = rows if show_all else [row for row in rows if row.matters]
    width = shutil.get_terminal_size((100, 60)).columns
    hidden = len(rows) - len(shown_rows)
    return Outcome(
        summary=[
            *format_comparison(names, shown_rows, width),
            *([f"  alike in {hidden} more: --all shows them"] if hidden else []),
            *(f"  {what:<10} {shown(path)}" for path, what in done.items()),
        ],
        data={
            "trainings": names,
            "paths": [str(history.path) for history in histories],
            "rows": [{**asdict(row), "best": sorted(row.best)} for row in rows],
            "files": [str(path.absolute()) for path in done],
        },
        next_command=""
        if outputs
        else f"dkit compare {' '.join(shown(path) for path in trainings)} -o compare.html",
        exit_code=SKIPPED_INPUT if any(history.log.damaged for history in histories) else 0,
    )


def _check_request(trainings: Sequence[str], cfgs: Sequence[str], outputs: Sequence[str]) -> None:
    if len(trainings) < 2:
        raise UsageError(
            "a comparison needs two trainings or more",
            code="usage",
            hint="dkit compare runs/first runs/second; of one alone: dkit report, dkit plot-log",
        )
    if len(cfgs) > len(trainings):
        raise UsageError(
            f"there are {len(cfgs)} --cfg for {len(trainings)} trainings",
            code="usage",
            hint="Give one for each LOG, in their order.",
        )
    for path in outputs:
        if kind_of(path) not in (*_TABLES, *PICTURES):
            raise UsageError(
                "this is no kind of file that can be written",
                code="unknown-picture",
                hint="End the name in .csv, .md or .html for a table, in .png, .svg or .pdf for a "
                "chart.",
                path=path,
            )
    if _wants_chart(outputs):
        require_charts()


def _wants_chart(outputs: Sequence[str]) -> bool:
    return any(kind_of(path) in ("html", *PICTURES) for path in outputs)


def _name_apart(histories: Sequence[History]) -> list[str]:
    names = [history.name for history in histories]
    if len(set(names)) == len(names):
        return names
    return [shown(history.path) for history in histories]


def _render(
    names: Sequence[str],
    histories: Sequence[History],
    rows: Sequence[Row],
    outputs: Sequence[str],
    look: "Look | None",
) -> dict[Path, bytes]:
    """Return the files to write and what goes into them."""
    if look is not None:
        from darknet_kit.report.charts import render_figure
        from darknet_kit.report.overlay import plot_overlay

        logs = {name: one.log for name, one in zip(names, histories, strict=True)}
        figure = plot_overlay(logs, look)

    def render(kind: str) -> bytes:
        if kind in PICTURES:
            return render_figure(figure, kind)
        if kind == "html":
            chart = inline_svg(render_figure(figure, "svg"))
            return format_comparison_page(names, rows, chart).encode("utf-8", "replace")
        table = format_comparison_csv if kind == "csv" else format_comparison_markdown
        return table(names, rows).encode("utf-8", "surrogateescape")

    return {Path(path): render(kind_of(path)) for path in outputs}


command = compare
