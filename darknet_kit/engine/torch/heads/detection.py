"""`[detection]`, the head of YOLOv1.

Its input is a vector: the classes of all cells, then all confidences, then all boxes.
AlexeyAB `src/detection_layer.c` is the source of the arithmetic, `fill_truth_region` in
`src/data.c` of what a cell is told. B images, N cells row by row, A boxes a cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.cnumber import format_average
from darknet_kit.engine.torch.heads.boxes import intersection_over_union
from darknet_kit.engine.torch.heads.detectionkeys import read_detection_keys
from darknet_kit.engine.torch.heads.grid import list_cells, put
from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions, weigh
from darknet_kit.engine.torch.heads.keys import read_class_weights
from darknet_kit.engine.torch.site import Site

# Smaller truths, in fractions of the image, are none; larger ones are `forced` on the first box.
_SMALLEST_SIDE, _LARGE_AREA = 0.001, 0.1
# Until so many images were seen, `random=1` lets chance choose the box that learns.
_RANDOM_IMAGES = 64000


def build_detection(site: Site) -> Head:
    """Build a `[detection]` section. Raises CfgError."""
    return Detection(site)


@dataclass(frozen=True, slots=True)
class _Output:
    """`classes` [B, N, classes], `confidence` [B, N, A] and `boxes` [B, N, A, 4] as they come in.

    The boxes' x and y are fractions of the cell, w and h of the image or, with sqrt=1, their roots.
    """

    classes: Tensor
    confidence: Tensor
    boxes: Tensor


@dataclass(frozen=True, slots=True)
class _Goal:
    """What each cell is told: `held` and `class_id` [B, N], and `boxes` [B, N, 4].

    The boxes are as in `_Output`, but never roots.
    """

    held: Tensor
    boxes: Tensor
    class_id: Tensor


class Detection(Head):
    """YOLOv1's head. With dkit_obj_loss=bce the confidence is a logistic learnt by cross entropy.

    `class_weights` [classes] multiply the delta of confidence and classes where a truth is, by
    the weight of its class. `counters_per_class` sets them, which Darknet has in `[yolo]` alone.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.classes = site.section.integer("classes", 1)
        self.keys = read_detection_keys(site, self.classes)
        if weights := read_class_weights(site, self.classes):
            self.class_weights = torch.tensor(weights)

    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare with the truth; the first of several truths in a cell counts.

        `stats` are sums of IoU, the true class, all classes, the chosen confidence, all
        confidences, then the counts of cells with a truth and of confidences.
        """
        keys, output = self.keys, self._activate(raw)
        goal = self._tell(truths)
        overlap, choice = self._choose(output, goal, seen)
        chosen = (choice[..., None] == _count_up(keys.num, raw)) & goal.held[..., None]
        weight = self._weigh(goal)
        wanted = overlap if keys.rescore else torch.ones_like(overlap)
        confidence = torch.where(
            chosen,
            keys.object_scale * weight[..., None] * (wanted - output.confidence),
            -keys.noobject_scale * output.confidence,
        )
        one_hot = goal.class_id[..., None] == _count_up(self.classes, raw)
        classes = keys.class_scale * (one_hot.to(raw) - output.classes)
        classes = torch.where(goal.held[..., None], classes * weight[..., None], 0.0)
        boxes = keys.coord_scale * (self._root(goal.boxes)[:, :, None] - output.boxes)
        boxes = torch.where(chosen[..., None], boxes, 0.0)
        held = (confidence * chosen).square().sum()
        others = (confidence * ~chosen).square().sum()
        parts = torch.stack((boxes.square().sum(), held, others, classes.square().sum()))
        delta = torch.cat([part.flatten(1) for part in (classes, confidence, boxes)], 1)
        return Assessment(
            delta=delta.view(raw.shape),
            cost=delta.square().sum(),
            parts=parts,
            stats=_count(output, overlap, chosen, one_hot & goal.held[..., None], goal.held),
        )

    def decode(self, raw: Tensor, size: tuple[int, int]) -> Predictions:
        """Read boxes cell by cell, in each cell in order (`get_detection_detections`).

        Darknet asks of a box its scores alone, and a linear class may be above 1: objectness is
        the confidence or, where that is more, the best score.
        """
        output = self._activate(raw)
        width, height = self.keys.grid
        corner = list_cells(raw, width, height)[:, None]
        centers = (output.boxes[..., :2] + corner) / put(self.keys.grid, raw)
        sizes = output.boxes[..., 2:]
        sizes = sizes.square() if self.keys.sqrt else sizes
        scores = output.confidence[..., None] * output.classes[:, :, None]
        return Predictions(
            boxes=torch.cat((centers, sizes), -1).flatten(1, 2),
            objectness=torch.maximum(output.confidence, scores.amax(-1)).flatten(1, 2),
            scores=scores.flatten(1, 2),
        )

    def format_line(self, stats: Sequence[float]) -> str:
        """Return the line of `forward_detection_layer`."""
        iou, category, categories, confidence, confidences, count, boxes = stats
        return (
            f"Detection Avg IOU: {format_average(iou, count)}, "
            f"Pos Cat: {format_average(category, count)}, "
            f"All Cat: {format_average(categories, count * self.classes)}, "
            f"Pos Obj: {format_average(confidence, count)}, "
            f"Any Obj: {format_average(confidences, boxes)}, count: {count:.0f}\n"
        )

    def _activate(self, raw: Tensor) -> _Output:
        cells, num = self.keys.grid[0] * self.keys.grid[1], self.keys.num
        flat, first, last = raw.flatten(1), cells * self.classes, cells * (self.classes + num)
        classes = flat[:, :first].view(-1, cells, self.classes)
        confidence = flat[:, first:last].view(-1, cells, num)
        return _Output(
            classes=classes.softmax(-1) if self.keys.softmax else classes,
            confidence=confidence.sigmoid() if self.keys.bce else confidence,
            boxes=flat[:, last:].view(-1, cells, num, 4),
        )

    def _tell(self, truths: Tensor) -> _Goal:
        """Give each cell the first truth whose centre it holds.

        A centre on the right or lower border falls into the last cell. A class that does not
        exist makes a cell with an object of no class.
        """
        if truths.shape[1] == 0:
            truths = truths.new_zeros(len(truths), 1, 5)
        width, height = self.keys.grid
        span = put(self.keys.grid, truths)
        place = (truths[..., :2] * span).long()
        column, row = place[..., 0].clamp(0, width - 1), place[..., 1].clamp(0, height - 1)
        cell = row * width + column
        count = truths.shape[1]
        large = (truths[..., 2:4] >= _SMALLEST_SIDE).all(-1)
        order = torch.where(large, _count_up(count, truths), count)
        nobody = cell.new_full((len(truths), width * height), count)
        first = nobody.scatter_reduce(1, cell, order, "amin")
        inside = truths[..., :2] * span - torch.stack((column, row), -1)
        rows = torch.cat((inside, truths[..., 2:]), -1)
        index = first.clamp(max=count - 1)[..., None].expand(-1, -1, 5)
        told = rows.gather(1, index)
        return _Goal(first < count, told[..., :4], told[..., 4].long())

    def _choose(self, output: _Output, goal: _Goal, seen: int) -> tuple[Tensor, Tensor]:
        """Return the IoU of each box with its cell's truth [B, N, A], and which box learns [B, N].

        It is the one that overlaps best, where none does the one that differs least;
        `forced` and `random` choose otherwise.
        """
        keys = self.keys
        scale = put((*keys.grid, 1, 1), output.boxes)
        boxes = output.boxes / scale
        if keys.sqrt:
            boxes = torch.cat((boxes[..., :2], boxes[..., 2:].square()), -1)
        told = (goal.boxes / scale)[:, :, None]
        overlap = intersection_over_union(boxes, told)
        differing = (boxes - told).square().sum(-1)
        choice = torch.where((overlap > 0).any(-1), overlap.argmax(-1), differing.argmin(-1))
        if keys.forced:
            small = goal.boxes[..., 2] * goal.boxes[..., 3] < _LARGE_AREA
            choice = small.long().clamp(max=keys.num - 1)
        if keys.random and seen < _RANDOM_IMAGES:
            choice = torch.randint_like(choice, keys.num)
        return overlap, choice

    def _root(self, boxes: Tensor) -> Tensor:
        if not self.keys.sqrt:
            return boxes
        return torch.cat((boxes[..., :2], boxes[..., 2:].sqrt()), -1)

    def _weigh(self, goal: _Goal) -> Tensor:
        """Return what the weight of each cell's class is [B, N]; 1 for a class without one."""
        class_id = goal.class_id.clamp(0, self.classes - 1)
        weight = weigh(self.class_weights, class_id, goal.boxes)
        return torch.where(class_id == goal.class_id, weight, 1.0)


def _count(
    output: _Output, overlap: Tensor, chosen: Tensor, one_hot: Tensor, held: Tensor
) -> Tensor:
    sums = (
        (overlap * chosen).sum(),
        (output.classes * one_hot).sum(),
        (output.classes * held[..., None]).sum(),
        (output.confidence * chosen).sum(),
        output.confidence.sum(),
        held.sum(),
        overlap.new_full((), output.confidence.numel()),
    )
    return torch.stack([value.to(overlap) for value in sums])


def _count_up(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, device=like.device)
