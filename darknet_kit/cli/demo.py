"""`dkit demo`: the whole job on made-up images, through the functions that the commands call."""

import os
import time
from dataclasses import replace
from pathlib import Path

import click

from darknet_kit.cli.attempt import train_to_end
from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.detect import good_weights, write_pictures
from darknet_kit.cli.enginechoice import engine_option
from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.cli.paths import shown
from darknet_kit.core.files import make_folder
from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.reading import Dataset, LabelledImage, iter_images, read_dataset
from darknet_kit.dataset.selection import SubsetOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.dataset.subset import subset
from darknet_kit.dataset.truth import list_truths
from darknet_kit.engine.command import can_map
from darknet_kit.engine.find import Engine, find_engine
from darknet_kit.evaluate.detect import Detection, detect
from darknet_kit.evaluate.matching import Matches, match_all
from darknet_kit.formats.cfg import Cfg, read_cfg, write_cfg
from darknet_kit.formats.trainlog import read_log
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.checks.preflight import check_run
from darknet_kit.train.runs.creation import create_run
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings, open_run

_CLASSES = ("disc", "square", "triangle")
_MODEL = "dkit-nano"


@dkit_command(examples=["dkit demo", "dkit demo --out ~/dkit-demo --iterations 200"])
@click.option("--out", type=click.Path(), default="demo", show_default=True, help="Folder.")
@click.option(
    "--iterations", type=click.IntRange(10), default=800, show_default=True, help="max_batches."
)
@engine_option
def demo(out: str, iterations: int, engine: str) -> Outcome:
    """Run the whole job on made-up images, in about two minutes.

    Draws an ILSVRC tree of shapes, converts it, takes three classes, writes a network, trains it,
    and looks for the shapes in images it has not seen. Broken off, it goes on where it was.
    """
    started = time.monotonic()
    program = find_engine(engine)
    root = make_folder(out)
    with progress_bar("draw", "images") as progress:
        tree = draw_ilsvrc(root, progress=progress)
    say(f"1. drew an ILSVRC tree               {shown(tree)}")
    converted = convert_ilsvrc(tree, ConvertOptions(out=os.fspath(root / "all")))
    say(f"2. dkit convert ilsvrc: {converted.boxes:,} boxes    {shown(converted.paths.data)}")
    chosen = subset(converted.paths.data, root / "-".join(_CLASSES), SubsetOptions(_CLASSES))
    say(f"3. dkit subset: {', '.join(chosen.names)}  {shown(chosen.paths.data)}")
    cfg_path = root / f"{_MODEL}-{len(_CLASSES)}-{iterations}.cfg"
    write_cfg(
        cfg_path,
        make_cfg(CfgRequest(classes=len(_CLASSES), model=_MODEL, max_batches=iterations)),
    )
    say(f"4. dkit make-cfg --model {_MODEL}    {shown(cfg_path)}")
    say(f"5. dkit train, {iterations:,} iterations with {program}")
    say(f"   ({program.reason})")
    dataset = read_dataset(chosen.paths.data, program.flavor)
    run = _train(root / "runs" / cfg_path.stem, dataset, cfg_path, program)
    say(f"6. dkit plot-log                     {shown(run.chart)}")
    images = list(iter_images(dataset, "valid"))
    found, matches = _detect(run, program, dataset, images)
    sheet = make_folder(root / "found") / "sheet.png"
    write_pictures(found, dataset.names, os.fspath(sheet.parent))
    say(f"7. dkit detect                       {shown(sheet)}")
    return _outcome(run, sheet, len(images), matches, time.monotonic() - started)


def _outcome(run: RunFolder, sheet: Path, images: int, matches: Matches, seconds: float) -> Outcome:
    best = read_log(*run.logs()).best_map
    at_best = f"  mAP      {best.map50:.1%} at its best" if best else ""
    summary = [
        f"Done in {seconds:,.0f} seconds. In {images} images that it never trained on, the network",
        f"  found {matches.found} of {matches.truths} shapes ({matches.recall:.0%}), and "
        f"{matches.precision:.0%} of what it claimed was right",
        "  (confidence 25 % and more, IoU 0.5 and more)",
        at_best,
        f"  chart    {shown(run.chart)}",
        f"  pictures {shown(sheet)}",
    ]
    return Outcome(
        summary=[line for line in summary if line],
        data={
            "run": os.fspath(run.path),
            "chart": os.fspath(run.chart),
            "sheet": os.fspath(sheet),
            "recall": matches.recall,
            "precision": matches.precision,
            "map50": best.map50 if best else None,
        },
        next_command="dkit convert --help   # and now your own images",
    )


def _train(path: Path, dataset: Dataset, cfg_path: Path, engine: Engine) -> RunFolder:
    """Train in a run of the demo's own; a run that was broken off is completed."""
    network: Cfg = read_cfg(cfg_path)
    if (path / "run.toml").exists():
        run, settings, _ = open_run(path)
        settings = replace(settings, map=settings.map and can_map(engine.flavor))
    else:
        check_run(dataset, network, "", engine)
        data = os.fspath(dataset.data.path)
        settings = RunSettings(data, os.fspath(cfg_path), map=can_map(engine.flavor))
        run = create_run(path, dataset, network, settings, engine)
    ended, _ = train_to_end(run, settings, network, engine)
    if ended.state == "stopped":
        raise click.Abort
    return run


def _detect(
    run: RunFolder, engine: Engine, dataset: Dataset, images: list[LabelledImage]
) -> tuple[list[tuple[str, list[Detection]]], Matches]:
    paths = [image.image for image in images]
    found = list(detect(engine, run.cfg, good_weights(run), len(dataset.names), paths))
    pairs = [
        (detections, list_truths(image))
        for (_, detections), image in zip(found, images, strict=True)
    ]
    return found, match_all(pairs)


command = demo
