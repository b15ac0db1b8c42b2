"""In which direction a `[yolo]` head moves boxes, objectness and classes.

Shapes: B images, A anchors of the head, X places (all cells, or the cell of each truth), C classes.
The arithmetic is AlexeyAB's, `src/yolo_layer.c`: `process_batch`, `delta_yolo_box`,
`delta_yolo_class`, `averages_yolo_deltas`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.boxes import intersection_over_union, iou_gradient
from darknet_kit.engine.torch.heads.positives import Positives, Truths
from darknet_kit.engine.torch.heads.yolokeys import YoloKeys

# A class that is at least so probable makes a box count as a detection.
_RECOGNIZED = 0.25


@dataclass(frozen=True, slots=True)
class Places:
    """Where boxes are read: `column` and `row` broadcast to [B, A, X], in a grid of W x H cells.

    `anchors` [A, 2] are in fractions of the network's input.
    """

    column: Tensor
    row: Tensor
    grid: tuple[int, int]
    anchors: Tensor


@dataclass(frozen=True, slots=True)
class Fit:
    """How predicted boxes fit their truths, [B, A, X]; `step` [B, A, 4, X] is Darknet's delta.

    `value` is what the loss measures, IoU or what `iou_loss` names.
    """

    iou: Tensor
    value: Tensor
    step: Tensor


def activate_center(keys: YoloKeys, raw: Tensor) -> Tensor:
    """Return the place of a centre within its cell, stretched by `scale_x_y` around the middle."""
    center = raw if keys.new_coords else raw.sigmoid()
    return center * keys.scale_x_y - 0.5 * (keys.scale_x_y - 1)


def activate(keys: YoloKeys, raw: Tensor) -> Tensor:
    """Return probabilities; with `new_coords` the layer before has made them."""
    return raw if keys.new_coords else raw.sigmoid()


def activate_classes(keys: YoloKeys, raw: Tensor) -> Tensor:
    """Return the class probabilities of [B, A, C, X]."""
    return raw.softmax(2) if keys.softmax else activate(keys, raw)


def recognizes(keys: YoloKeys, raw: Tensor) -> Tensor:
    """Tell where any class of [B, A, C, X] is probable, whichever: [B, A, X]."""
    best = raw.amax(2)
    if keys.softmax:
        return (best - raw.logsumexp(2)).exp() > _RECOGNIZED
    return activate(keys, best) > _RECOGNIZED


def read_boxes(keys: YoloKeys, raw: Tensor, places: Places) -> Tensor:
    """Return the boxes [B, A, 4, X] that the first four entries of [B, A, 4 or more, X] mean."""
    center = activate_center(keys, raw[:, :, :2])
    extent = 4 * raw[:, :, 2:4].square() if keys.new_coords else raw[:, :, 2:4].exp()
    extent = extent * places.anchors[:, :, None]
    x = (center[:, :, 0] + places.column) / places.grid[0]
    y = (center[:, :, 1] + places.row) / places.grid[1]
    return torch.stack((x, y, extent[:, :, 0], extent[:, :, 1]), 2)


def step_boxes(keys: YoloKeys, raw: Tensor, places: Places, truth: Tensor, weight: Tensor) -> Fit:
    """Move the boxes of [B, A, 4 or more, X] to `truth` (broadcasts to [B, A, X, 4]).

    `weight` (broadcasts to [B, A, X]) is that of the truth's class. With an IoU loss a step that
    is no number is none, and none is longer than `max_delta`.
    """
    boxes = read_boxes(keys, raw, places).movedim(2, -1)
    weight = (weight * keys.iou_normalizer)[..., None]
    if keys.iou_loss is None:
        iou = intersection_over_union(boxes, truth)
        step = _step_squared(keys, raw, places, truth) * weight
        return Fit(iou, iou, step.movedim(-1, 2))
    iou, value, step = iou_gradient(keys.iou_loss, boxes, truth)
    if not keys.new_coords:
        growth = raw[:, :, 2:4].exp().movedim(2, -1)
        step = torch.cat((step[..., :2], step[..., 2:] * growth), -1)
    step = (step * weight).nan_to_num(0.0, 0.0, 0.0).clamp(-keys.max_delta, keys.max_delta)
    return Fit(iou, value, step.movedim(-1, 2))


def _step_squared(keys: YoloKeys, raw: Tensor, places: Places, truth: Tensor) -> Tensor:
    """Return what is missing to the target, more for small boxes: the steps of `iou_loss=mse`."""
    ratio = truth[..., 2:] / places.anchors[:, None]
    extent = (ratio / 4).sqrt() if keys.new_coords else ratio.log()
    width, height = places.grid
    x = truth[..., 0] * width - places.column
    y = truth[..., 1] * height - places.row
    center = torch.stack((x, y), -1).expand_as(extent)
    target = torch.cat((center, extent), -1)
    present = torch.cat((activate_center(keys, raw[:, :, :2]), raw[:, :, 2:4]), 2)
    scale = 2 - truth[..., 2:3] * truth[..., 3:4]
    return (target - present.movedim(2, -1)) * scale


def step_objectness(
    keys: YoloKeys,
    objectness: Tensor,
    best: Tensor,
    recognized: Tensor,
    positives: Positives,
    weights: Tensor,
) -> Tensor:
    """Move the objectness [B, A, N] to 1 where a truth belongs, else to 0 where no box is good.

    `best` is the best IoU with any truth; `weights` [B, T] are those of the truths' classes. Of
    several truths in a slot the last one counts. With `objectness_smooth` a truth counts only
    where nothing else is asked for, which is hardly ever: so it is in Darknet.
    """
    step = -keys.obj_normalizer * objectness
    ignored = recognized & (best > keys.ignore_thresh)
    if keys.objectness_smooth:
        halfway = torch.maximum(step, keys.obj_normalizer * (best - objectness))
        step = torch.where(ignored, halfway, step)
    else:
        step = torch.where(ignored, 0.0, step)
    if keys.truth_thresh < 1:
        target = best.square() if keys.objectness_smooth else 1.0
        sure = best > keys.truth_thresh
        step = torch.where(sure, keys.obj_normalizer * (target - objectness), step)
    taken = positives.last_at >= 0
    if keys.objectness_smooth:
        taken = taken & (step == 0)
    number = positives.last_at.clamp(min=0)
    weight = weights[:, None].expand(-1, number.shape[1], -1).gather(2, number)
    step = torch.where(taken, weight * keys.obj_normalizer * (1 - objectness), step)
    if keys.squared_objectness and not keys.new_coords:
        step = step * objectness * (1 - objectness)
    return step


def step_classes(
    keys: YoloKeys, raw: Tensor, first: Tensor, later: Tensor, weights: Tensor | None
) -> Tensor:
    """Move the class probabilities of [B, A, C, X] to the classes found there.

    `first` and `later` [B, A, C, X] tell the class of the first truth at a place, and those of
    the others; a place ends as the union of its classes. `weights` [C] are the classes' own.
    Darknet applies `cls_normalizer` and `focal_loss` to the first truth only, and the former only
    where classes have weights. A probability of exactly 0 or 1 misleads it about which truth is
    the first; that is not followed here. With `dkit_class_loss=ce` the step is that of the cross
    entropy of a softmax, weighted, times `cls_normalizer`; several classes share the 1.
    """
    p = activate_classes(keys, raw)
    weight = p.new_ones(1, 1) if weights is None else weights[:, None]
    low, high = 0.5 * keys.label_smooth_eps, 1 - 0.5 * keys.label_smooth_eps
    if keys.softmax:
        return keys.cls_normalizer * _step_softmax(keys, p, first | later, weight)
    if keys.focal_loss:
        q = torch.where(first, p, 0.0).sum(2, keepdim=True) + 1e-15
        slope = -(1 - q) * (2 * q * q.log() + q - 1)
        step = 0.5 * slope * (first.to(p) - p)
    else:
        step = torch.where(first, high, low) - p
        if weights is not None:
            step = torch.where(first, step * weight * keys.cls_normalizer, step)
    return torch.where(later, (high - p) * weight, step)


def _step_softmax(keys: YoloKeys, p: Tensor, present: Tensor, weight: Tensor) -> Tensor:
    target = present.to(p) / present.sum(2, keepdim=True).clamp(min=1)
    target = target * (1 - keys.label_smooth_eps) + keys.label_smooth_eps / p.shape[2]
    target = target * weight
    return target - p * target.sum(2, keepdim=True)


def find_classes(truths: Truths, positives: Positives, classes: int) -> tuple[Tensor, Tensor]:
    """Return `first` and `later` [B, A, C, T] of `step_classes` at each slot's first truth.

    What stands at other truths means nothing.
    """
    batch, anchors, count = positives.valid.shape
    numbers = torch.arange(classes, device=truths.class_id.device)
    first = (truths.class_id[:, None] == numbers[:, None])[:, None]
    order = torch.arange(count, device=numbers.device)
    follows = positives.valid & (positives.first < order)
    slot = truths.class_id[:, None] * count + positives.first.clamp(max=count - 1)
    counts = slot.new_zeros(batch, anchors, classes * count).scatter_add(2, slot, follows.long())
    return first, counts.view(batch, anchors, classes, count) > 0


def count_classes(classes: Tensor, objectness: Tensor) -> Tensor:
    """Return by how much to divide the box steps at each place [B, A, X]: the classes wanted.

    With `iou_thresh` below 1 Darknet does so where objectness is moved at all.
    """
    wanted = (classes > 0).sum(2, dtype=torch.int32)
    return torch.where(objectness != 0, wanted.clamp(min=1), 1)
