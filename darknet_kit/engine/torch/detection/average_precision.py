"""Average precision as Darknet counts it: which detection finds which object, and what follows.

AlexeyAB `src/detector.c`, `validate_detector_map`. Two habits of it matter to the last digit. A
detection claims its best object at once, before all are sorted; of several that claim the same
one, the most confident counts and the others are wrong, even where a second-best object is free.
And at the confidence threshold the first claim in the order in which suppression leaves the
boxes of an image counts, whatever its confidence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darknet_kit.engine.torch.detection.overlap import iou_matrix

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truths:
    """The objects of one image: `boxes` [T, 4] are cx, cy, w, h in fractions of the image."""

    class_ids: Numbers
    boxes: Floats


NO_TRUTHS = Truths(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


@dataclass(frozen=True, slots=True)
class Claims:
    """What the detections of one image claim, one for each box and class with a score.

    `truths` are 0-based numbers of the image's objects, -1 where a detection meets none; `ious`
    are those with the claimed object. `counted` is False for a detection that only meets a
    difficult object: it is left out of the curves, though not of the counts at a threshold.
    """

    class_ids: Numbers
    scores: Floats
    truths: Numbers
    ious: Floats
    counted: Flags
    objects: Numbers


@dataclass(frozen=True, slots=True)
class ClassPrecision:
    """One class: `ap` from 0 to 1; `tp` and `fp` count at the confidence threshold."""

    class_id: int
    ap: float
    tp: int
    fp: int
    truths: int


@dataclass(frozen=True, slots=True)
class Precision:
    """What `mAP` is the mean of, and the counts at the confidence threshold.

    `detections` and `truths` count boxes of all classes. `average_iou` is the sum of the hits'
    IoU over hits and misses, so that it is small where precision is. Precision, recall and F1
    are nan where there is nothing to divide by.
    """

    classes: tuple[ClassPrecision, ...]
    detections: int
    truths: int
    average_iou: float

    @property
    def mean(self) -> float:
        """The mean over all classes; one that has no object in the data counts as 0."""
        return math.fsum(one.ap for one in self.classes) / len(self.classes)

    @property
    def tp(self) -> int:
        return sum(one.tp for one in self.classes)

    @property
    def fp(self) -> int:
        return sum(one.fp for one in self.classes)

    @property
    def fn(self) -> int:
        return self.truths - self.tp

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.truths)

    @property
    def f1(self) -> float:
        precision, recall = np.float32(self.precision), np.float32(self.recall)
        return _ratio(float(2 * precision * recall), float(precision + recall))


def claim(
    boxes: Floats,
    scores: Floats,
    truths: Truths,
    iou_thresh: float,
    difficult: Truths = NO_TRUTHS,
) -> Claims:
    """Let each detection of an image claim the object of its class that it covers best.

    `boxes` [N, 4] are cx, cy, w, h in fractions of the image, `scores` [N, classes] are 0 where
    a box is no detection of a class. An IoU must be above `iou_thresh`, not equal to it.
    """
    rows, class_ids = np.nonzero(scores > 0)
    numbers = np.full(len(rows), -1, np.int64)
    ious = np.zeros(len(rows), np.float32)
    if len(truths.class_ids) and len(rows):
        overlap = _overlap_of_class(boxes[rows], class_ids, truths)
        best = overlap.argmax(1)
        ious = overlap[np.arange(len(rows)), best]
        hit = ious > np.float32(iou_thresh)
        numbers, ious = np.where(hit, best, -1), np.where(hit, ious, np.float32(0))
    counted = np.ones(len(rows), np.bool_)
    if len(difficult.class_ids) and len(rows):
        near = _overlap_of_class(boxes[rows], class_ids, difficult).max(1)
        counted = (numbers >= 0) | ~(near > np.float32(iou_thresh))
    return Claims(class_ids, scores[rows, class_ids], numbers, ious, counted, truths.class_ids)


def _overlap_of_class(boxes: Floats, class_ids: Numbers, truths: Truths) -> Floats:
    same = class_ids[:, None] == truths.class_ids[None, :]
    return np.where(same, iou_matrix(boxes, truths.boxes), np.float32(0))


def measure_precision(
    images: Sequence[Claims], classes: int, conf_thresh: float = 0.25, points: int = 0
) -> Precision:
    """Return the average precision of each class over all images.

    `points` is 0 for the area under the curve, or how many recalls, evenly from 0 to 1, the
    precision is read at: 11 in PASCAL VOC 2007, 101 in COCO.
    """
    objects = np.concatenate([NO_TRUTHS.class_ids, *(image.objects for image in images)])
    truths = np.bincount(objects, minlength=classes)
    class_ids, scores, hits = _rank(images)
    aps = [
        _average(hits[class_ids == class_id], int(truths[class_id]), points)
        for class_id in range(classes)
    ]
    right, wrong, average_iou = _count(images, classes, conf_thresh)
    return Precision(
        tuple(
            ClassPrecision(
                class_id, aps[class_id], int(right[class_id]), int(wrong[class_id]), int(number)
            )
            for class_id, number in enumerate(truths)
        ),
        len(scores),
        len(objects),
        average_iou,
    )


def _rank(images: Sequence[Claims]) -> tuple[Numbers, Floats, Flags]:
    """Return class, score and success of all detections, the most confident first."""
    starts = np.cumsum([0, *(len(image.objects) for image in images)])
    none = np.zeros(0, np.int64)
    truths = np.concatenate(
        [none]
        + [
            np.where(image.truths >= 0, image.truths + start, -1)[image.counted]
            for image, start in zip(images, starts[:-1], strict=True)
        ]
    )
    class_ids = np.concatenate([none, *(image.class_ids[image.counted] for image in images)])
    scores = np.concatenate(
        [np.zeros(0, np.float32), *(image.scores[image.counted] for image in images)]
    )
    order = np.argsort(-scores, kind="stable")
    return class_ids[order], scores[order], _first_claims(truths[order])


def _first_claims(truths: Numbers) -> Flags:
    """Tell which claims are the first ones of their object; -1 claims nothing."""
    first = np.zeros(len(truths), np.bool_)
    first[np.unique(truths, return_index=True)[1]] = True
    return first & (truths >= 0)


def _average(hits: Flags, truths: int, points: int) -> float:
    """Average the precision of one class, whose detections come the most confident first."""
    if not truths or not len(hits):
        return 0.0
    right = np.cumsum(hits)
    recall = right / truths
    precision = right / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if points:
        # A product with the reciprocal: what `-Ofast`, Darknet's own flag, makes of the quotient.
        reached = np.searchsorted(recall, np.arange(points) * (1 / (points - 1)))
        return float(np.append(best, 0.0)[reached].sum() / points)
    # Each step of recall counts with the best precision from the detection before it onwards.
    steps = np.diff(recall, prepend=0.0)
    return float((steps * np.append(best[:1], best[:-1])).sum())


def _count(images: Sequence[Claims], classes: int, thresh: float) -> tuple[Numbers, Numbers, float]:
    """Return hits and misses of each class above a confidence, and the average IoU."""
    right, wrong = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    ious = [np.zeros(1, np.float32)]
    for image in images:
        above = image.scores > np.float32(thresh)
        hit = above & _first_claims(image.truths)
        right += np.bincount(image.class_ids[hit], minlength=classes)
        wrong += np.bincount(image.class_ids[above & ~hit], minlength=classes)
        ious.append(image.ious[hit])
    # One after the other and in single precision, as the engine adds them up.
    total = np.cumsum(np.concatenate(ious), dtype=np.float32)[-1]
    shown = int(right.sum() + wrong.sum())
    return right, wrong, float(total / np.float32(shown)) if shown else 0.0


def _ratio(part: float, whole: float) -> float:
    """Divide in single precision: the two digits that are printed depend on it."""
    return float(np.float32(part) / np.float32(whole)) if whole else math.nan
