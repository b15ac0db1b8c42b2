"""COCO's mAP, by faster-coco-eval, beside Darknet's: another number, under its own name.

COCO averages over ten IoUs from 0.50 to 0.95, reads precision at 101 recalls, counts at most 100
detections an image, and leaves out classes that the data does not show. Objects are matched to
detections after sorting, a second-best one too. Small, medium and large mean areas of up to 32 x
32, up to 96 x 96 and more pixels of the image.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.engine.torch.detection.average_precision import NO_TRUTHS, Truths
from darknet_kit.engine.torch.detection.detections import Floats, pixel_edges
from darknet_kit.engine.torch.detection.meanap import MapSet, read_truths
from darknet_kit.engine.torch.detection.observation import Look, Observation, count_classes, observe
from darknet_kit.engine.torch.detection.validation import NMS_THRESH, THRESH
from darknet_kit.engine.torch.network import Network

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CocoMap:
    """COCO's averages, 0 to 1; -1 where there is no object of that size."""

    map: float
    map50: float
    map75: float
    map_small: float
    map_medium: float
    map_large: float
    recall: float


def coco_map(
    network: Network,
    data: MapSet,
    *,
    letter_box: bool = False,
    batch: int | None = None,
    progress: Progress = no_progress,
) -> CocoMap:
    """Return COCO's mAP of a network on its detections as `detector valid` would write them.

    Difficult objects count as COCO's crowds do: to find them is neither right nor wrong. Raises
    CfgError where the heads do not agree about the classes.
    """
    look = Look(THRESH, NMS_THRESH, letter_box, in_pixels=True, batch=batch)
    difficult = dict(zip(data.images, data.difficult, strict=False))
    classes = count_classes(network)
    images: list[Record] = []
    truths: list[Record] = []
    found: list[Record] = []
    for number, seen in enumerate(observe(network, data.images, look), start=1):
        images.append({"id": number, "width": seen.size[0], "height": seen.size[1]})
        hard = difficult.get(seen.path)
        truths += _list_truths(read_truths(seen.path, classes), seen.size, number, crowd=False)
        others = read_truths(hard, classes) if hard else NO_TRUTHS
        truths += _list_truths(others, seen.size, number, crowd=True)
        found += _list_detections(seen, number)
        progress(number, len(data.images))
    return measure_coco(images, truths, found, classes)


def measure_coco(
    images: Sequence[Record], truths: Sequence[Record], found: Sequence[Record], classes: int
) -> CocoMap:
    """Return COCO's averages of `found` against `truths`, both as COCO's JSON has them.

    Truths need no `id`; categories are numbered from 0.
    """
    if not truths or not found:
        nothing = 0.0 if truths else -1.0
        return CocoMap(*(nothing,) * 7)
    dataset = {
        "images": list(images),
        "annotations": [{**truth, "id": number} for number, truth in enumerate(truths, start=1)],
        "categories": [{"id": number, "name": str(number)} for number in range(classes)],
    }
    expected = COCO(dataset)
    evaluation = COCOeval_faster(expected, expected.loadRes(list(found)), iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # Numbers 6 and 7 of the summary are the recall at 1 and at 10 detections an image.
    return CocoMap(*(float(evaluation.stats[number]) for number in (0, 1, 2, 3, 4, 5, 8)))


def format_coco_map(result: CocoMap) -> str:
    """Return the averages as lines of our own that no reader takes for Darknet's mAP."""
    return (
        f"\n COCO's AP@[0.50:0.95] = {result.map:.6f}, AP@0.50 = {result.map50:.6f}, "
        f"AP@0.75 = {result.map75:.6f} \n"
        f" COCO's AP small = {result.map_small:.6f}, medium = {result.map_medium:.6f}, "
        f"large = {result.map_large:.6f}, AR@100 = {result.recall:.6f} \n"
    )


def run_coco_map(network: Network, data: MapSet, *, letter_box: bool = False) -> CocoMap:
    """Compute COCO's mAP and print it."""
    result = coco_map(network, data, letter_box=letter_box)
    sys.stdout.write(format_coco_map(result))
    sys.stdout.flush()
    return result


def _list_truths(truths: Truths, size: tuple[int, int], image: int, *, crowd: bool) -> list[Record]:
    return [
        {
            "image_id": image,
            "category_id": int(class_id),
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(crowd),
        }
        for class_id, box in zip(truths.class_ids, _to_xywh(truths.boxes, size), strict=True)
    ]


def _list_detections(seen: Observation, image: int) -> list[Record]:
    boxes = _to_xywh(seen.detections.boxes, seen.size)
    scores = seen.detections.scores
    return [
        {
            "image_id": image,
            "category_id": int(class_id),
            "bbox": boxes[row],
            "score": float(scores[row, class_id]),
        }
        for row, class_id in zip(*np.nonzero(scores), strict=True)
        if np.isfinite(boxes[row]).all()
    ]


def _to_xywh(boxes: Floats, size: tuple[int, int]) -> list[list[float]]:
    edges = pixel_edges(boxes, size)
    sides = np.maximum(edges[:, 2:] - edges[:, :2], 0)
    return [[float(number) for number in row] for row in np.concatenate((edges[:, :2], sides), 1)]
