"""`[region]`, the head of YOLOv2: anchors measured in cells, classes by softmax.

AlexeyAB `src/region_layer.c` is the source of the arithmetic. B images, A anchors, N = H * W cells;
a *slot* is one anchor at one cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.cnumber import format_average
from darknet_kit.engine.torch.heads.boxes import intersection_over_union
from darknet_kit.engine.torch.heads.classtree import ClassTree, read_tree
from darknet_kit.engine.torch.heads.grid import list_cells, put
from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions, weigh
from darknet_kit.engine.torch.heads.keys import read_class_weights
from darknet_kit.engine.torch.heads.positives import (
    Truths,
    find_best_overlap,
    find_best_truth,
    list_truths,
)
from darknet_kit.engine.torch.heads.regionkeys import RegionKeys, read_region_keys
from darknet_kit.engine.torch.heads.regionmatch import Match, match_truths
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


class Region(Head):
    """YOLOv2's head.

    `class_weights` [classes] multiply the delta of objectness and classes where a truth is, by
    the weight of its class. `counters_per_class` sets them, which Darknet has in `[yolo]` alone.
    """

    anchors: Tensor
    tree: ClassTree | None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.keys: RegionKeys = read_region_keys(site, self.classes)
        self.tree = read_tree(site, self.classes)
        self.register_buffer("anchors", torch.tensor(self.keys.anchors), persistent=False)
        if weights := read_class_weights(site, self.classes):
            self.class_weights = torch.tensor(weights)

    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare with the truth; the last of several truths in a slot counts.

        `stats` are sums of IoU, class, objectness, any objectness, recall, then the counts of
        truths, of compared classes and of slots.
        """
        output = self._activate(raw)
        listed = list_truths(truths, self.classes, self.keys.max)
        grid = (raw.shape[3], raw.shape[2])
        shapes, bias_match = self.anchors / put(grid, self.anchors), self.keys.bias_match
        match = match_truths(listed, shapes, output.boxes, grid, bias_match=bias_match)
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

        With classfix=-1 an objectness below one half is none. Darknet asks of a box its scores
        alone, and without softmax a class may be above 1: objectness is then the best score where
        that is more. With a tree a box has one class, the last one in the file that is more
        probable than not, and its score is that alone.
        """
        output = self._activate(raw)
        objectness = output.objectness
        if self.keys.classfix == -1:
            objectness = torch.where(objectness < 0.5, 0.0, objectness)
        scores = objectness[..., None] * output.classes
        if self.tree is not None:
            likely = self.tree.chain(output.classes)
            number = torch.arange(1, self.classes + 1, device=raw.device)
            last = (number * (likely > 0.5)).amax(-1, keepdim=True)
            scores = torch.where(number == last, likely, 0.0)
        else:
            objectness = torch.maximum(objectness, scores.amax(-1))
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
        classes = grid[..., 5:]
        if self.tree is not None:
            classes = self.tree.normalize(classes)
        elif self.keys.softmax:
            classes = classes.softmax(-1)
        return _Output(
            offset=offset,
            scale=scale,
            boxes=torch.cat(((corner + offset) / span, sizes), -1),
            objectness=grid[..., 4].sigmoid(),
            classes=classes,
        )

    def _move_boxes(
        self, output: _Output, truths: Truths, match: Match, raw: Tensor, seen: int
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
        self, output: _Output, truths: Truths, match: Match, overlap: Tensor
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
        weight = weigh(self.class_weights, match.of_last(truths.class_id), seen)
        held = keys.object_scale * (goal - seen) * slope * weight
        return torch.where(match.last >= 0, held, rest)

    def _move_classes(self, output: _Output, truths: Truths, match: Match, fixed: Tensor) -> Tensor:
        """Return the delta of the classes [B, A, N, classes].

        `fixed` [B, A, N] are the classes that `classfix` asks for where no truth is; -1 for none.
        """
        rest = torch.zeros_like(output.classes)
        if self.keys.classfix > 0:
            asked, rest = self._compare_classes(output.classes, fixed)
            sure = output.objectness if self.keys.classfix == 2 else 1.0
            rest = rest * asked * (sure * (fixed >= 0))[..., None]
        asked, moved = self._compare_classes(match.at_slots(output.classes), truths.class_id)
        lasting = match.find_lasting(asked, truths.used)
        moved = moved * weigh(self.class_weights, truths.class_id, moved)[..., None]
        held = match.add_up(lasting.to(moved)) > 0
        return torch.where(held, match.add_up(torch.where(lasting, moved, 0.0)), rest)

    def _compare_classes(self, seen: Tensor, class_id: Tensor) -> tuple[Tensor, Tensor]:
        """Return which classes [..., classes or 1] a class [...] decides about, and their delta.

        `seen` [..., classes] are the probabilities. Without a tree a class decides about all.
        """
        if self.tree is not None:
            asked, goal = self.tree.find_path(class_id)
            return asked, self.keys.class_scale * (goal.to(seen) - seen)
        goal = class_id[..., None] == torch.arange(self.classes, device=seen.device)
        delta = self.keys.class_scale * (goal.to(seen) - seen)
        if self.keys.focal_loss:
            sure = (seen * goal).sum(-1, keepdim=True) + 1e-15
            delta = delta * (-0.5 * (1 - sure) * (2 * sure * sure.log() + sure - 1))
        return torch.ones_like(goal[..., :1]), delta

    def _count(self, output: _Output, truths: Truths, match: Match, fixed: Tensor) -> Tensor:
        used = truths.used
        iou = intersection_over_union(match.at_slots(output.boxes), truths.boxes) * used
        likely = output.classes if self.tree is None else self.tree.chain(output.classes)
        category = match.at_slots(likely).gather(2, truths.class_id[..., None])[..., 0]
        again = likely.gather(3, fixed.clamp(min=0)[..., None])[..., 0] * (fixed >= 0)
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
