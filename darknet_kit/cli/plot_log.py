"""`dkit plot-log`: chart and numbers of any Darknet log."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.following import follow_log
from darknet_kit.cli.look import look_options, make_look
from darknet_kit.cli.outcome import SKIPPED_INPUT, Outcome, dkit_command
from darknet_kit.cli.paths import shown
from darknet_kit.cli.writing import PICTURES, kind_of, require_charts, write_files
from darknet_kit.errors import UsageError
from darknet_kit.formats.logtables import FORMATS, format_table, tabulate
from darknet_kit.formats.metrics import format_map_csv, format_metrics_csv
from darknet_kit.formats.trainlog import Log, read_log
from darknet_kit.report.summary import describe_log, list_facts, summarize_log
from darknet_kit.train.runs.history import find_training, logs_of, name_of_log

if TYPE_CHECKING:
    from darknet_kit.report.charts import Look


@dkit_command(
    examples=[
        "dkit plot-log train.log",
        "dkit plot-log train.log -o chart.svg --scale linear --title 'YOLOv4, ten classes'",
        "dkit plot-log first.log resumed.log --out charts",
        "dkit plot-log train.ipynb --tables parquet",
        "dkit plot-log - --out charts < train.log.zst",
        "dkit plot-log round1.log round2.log --overlay -o rounds.png",
    ]
)
@click.argument("logs", metavar="LOG...", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for charts (PNG, SVG), metrics.csv, map.csv.  [default: LOG_chart]",
)
@click.option("-o", "--output", type=click.Path(), help="Only a picture: .png, .svg or .pdf.")
@click.option("--title", default="", help="Over the chart.  [default: the name of the log]")
@look_options
@click.option(
    "--tables",
    type=click.Choice(FORMATS),
    help="Also all numbers as tables, into the folder of the charts.",
)
@click.option(
    "--parts",
    is_flag=True,
    help="Parts of the loss out of AlexeyAB's lines per head too; takes longer.",
)
@click.option(
    "--follow",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Draw anew when the last LOG has grown, looking so often, until the training ends.",
)
@click.option("--overlay", is_flag=True, help="Each LOG is a training of its own: all on one axis.")
@click.option("--tensorboard", metavar="DIR", help="Also an event file, in DIR/NAME.")
@click.option("--wandb", metavar="DIR", help="Also an offline run for Weights & Biases, below DIR.")
@click.option("--dry-run", is_flag=True, help="Only read the log and say what it tells.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def plot_log(
    logs: tuple[str, ...],
    out: str | None,
    output: str | None,
    title: str,
    scale: str,
    smooth: int | None,
    by_time: bool,
    theme: str,
    tables: str | None,
    parts: bool,
    follow: float | None,
    overlay: bool,
    tensorboard: str | None,
    wandb: str | None,
    dry_run: bool,
    overwrite: bool,
) -> Outcome:
    """Draw loss and mAP from any Darknet log.

    LOG is a file, or a run folder. Any flavour, any length, also of a training that is still
    running, crashed, or was resumed.
    Several logs are taken as one run, in the order given; where a run went back to an earlier
    iteration, the later truth is drawn. --overlay draws them apart. Packed files (gzip, xz,
    bzip2, zstd), notebooks and, as -, standard input are read too.
    """
    _check_picture(out, output)
    if follow:
        _check_follow(logs, never_with=overlay or dry_run)
    require_charts()
    look = make_look(title, scale, smooth, by_time, theme)
    if overlay:
        return _plot_several(logs, Path(output or "overlay.png"), look, dry_run, overwrite)
    name = _name(logs[-1])
    look = replace(look, title=title or name)

    def render(log: Log) -> dict[Path, bytes]:
        contents = _render(log, out or f"{name}_chart", output, look)
        return contents | (_tabulate(log, Path(out or f"{name}_chart"), tables) if tables else {})

    if follow:
        log, done = follow_log(_expand(logs), follow, overwrite, render)
    else:
        with progress_bar("Reading", "bytes") as progress:
            log = read_log(*_expand(logs), progress=progress, parts=parts)
        done = _write(render(log), dry_run, overwrite)
    if not dry_run:
        done |= _export(log, name, logs[-1], tensorboard, wandb)
    return Outcome(
        summary=[
            ", ".join(shown(path) for path in logs),
            *(f"  {line}" for line in summarize_log(log)),
            *(f"  {what:<14} {shown(path)}" for path, what in done.items()),
        ],
        data={
            **list_facts(log),
            "logs": list(logs),
            "files": [] if dry_run else [str(path.absolute()) for path in done],
        },
        next_command="" if len(logs) > 1 or logs[0] == "-" else f"dkit report {shown(logs[0])}",
        exit_code=SKIPPED_INPUT if log.damaged else 0,
    )


def _check_follow(logs: tuple[str, ...], *, never_with: bool) -> None:
    if never_with or "-" in logs:
        raise UsageError(
            "--follow goes with neither --overlay nor --dry-run, and standard input ends by itself",
            code="usage",
            hint="Give the file that grows, as the last LOG.",
        )


def _export(
    log: Log, name: str, last: str, tensorboard: str | None, wandb: str | None
) -> dict[Path, str]:
    """Write a training for the programs in which people look at theirs."""
    done: dict[Path, str] = {}
    if tensorboard:
        from darknet_kit.export.tensorboard import export_tensorboard

        ended = None if last == "-" else os.path.getmtime(_expand((last,))[-1])
        done[export_tensorboard(log, tensorboard, name, ended)] = "wrote"
    if wandb:
        from darknet_kit.export.wandb import export_wandb

        config = {"engine": log.engine, "max_batches": str(log.max_batches or "")}
        done[export_wandb(log, wandb, name, config)] = "wrote"
    return done


def _write(contents: dict[Path, bytes], dry_run: bool, overwrite: bool) -> dict[Path, str]:
    return dict.fromkeys(contents, "would write") if dry_run else write_files(contents, overwrite)


def _plot_several(
    logs: tuple[str, ...], picture: Path, look: "Look", dry_run: bool, overwrite: bool
) -> Outcome:
    """Draw each log as a training of its own, all on one axis."""
    from darknet_kit.report.charts import render_figure
    from darknet_kit.report.overlay import plot_overlay

    with progress_bar("Reading", "bytes") as progress:
        read = {path: read_log(*_expand((path,)), progress=progress) for path in logs}
    named = dict(zip(name_apart(list(read)), read.values(), strict=True))
    figure = plot_overlay(named, look)
    done = _write({picture: render_figure(figure, kind_of(picture))}, dry_run, overwrite)
    return Outcome(
        summary=[
            *(f"{name}: {describe_log(log)}" for name, log in named.items()),
            *(f"  {what:<14} {shown(path)}" for path, what in done.items()),
        ],
        data={
            "logs": [{"log": path, **list_facts(log)} for path, log in read.items()],
            "files": [] if dry_run else [str(picture.absolute())],
        },
        next_command=f"dkit compare {' '.join(shown(path) for path in read)}",
        exit_code=SKIPPED_INPUT if any(log.damaged for log in read.values()) else 0,
    )


def name_apart(paths: list[str]) -> list[str]:
    """Return a short name for each log or run folder; whole paths where those would be equal."""
    names = [_name(path) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _expand(logs: Iterable[str]) -> list[str]:
    """Put the logs of a run's attempts in the place of a run folder."""
    runs = ((log, find_training(log)) for log in logs)
    return [
        path for log, run in runs for path in ([log] if run is None else map(str, logs_of(run)))
    ]


def _name(log: str) -> str:
    run = find_training(log)
    return name_of_log(Path(log).absolute()) if run is None else run.name


def _check_picture(out: str | None, output: str | None) -> None:
    if out and output:
        raise UsageError(
            "--out and -o exclude each other",
            code="usage",
            hint="--out writes all files into a folder, -o a single picture.",
        )
    if output and kind_of(output) not in PICTURES:
        raise UsageError(
            "this is no kind of picture that can be drawn",
            code="unknown-picture",
            hint="End the name in .png, .svg or .pdf.",
            path=output,
        )


def _render(log: Log, folder: str, picture: str | None, look: "Look") -> dict[Path, bytes]:
    """Return the files to write and what goes into them."""
    from darknet_kit.report.apchart import has_classes, plot_class_results
    from darknet_kit.report.charts import plot_training, render_figure
    from darknet_kit.report.partschart import has_parts, plot_parts

    if picture:
        return {Path(picture): render_figure(plot_training(log, look), kind_of(picture))}
    figures = {"chart": plot_training(log, look)}
    if has_classes(log):
        figures["classes"] = plot_class_results(log, look)
    if has_parts(log):
        figures["parts"] = plot_parts(log, look)
    place = Path(folder)
    contents = {
        place / f"{name}.{kind}": render_figure(figure, kind)
        for name, figure in figures.items()
        for kind in ("png", "svg")
    }
    contents[place / "metrics.csv"] = format_metrics_csv(log.metrics).encode()
    if log.maps:
        contents[place / "map.csv"] = format_map_csv(log.maps).encode()
    return contents


def _tabulate(log: Log, folder: Path, form: str) -> dict[Path, bytes]:
    """Return the tables that have rows, as files to write."""
    return {
        folder / "tables" / f"{name}.{form}": format_table(table, form)
        for name, table in tabulate(log).items()
        if len(next(iter(table.values())).values)
    }


command = plot_log
