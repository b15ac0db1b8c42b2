"""`[Gaussian_yolo]`: a `[yolo]` head whose boxes say how far each of their values may be off.

AlexeyAB `src/gaussian_yolo_layer.c` is the source of the arithmetic. B images, A anchors of the
head, N = H * W cells, T truths, C classes; a *slot* is one anchor at one cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from darknet_kit.engine.torch.cnumber import format_average, format_c
from darknet_kit.engine.torch.heads.gaussianbox import Output, activate, read_boxes, step_boxes
from darknet_kit.engine.torch.heads.gaussiankeys import GaussianKeys, read_gaussian_keys
from darknet_kit.engine.torch.heads.grid import list_cells, put
from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions, weigh
from darknet_kit.engine.torch.heads.positives import (
    Positives,
    Truths,
    find_best_overlap,
    find_best_truth,
    find_positives,
    list_truths,
)
from darknet_kit.engine.torch.heads.yolosteps import Places
from darknet_kit.engine.torch.site import Site

# A class that is more probable makes a box count as a detection.
_RECOGNIZED = 0.25


def build_gaussian_yolo(site: Site) -> Head:
    """Build a `[Gaussian_yolo]` section. Raises CfgError."""
    return GaussianYolo(site)


@dataclass(frozen=True, slots=True)
class _Scene:
    """A mini-batch before the head.

    `near` [B, A, N] is the best IoU of each box with any truth, and `nearest` that truth's number,
    0 where no key asks for it. `ignored` and `sure` [B, A, N] tell where the former is above
    `ignore_thresh`, with a class recognized, and above a `truth_thresh` that is below 1.
    """

    output: Output
    cells: Places
    truths: Truths
    positives: Positives
    near: Tensor
    nearest: Tensor
    ignored: Tensor
    sure: Tensor

    def of(self, number: Tensor, values: Tensor) -> Tensor:
        """Return what [B, T] holds of the truth `number` [B, A, N]; of any one if out of range."""
        number = number.clamp(0, values.shape[1] - 1)
        return values.gather(1, number.flatten(1)).view_as(number)


class GaussianYolo(Head):
    """The head of Gaussian YOLOv3."""

    anchors: Tensor
    mask: Tensor

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.keys: GaussianKeys = read_gaussian_keys(site, self.classes)
        self.register_buffer("anchors", torch.tensor(self.keys.anchors.all), persistent=False)
        self.register_buffer("mask", torch.tensor(self.keys.anchors.mask), persistent=False)
        if self.keys.class_weights:
            self.class_weights = torch.tensor(self.keys.class_weights)

    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare with the truth: deltas of boxes add up, the last objectness counts.

        `stats` are sums of IoU, class, objectness, any objectness, recall at .5 and .75, then the
        counts of truths found here and of slots, the squared deltas of objectness and classes, of
        x and y and of w and h (deviations included), and the number of images.
        """
        scene = self._look(raw, truths, size)
        classes = self._move_classes(scene)
        objectness = self._move_objectness(scene)
        fit, boxes = self._move_boxes(scene)
        boxes = boxes / (classes > 0).sum(2).clamp(min=1)[..., None, None]
        held = objectness * (scene.positives.last_at >= 0)
        points, sizes = boxes.square().sum((0, 1, 2, 4)).view(2, 2).sum(1)
        found, classed = held.square().sum(), classes.square().sum()
        parts = (points + sizes, found, objectness.square().sum() - found, classed)
        squares = torch.stack((parts[1] + parts[2] + classed, points, sizes))
        delta = torch.cat((boxes.flatten(3).transpose(2, 3), objectness[:, :, None], classes), 2)
        return Assessment(
            delta=delta.view(raw.shape) * self.keys.delta_normalizer,
            cost=squares.sum(),
            parts=torch.stack(parts),
            stats=torch.cat((_count(scene, fit), squares, squares.new_full((1,), len(raw)))),
        )

    def decode(self, raw: Tensor, size: tuple[int, int]) -> Predictions:
        """Read boxes cell by cell, in each the anchors in order (`get_gaussian_yolo_detections`).

        Scores are less by how far, on average, the values may be off.
        """
        output = activate(self.keys, self._entries(raw))
        boxes = read_boxes(self.keys, output, self._places(raw, size))
        sure = output.objectness * (1 - output.sigma.mean(-1))
        scores = (sure[:, :, None] * output.classes).permute(0, 3, 1, 2)
        return Predictions(
            boxes=boxes.transpose(1, 2).flatten(1, 2),
            objectness=output.objectness.transpose(1, 2).flatten(1),
            scores=scores.flatten(1, 2),
        )

    def format_line(self, stats: Sequence[float]) -> str:
        """Return the line of `forward_gaussian_yolo_layer`.

        What it calls `iou_loss` is x and y, and `uc_loss` w and h, both with their deviations:
        Darknet takes the last four of the eight values for the deviations.
        """
        iou, category, objectness, anywhere, half, most, count, slots = stats[:8]
        classes, points, sizes, images = stats[8:]
        return (
            f"Region {self.index} Avg IOU: {format_average(iou, count)}, "
            f"Class: {format_average(category, count)}, "
            f"Obj: {format_average(objectness, count)}, "
            f"No Obj: {format_average(anywhere, slots)}, "
            f".5R: {format_average(half, count)}, .75R: {format_average(most, count)},  "
            f"count: {count:.0f}, class_loss = {format_c(classes / images, 2)}, "
            f"iou_loss = {format_c(points / images, 2)}, "
            f"uc_loss = {format_c(sizes / images, 2)}, "
            f"total_loss = {format_c((classes + points + sizes) / images, 2)} \n"
        )

    def _look(self, raw: Tensor, truths: Tensor, size: tuple[int, int]) -> _Scene:
        keys, cells = self.keys, self._places(raw, size)
        output = activate(keys, self._entries(raw))
        listed = list_truths(truths, self.classes, keys.max)
        point = listed.boxes[..., :2] + keys.point * listed.boxes[..., 2:] / 2
        anchored = replace(listed, boxes=torch.cat((point, listed.boxes[..., 2:]), -1))
        shapes = self.anchors / put(size, self.anchors)
        positives = find_positives(
            anchored, shapes, self.mask, cells.grid, keys.iou_thresh, keys.iou_thresh_kind
        )
        flat = read_boxes(keys, output, cells).flatten(1, 2).transpose(1, 2)
        near = find_best_overlap(flat, listed).view_as(output.objectness)
        nearest = torch.zeros_like(positives.last_at)
        if keys.objectness_smooth or keys.truth_thresh < 1:
            nearest = find_best_truth(flat, listed).view_as(nearest)
        return _Scene(
            output=output,
            cells=cells,
            truths=listed,
            positives=positives,
            near=near,
            nearest=nearest,
            ignored=(near > keys.ignore_thresh) & (output.classes > _RECOGNIZED).any(2),
            sure=(near > keys.truth_thresh) & (keys.truth_thresh < 1),
        )

    def _entries(self, raw: Tensor) -> Tensor:
        return raw.reshape(len(raw), len(self.mask), 9 + self.classes, -1)

    def _places(self, raw: Tensor, size: tuple[int, int]) -> Places:
        """Return all cells."""
        height, width = raw.shape[2:]
        column, row = list_cells(raw, width, height).unbind(-1)
        anchors = self.anchors[self.mask] / put(size, self.anchors)
        return Places(column, row, (width, height), anchors)

    def _move_objectness(self, scene: _Scene) -> Tensor:
        """Return the delta of objectness [B, A, N]."""
        keys, seen, last = self.keys, scene.output.objectness, scene.positives.last_at
        goal, certain = torch.zeros_like(seen), torch.ones_like(seen)
        if keys.objectness_smooth:
            certain = scene.near.square()
            goal = torch.where(scene.ignored, certain, goal)
        delta = keys.obj_normalizer * (torch.where(scene.sure, certain, goal) - seen)
        if not keys.objectness_smooth:
            delta = torch.where(scene.ignored & ~scene.sure, 0.0, delta)
        weight = weigh(self.class_weights, scene.of(last, scene.truths.class_id), seen)
        return torch.where(last >= 0, weight * keys.obj_normalizer * (1 - seen), delta)

    def _move_boxes(self, scene: _Scene) -> tuple[Tensor, Tensor]:
        """Return how the truths fit [B, A, T], and the delta of the boxes [B, A, N, 4, 2]."""
        keys, positives, truths = self.keys, scene.positives, scene.truths
        places = replace(scene.cells, column=positives.column[:, None], row=positives.row[:, None])
        there = _at_cells(positives, scene.output)
        weight = weigh(self.class_weights, truths.class_id, there.mean)[:, None]
        fit, step = step_boxes(keys, there, places, truths.boxes[:, None], weight)
        step = torch.where(positives.valid[..., None, None], step, 0.0)
        total = torch.zeros_like(scene.output.mean[..., None].expand(-1, -1, -1, -1, 2))
        if keys.truth_thresh < 1:
            near = [scene.of(scene.nearest, part) for part in truths.boxes.unbind(-1)]
            weight = weigh(self.class_weights, scene.of(scene.nearest, truths.class_id), step)
            _, sure = step_boxes(keys, scene.output, scene.cells, torch.stack(near, -1), weight)
            total = torch.where(scene.sure[..., None, None], sure, total)
        flat = total.flatten(3).transpose(2, 3).contiguous()
        positives.add_at_cells(flat, step.flatten(3).transpose(2, 3))
        return fit, flat.transpose(2, 3).reshape(total.shape)

    def _move_classes(self, scene: _Scene) -> Tensor:
        """Return the delta of the classes [B, A, C, N].

        The first truth of a slot moves all classes, each later one its own. Which is the first,
        Darknet asks of the delta of class 0, which misleads it where that is exactly right
        already; that is not followed here.
        """
        keys, p, positives = self.keys, scene.output.classes, scene.positives
        class_id, number = scene.truths.class_id, torch.arange(self.classes, device=p.device)
        found = torch.zeros_like(p)
        mine = positives.valid[:, :, None] & (class_id[:, None] == number[:, None])[:, None]
        positives.add_at_cells(found, mine.to(p))
        near = scene.of(scene.nearest, class_id)
        claims = scene.sure.to(p) + (scene.ignored if keys.objectness_smooth else 0)
        first = torch.where(positives.last_at >= 0, scene.of(positives.first_at, class_id), -1)
        first = torch.where(claims > 0, near, first)[:, :, None] == number[:, None]
        near = near[:, :, None] == number[:, None]
        hits = found + near * claims[:, :, None]
        low, high = 0.5 * keys.label_smooth_eps, 1 - 0.5 * keys.label_smooth_eps
        delta = torch.where(hits > 0, high, low) - p
        if self.class_weights is not None:
            once = torch.where(first & (hits == 1), keys.cls_normalizer, 1.0)
            weight = self.class_weights[:, None]
            delta = torch.where(hits > 0, delta * weight * once, delta)
        if keys.objectness_smooth:
            likely = (scene.near.square()[:, :, None] - p) * weigh(self.class_weights, number, p)[
                :, None
            ]
            delta = torch.where(scene.sure[:, :, None] & near & (found == 0), likely, delta)
        return torch.where(first.any(2, keepdim=True), delta, 0.0)


def _at_cells(positives: Positives, output: Output) -> Output:
    """Return the output at the cells of the truths, T places instead of N."""

    def gather(values: Tensor) -> Tensor:
        return positives.at_cells(values.transpose(2, 3)).transpose(2, 3)

    return Output(
        mean=gather(output.mean),
        sigma=gather(output.sigma),
        objectness=positives.at_cells(output.objectness[:, :, None])[:, :, 0],
        classes=positives.at_cells(output.classes),
    )


def _count(scene: _Scene, fit: Tensor) -> Tensor:
    positives, valid = scene.positives, scene.positives.valid
    there = _at_cells(positives, scene.output)
    class_id = scene.truths.class_id[:, None, None].expand(-1, valid.shape[1], -1, -1)
    category = there.classes.gather(2, class_id)[:, :, 0]
    fit = torch.where(valid, fit, 0.0)
    sums = (
        fit.sum(),
        (category * valid).sum(),
        (there.objectness * valid).sum(),
        scene.output.objectness.sum(),
        (fit > 0.5).sum(),
        (fit > 0.75).sum(),
        valid.sum(),
        fit.new_full((), scene.near.numel()),
    )
    return torch.stack([value.to(fit) for value in sums])
