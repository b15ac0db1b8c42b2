"""The whole delta of a `[yolo]` head for one mini-batch.

Shapes as in `yolosteps`; `entries` are a head's input as [B, A, 5 + C, N]: x, y, w, h,
objectness, classes; `moves` is the delta in that shape.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.heads.head import weigh
from darknet_kit.engine.torch.heads.positives import (
    Positives,
    Truths,
    count_rewritten,
    find_best_overlap,
    find_best_truth,
)
from darknet_kit.engine.torch.heads.yolokeys import YoloKeys
from darknet_kit.engine.torch.heads.yolosteps import (
    Fit,
    Places,
    activate,
    activate_classes,
    count_classes,
    find_classes,
    read_boxes,
    recognizes,
    step_boxes,
    step_classes,
    step_objectness,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A mini-batch before a head. `class_weights` [C], or None, are those of the classes."""

    keys: YoloKeys
    entries: Tensor
    cells: Places
    truths: Truths
    positives: Positives
    class_weights: Tensor | None

    def weigh(self, class_id: Tensor) -> Tensor:
        """Return the weight of each class in a tensor of any shape."""
        return weigh(self.class_weights, class_id, self.entries)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found: how the truths [B, A, T] fit, `positive` [B, A, N] places, and counts.

    `learnt` counts boxes that were moved, `rewritten` those that another truth had moved before.
    """

    fit: Fit
    positive: Tensor
    learnt: Tensor
    rewritten: Tensor


def fill_moves(scene: Scene, moves: Tensor) -> Outcome:
    """Write the delta into `moves`, which holds zeros."""
    keys, entries, positives = scene.keys, scene.entries, scene.positives
    boxes = read_boxes(keys, entries, scene.cells).transpose(1, 2)
    best = find_best_overlap(boxes.flatten(2), scene.truths).view_as(entries[:, :, 4])
    moves[:, :, 4] = step_objectness(
        keys,
        activate(keys, entries[:, :, 4]),
        best,
        recognizes(keys, entries[:, :, 5:]),
        positives,
        scene.weigh(scene.truths.class_id),
    )
    sure = best > keys.truth_thresh if keys.truth_thresh < 1 else None
    if sure is not None:
        number = find_best_truth(boxes.flatten(2), scene.truths).view_as(best)
        _move_sure(scene, moves, sure, best, number)
    picked = positives.at_cells(entries)
    fit, rewritten = _move_boxes(scene, moves, picked, sure)
    _move_classes(scene, moves, picked, sure)
    if keys.iou_thresh < 1:
        _average_boxes(moves, positives, everywhere=sure is not None)
    positive, learnt = positives.last_at >= 0, positives.valid.sum()
    if sure is not None:
        positive, learnt = positive | sure, learnt + sure.sum()
    return Outcome(fit, positive, learnt, rewritten)


def _move_boxes(
    scene: Scene, moves: Tensor, picked: Tensor, sure: Tensor | None
) -> tuple[Fit, Tensor]:
    """Add the box steps of all truths; return how they fit, and how many came second."""
    positives, cells = scene.positives, scene.cells
    places = Places(positives.column[:, None], positives.row[:, None], cells.grid, cells.anchors)
    weights = scene.weigh(scene.truths.class_id)[:, None]
    fit = step_boxes(scene.keys, picked, places, scene.truths.boxes[:, None], weights)
    step = torch.where(positives.valid[:, :, None], fit.step, 0.0)
    before = None if sure is None else (moves[:, :, :4] != 0).any(2)
    rewritten = count_rewritten(positives, (step != 0).any(2), before)
    positives.add_at_cells(moves[:, :, :4], step)
    return fit, rewritten


def _move_classes(scene: Scene, moves: Tensor, picked: Tensor, sure: Tensor | None) -> None:
    """Write the class steps of each slot, once, for all its truths together."""
    keys, positives, raw = scene.keys, scene.positives, picked[:, :, 5:]
    first, later = find_classes(scene.truths, positives, raw.shape[2])
    step = step_classes(keys, raw, first, later, scene.class_weights)
    if sure is not None and not keys.softmax:
        # There, the box that was sure has come first.
        present = positives.at_cells(moves[:, :, 5:])
        joined = first | later
        after = step_classes(keys, raw, torch.zeros_like(joined), joined, scene.class_weights)
        after = torch.where(joined, after, present)
        step = torch.where(positives.at_cells(sure[:, :, None]), after, step) - present
    elif sure is not None:
        step = step - positives.at_cells(moves[:, :, 5:])
    positives.add_at_cells(moves[:, :, 5:], torch.where(positives.leads()[:, :, None], step, 0.0))


def _average_boxes(moves: Tensor, positives: Positives, *, everywhere: bool) -> None:
    """Divide the box steps by the number of classes, at the truths' slots or everywhere."""
    if everywhere:
        moves[:, :, :4] /= count_classes(moves[:, :, 5:], moves[:, :, 4])[:, :, None]
        return
    there = positives.at_cells(moves)
    share = count_classes(there[:, :, 5:], there[:, :, 4])[:, :, None]
    excess = there[:, :, :4] / share - there[:, :, :4]
    positives.add_at_cells(moves[:, :, :4], torch.where(positives.leads()[:, :, None], excess, 0.0))


def _move_sure(scene: Scene, moves: Tensor, sure: Tensor, best: Tensor, number: Tensor) -> None:
    """Move boxes and classes where a box fits truth `number` better than `truth_thresh`."""
    keys, entries = scene.keys, scene.entries
    numbers = number.flatten(1)
    class_id = scene.truths.class_id.gather(1, numbers).view_as(number)
    truth = scene.truths.boxes.gather(1, numbers[:, :, None].expand(-1, -1, 4))
    truth, weight = truth.view(*number.shape, 4), scene.weigh(class_id)
    fit = step_boxes(keys, entries, scene.cells, truth, weight)
    moves[:, :, :4] = torch.where(sure[:, :, None], fit.step, 0.0)
    raw = entries[:, :, 5:]
    classes = torch.arange(raw.shape[2], device=raw.device)
    first = class_id[:, :, None] == classes[:, None]
    step = step_classes(keys, raw, first, torch.zeros_like(first), scene.class_weights)
    if keys.objectness_smooth and not keys.softmax:
        nearer = best.square()[:, :, None] - activate_classes(keys, raw)
        step = torch.where(first, weight[:, :, None] * nearer, step)
    moves[:, :, 5:] = torch.where(sure[:, :, None], step, 0.0)
