"""Which cells and anchors of a head shall find which truths.

B images of T truths, A anchors of this head, N = H * W cells. A *slot* is one anchor at one cell;
several truths may meet in one, and their order is that of the truths.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.boxes import IouKind, intersection_over_union, measure

# How many pairs of slot and truth are compared at once.
_PAIRS = {"cpu": 1 << 20, "cuda": 1 << 24}
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, slots=True)
class Truths:
    """The truths of a mini-batch: `boxes` [B, T, 4], `class_id` and `used` [B, T].

    Rows that do not count, because the list ended or their class does not exist, are 0.
    """

    boxes: Tensor
    class_id: Tensor
    used: Tensor


@dataclass(frozen=True, slots=True)
class Positives:
    """The truths that fall to this head.

    `valid` [B, A, T]: this truth is to be found by this anchor. `cell` [B, T]: where, row by row;
    `column` and `row` [B, T] are its parts. `first` [B, A, T] is the first truth in the same slot;
    `first_at` and `last_at` [B, A, N] are the first and the last truth of each slot, T and -1
    where there is none.
    """

    valid: Tensor
    cell: Tensor
    column: Tensor
    row: Tensor
    first: Tensor
    first_at: Tensor
    last_at: Tensor

    def leads(self) -> Tensor:
        """Tell which truths are the first in their slot, [B, A, T]."""
        order = torch.arange(self.first.shape[-1], device=self.first.device)
        return self.valid & (self.first == order)

    def at_cells(self, values: Tensor) -> Tensor:
        """Return what [B, A, K, N] holds at the cell of each truth, [B, A, K, T]."""
        index = self.cell[:, None, None, :].expand(-1, *values.shape[1:3], -1)
        return values.gather(3, index)

    def add_at_cells(self, target: Tensor, values: Tensor) -> None:
        """Add [B, A, K, T] to `target` [B, A, K, N] at the cells of the truths."""
        index = self.cell[:, None, None, :].expand(-1, *values.shape[1:3], -1)
        target.scatter_add_(3, index, values)


def list_truths(truths: Tensor, classes: int, limit: int) -> Truths:
    """Read [B, T, 5] as Darknet does: a centre at x = 0 ends the list, unknown classes are skipped.

    At most `limit` truths count; T is at least 1 in what is returned.
    """
    truths = truths[:, :limit]
    if truths.shape[1] == 0:
        truths = truths.new_zeros(len(truths), 1, 5)
    class_id = truths[..., 4].long()
    listed = (truths[..., 0] != 0).int().cumprod(1).bool()
    used = listed & (class_id >= 0) & (class_id < classes)
    boxes = torch.where(used[..., None], truths[..., :4], 0.0)
    return Truths(boxes, torch.where(used, class_id, 0), used)


def find_positives(
    truths: Truths,
    shapes: Tensor,
    mask: Tensor,
    grid: tuple[int, int],
    iou_thresh: float,
    kind: IouKind,
) -> Positives:
    """Give each truth to the anchor whose shape fits best, if it is in this head's mask.

    `shapes` [num, 2] are all anchors in fractions of the network's input, `mask` [A] the numbers
    of this head's, `grid` is (W, H). Below an `iou_thresh` of 1 a truth also goes to every anchor
    of the mask that overlaps it by more, measured as `kind`. A centre on the right or lower border
    falls into the last cell. AlexeyAB `src/yolo_layer.c`, `process_batch`.
    """
    at_origin = torch.cat((torch.zeros_like(shapes), shapes), -1)
    moved = torch.cat((torch.zeros_like(truths.boxes[..., :2]), truths.boxes[..., 2:]), -1)
    moved = moved[:, :, None]
    best = intersection_over_union(at_origin, moved).argmax(-1)
    chosen = best[..., None] == mask
    if iou_thresh < 1:
        chosen = chosen | (measure(kind, at_origin[mask], moved) > iou_thresh)
    width, height = grid
    column = (truths.boxes[..., 0] * width).long().clamp(0, width - 1)
    row = (truths.boxes[..., 1] * height).long().clamp(0, height - 1)
    valid = (chosen & truths.used[..., None]).transpose(1, 2)
    return _order(valid, column, row, grid)


def _order(valid: Tensor, column: Tensor, row: Tensor, grid: tuple[int, int]) -> Positives:
    """Find the first and the last truth of each slot."""
    batch, anchors, count = valid.shape
    cell = row * grid[0] + column
    slots = cell[:, None].expand(batch, anchors, count)
    order = torch.arange(count, device=valid.device)
    empty = order.new_full((batch, anchors, grid[0] * grid[1]), count)
    first_at = empty.scatter_reduce(2, slots, torch.where(valid, order, count), "amin")
    last_at = (empty - count - 1).scatter_reduce(2, slots, torch.where(valid, order, -1), "amax")
    return Positives(valid, cell, column, row, first_at.gather(2, slots), first_at, last_at)


def count_rewritten(positives: Positives, moves: Tensor, moved_before: Tensor | None) -> Tensor:
    """Count the truths that come to a slot whose box another one has moved already.

    `moves` [B, A, T]: this truth moves the box; `moved_before` [B, A, N]: it was moved earlier.
    """
    count = moves.shape[-1]
    order = torch.arange(count, device=moves.device)
    slots = positives.cell[:, None].expand_as(moves)
    start = torch.full_like(positives.first_at, count)
    first = start.scatter_reduce(2, slots, torch.where(moves, order, count), "amin")
    if moved_before is not None:
        first = torch.where(moved_before, -1, first)
    return (positives.valid & (order > first.gather(2, slots))).sum()


def find_best_overlap(predicted: Tensor, truths: Truths) -> Tensor:
    """Return the best IoU [B, M] of each predicted box [B, 4, M] with any truth.

    A few truths are compared at a time, so that memory does not grow with their number.
    """
    best = torch.zeros_like(predicted[:, 0])
    for _, overlap in _iter_overlaps(predicted, truths):
        best = torch.maximum(best, overlap.amax(1))
    return best


def find_best_truth(predicted: Tensor, truths: Truths) -> Tensor:
    """Return the number [B, M] of the truth that each predicted box overlaps best.

    The first of equals counts, and 0 where there is none.
    """
    best = torch.zeros_like(predicted[:, 0])
    number = torch.zeros_like(best, dtype=torch.long)
    for start, overlaps in _iter_overlaps(predicted, truths):
        overlap, place = overlaps.max(1)
        number = torch.where(overlap > best, place + start, number)
        best = torch.maximum(best, overlap)
    return number


def _iter_overlaps(predicted: Tensor, truths: Truths) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of a truth and the IoU [B, some, M] with it and those after it."""
    low, high = _corners(predicted[:, :2], predicted[:, 2:])
    area = predicted[:, 2] * predicted[:, 3]
    step = max(1, _PAIRS.get(area.device.type, 1 << 20) // area.numel())
    for start in range(0, truths.boxes.shape[1], step):
        boxes = truths.boxes[:, start : start + step, :, None]
        truth_low, truth_high = _corners(boxes[:, :, :2], boxes[:, :, 2:])
        width, height = (
            torch.minimum(high[:, None, axis], truth_high[:, :, axis])
            .sub_(torch.maximum(low[:, None, axis], truth_low[:, :, axis]))
            .clamp_(min=0)
            for axis in (0, 1)
        )
        shared = width.mul_(height)
        covered = (area[:, None] + boxes[:, :, 2] * boxes[:, :, 3]).sub_(shared).clamp_(min=_TINY)
        yield start, shared.div_(covered)


def _corners(center: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    half = size / 2
    return center - half, center + half
