"""`detector map`: Darknet's mAP on the images of `valid=`, and the text that it prints.

AlexeyAB `src/detector.c`, `validate_detector_map`.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.engine.torch.cnumber import format_c
from darknet_kit.engine.torch.detection.average_precision import (
    NO_TRUTHS,
    Precision,
    Truths,
    claim,
    measure_precision,
)
from darknet_kit.engine.torch.detection.observation import (
    Look,
    count_classes,
    observe,
    require_names,
)
from darknet_kit.engine.torch.heads.head import Head
from darknet_kit.engine.torch.network import Network
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.datafile import DataFile, iter_image_list, read_difficult, read_names
from darknet_kit.formats.yolo import label_path, read_labels

_THRESH = 0.005
_NMS_THRESH = 0.45
_MOST_POINTS = 10_000
# The numbers of AlexeyAB's `LAYER_TYPE`, which its log shows.
_KIND_NUMBERS = {"region": 27, "yolo": 28, "Gaussian_yolo": 29}


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What `detector map` is told.

    `thresh` is the confidence at which precision and recall are counted; a hit has an IoU above
    `iou_thresh`. `points` is 0 for the area under the curve, else at how many recalls precision
    is read (11, 101). `letter_box` keeps aspect ratios; AlexeyAB's listens only to the cfg here.
    `batch` is how many images are computed at once, None for what suits the device.
    """

    thresh: float = 0.25
    iou_thresh: float = 0.5
    points: int = 0
    letter_box: bool = False
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class MapSet:
    """What mAP is computed on: class names, images, and the `difficult=` list.

    Of each image of `difficult`, which are as many as `images`, only the label file matters.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    difficult: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapResult:
    """A mAP, with what it was asked for. `seconds` is the time it took."""

    options: MapOptions
    names: tuple[str, ...]
    precision: Precision
    seconds: float

    @property
    def mean(self) -> float:
        """The mean average precision, 0 to 1."""
        return self.precision.mean


def read_map_set(data: DataFile) -> MapSet:
    """Read the lists that a data file names: `valid=`, or `train=` where it has no such line.

    Raises DatasetError for lists that are missing or empty, and as `read_difficult` does.
    """
    source = data.valid or data.require_train()
    images = tuple(iter_image_list(source))
    if not images:
        raise DatasetError(
            "there is no image in this list",
            code="empty-list",
            hint="Write one path a line, or name another list under `valid =`.",
            path=source,
        )
    return MapSet(tuple(read_names(data.names)), images, tuple(read_difficult(data, images)))


def compute_map(
    network: Network,
    data: MapSet,
    options: MapOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> MapResult:
    """Return the mAP of a network, which is left in inference mode.

    An image that cannot be read is left out, its objects too. Raises UsageError for points of
    which there is no curve, DatasetError where the names are not the network's classes.
    """
    asked = options or MapOptions()
    _check_points(asked.points)
    require_names(network, data.names, exact=True)
    classes = count_classes(network)
    started = time.perf_counter()
    look = Look(_THRESH, _NMS_THRESH, asked.letter_box, batch=asked.batch)
    difficult = dict(zip(data.images, data.difficult, strict=False))
    claims = []
    for number, seen in enumerate(observe(network, data.images, look), start=1):
        hard = difficult.get(seen.path)
        claims.append(
            claim(
                seen.detections.boxes,
                seen.detections.scores,
                read_truths(seen.path, classes),
                asked.iou_thresh,
                read_truths(hard, classes) if hard else NO_TRUTHS,
            )
        )
        progress(number, len(data.images))
    precision = measure_precision(claims, classes, asked.thresh, asked.points)
    return MapResult(asked, data.names, precision, time.perf_counter() - started)


def _check_points(points: int) -> None:
    if points == 1 or not 0 <= points <= _MOST_POINTS:
        raise UsageError(
            f"precision cannot be averaged at {points} points",
            code="bad-points",
            hint="Take 0 (area under the curve), 11 (VOC 2007) or 101 (COCO).",
        )


def read_truths(image: str, classes: int) -> Truths:
    """Return the objects in the label file of an image; none where there is no such file.

    Only what has a class of the network counts. AlexeyAB `src/data.c`, `read_boxes`.
    """
    path = label_path(image, Flavor.ALEXEYAB)
    labels = (read_labels(path) if path else None) or []
    known = [label for label in labels if 0 <= label.class_id < classes]
    boxes = [(label.cx, label.cy, label.width, label.height) for label in known]
    return Truths(
        np.array([label.class_id for label in known], np.int64),
        np.array(boxes, np.float32).reshape(-1, 4),
    )


def run_map(network: Network, data: DataFile, options: MapOptions) -> MapResult:
    """Compute the mAP and print it as Darknet does; errors are those of its parts."""
    lists = read_map_set(data)
    sys.stdout.write(format_map_start(network.heads))
    sys.stdout.flush()
    result = compute_map(network, lists, options, progress=_count_on_stderr)
    sys.stdout.write(format_map(result))
    sys.stdout.flush()
    return result


def format_map_start(heads: Sequence[Head]) -> str:
    """Return what Darknet prints before it computes a mAP."""
    return "\n calculation mAP (mean average precision)...\n" + format_layers(heads)


def format_layers(heads: Sequence[Head]) -> str:
    """Return the lines by which Darknet names the heads of a network, but for [detection]."""
    return "".join(
        f" Detection layer: {head.index} - type = {_KIND_NUMBERS[head.kind]} \n"
        for head in heads
        if head.kind in _KIND_NUMBERS
    )


def format_map(result: MapResult) -> str:
    """Return what Darknet prints of a mAP, without the counter that overwrites itself."""
    return "".join(f"{line}\n" for line in _iter_lines(result))


def _iter_lines(result: MapResult) -> Iterator[str]:
    asked, found = result.options, result.precision
    yield f"\n detections_count = {found.detections}, unique_truth_count = {found.truths}  "
    for one, name in zip(found.classes, result.names, strict=True):
        yield (
            f"class_id = {one.class_id}, name = {name}, ap = {one.ap * 100:2.2f}%   \t "
            f"(TP = {one.tp}, FP = {one.fp}) "
        )
    yield (
        f"\n for conf_thresh = {asked.thresh:1.2f}, precision = {_two_digits(found.precision)}, "
        f"recall = {_two_digits(found.recall)}, F1-score = {_two_digits(found.f1)} "
    )
    yield (
        f" for conf_thresh = {asked.thresh:0.2f}, TP = {found.tp}, FP = {found.fp}, "
        f"FN = {found.fn}, average IoU = {found.average_iou * 100:2.2f} % "
    )
    kind = (
        f"{asked.points} Recall-points"
        if asked.points
        else ("Area-Under-Curve for each unique Recall")
    )
    yield f"\n IoU threshold = {asked.iou_thresh * 100:2.0f} %, used {kind} "
    yield (
        f" mean average precision (mAP@{asked.iou_thresh:0.2f}) = {found.mean:f}, "
        f"or {found.mean * 100:2.2f} % "
    )
    yield f"Total Detection Time: {int(result.seconds)} Seconds"
    yield "\nSet -points flag:"
    yield " `-points 101` for MS COCO "
    yield " `-points 11` for PascalVOC 2007 (uncomment `difficult` in voc.data) "
    yield " `-points 0` (AUC) for ImageNet, PascalVOC 2010-2012, your custom dataset"


def _two_digits(value: float) -> str:
    # Nothing divided by nothing has a sign on the processors that Darknet runs on.
    return "-nan" if value != value else format_c(value, 2)


def _count_on_stderr(done: int, _total: int) -> None:
    sys.stderr.write(f"\r{done}")
    sys.stderr.flush()
