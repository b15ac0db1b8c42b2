"""Boxes that say how sure they are: what `[Gaussian_yolo]` reads and how it moves them.

Shapes: B images, A anchors of the head, X places (all cells, or the cell of each truth). The
arithmetic is AlexeyAB's, `src/gaussian_yolo_layer.c`: `get_gaussian_yolo_box` and
`delta_gaussian_yolo_box`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.boxes import (
    IouKind,
    intersection_over_union,
    iou_gradient,
    measure,
)
from darknet_kit.engine.torch.heads.gaussiankeys import GaussianKeys
from darknet_kit.engine.torch.heads.grid import put
from darknet_kit.engine.torch.heads.yolosteps import Places

# Added to each deviation, so that none makes a density of infinite height.
_SIGMA_FLOOR = 0.3


@dataclass(frozen=True, slots=True)
class Output:
    """The activated input at X places.

    `mean` and `sigma` [B, A, X, 4] are x, y (within the cell), the exponents of w and h, and how
    far each may be off; `objectness` is [B, A, X], `classes` [B, A, C, X].
    """

    mean: Tensor
    sigma: Tensor
    objectness: Tensor
    classes: Tensor


def activate(keys: GaussianKeys, entries: Tensor) -> Output:
    """Read [B, A, 9 + C, X]: x, y, w, h, each followed by its deviation, objectness, classes."""
    mean = entries[:, :, 0:8:2].transpose(2, 3)
    center = mean[..., :2].sigmoid() * keys.scale_x_y - 0.5 * (keys.scale_x_y - 1)
    return Output(
        mean=torch.cat((center, mean[..., 2:]), -1),
        sigma=entries[:, :, 1:8:2].transpose(2, 3).sigmoid(),
        objectness=entries[:, :, 8].sigmoid(),
        classes=entries[:, :, 9:].sigmoid(),
    )


def read_boxes(keys: GaussianKeys, output: Output, places: Places) -> Tensor:
    """Return the boxes [B, A, X, 4] in fractions of the network's input."""
    size = output.mean[..., 2:].exp() * places.anchors[:, None]
    corner = torch.stack((places.column, places.row), -1)
    point = (output.mean[..., :2] + corner) / put(places.grid, size)
    return torch.cat((point - keys.point * size / 2, size), -1)


def step_boxes(
    keys: GaussianKeys, output: Output, places: Places, truth: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return how boxes fit their truths [B, A, X], and the step [B, A, X, 4, 2] towards them.

    The step's last dimension is value, deviation. `truth` broadcasts to [B, A, X, 4], `weight`,
    that of the truth's class, to [B, A, X]. The fit is IoU, or GIoU whatever the IoU loss.
    """
    boxes = read_boxes(keys, output, places)
    mean, sigma = _step_density(keys, output, places, truth)
    fit = intersection_over_union(boxes, truth)
    if keys.iou_loss is not None:
        fit = measure(IouKind.GIOU, boxes, truth)
        _, _, step = iou_gradient(keys.iou_loss, boxes, truth)
        point = step[..., :2] + keys.point * step[..., 2:] / 2
        mean = torch.cat((point, step[..., 2:] * output.mean[..., 2:].exp()), -1)
    mean = mean * (weight * keys.iou_normalizer)[..., None]
    step = torch.stack((mean, sigma * keys.uc_normalizer), -1).nan_to_num(0.0, 0.0, 0.0)
    return fit, step.clamp(-keys.max_delta, keys.max_delta)


def _step_density(
    keys: GaussianKeys, output: Output, places: Places, truth: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the steps of values and deviations that raise the density at the truth."""
    grid = put(places.grid, truth)
    corner = torch.stack((places.column, places.row), -1)
    point = (truth[..., :2] + keys.point * truth[..., 2:] / 2) * grid - corner
    exponent = (truth[..., 2:] / places.anchors[:, None]).log()
    target = torch.cat((point.expand_as(exponent), exponent), -1)
    sigma, off = output.sigma, (target - output.mean) / output.sigma
    density = (-0.5 * off.square()).exp() / (math.sqrt(2 * math.pi) * (sigma + _SIGMA_FLOOR))
    scale = (2 - truth[..., 2:3] * truth[..., 3:4]) * 0.5 * density / (density + 1e-9)
    return scale * off / sigma, scale * (off.square() / sigma - 1 / (sigma + _SIGMA_FLOOR))
