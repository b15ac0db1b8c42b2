"""`dkit report`: one page that tells all of a training."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.detect import good_weights
from darknet_kit.cli.enginechoice import engine_option, find_engine_of_run
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import require_charts, write_files
from darknet_kit.dataset.reading import read_image
from darknet_kit.dataset.truth import list_truths
from darknet_kit.engine.find import Engine
from darknet_kit.errors import DkitError
from darknet_kit.evaluate.detect import detect
from darknet_kit.formats.datafile import iter_image_list, read_names
from darknet_kit.formats.telemetry import read_telemetry
from darknet_kit.train.runs.detail import describe_run
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.history import History, read_history
from darknet_kit.train.runs.record import open_run
from darknet_kit.train.telemetry.bottleneck import find_bottleneck

if TYPE_CHECKING:
    from darknet_kit.report.samples import Examined

_EVENTS = 300


@dkit_command(
    examples=[
        "dkit report runs/yolov4-tiny-20",
        "dkit report runs/yolov4-tiny-20 --samples 24 -o round1.html",
        "dkit report train.log -o train.html",
    ]
)
@click.argument("training", metavar="RUN|LOG", type=GivenPath())
@click.option(
    "-o", "--output", type=GivenPath(), help="The page.  [default: report.html in RUN, LOG.html]"
)
@click.option("--cfg", type=GivenPath(), help="The network of a bare LOG.")
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=9,
    show_default=True,
    help="Validation images to look at with the trained network.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which images these are.")
@engine_option
@click.option("--overwrite", is_flag=True, help="Replace another page of that name.")
def report(
    training: str,
    output: str | None,
    cfg: str | None,
    samples: int,
    seed: int,
    engine: str,
    overwrite: bool,
) -> Outcome:
    """Write one page that tells all of a training.

    What came of it and what the numbers advise; charts, classes, the machine, some validation
    images with the truth and what the network finds; checks, attempts, events, and how to do it
    again. The page needs no network and no other file.
    """
    require_charts()
    with progress_bar("Reading", "bytes") as progress:
        history = read_history(training, cfg, progress)
    page = Path(output or _default_page(history))
    content = _render(history, samples, seed, engine)
    # The run's own report is dkit's to renew.
    done = write_files({page: content}, overwrite or (history.run is not None and not output))
    from darknet_kit.report.verdict import advise, conclude

    conclusion, advice = conclude(history), advise(history.log)
    return Outcome(
        summary=[
            conclusion.sentence,
            *(f"  {sentence}" for sentence in advice),
            *(f"  {what:<10} {shown(path)}" for path, what in done.items()),
        ],
        data={
            "verdict": conclusion.sentence,
            "tone": conclusion.tone,
            "advice": advice,
            "page": str(page.absolute()),
        },
        next_command=f"xdg-open {shown(page)}",
    )


def _default_page(history: History) -> Path:
    if history.run is not None:
        return history.path / "report.html"
    return history.path.with_name(f"{history.name}.html")


def _render(history: History, samples: int, seed: int, engine: str) -> bytes:
    from darknet_kit.report.runreport import ReportParts, format_run_report
    from darknet_kit.report.samples import draw_samples

    if history.run is None:
        parts = ReportParts(None, read_telemetry(""))
        return format_run_report(history, parts).encode("utf-8", "replace")
    run = RunFolder(history.path)
    try:
        examined = _examine(run, samples, seed, engine) if samples else []
        why = "" if examined or not samples else "This run has no validation images."
    except DkitError as error:
        examined, why = [], f"No images: {error}"
    telemetry = read_telemetry(run.telemetry())
    slow = find_bottleneck(telemetry)
    parts = ReportParts(
        detail=describe_run(run.path, _EVENTS),
        telemetry=telemetry,
        bottleneck=f"Bottleneck: {slow}. {slow.advice}" if slow else "",
        samples=list(draw_samples(examined, read_names(run.names))) if examined else (),
        no_samples=why,
    )
    return format_run_report(history, parts).encode("utf-8", "replace")


def _examine(run: RunFolder, samples: int, seed: int, asked: str) -> "list[Examined]":
    """Let the run's engine look at some validation images."""
    from darknet_kit.report.samples import Examined

    valid = run.path / "valid.txt"
    images = list(iter_image_list(valid)) if valid.exists() else []
    if not images:
        return []
    _, _, recorded = open_run(run.path)
    program: Engine = find_engine_of_run(recorded, asked)
    chosen = sorted(random.Random(seed).sample(images, min(samples, len(images))))
    names = read_names(run.names)
    with progress_bar("look", "images") as progress:
        found = list(
            detect(program, run.cfg, good_weights(run), len(names), chosen, progress=progress)
        )
    return [
        Examined(image, list_truths(read_image(image, program.flavor)), detections)
        for image, detections in found
    ]


command = report
