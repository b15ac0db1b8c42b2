"""`detector valid`: every detection on the images of `valid=`, in files that others score.

AlexeyAB `src/detector.c`, `validate_detector`. PASCAL VOC's form is a file a class, each line
`image confidence xmin ymin xmax ymax`, pixels from 1; COCO's is a list in JSON, pixels from 0.
"""

import contextlib
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from darknet_kit.core.files import make_folder, replacing
from darknet_kit.engine.torch.detection.detections import pixel_edges
from darknet_kit.engine.torch.detection.meanap import format_layers, read_map_set
from darknet_kit.engine.torch.detection.observation import (
    Look,
    Observation,
    count_classes,
    observe,
    require_names,
)
from darknet_kit.engine.torch.network import Network
from darknet_kit.errors import DatasetError
from darknet_kit.formats.datafile import DataFile

THRESH = 0.001
NMS_THRESH = 0.6

# The ids of COCO's 80 categories, which leave gaps from 1 to 90.
_COCO_GAPS = frozenset((12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
_COCO_IDS = tuple(number for number in range(1, 91) if number not in _COCO_GAPS)

Write = Callable[[Observation], object]


@dataclass(frozen=True, slots=True)
class ValidOptions:
    """What `detector valid` is told. `out` replaces the start of the files' names."""

    out: str | None = None
    letter_box: bool = False
    batch: int | None = None


def run_valid(network: Network, data: DataFile, options: ValidOptions) -> int:
    """Write the detections into the folder `results=` (default `results`), which is made.

    `eval=coco` in the data file asks for JSON, else there is a file a class. All files appear
    when the last image is done. Returns 0. Raises DatasetError and WriteError.
    """
    lists = read_map_set(data)
    require_names(network, lists.names, data.names)
    sys.stdout.write(format_layers(network.heads))
    sys.stdout.flush()
    started = time.perf_counter()
    look = Look(THRESH, NMS_THRESH, options.letter_box, in_pixels=True, batch=options.batch)
    with _open_results(data, lists.names[: count_classes(network)], options.out) as write:
        for number, seen in enumerate(observe(network, lists.images, look), start=1):
            write(seen)
            sys.stderr.write(f"\r{number}")
    seconds = time.perf_counter() - started
    sys.stderr.write(f"\nTotal Detection Time: {seconds:f} Seconds\n")
    return 0


@contextlib.contextmanager
def _open_results(data: DataFile, names: Sequence[str], out: str | None) -> Iterator[Write]:
    folder = make_folder(data.options.get("results") or "results")
    form = data.options.get("eval", "voc")
    if form in ("imagenet", "bdd", "kitti"):
        raise DatasetError(
            f"the embedded engine writes no results for eval = {form}",
            code="unsupported-eval",
            hint="Take `eval = voc` (a text file a class) or `eval = coco` (JSON).",
            path=data.path,
        )
    with contextlib.ExitStack() as files:
        if form == "coco":
            stream = files.enter_context(replacing(folder / f"{out or 'coco_results'}.json"))
            separators = itertools.chain(["[\n"], itertools.repeat(",\n"))
            yield lambda seen: stream.writelines(
                next(separators) + found for found in format_coco(seen, len(names))
            )
            stream.write("[\n]\n" if next(separators) == "[\n" else "\n]\n")
            return
        base = "comp4_det_test_" if out is None else out
        paths = [_class_file(folder, base, name, data) for name in names]
        streams = [files.enter_context(replacing(path)) for path in paths]
        yield lambda seen: write_voc(streams, seen)


def _class_file(folder: Path, base: str, name: str, data: DataFile) -> Path:
    if "/" in name or "\0" in name:
        raise DatasetError(
            f"the class name {name!r} cannot be part of a file's name",
            code="unsafe-class-name",
            hint="`detector valid` writes a file for each class; take the slash out of the name.",
            path=data.names,
        )
    return folder / f"{base}{name}.txt"


def write_voc(streams: Sequence[IO[Any]], seen: Observation) -> None:
    """Write an image's detections, each to the stream of its class."""
    edges = pixel_edges(seen.detections.boxes, seen.size, first=1)
    image = image_name(seen.path)
    for row, class_id in zip(*np.nonzero(seen.detections.scores), strict=True):
        numbers = (seen.detections.scores[row, class_id], *edges[row])
        streams[class_id].write(f"{image} {' '.join(f'{number:f}' for number in numbers)}\n")


def format_coco(seen: Observation, classes: int) -> Iterator[str]:
    """Yield an image's detections as objects of COCO's result format.

    Networks with 80 classes are taken for COCO's own; others count their categories from 1.
    """
    ids = _COCO_IDS if classes == len(_COCO_IDS) else range(1, classes + 1)
    edges = pixel_edges(seen.detections.boxes, seen.size)
    image_id = coco_image_id(seen.path)
    for row, class_id in zip(*np.nonzero(seen.detections.scores), strict=True):
        left, top, right, bottom = edges[row]
        if not np.isfinite(edges[row]).all():
            continue  # JSON has no word for a box without end
        yield (
            f'{{"image_id":{image_id}, "category_id":{ids[class_id]}, '
            f'"bbox":[{left:f}, {top:f}, {right - left:f}, {bottom - top:f}], '
            f'"score":{seen.detections.scores[row, class_id]:f}}}'
        )


def image_name(path: str) -> str:
    """Return a file's name up to its first dot, by which Darknet calls an image."""
    return path.rpartition("/")[2].partition(".")[0]


def coco_image_id(path: str) -> int:
    """Return COCO's number of an image: the last one in its name, as in COCO_val2014_000000000042.

    0 for a name without digits. Darknet reads names that begin with the number only.
    """
    found = re.findall(r"[0-9]+", image_name(path))
    return int(found[-1][-18:]) if found else 0
