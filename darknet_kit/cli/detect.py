"""`dkit detect`: what a trained network finds, as pictures and JSON."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.enginechoice import engine_option, find_engine_of_run
from darknet_kit.cli.outcome import SKIPPED_INPUT, Outcome, dkit_command, say
from darknet_kit.cli.paths import shown
from darknet_kit.core.files import make_folder, write_text
from darknet_kit.core.wording import counted
from darknet_kit.errors import DatasetError, DkitError, UsageError, WeightsError
from darknet_kit.evaluate.detect import Detection
from darknet_kit.evaluate.detect import detect as detect_objects
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.datafile import iter_image_list, read_names
from darknet_kit.formats.image import read_image_header
from darknet_kit.formats.tree import walk_tree
from darknet_kit.train.runs.folder import BASE, RunFolder
from darknet_kit.train.runs.record import open_run
from darknet_kit.train.weights.checkpoint import find_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image

_ON_SHEET = 12


@dkit_command(
    examples=[
        "dkit detect runs/yolov4-tiny-20 holiday.jpg --out found",
        "dkit detect runs/yolov4-tiny-20 voc/valid.txt --thresh 0.5 --out found",
    ]
)
@click.argument("run", type=click.Path())
@click.argument("images", type=click.Path(), nargs=-1, required=True)
@click.option("--out", type=click.Path(), required=True, help="Folder for pictures and JSON.")
@click.option("--weights", type=click.Path(), help="[default: the best, else the last good ones]")
@click.option(
    "--thresh", type=click.FloatRange(0, 1), default=0.25, show_default=True, help="Confidence."
)
@engine_option
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
def detect(
    run: str,
    images: Sequence[str],
    out: str,
    weights: str | None,
    thresh: float,
    engine: str,
    overwrite: bool,
) -> Outcome:
    """Find objects in images; pictures with boxes, and JSON.

    RUN is a run folder; IMAGES are pictures, folders of them, or image lists (.txt).
    """
    folder, _, recorded = open_run(run)
    chosen = weights or good_weights(folder)
    names = read_names(folder.names)
    program = find_engine_of_run(recorded, engine)
    if os.path.isdir(out) and os.listdir(out) and not overwrite:
        raise UsageError(
            "this folder is not empty",
            code="not-empty",
            hint="Name another folder with --out, or add --overwrite.",
            path=out,
        )
    pictures, unreadable = _readable(_expand(images))
    with progress_bar("detect", "images") as progress:
        found = list(
            detect_objects(
                program,
                folder.cfg,
                chosen,
                len(names),
                pictures,
                thresh=thresh,
                progress=progress,
            )
        )
    make_folder(out)
    files = write_pictures(found, names, out)
    records = [
        _record(image, detections, names, file)
        for (image, detections), file in zip(found, files, strict=True)
    ]
    write_text(Path(out) / "detections.json", json.dumps(records, indent=2) + "\n")
    count = sum(len(detections) for _, detections in found)
    summary = [
        f"Found {counted(count, 'object')} in {counted(len(found), 'image')} "
        f"(confidence {thresh:.0%} and more)",
        f"  weights  {shown(chosen)}",
        f"  pictures {shown(out)}, {shown(Path(out) / 'sheet.png')} shows "
        f"{min(_ON_SHEET, len(found))} of them",
    ]
    if unreadable:
        summary.append(f"  {counted(unreadable, 'image')} left out: unreadable")
    data = {"images": records, "unreadable": unreadable, "out": os.path.abspath(out)}
    return Outcome(summary, data, exit_code=SKIPPED_INPUT if unreadable else 0)


def good_weights(folder: RunFolder) -> str:
    """Return the weights with the best mAP, else the last good ones. Raises WeightsError."""
    best = folder.weights / f"{BASE}_best.weights"
    if best.exists():
        return os.fspath(best)
    checkpoint = find_checkpoint(folder.weights, read_cfg(folder.cfg))
    if checkpoint is None:
        raise WeightsError(
            "this run has no good weights yet",
            code="no-weights",
            hint=f"Train first: dkit train --resume {shown(folder.path)}",
            path=folder.path,
        )
    return os.fspath(checkpoint.path)


def _expand(sources: Sequence[str]) -> list[str]:
    paths: list[str] = []
    for source in sources:
        if os.path.isdir(source):
            for below in walk_tree(source):
                paths += [os.path.join(below.path, name) for name in below.images]
        elif source.endswith(".txt"):
            paths += iter_image_list(source)
        else:
            paths.append(source)
    if not paths:
        raise DatasetError(
            "there are no images here",
            code="no-images",
            hint="Give pictures, folders of pictures, or an image list.",
            path=sources[0],
        )
    return paths


def _readable(paths: Sequence[str]) -> tuple[list[str], int]:
    """Leave out what no decoder knows; one such image ends some engines."""
    kept: list[str] = []
    first: DkitError | None = None
    for path in paths:
        try:
            read_image_header(path)
            kept.append(path)
        except DatasetError as error:
            first = first or error
            say(f"skipped: {error}")
    if first is not None and not kept:
        raise first
    return kept, len(paths) - len(kept)


def write_pictures(
    found: Sequence[tuple[str, list[Detection]]], names: Sequence[str], out: str
) -> list[str]:
    """Write each picture and a contact sheet of some; return the pictures' paths."""
    from darknet_kit.report.detections import detection_sheet, draw_detections, write_picture

    files: list[str] = []
    tiles: list[tuple[Image, str]] = []
    taken: set[str] = set()
    step = -(-len(found) // _ON_SHEET)  # so that the sheet shows some of all, not the first
    for image, detections in found:
        picture = draw_detections(image, detections, names)
        name = stem = os.path.splitext(os.path.basename(image))[0]
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        files.append(os.path.join(out, f"{name}.jpg"))
        write_picture(picture, files[-1])
        if (len(files) - 1) % step == 0 and len(tiles) < _ON_SHEET:
            tiles.append((picture, f"{name}: {len(detections)}"))
    write_picture(detection_sheet(tiles), os.path.join(out, "sheet.png"))
    return files


def _record(
    image: str, detections: Sequence[Detection], names: Sequence[str], picture: str
) -> dict[str, object]:
    """Return one image's entry of detections.json: boxes are xyxy in pixels from the top left."""
    return {
        "image": os.path.abspath(image),
        "picture": os.path.abspath(picture),
        "objects": [
            {
                "class_id": found.class_id,
                "name": names[found.class_id],
                "confidence": found.confidence,
                "xyxy_px": [
                    round(edge, 2)
                    for edge in (found.box.left, found.box.top, found.box.right, found.box.bottom)
                ],
            }
            for found in detections
        ],
    }


command = detect
