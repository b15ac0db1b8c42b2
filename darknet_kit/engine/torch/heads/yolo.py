"""`[yolo]`: boxes from anchors, one objectness and independent classes for each (YOLOv3 to v7)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from darknet_kit.engine.torch.cnumber import format_c
from darknet_kit.engine.torch.heads.boxes import IouKind
from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions
from darknet_kit.engine.torch.heads.positives import find_positives, list_truths
from darknet_kit.engine.torch.heads.yolodelta import Scene, fill_moves
from darknet_kit.engine.torch.heads.yolokeys import read_yolo_keys
from darknet_kit.engine.torch.heads.yolosteps import Places, activate, activate_classes, read_boxes
from darknet_kit.engine.torch.site import Site


class Yolo(Head):
    """A `[yolo]` section (AlexeyAB `src/yolo_layer.c`), without a loop over images or truths.

    Two keys of our own: `dkit_class_loss=ce` makes the classes exclude each other (a softmax, its
    cross entropy as the loss, in detection too), `dkit_obj_loss=mse` learns the objectness by
    squared error, the logistic's slope included, where Darknet leaves that out.
    """

    anchors: Tensor
    mask: Tensor

    def __init__(self, site: Site) -> None:
        """Read the section. Raises CfgError."""
        super().__init__(site)
        self.keys = read_yolo_keys(site, self.classes)
        self.register_buffer("anchors", torch.tensor(self.keys.anchors.all), persistent=False)
        self.register_buffer("mask", torch.tensor(self.keys.anchors.mask), persistent=False)
        if self.keys.class_weights:
            self.class_weights = torch.tensor(self.keys.class_weights)

    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare the raw input [B, C, H, W], in float32, with the truth. Takes no gradient.

        `stats` are sums: images, truths found here, their IoU, squared delta of the boxes and of
        the rest, boxes learnt, boxes learnt over another truth's.
        """
        scene = self._look(raw, truths, size)
        delta = torch.zeros_like(raw)
        moves = delta.view(scene.entries.shape)
        outcome = fill_moves(scene, moves)
        keys, valid = self.keys, scene.positives.valid
        parts = _sum_squares(moves, outcome.positive)
        count, box, others = valid.sum(), parts[0], parts[1:].sum()
        cost = box + others
        if keys.show_details and keys.iou_loss is not None:
            value = outcome.fit.value if keys.iou_loss is IouKind.GIOU else outcome.fit.iou
            missing = torch.where(valid, 1 - value, 0.0).sum() / count.clamp(min=1)
            cost = keys.iou_normalizer * missing + keys.obj_normalizer * others
        iou = torch.where(valid, outcome.fit.iou, 0.0).sum()
        images = torch.full_like(box, len(raw))
        numbers = (images, count, iou, box, others, outcome.learnt, outcome.rewritten)
        if keys.delta_normalizer != 1:
            delta = delta * keys.delta_normalizer
        return Assessment(delta, cost, parts, torch.stack([one.to(box) for one in numbers]))

    def decode(self, raw: Tensor, size: tuple[int, int]) -> Predictions:
        """Read the raw input as boxes and scores; cells row by row, the anchors of each together.

        AlexeyAB `src/yolo_layer.c`, `get_yolo_detections`.
        """
        entries = self.entries(raw)
        boxes = read_boxes(self.keys, entries, self.places(raw, size))
        objectness = activate(self.keys, entries[:, :, 4])
        scores = activate_classes(self.keys, entries[:, :, 5:]) * objectness[:, :, None]
        return Predictions(
            boxes.permute(0, 3, 1, 2).flatten(1, 2),
            objectness.transpose(1, 2).flatten(1),
            scores.permute(0, 3, 1, 2).flatten(1, 2),
        )

    def format_line(self, stats: Sequence[float]) -> str:
        """Return the count line of a mini-batch.

        AlexeyAB `src/yolo_layer.c`, `forward_yolo_layer`, which writes `iou` for DIoU and CIoU.
        """
        images, count, iou, box, others = stats[:5]
        keys = self.keys
        kind = "mse" if keys.iou_loss is None else keys.iou_loss.value
        name = kind if kind in ("mse", "giou") else "iou"
        total, classes = (box + others) / images, keys.obj_normalizer * others / images
        parts = (
            f"class_loss = {format_c(classes)}, iou_loss = {format_c(total - classes)}, "
            if keys.show_details
            else ""
        )
        return (
            f"v3 ({name} loss, Normalizer: (iou: {keys.iou_normalizer:.2f}, "
            f"obj: {keys.obj_normalizer:.2f}, cls: {keys.cls_normalizer:.2f}) "
            f"Region {self.index} Avg (IOU: {format_c(iou / max(count, 1))}), "
            f"count: {max(count, 1):.0f}, {parts}total_loss = {format_c(total)} \n"
        )

    def count_boxes(self, stats: Sequence[float]) -> tuple[float, float]:
        """Return how many boxes were learnt, and how many of them over another truth's."""
        return stats[5], stats[6]

    def _look(self, raw: Tensor, truths: Tensor, size: tuple[int, int]) -> Scene:
        keys, cells, shapes = self.keys, self.places(raw, size), self.shapes(size)
        listed = list_truths(truths, self.classes, keys.max)
        thresh, kind = keys.iou_thresh, keys.iou_thresh_kind
        positives = find_positives(listed, shapes, self.mask, cells.grid, thresh, kind)
        return Scene(keys, self.entries(raw), cells, listed, positives, self.class_weights)

    def entries(self, raw: Tensor) -> Tensor:
        """Return the raw input as [B, A, 5 + C, N]: x, y, w, h, objectness, classes."""
        return raw.reshape(len(raw), len(self.mask), 5 + self.classes, -1)

    def shapes(self, size: tuple[int, int]) -> Tensor:
        """Return width and height of all anchors in fractions of the network's input."""
        return torch.stack((self.anchors[:, 0] / size[0], self.anchors[:, 1] / size[1]), 1)

    def places(self, raw: Tensor, size: tuple[int, int]) -> Places:
        """Return all cells."""
        height, width = raw.shape[2:]
        cells = torch.arange(height * width, device=raw.device)
        row = torch.div(cells, width, rounding_mode="floor")
        return Places(cells % width, row, (width, height), self.shapes(size)[self.mask])


def build_yolo(site: Site) -> Head:
    """Return the head of a `[yolo]` section. Raises CfgError, naming its line."""
    return Yolo(site)


def _sum_squares(moves: Tensor, positive: Tensor) -> Tensor:
    """Return the squared delta of box, objectness of positives, of all others, and classes."""
    objectness = moves[:, :, 4].square()
    found = torch.where(positive, objectness, 0.0)
    return torch.stack(
        (
            torch.linalg.vector_norm(moves[:, :, :4]).square(),
            found.sum(),
            (objectness - found).sum(),
            torch.linalg.vector_norm(moves[:, :, 5:]).square(),
        )
    )
