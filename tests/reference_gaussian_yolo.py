"""A `[Gaussian_yolo]` head, slowly: one slot and one truth after another, in double precision.

The order is that of AlexeyAB's `src/gaussian_yolo_layer.c`. A truth is (cx, cy, w, h, class_id),
an image's input a list indexed [channel][row][column].
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tests.reference_iou import Box, gradient, overlap
from tests.reference_region import logistic

Truth = Sequence[float]
Slot = tuple[int, int, int]


class ReferenceGaussian:
    """One image through a head: `delta` by (anchor of the head, row, column), sums of the line."""

    def __init__(
        self,
        raw: Sequence[Sequence[Sequence[float]]],
        anchors: Sequence[tuple[float, float]],
        mask: Sequence[int],
        classes: int,
        size: tuple[int, int],
        keys: Mapping[str, Any],
        multipliers: Sequence[float] | None = None,
    ) -> None:
        self.keys, self.anchors, self.mask = keys, anchors, mask
        self.classes, self.size, self.multipliers = classes, size, multipliers
        self.height, self.width = len(raw[0]), len(raw[0][0])
        self.out: dict[Slot, list[float]] = {}
        stretch = self.key("scale_x_y", 1.0)
        for n in range(len(mask)):
            for j in range(self.height):
                for i in range(self.width):
                    first = n * (9 + classes)
                    x = [raw[first + e][j][i] for e in range(9 + classes)]
                    x = [v if e in (4, 6) else logistic(v) for e, v in enumerate(x)]
                    for e in (0, 2):
                        x[e] = x[e] * stretch - 0.5 * (stretch - 1)
                    self.out[n, j, i] = x
        self.delta = {slot: [0.0] * (9 + classes) for slot in self.out}
        self.iou = self.category = self.objectness = self.anywhere = 0.0
        self.recall = self.recall75 = self.count = 0

    def key(self, name: str, default: Any) -> Any:
        return self.keys.get(name, default)

    def multiplier(self, class_id: int) -> float:
        return self.multipliers[class_id] if self.multipliers else 1.0

    def box(self, slot: Slot) -> Box:
        n, j, i = slot
        x, (pw, ph) = self.out[slot], self.anchors[self.mask[n]]
        w, h = math.exp(x[4]) * pw / self.size[0], math.exp(x[6]) * ph / self.size[1]
        bx, by = (i + x[0]) / self.width, (j + x[2]) / self.height
        if self.key("yolo_point", "center") == "left_top":
            bx, by = bx + w / 2, by + h / 2
        elif self.key("yolo_point", "center") == "right_bottom":
            bx, by = bx - w / 2, by - h / 2
        return bx, by, w, h

    def point(self, truth: Truth) -> tuple[float, float]:
        x, y, w, h = truth[:4]
        if self.key("yolo_point", "center") == "left_top":
            return x - w / 2, y - h / 2
        if self.key("yolo_point", "center") == "right_bottom":
            return x + w / 2, y + h / 2
        return x, y

    def move_box(self, slot: Slot, truth: Truth) -> float:
        n, j, i = slot
        x, anchor, scale = self.out[slot], self.anchors[self.mask[n]], 2 - truth[2] * truth[3]
        px, py = self.point(truth)
        goals = (
            px * self.width - i,
            py * self.height - j,
            math.log(truth[2] * self.size[0] / anchor[0]),
            math.log(truth[3] * self.size[1] / anchor[1]),
        )
        values, sigmas = [], []
        for goal, mean, sigma in zip(goals, x[0:8:2], x[1:8:2], strict=True):
            z = (goal - mean) / sigma
            density = math.exp(-z * z / 2) / (math.sqrt(2 * math.pi) * (sigma + 0.3))
            k = 0.5 * density / (density + 1e-9) * scale
            values.append(k * z / sigma)
            sigmas.append(k * (z * z / sigma - 1 / (sigma + 0.3)))
        box: Box = self.box(slot)
        target: Box = (truth[0], truth[1], truth[2], truth[3])
        kind, fit = self.key("iou_loss", "mse"), overlap("iou", box, target)
        if kind != "mse":
            fit = overlap("giou", box, target)
            values = self.turn_gradient(gradient(kind, box, target), x)
        weight = self.key("iou_normalizer", 0.75) * self.multiplier(int(truth[4]))
        limit = self.key("max_delta", math.inf)
        for axis in range(4):
            steps = (values[axis] * weight, sigmas[axis] * self.key("uc_normalizer", 1.0))
            for entry, step in enumerate(steps):
                self.delta[slot][2 * axis + entry] += max(-limit, min(limit, step))
        return fit

    def turn_gradient(self, step: list[float], x: Sequence[float]) -> list[float]:
        dx, dy, dw, dh = step
        if self.key("yolo_point", "center") == "left_top":
            dx, dy = dx - dw / 2, dy - dh / 2
        elif self.key("yolo_point", "center") == "right_bottom":
            dx, dy = dx + dw / 2, dy + dh / 2
        return [dx, dy, dw * math.exp(x[4]), dh * math.exp(x[6])]

    def move_classes(self, slot: Slot, class_id: int) -> None:
        x, delta, eps = self.out[slot], self.delta[slot], self.key("label_smooth_eps", 0.0)
        if delta[9]:
            delta[9 + class_id] = 1 - eps + 0.5 * eps - x[9 + class_id]
            delta[9 + class_id] *= self.multiplier(class_id)
            return
        for c in range(self.classes):
            delta[9 + c] = (c == class_id) * (1 - eps) + 0.5 * eps - x[9 + c]
            if self.multipliers and c == class_id:
                delta[9 + c] *= self.multipliers[c] * self.key("cls_normalizer", 1.0)

    def find(self, slot: Slot, truths: Sequence[Truth], *, sure: bool) -> tuple[float, Truth]:
        """Return the best IoU with any truth, and that truth; none unless `sure` of a class."""
        best, nearest = 0.0, truths[0]
        for truth in truths:
            if int(truth[4]) >= self.classes:
                continue
            if not truth[0]:
                break
            iou = overlap("iou", self.box(slot), (truth[0], truth[1], truth[2], truth[3]))
            if iou > best and sure:
                best, nearest = iou, truth
        return best, nearest

    def every_slot(self, truths: Sequence[Truth]) -> None:
        normalizer = self.key("obj_normalizer", 1.0)
        for slot, x in self.out.items():
            match, matched = self.find(slot, truths, sure=any(p > 0.25 for p in x[9:]))
            best, nearest = self.find(slot, truths, sure=True)
            self.anywhere += x[8]
            delta, smooth = self.delta[slot], self.key("objectness_smooth", 0)
            delta[8] = normalizer * (0 - x[8])
            if match > self.key("ignore_thresh", 0.5):
                delta[8] = normalizer * (match * match - x[8]) if smooth else 0.0
                if smooth:
                    self.move_classes(slot, int(matched[4]))
            if best > self.key("truth_thresh", 1.0):
                delta[8] = normalizer * ((best * best if smooth else 1) - x[8])
                class_id = int(nearest[4])
                self.move_classes(slot, class_id)
                if smooth:
                    missing = best * best - x[9 + class_id]
                    delta[9 + class_id] = self.multiplier(class_id) * missing
                self.move_box(slot, nearest)

    def every_truth(self, truths: Sequence[Truth]) -> None:
        for truth in truths:
            if int(truth[4]) >= self.classes:
                continue
            if not truth[0]:
                break
            x, y = self.point(truth)
            i = min(self.width - 1, max(0, int(x * self.width)))
            j = min(self.height - 1, max(0, int(y * self.height)))
            size = (0.0, 0.0, truth[2], truth[3])
            shapes = [(0.0, 0.0, w / self.size[0], h / self.size[1]) for w, h in self.anchors]
            ious = [overlap("iou", shape, size) for shape in shapes]
            best = ious.index(max(ious))
            if best in self.mask:
                self.hold((self.mask.index(best), j, i), truth)
            kind, limit = self.key("iou_thresh_kind", "iou"), self.key("iou_thresh", 1.0)
            for n, anchor in enumerate(self.mask):
                fits = limit < 1 and overlap(kind, shapes[anchor], size) > limit
                if fits and anchor != best:
                    self.hold((n, j, i), truth)

    def hold(self, slot: Slot, truth: Truth) -> None:
        x, class_id = self.out[slot], int(truth[4])
        fit = self.move_box(slot, truth)
        scale = self.multiplier(class_id) * self.key("obj_normalizer", 1.0)
        self.delta[slot][8] = scale * (1 - x[8])
        self.move_classes(slot, class_id)
        self.category += x[9 + class_id]
        self.objectness += x[8]
        self.iou += fit
        self.recall += fit > 0.5
        self.recall75 += fit > 0.75
        self.count += 1

    def average(self) -> None:
        for delta in self.delta.values():
            wanted = sum(step > 0 for step in delta[9:])
            if wanted:
                delta[:8] = [step / wanted for step in delta[:8]]
