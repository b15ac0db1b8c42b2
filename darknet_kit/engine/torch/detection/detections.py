"""From what heads see in a batch to the boxes of each image.

AlexeyAB `src/network.c`, `get_network_boxes`, and `src/yolo_layer.c`, `get_yolo_detections` and
`correct_yolo_boxes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from darknet_kit.engine.torch.data.inputs import letterbox_size
from darknet_kit.engine.torch.heads.head import Predictions

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes of one image, in Darknet's order.

    `boxes` [N, 4] are cx, cy, w, h in fractions of the image and may reach beyond it; `scores`
    [N, classes] are 0 where a box is no detection of a class.
    """

    boxes: Floats
    scores: Floats


def collect_detections(
    heads: Sequence[Predictions], thresh: float, frames: Sequence[tuple[Size, Size]] | None = None
) -> list[Detections]:
    """Return the boxes of each image of a batch whose objectness and some score are above `thresh`.

    Scores at or under it become 0. For images that were letterboxed, `frames` holds the sizes
    (width, height in pixels) of each image and of the network's input; boxes are then moved from
    fractions of the input to those of the image.
    """
    boxes = torch.cat([head.boxes for head in heads], 1)
    objectness = torch.cat([head.objectness for head in heads], 1)
    scores = torch.cat([head.scores for head in heads], 1)
    scores = torch.where(scores > thresh, scores, 0.0)
    shown = (objectness > thresh) & (scores > 0).any(-1)
    found = [
        Detections(_to_numpy(boxes[image][kept]), _to_numpy(scores[image][kept]))
        for image, kept in enumerate(shown)
    ]
    if frames is None:
        return found
    return [
        Detections(_undo_letterbox(one.boxes, *frame), one.scores)
        for one, frame in zip(found, frames, strict=True)
    ]


def pixel_edges(boxes: Floats, size: Size, first: int = 0) -> Floats:
    """Return left, top, right, bottom [N, 4] in pixels of an image of `size`, cut to the image.

    Pixels count from `first`, where an edge at the image's border lies; the far borders are the
    width and the height. An infinite box may have edges that are NaN. AlexeyAB `src/detector.c`,
    `print_detector_detections` and `print_cocos`.
    """
    scaled = scale_boxes(boxes, size).astype(np.float64)
    centers, halves = scaled[:, :2] + first, scaled[:, 2:] / 2
    with np.errstate(invalid="ignore", over="ignore"):
        edges = np.concatenate((centers - halves, centers + halves), 1).astype(np.float32)
    edges[:, :2] = np.maximum(edges[:, :2], first)
    edges[:, 2:] = np.minimum(edges[:, 2:], size)
    return edges


def scale_boxes(boxes: Floats, scale: Size) -> Floats:
    """Return boxes [N, 4] cx, cy, w, h with all widths and heights multiplied."""
    with np.errstate(over="ignore"):  # a network that has gone wrong sees boxes without end
        return boxes * np.array((*scale, *scale), np.float32)


def _undo_letterbox(boxes: Floats, image: Size, net: Size) -> Floats:
    inner, outer = np.array(letterbox_size(image, net)), np.array(net)
    ratio = inner.astype(np.float32) / outer.astype(np.float32)
    margin = (outer - inner) / 2 / outer
    centers = (boxes[:, :2] - margin) / ratio
    with np.errstate(over="ignore"):
        return np.concatenate((centers, boxes[:, 2:] * (1 / ratio)), 1).astype(np.float32)


def _to_numpy(tensor: Tensor) -> Floats:
    return np.asarray(tensor.cpu().numpy(), np.float32)
