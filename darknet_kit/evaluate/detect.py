"""Detections of trained weights, in pixels, from any engine.

`detector valid` is the one command that writes boxes as text in all of them: a file a class, each
line `image confidence xmin ymin xmax ymax`, pixels counted from 1 (AlexeyAB src/detector.c,
print_detector_detections). It runs on numbered links, so that no path or class name can harm it.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.boxes import Box, BoxConvention, box_from_pascal, iou
from darknet_kit.core.files import link, make_folder, write_text
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.engine.answer import ask
from darknet_kit.engine.command import valid_command
from darknet_kit.engine.find import Engine
from darknet_kit.errors import AnyPath, DkitError, WeightsError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.datafile import format_data, format_lines
from darknet_kit.formats.weights import read_weights_header

_PORTION = 64  # images a process: lively progress, and a crash costs no more than these
_EMBEDDED_PORTION = 512  # of the embedded engine, whose start takes seconds
_LEAST = 4  # the 2018 original starts four loaders, whether there are four images or not
_SECONDS_AN_IMAGE = 60.0
_NMS_IOU = 0.45


@dataclass(frozen=True, slots=True)
class Detection:
    """One object found: `box` in pixels of the image, `confidence` from 0 to 1."""

    class_id: int
    confidence: float
    box: Box


def detect(
    engine: Engine,
    cfg: AnyPath,
    weights: AnyPath,
    classes: int,
    images: Sequence[str],
    *,
    thresh: float = 0.25,
    progress: Progress = no_progress,
) -> Iterator[tuple[str, list[Detection]]]:
    """Yield each image with its detections, the most confident first.

    Raises CfgError, WeightsError, and DkitError (`detection-failed`) where the engine ends
    without results.
    """
    _require_whole(cfg, weights)
    size = _EMBEDDED_PORTION if engine.embedded else _PORTION
    for start in range(0, len(images), size):
        portion = images[start : start + size]
        with tempfile.TemporaryDirectory(prefix="dkit-detect-") as folder:
            found = _run(engine, Path(folder), cfg, weights, classes, portion, thresh)
        progress(start + len(portion), len(images))
        yield from zip(portion, found, strict=True)


def _require_whole(cfg: AnyPath, weights: AnyPath) -> None:
    from darknet_kit.network.fit import require_fit

    fit = require_fit(read_cfg(cfg), read_weights_header(weights))
    if fit.is_backbone:
        raise WeightsError(
            f"these weights end after {fit.layers} of {fit.of} layers",
            code="weights-do-not-fit",
            hint="They are for training to start from; take weights that a training has left.",
            path=weights,
        )


def _run(
    engine: Engine,
    folder: Path,
    cfg: AnyPath,
    weights: AnyPath,
    classes: int,
    images: Sequence[str],
    thresh: float,
) -> list[list[Detection]]:
    results = make_folder(folder / "results")
    entries = []
    for number in range(max(_LEAST, len(images))):
        image = os.path.abspath(images[number % len(images)])
        entries.append(f"{number:06d}{os.path.splitext(image)[1].lower()}")
        link(image, folder / entries[-1])
    # The data file, the cfg and the weights lie in the folder too: short names for every engine.
    link(os.path.abspath(cfg), folder / "net.cfg")
    link(os.path.abspath(weights), folder / "net.weights")
    write_text(folder / "images.txt", format_lines(entries))
    write_text(folder / "net.names", format_lines(f"c{number}" for number in range(classes)))
    options = {
        "classes": classes,
        "train": "images.txt",
        "valid": "images.txt",
        "names": "net.names",
        "results": "results",
        "backup": ".",
    }
    write_text(folder / "net.data", format_data(options))
    command = valid_command(engine, "net.data", "net.cfg", "net.weights")
    answer = ask(command, folder=folder, timeout=_SECONDS_AN_IMAGE * len(entries))
    files = [results / f"comp4_det_test_c{number}.txt" for number in range(classes)]
    if not all(file.exists() for file in files):
        last = [line for line in answer.text.splitlines() if line.strip()][-1:]
        raise DkitError(
            f"the engine found nothing to write: {answer.error or ' '.join(last)[:200]}",
            code="detection-failed",
            hint="Check that weights and cfg belong together.",
            path=weights,
        )
    return _collect(files, len(images), thresh)


def _collect(files: Sequence[Path], count: int, thresh: float) -> list[list[Detection]]:
    found: list[list[Detection]] = [[] for _ in range(count)]
    for class_id, file in enumerate(files):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            detection = parse_detection(line, class_id)
            if detection and detection[0] < count and detection[1].confidence >= thresh:
                found[detection[0]].append(detection[1])
    return [suppress(detections) for detections in found]


def suppress(detections: Sequence[Detection]) -> list[Detection]:
    """Return the detections, the most confident first, without second ones of the same object.

    Greedy suppression by class at the IoU that `detector test` uses; `valid` lets more through.
    """
    kept: list[Detection] = []
    for found in sorted(detections, key=lambda detection: -detection.confidence):
        if not any(
            better.class_id == found.class_id and iou(better.box, found.box) > _NMS_IOU
            for better in kept
        ):
            kept.append(found)
    return kept


def parse_detection(line: str, class_id: int) -> tuple[int, Detection] | None:
    """Return the number of the image and the detection of one line; None for a cut one."""
    words = line.split()
    if len(words) != 6:
        return None
    try:
        number = int(words[0])
        confidence, xmin, ymin, xmax, ymax = map(float, words[1:])
    except ValueError:
        return None
    box = box_from_pascal(xmin, ymin, xmax, ymax, BoxConvention.VOC_LABEL)
    return number, Detection(class_id, confidence, box)
