"""`[region]` as Darknet computes it, one number after the other: slow, plain, in double precision.

A truth is (cx, cy, w, h, class_id). An image's input is a list indexed [channel][row][column].
"""

import math
from collections.abc import Mapping, Sequence

from tests.reference_iou import Box, overlap


def box_iou(one: Box, other: Box) -> float:
    return overlap("iou", one, other)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax(values: Sequence[float]) -> list[float]:
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


class ReferenceRegion:
    """One image through the head: `delta` [channel][row][column] and the sums of the line."""

    def __init__(
        self,
        raw: Sequence[Sequence[Sequence[float]]],
        anchors: Sequence[tuple[float, float]],
        classes: int,
        keys: Mapping[str, float],
        weights: Sequence[float] | None = None,
        parents: Sequence[int] = (),
    ) -> None:
        self.parents = parents
        self.keys, self.anchors, self.classes = keys, anchors, classes
        self.weights = weights or [1.0] * classes
        self.height, self.width = len(raw[0]), len(raw[0][0])
        entries = classes + 5
        self.out = {}
        self.delta = {}
        for j in range(self.height):
            for i in range(self.width):
                for n in range(len(anchors)):
                    x = [raw[n * entries + e][j][i] for e in range(entries)]
                    x[4] = logistic(x[4])
                    x[5:] = self.normalize(x[5:])
                    self.out[n, j, i] = x
                    self.delta[n, j, i] = [0.0] * entries
        self.iou = self.category = self.objectness = self.anywhere = self.recall = 0.0
        self.count = self.class_count = 0

    def group(self, class_id: int) -> range:
        """Return the classes around one that have its parent, the tree's lines in a row."""
        first = last = class_id
        while first > 0 and self.parents[first - 1] == self.parents[class_id]:
            first -= 1
        while last + 1 < self.classes and self.parents[last + 1] == self.parents[class_id]:
            last += 1
        return range(first, last + 1)

    def normalize(self, scores: Sequence[float]) -> list[float]:
        if self.parents:
            groups = [self.group(c) for c in range(self.classes)]
            return [softmax([scores[k] for k in g])[c - g[0]] for c, g in enumerate(groups)]
        return softmax(scores) if self.keys.get("softmax") else list(scores)

    def chain(self, scores: Sequence[float], class_id: int) -> float:
        """Return the probability of a class and of all that it is a kind of."""
        product = 1.0
        while class_id >= 0:
            product *= scores[class_id]
            class_id = self.parents[class_id] if self.parents else -1
        return product

    def box(self, n: int, j: int, i: int) -> Box:
        x = self.out[n, j, i]
        return (
            (i + logistic(x[0])) / self.width,
            (j + logistic(x[1])) / self.height,
            math.exp(x[2]) * self.anchors[n][0] / self.width,
            math.exp(x[3]) * self.anchors[n][1] / self.height,
        )

    def move_box(self, truth: Box, n: int, j: int, i: int, scale: float) -> float:
        x, delta = self.out[n, j, i], self.delta[n, j, i]
        for axis, (cell, length) in enumerate(((i, self.width), (j, self.height))):
            offset = logistic(x[axis])
            goal = truth[axis] * length - cell
            delta[axis] = scale * (goal - offset) * offset * (1 - offset)
            size = math.log(truth[axis + 2] * length / self.anchors[n][axis])
            delta[axis + 2] = scale * (size - x[axis + 2])
        return box_iou(self.box(n, j, i), truth)

    def move_classes(self, n: int, j: int, i: int, class_id: int, scale: float) -> None:
        x, delta = self.out[n, j, i], self.delta[n, j, i]
        self.category += self.chain(x[5:], class_id)
        self.class_count += 1
        while self.parents and class_id >= 0:
            for c in self.group(class_id):
                delta[5 + c] = scale * ((c == class_id) - x[5 + c])
            class_id = self.parents[class_id]
        if self.parents:
            return
        factor = 1.0
        if self.keys.get("focal_loss"):
            p = x[5 + class_id] + 1e-15
            factor = 0.5 * -(1 - p) * (2 * p * math.log(p) + p - 1)
        for c in range(self.classes):
            delta[5 + c] = scale * ((c == class_id) - x[5 + c]) * factor

    def every_cell(self, truths: Sequence[Sequence[float]], seen: int) -> None:
        keys = self.keys
        for (n, j, i), x in self.out.items():
            best, best_class = 0.0, -1
            for truth in truths:
                if int(truth[4]) >= self.classes:
                    continue
                if not truth[0]:
                    break
                iou = box_iou(self.box(n, j, i), (truth[0], truth[1], truth[2], truth[3]))
                if iou > best:
                    best, best_class = iou, int(truth[4])
            self.anywhere += x[4]
            delta, slope = self.delta[n, j, i], x[4] * (1 - x[4])
            noobject = keys.get("noobject_scale", 1)
            delta[4] = noobject * (0 - x[4]) * slope
            if keys.get("classfix") == -1:
                delta[4] = noobject * (best - x[4]) * slope
            elif best > keys.get("thresh", 0.5):
                delta[4] = 0.0
                if keys.get("classfix", 0) > 0:
                    sure = x[4] if keys["classfix"] == 2 else 1
                    self.move_classes(n, j, i, best_class, keys.get("class_scale", 1) * sure)
            if seen < 12800:
                w, h = self.anchors[n]
                drawn = ((i + 0.5) / self.width, (j + 0.5) / self.height)
                self.move_box((*drawn, w / self.width, h / self.height), n, j, i, 0.01)

    def every_truth(self, truths: Sequence[Sequence[float]]) -> None:
        for row in truths:
            class_id, truth = int(row[4]), (row[0], row[1], row[2], row[3])
            if class_id >= self.classes:
                continue
            if not truth[0]:
                break
            i = min(int(truth[0] * self.width), self.width - 1)
            j = min(int(truth[1] * self.height), self.height - 1)
            best, best_n = 0.0, 0
            for n, (w, h) in enumerate(self.anchors):
                size = (w / self.width, h / self.height)
                if not self.keys.get("bias_match"):
                    size = self.box(n, j, i)[2:]
                iou = box_iou((0, 0, *size), (0, 0, *truth[2:]))
                if iou > best:
                    best, best_n = iou, n
            self.hold(truth, class_id, best_n, j, i)

    def hold(self, truth: Box, class_id: int, n: int, j: int, i: int) -> None:
        keys, x = self.keys, self.out[n, j, i]
        iou = self.move_box(truth, n, j, i, keys.get("coord_scale", 1))
        goal = iou if keys.get("rescore") else 1
        weight = self.weights[class_id]
        scale = keys.get("object_scale", 1) * weight
        self.delta[n, j, i][4] = scale * (goal - x[4]) * x[4] * (1 - x[4])
        self.move_classes(n, j, i, class_id, keys.get("class_scale", 1) * weight)
        self.recall += iou > 0.5
        self.iou += iou
        self.objectness += x[4]
        self.count += 1
