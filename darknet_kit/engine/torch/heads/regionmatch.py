"""Which truth falls to which anchor of which cell of a `[region]` head.

B images of T truths, A anchors, N cells; a *slot* is one anchor at one cell.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.boxes import intersection_over_union
from darknet_kit.engine.torch.heads.positives import Truths


@dataclass(frozen=True, slots=True)
class Match:
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

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sums [B, A, N, K] of [B, T, K] over the truths of each slot."""
        batch, _, length = values.shape
        sums = values.new_zeros(batch, self.last[0].numel(), length)
        index = self.slot[..., None].expand_as(values)
        return sums.scatter_add(1, index, values).view(*self.last.shape, length)

    def find_lasting(self, writes: Tensor, used: Tensor) -> Tensor:
        """Tell what of [B, T, K], which entries of its slot a truth writes, none overwrites."""
        order = torch.arange(self.slot.shape[1], device=self.slot.device)
        later = (self.slot[:, :, None] == self.slot[:, None]) & (order[:, None] < order)
        writes = writes & used[..., None]
        return writes & (later.float() @ writes.float() == 0)


def match_truths(
    truths: Truths, anchors: Tensor, boxes: Tensor, grid: tuple[int, int], *, bias_match: bool
) -> Match:
    """Give each truth to the anchor in its cell whose shape fits best.

    `anchors` [A, 2] are in fractions of the network's input; without `bias_match` the shapes are
    those of the predicted `boxes` [B, A, N, 4]. A centre on the right or lower border falls into
    the last cell. AlexeyAB `src/region_layer.c`, `forward_region_layer`.
    """
    width, height = grid
    count, cells = boxes.shape[1:3]
    column = (truths.boxes[..., 0] * width).long().clamp(0, width - 1)
    cell = (truths.boxes[..., 1] * height).long().clamp(0, height - 1) * width + column
    shapes = anchors
    if not bias_match:
        index = cell[:, None, :, None].expand(-1, count, -1, 2)
        shapes = boxes[..., 2:].gather(2, index).transpose(1, 2)
    sizes = truths.boxes[:, :, None, 2:]
    best = intersection_over_union(_at_origin(shapes), _at_origin(sizes)).argmax(-1)
    slot = best * cells + cell
    order = torch.arange(slot.shape[1], device=slot.device)
    nobody = slot.new_full((len(slot), count * cells), -1)
    last = nobody.scatter_reduce(1, slot, torch.where(truths.used, order, -1), "amax")
    return Match(slot, last.view(-1, count, cells))


def _at_origin(sizes: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(sizes), sizes), -1)
