"""`[region]`, the head of YOLOv2: anchors measured in cells, classes by softmax.

AlexeyAB `src/region_layer.c` is the source of the arithmetic. B images, A anchors, N = H * W cells;
a *slot* is one anchor at one cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.average import format_average
from darknet_kit.engine.torch.heads.boxes import intersection_over_union
from darknet_kit.engine.torch.heads.grid import list_cells, put
from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions
from darknet_kit.engine.torch.heads.positives import (
    Truths,
    find_best_overlap,
    find_best_truth,
    list_truths,
)
from darknet_kit.engine.torch.heads.regionkeys import RegionKeys, read_region_keys
from darknet_kit.engine.torch.heads.yolokeys import read_class_weights
from darknet_kit.engine.torch.site import Site

# Until so many images were seen, every box is drawn a little towards its anchor.
_DRAWN_IMAGES, _DRAWN_SCALE = 12800, 0.01


def build_region(site: Site) -> Head:
    """Build a `[region]` section. Raises CfgError."""
    return Region(site)


@dataclass(frozen=True, slots=True)
class _Output:
    """The activated input.

    `offset` (within the cell) and `scale` (the exponents) are [B, A, N, 2], `boxes` [B, A, N, 4]
    fractions, `objectness` is [B, A, N], `classes` [B, A, N, classes].
    """

    offset: Tensor
    scale: Tensor
    boxes: Tensor
    objectness: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class _Match:
    """The slot [B, T] of each truth in A * N, and the last truth [B, A, N] of each slot or -1."""

    slot: Tensor
    last: Tensor

    def at_slots(self, values: Tensor) -> Tensor:
        """Return what [B, A, N, K] holds at the slot of each truth, [B, T, K]."""
        index = self.slot[..., None].expand(-1, -1, values.shape[-1])
        return values.flatten(1, 2).gather(1, index)

    def of_last(self, values: Tensor) -> Tensor:
        """Return what [B, T] holds of the last truth of each slot, [B, A, N]; of any without."""
        chosen = values.gather(1, self.last.flatten(1).clamp(min=0))
        return chosen.view_as(self.last)


class Region(Head):
    """YOLOv2's head.

    `class_weights` [classes] multiply the delta of objectness and classes where a truth is, by
    the weight of its class. `counters_per_class` sets them, which Darknet has in `[yolo]` alone.
    """

    anchors: Tensor
    class_weights: Tensor | None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.keys: RegionKeys = read_region_keys(site, self.classes)
        weights = read_class_weights(site, self.classes, float("inf"))
        self.register_buffer("anchors", torch.tensor(self.keys.anchors), persistent=False)
        self.register_buffer(
            "class_weights", torch.tensor(weights) if weights else None, persistent=False
        )

    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare with the truth; the last of several truths in a slot counts.

        `stats` are sums of IoU, class, objectness, any objectness, recall, then the counts of
        truths, of compared classes and of slots.
        """
        output = self._activate(raw)
        listed = list_truths(truths, self.classes, self.keys.max)
        match = self._match(output, listed, (raw.shape[3], raw.shape[2]))
        flat = output.boxes.flatten(1, 2).transpose(1, 2)
        overlap = find_best_overlap(flat, listed).view_as(output.objectness)
        fixed = torch.full_like(match.last, -1)
        if self.keys.classfix > 0:
            nearest = listed.class_id.gather(1, find_best_truth(flat, listed)).view_as(fixed)
            fixed = torch.where(overlap > self.keys.thresh, nearest, fixed)
        box = self._move_boxes(output, listed, match, raw, seen)
        objectness = self._move_objectness(output, listed, match, overlap)
        classes = self._move_classes(output, listed, match, fixed)
        delta = torch.cat((box, objectness[..., None], classes), -1)
        squares = delta.square()
        held = squares[..., 4] * (match.last >= 0)
        others = squares[..., 4].sum() - held.sum()
        parts = (squares[..., :4].sum(), held.sum(), others, squares[..., 5:].sum())
        return Assessment(
            delta=delta.transpose(2, 3).reshape(raw.shape),
            cost=squares.sum(),
            parts=torch.stack(parts),
            stats=self._count(output, listed, match, fixed),
        )

    def decode(self, raw: Tensor, size: tuple[int, int]) -> Predictions:
        """Read boxes cell by cell, in each the anchors in order (`get_region_boxes`).

        With classfix=-1 an objectness below one half is none.
        """
        output = self._activate(raw)
        objectness = output.objectness
        if self.keys.classfix == -1:
            objectness = torch.where(objectness < 0.5, 0.0, objectness)
        scores = objectness[..., None] * output.classes
        return Predictions(
            boxes=output.boxes.transpose(1, 2).flatten(1, 2),
            objectness=objectness.transpose(1, 2).flatten(1, 2),
            scores=scores.transpose(1, 2).flatten(1, 2),
        )

    def format_line(self, stats: Sequence[float]) -> str:
        """Return the line of `forward_region_layer`."""
        iou, category, objectness, anywhere, recall, count, class_count, slots = stats
        return (
            f"Region Avg IOU: {format_average(iou, count)}, "
            f"Class: {format_average(category, class_count)}, "
            f"Obj: {format_average(objectness, count)}, "
            f"No Obj: {format_average(anywhere, slots)}, "
            f"Avg Recall: {format_average(recall, count)},  count: {count:.0f}\n"
        )

    def _activate(self, raw: Tensor) -> _Output:
        batch, _, height, width = raw.shape
        grid = raw.reshape(batch, len(self.anchors), -1, height * width).transpose(2, 3)
        offset, scale = grid[..., :2].sigmoid(), grid[..., 2:4]
        corner, span = list_cells(raw, width, height), put((width, height), raw)
        sizes = scale.exp() * self.anchors[:, None] / span
        classes = grid[..., 5:].softmax(-1) if self.keys.softmax else grid[..., 5:]
        return _Output(
            offset=offset,
            scale=scale,
            boxes=torch.cat(((corner + offset) / span, sizes), -1),
            objectness=grid[..., 4].sigmoid(),
            classes=classes,
        )

    def _match(self, output: _Output, truths: Truths, grid: tuple[int, int]) -> _Match:
        """Give each truth to the anchor, or the box predicted in its cell, of the best shape.

        A centre on the right or lower border falls into the last cell.
        """
        width, height = grid
        batch, anchors, cells = output.objectness.shape
        column = (truths.boxes[..., 0] * width).long().clamp(0, width - 1)
        cell = (truths.boxes[..., 1] * height).long().clamp(0, height - 1) * width + column
        if self.keys.bias_match:
            shapes = self.anchors / put(grid, self.anchors)
        else:
            index = cell[:, None, :, None].expand(-1, anchors, -1, 2)
            shapes = output.boxes[..., 2:].gather(2, index).transpose(1, 2)
        best = intersection_over_union(
            _at_origin(shapes), _at_origin(truths.boxes[:, :, None, 2:])
        ).argmax(-1)
        slot = best * cells + cell
        order = torch.arange(slot.shape[1], device=slot.device)
        nobody = slot.new_full((batch, anchors * cells), -1)
        last = nobody.scatter_reduce(1, slot, torch.where(truths.used, order, -1), "amax")
        return _Match(slot, last.view(batch, anchors, cells))

    def _move_boxes(
        self, output: _Output, truths: Truths, match: _Match, raw: Tensor, seen: int
    ) -> Tensor:
        """Return the delta of x, y, w, h [B, A, N, 4]; that of x and y is through the logistic."""
        grid = (raw.shape[3], raw.shape[2])
        span = put(grid, raw)
        goal = torch.stack([match.of_last(part) for part in truths.boxes.unbind(-1)], -1)
        slope = output.offset * (1 - output.offset)
        offset = (goal[..., :2] * span - list_cells(raw, *grid) - output.offset) * slope
        scale = (goal[..., 2:] * span / self.anchors[:, None]).log() - output.scale
        moved = torch.cat((offset, scale), -1) * self.keys.coord_scale
        rest = torch.zeros_like(moved)
        if seen < _DRAWN_IMAGES:
            rest = torch.cat(((0.5 - output.offset) * slope, -output.scale), -1) * _DRAWN_SCALE
        return torch.where(match.last[..., None] >= 0, moved, rest)

    def _move_objectness(
        self, output: _Output, truths: Truths, match: _Match, overlap: Tensor
    ) -> Tensor:
        """Return the delta of objectness [B, A, N], through the logistic."""
        keys, seen = self.keys, output.objectness
        slope = seen * (1 - seen)
        if keys.classfix == -1:
            rest = keys.noobject_scale * (overlap - seen) * slope
        else:
            rest = torch.where(overlap > keys.thresh, 0.0, -keys.noobject_scale * seen * slope)
        goal: Tensor | float = 1.0
        if keys.rescore:
            boxes = [match.of_last(part) for part in truths.boxes.unbind(-1)]
            goal = intersection_over_union(output.boxes, torch.stack(boxes, -1))
        held = keys.object_scale * (goal - seen) * slope * self._weigh(match, truths)
        return torch.where(match.last >= 0, held, rest)

    def _move_classes(
        self, output: _Output, truths: Truths, match: _Match, fixed: Tensor
    ) -> Tensor:
        """Return the delta of the classes [B, A, N, classes].

        `fixed` [B, A, N] are the classes that `classfix` asks for where no truth is; -1 for none.
        """
        rest = torch.zeros_like(output.classes)
        if self.keys.classfix > 0:
            sure = output.objectness if self.keys.classfix == 2 else 1.0
            rest = self._compare_classes(output, fixed) * (sure * (fixed >= 0))[..., None]
        moved = self._compare_classes(output, match.of_last(truths.class_id))
        moved = moved * self._weigh(match, truths)[..., None]
        return torch.where(match.last[..., None] >= 0, moved, rest)

    def _compare_classes(self, output: _Output, class_id: Tensor) -> Tensor:
        """Return the delta of the classes [B, A, N, classes] for one class [B, A, N] a slot."""
        goal = class_id[..., None] == torch.arange(self.classes, device=class_id.device)
        delta = self.keys.class_scale * (goal.to(output.classes) - output.classes)
        if not self.keys.focal_loss:
            return delta
        sure = (output.classes * goal).sum(-1, keepdim=True) + 1e-15
        return delta * (-0.5 * (1 - sure) * (2 * sure * sure.log() + sure - 1))

    def _weigh(self, match: _Match, truths: Truths) -> Tensor:
        """Return the weight of the class of each slot's last truth [B, A, N]."""
        if self.class_weights is None:
            return torch.ones_like(match.last, dtype=truths.boxes.dtype)
        return self.class_weights[match.of_last(truths.class_id)]

    def _count(self, output: _Output, truths: Truths, match: _Match, fixed: Tensor) -> Tensor:
        used = truths.used
        iou = intersection_over_union(match.at_slots(output.boxes), truths.boxes) * used
        category = match.at_slots(output.classes).gather(2, truths.class_id[..., None])[..., 0]
        again = output.classes.gather(3, fixed.clamp(min=0)[..., None])[..., 0] * (fixed >= 0)
        objectness = match.at_slots(output.objectness[..., None])[..., 0]
        sums = (
            iou.sum(),
            (category * used).sum() + again.sum(),
            (objectness * used).sum(),
            output.objectness.sum(),
            (iou > 0.5).sum(),
            used.sum(),
            used.sum() + (fixed >= 0).sum(),
            iou.new_full((), output.objectness.numel()),
        )
        return torch.stack([value.to(iou) for value in sums])


def _at_origin(sizes: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(sizes), sizes), -1)
