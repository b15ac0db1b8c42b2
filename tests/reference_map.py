"""Suppression and average precision, one box after the other: slow, plain, in double precision.

Written from what Darknet does, not from the engine's own code, which is held against this.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Box = Sequence[float]


def edges(box: Box) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of cx, cy, w, h."""
    return (
        box[0] - box[2] / 2,
        box[1] - box[3] / 2,
        box[0] + box[2] / 2,
        box[1] + box[3] / 2,
    )


def iou(one: Box, other: Box) -> float:
    a, b = edges(one), edges(other)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def distance_iou(one: Box, other: Box, exponent: float) -> float:
    a, b = edges(one), edges(other)
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    apart = (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
    return iou(one, other) - float((apart / (width**2 + height**2)) ** exponent)


def suppress(
    boxes: Sequence[Box], scores: Sequence[Sequence[float]], thresh: float, kind: str, beta: float
) -> tuple[list[int], list[list[float]]]:
    """Return the order of the boxes afterwards, as numbers of the given ones, and their scores."""
    left = [list(row) for row in scores]
    order = list(range(len(boxes)))
    for class_id in range(len(scores[0])):
        order.sort(key=lambda number: -left[number][class_id])
        for place, better in enumerate(order):
            if left[better][class_id] == 0:
                continue
            for worse in order[place + 1 :]:
                if kind in ("default", "cornersnms"):
                    overlap = iou(boxes[better], boxes[worse])
                else:
                    exponent = 0.6 if kind == "greedynms" else beta
                    overlap = distance_iou(boxes[better], boxes[worse], exponent)
                if overlap > thresh:
                    left[worse][class_id] = 0.0
    return order, [left[number] for number in order]


@dataclass
class Image:
    """Boxes, their scores, and the objects as (class_id, box)."""

    boxes: list[list[float]]
    scores: list[list[float]]
    truths: list[tuple[int, list[float]]]
    difficult: list[tuple[int, list[float]]] = field(default_factory=list)


@dataclass
class Counted:
    aps: list[float]
    tp: list[int]
    fp: list[int]
    detections: int
    iou_sum: float


def measure(
    images: Sequence[Image], classes: int, iou_thresh: float, conf_thresh: float, points: int
) -> Counted:
    """Count as Darknet does, with its one table of all detections for each class."""
    tp, fp = [0] * classes, [0] * classes
    listed: list[tuple[float, int, tuple[int, int] | None]] = []
    iou_sum = 0.0
    for number, image in enumerate(images):
        claimed: list[int | None] = []
        for box, row in zip(image.boxes, image.scores, strict=True):
            for class_id, score in enumerate(row):
                if score <= 0:
                    continue
                best, best_iou = None, 0.0
                for index, (truth_class, truth) in enumerate(image.truths):
                    overlap = iou(box, truth)
                    if truth_class == class_id and overlap > iou_thresh and overlap > best_iou:
                        best, best_iou = index, overlap
                hard = best is None and any(
                    truth_class == class_id and iou(box, truth) > iou_thresh
                    for truth_class, truth in image.difficult
                )
                if score > conf_thresh:
                    if best is not None and best not in claimed:
                        tp[class_id] += 1
                        iou_sum += best_iou
                    else:
                        fp[class_id] += 1
                if not hard:
                    claimed.append(best)
                    listed.append((score, class_id, None if best is None else (number, best)))
    listed.sort(key=lambda one: -one[0])
    truths = [sum(one[0] == c for image in images for one in image.truths) for c in range(classes)]
    aps = [_average(_curve(listed, c, truths[c]), points) for c in range(classes)]
    return Counted(aps, tp, fp, len(listed), iou_sum)


def _curve(
    listed: Sequence[tuple[float, int, tuple[int, int] | None]], class_id: int, truths: int
) -> list[tuple[float, float]]:
    """Return recall and precision of one class after each detection of any class."""
    taken = set()
    tp = fp = 0
    curve = []
    for _, found_class, truth in listed:
        if found_class == class_id:
            if truth is not None and truth not in taken:
                taken.add(truth)
                tp += 1
            else:
                fp += 1
        precision = tp / (tp + fp) if tp + fp else 0.0
        curve.append((tp / truths if truths else 0.0, precision))
    return curve


def _average(curve: Sequence[tuple[float, float]], points: int) -> float:
    if not curve:
        return 0.0
    if points:
        reached = [
            max((p for recall, p in curve if recall >= k * (1 / (points - 1))), default=0.0)
            for k in range(points)
        ]
        return sum(reached) / points
    last_recall, best = curve[-1]
    area = 0.0
    for recall, precision in reversed(curve[:-1]):
        best = max(best, precision)
        area += (last_recall - recall) * best
        last_recall = recall
    return area + last_recall * best
