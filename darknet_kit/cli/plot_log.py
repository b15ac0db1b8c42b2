"""`dkit plot-log`: chart and numbers of any Darknet log."""

from pathlib import Path

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import SKIPPED_INPUT, Outcome, dkit_command
from darknet_kit.cli.paths import shown
from darknet_kit.cli.writing import PICTURES, kind_of, require_charts, write_files
from darknet_kit.errors import UsageError
from darknet_kit.formats.metrics import format_map_csv, format_metrics_csv
from darknet_kit.formats.trainlog import Log, read_log
from darknet_kit.report.summary import list_facts, summarize_log
from darknet_kit.train.runfolder import RunFolder, is_run


@dkit_command(
    examples=[
        "dkit plot-log train.log",
        "dkit plot-log train.log -o chart.svg --linear --title 'YOLOv4, ten classes'",
        "dkit plot-log first.log resumed.log --out charts",
    ]
)
@click.argument("logs", metavar="LOG...", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for chart.png, chart.svg, metrics.csv, map.csv.  [default: LOG_chart]",
)
@click.option("-o", "--output", type=click.Path(), help="Only a picture: .png, .svg or .pdf.")
@click.option("--title", default="", help="Over the chart.  [default: the name of the log]")
@click.option(
    "--log-scale/--linear",
    default=None,
    help="Axis of the loss.  [default: logarithmic where it spans more than 1 to 30]",
)
@click.option("--dry-run", is_flag=True, help="Only read the log and say what it tells.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def plot_log(
    logs: tuple[str, ...],
    out: str | None,
    output: str | None,
    title: str,
    log_scale: bool | None,
    dry_run: bool,
    overwrite: bool,
) -> Outcome:
    """Draw loss and mAP from any Darknet log.

    LOG is a file, or a run folder. Any flavour, any length, also of a training that is still
    running, crashed, or was resumed.
    Several logs are taken as one run, in the order given; where a run went back to an earlier
    iteration, the later truth is drawn. Gzip files are read as they are.
    """
    _check_picture(out, output)
    require_charts()
    with progress_bar("Reading", "bytes") as progress:
        log = read_log(*_expand(logs), progress=progress)
    name = _name(logs[-1])
    contents = _render(log, out or f"{name}_chart", output, title or name, log_scale)
    if dry_run:
        done = dict.fromkeys(contents, "would write")
    else:
        done = write_files(contents, overwrite)
    return Outcome(
        summary=[
            ", ".join(shown(path) for path in logs),
            *(f"  {line}" for line in summarize_log(log)),
            *(f"  {what:<14} {shown(path)}" for path, what in done.items()),
        ],
        data={
            **list_facts(log),
            "logs": list(logs),
            "files": [] if dry_run else [str(path.absolute()) for path in contents],
        },
        exit_code=SKIPPED_INPUT if log.damaged else 0,
    )


def _expand(logs: tuple[str, ...]) -> list[str]:
    """Put the logs of a run's attempts in the place of a run folder."""
    return [
        path
        for log in logs
        for path in (map(str, RunFolder(Path(log)).logs()) if is_run(log) else (log,))
    ]


def _name(log: str) -> str:
    path = Path(log).absolute()
    if is_run(log):
        return path.name
    return Path(path.stem).stem if path.suffix == ".gz" else path.stem


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


def _render(
    log: Log, folder: str, picture: str | None, title: str, log_scale: bool | None
) -> dict[Path, bytes]:
    """Return the files to write and what goes into them."""
    from darknet_kit.report.charts import Scale, plot_training, render_figure

    scales: dict[bool | None, Scale] = {None: "auto", True: "log", False: "linear"}
    figure = plot_training(log, title=title, scale=scales[log_scale])
    if picture:
        return {Path(picture): render_figure(figure, kind_of(picture))}
    place = Path(folder)
    contents = {place / f"chart.{kind}": render_figure(figure, kind) for kind in ("png", "svg")}
    contents[place / "metrics.csv"] = format_metrics_csv(log.metrics).encode()
    if log.maps:
        contents[place / "map.csv"] = format_map_csv(log.maps).encode()
    return contents


command = plot_log
