"""Detections against the truth, at one confidence and one IoU: what was found, what was made up."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from darknet_kit.core.boxes import Box, iou
from darknet_kit.evaluate.detect import Detection

Truth = tuple[int, Box]
"""class_id and box in pixels."""


@dataclass(slots=True)
class Matches:
    """Counts over all images: boxes that were there, were found, and were claimed."""

    truths: int = 0
    found: int = 0
    claimed: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.truths if self.truths else 0.0

    @property
    def precision(self) -> float:
        return self.found / self.claimed if self.claimed else 0.0


def match_all(
    images: Iterable[tuple[Sequence[Detection], Sequence[Truth]]], iou_thresh: float = 0.5
) -> Matches:
    """Match each image's detections, the most confident first, to truths of their class.

    A truth is found once; a second detection of it is one that was made up, as in PASCAL VOC.
    """
    total = Matches()
    for detections, truths in images:
        free: dict[int, list[Box]] = defaultdict(list)
        for class_id, box in truths:
            free[class_id].append(box)
        total.truths += len(truths)
        total.claimed += len(detections)
        for detection in sorted(detections, key=lambda found: -found.confidence):
            boxes = free[detection.class_id]
            best = max(boxes, key=lambda box: iou(box, detection.box), default=None)
            if best is not None and iou(best, detection.box) >= iou_thresh:
                boxes.remove(best)
                total.found += 1
    return total
