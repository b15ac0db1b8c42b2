"""How well boxes fit, and in which direction Darknet moves one to make it fit better.

Boxes are [..., 4] tensors of cx, cy, w, h in fractions of the network's input; the leading
dimensions of two arguments broadcast.
"""

import math
from enum import StrEnum

import torch
from torch import Tensor


class IouKind(StrEnum):
    """The overlap measures of `iou_loss=` and `iou_thresh_kind=`."""

    IOU = "iou"
    GIOU = "giou"
    DIOU = "diou"
    CIOU = "ciou"


def intersection_over_union(one: Tensor, other: Tensor) -> Tensor:
    """Return the area that two boxes share over the area they cover; 0 where they share none.

    AlexeyAB `src/box.c`, `box_iou`.
    """
    shared, covered = _areas(one, other)
    return torch.where((shared == 0) | (covered == 0), 0.0, shared / covered)


def measure(kind: IouKind, one: Tensor, other: Tensor) -> Tensor:
    """Return the overlap of two boxes as `kind` measures it, 1 at best.

    AlexeyAB `src/box.c`, `box_iou_kind`; its DIoU has the exponent 0.6.
    """
    iou = intersection_over_union(one, other)
    if kind is IouKind.IOU:
        return iou
    hull = _hull(one, other)
    if kind is IouKind.GIOU:
        around = hull.prod(-1)
        _, covered = _areas(one, other)
        return torch.where(around == 0, iou, iou - (around - covered) / around)
    diagonal = hull.square().sum(-1)
    distance = (one[..., :2] - other[..., :2]).square().sum(-1) / diagonal
    if kind is IouKind.DIOU:
        return torch.where(diagonal == 0, iou, iou - distance**0.6)
    aspect = _aspect_gap(one, other).square() * (4 / math.pi**2)
    weighted = aspect * aspect / (1 - iou + aspect + 1e-6)
    return torch.where(diagonal == 0, iou, iou - distance - weighted)


def iou_gradient(kind: IouKind, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return IoU, the overlap as `kind` measures it, and the step [..., 4] that raises the latter.

    The step is Darknet's, not the derivative of the measure: the sizes' part is twice as long,
    the overlap of boxes that lie apart counts with its sign, and for those boxes the other kinds
    than plain IoU keep only what they add to it. It is for cx, cy, w, h themselves, so a head
    multiplies by what its exponentials ask for. It may hold NaN or infinity for a truth that has
    no area. AlexeyAB `src/box.c`, `dx_box_iou`, and `src/yolo_layer.c`, `delta_yolo_box`, which
    takes a predicted width or height of 0 for 1.
    """
    iou, value = intersection_over_union(predicted, truth), measure(kind, predicted, truth)
    size = torch.where(predicted[..., 2:] == 0, 1.0, predicted[..., 2:])
    solid = torch.cat((predicted[..., :2].expand_as(size), size), -1)
    center, extent = _edge_steps(kind, solid, truth)
    if kind in (IouKind.DIOU, IouKind.CIOU):
        apart = (_overlap(solid, truth) <= 0).any(-1, keepdim=True)
        extra_center, extra_extent = _distance_steps(solid, truth)
        if kind is IouKind.CIOU:
            extra_extent = extra_extent + _aspect_step(solid, truth)
        center = torch.where(apart, extra_center, center + extra_center)
        extent = torch.where(apart, extra_extent, extent + extra_extent)
    return iou, value, torch.cat((center, extent), -1)


def _edge_steps(kind: IouKind, box: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the steps of centre and size [..., 2] that IoU asks for, or GIoU."""
    (low, high), (truth_low, truth_high) = _edges(box), _edges(truth)
    overlap, sides = _overlap(box, truth), (high - low).flip(-1)
    shared = overlap.prod(-1, keepdim=True)
    covered = sides.prod(-1, keepdim=True) + (truth_high - truth_low).prod(-1, keepdim=True)
    covered = covered - shared
    # An edge that moves by 1 sweeps the other side's length.
    shared_low = torch.where(low > truth_low, -overlap.flip(-1), 0.0)
    shared_high = torch.where(high < truth_high, overlap.flip(-1), 0.0)
    covered_low, covered_high = -sides - shared_low, sides - shared_high
    step_low = _quotient_step(shared, covered, shared_low, covered_low)
    step_high = _quotient_step(shared, covered, shared_high, covered_high)
    # A box too small for its place has both edges on one float.
    step_low = torch.where(low < high, step_low, step_high)
    if kind is IouKind.GIOU:
        apart = (overlap <= 0).any(-1, keepdim=True)
        hull = _hull(box, truth)
        around = hull.prod(-1, keepdim=True)
        around_low = torch.where(low < truth_low, -hull.flip(-1), 0.0)
        around_high = torch.where(high > truth_high, hull.flip(-1), 0.0)
        extra_low = _quotient_step(covered, around, covered_low, around_low)
        extra_high = _quotient_step(covered, around, covered_high, around_high)
        step_low = torch.where(apart, extra_low, step_low + extra_low)
        step_high = torch.where(apart, extra_high, step_high + extra_high)
    return step_low + step_high, step_high - step_low


def _distance_steps(box: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the distance of the centres over the diagonal of the hull adds for DIoU."""
    (low, high), (truth_low, truth_high) = _edges(box), _edges(truth)
    hull = _hull(box, truth)
    diagonal = hull.square().sum(-1, keepdim=True)
    gap = truth[..., :2] - box[..., :2]
    distance = gap.square().sum(-1, keepdim=True)
    outer_low, outer_high = (low < truth_low).to(box), (high > truth_high).to(box)
    widening = 2 * hull * distance
    center = 2 * gap * diagonal - widening * (outer_high - outer_low)
    extent = widening * 0.5 * (outer_high + outer_low)
    return center / diagonal.square(), extent / diagonal.square()


def _aspect_step(box: Tensor, truth: Tensor) -> Tensor:
    """Return what the ratio of the sides adds to the step of w and h for CIoU."""
    gap = _aspect_gap(truth, box)
    shared = _overlap(box, truth).prod(-1)
    (low, high), (truth_low, truth_high) = _edges(box), _edges(truth)
    covered = (high - low).prod(-1) + (truth_high - truth_low).prod(-1) - shared
    penalty = gap.square() * (4 / math.pi**2)
    weight = penalty / (1 - shared / covered + penalty + 1e-6)
    pull = weight * gap * (8 / math.pi**2)
    return torch.stack((pull * box[..., 3], -pull * box[..., 2]), -1)


def _quotient_step(top: Tensor, bottom: Tensor, top_step: Tensor, bottom_step: Tensor) -> Tensor:
    """Differentiate `top / bottom`; 0 where there is nothing to divide by."""
    step = (bottom * top_step - top * bottom_step) / bottom.square()
    return torch.where(bottom > 0, step, 0.0)


def _areas(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the area that two boxes share, and the area that they cover together."""
    shared = _overlap(one, other).clamp(min=0).prod(-1)
    return shared, one[..., 2:].prod(-1) + other[..., 2:].prod(-1) - shared


def _edges(box: Tensor) -> tuple[Tensor, Tensor]:
    """Return left and top, then right and bottom, [..., 2] each."""
    half = box[..., 2:] / 2
    return box[..., :2] - half, box[..., :2] + half


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return width and height [..., 2] of what two boxes share; below 0 where they lie apart."""
    (low, high), (other_low, other_high) = _edges(one), _edges(other)
    return torch.minimum(high, other_high) - torch.maximum(low, other_low)


def _hull(one: Tensor, other: Tensor) -> Tensor:
    """Return width and height [..., 2] of the smallest box around two."""
    (low, high), (other_low, other_high) = _edges(one), _edges(other)
    return torch.maximum(high, other_high) - torch.minimum(low, other_low)


def _aspect_gap(one: Tensor, other: Tensor) -> Tensor:
    """Return by how many radians the diagonals of two boxes point apart."""
    return torch.atan(one[..., 2] / one[..., 3]) - torch.atan(other[..., 2] / other[..., 3])
