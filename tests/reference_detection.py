"""`[detection]` as Darknet computes it, one number after the other: slow, plain, double precision.

A truth is (cx, cy, w, h, class_id); an image's input is the list of its numbers.
"""

import math
from collections.abc import Mapping, Sequence

from tests.reference_iou import Box
from tests.reference_region import box_iou, logistic, softmax


def fill_truth(
    truths: Sequence[Sequence[float]], grid: tuple[int, int], classes: int
) -> dict[int, tuple[Box, list[float], int]]:
    """Return box within the cell, one-hot class and class_id of each cell that holds an object."""
    cells: dict[int, tuple[Box, list[float], int]] = {}
    for x, y, w, h, class_id in truths:
        if w < 0.001 or h < 0.001:
            continue
        column = min(int(x * grid[0]), grid[0] - 1)
        row = min(int(y * grid[1]), grid[1] - 1)
        cell = column + row * grid[0]
        if cell in cells:
            continue
        one_hot = [float(c == class_id) for c in range(classes)]
        cells[cell] = ((x * grid[0] - column, y * grid[1] - row, w, h), one_hot, int(class_id))
    return cells


class ReferenceDetection:
    """One image through the head: `delta` in the order of the input, and the sums of the line.

    `choose(cell)` says which box learns where the keys leave it to chance.
    """

    def __init__(
        self,
        raw: Sequence[float],
        grid: tuple[int, int],
        num: int,
        classes: int,
        keys: Mapping[str, float],
    ) -> None:
        self.keys, self.grid, self.num, self.classes = keys, grid, num, classes
        self.cells = grid[0] * grid[1]
        self.out = list(raw)
        if keys.get("softmax"):
            for cell in range(self.cells):
                at = slice(cell * classes, (cell + 1) * classes)
                self.out[at] = softmax(self.out[at])
        if keys.get("bce"):
            for p in range(self.cells * classes, self.cells * (classes + num)):
                self.out[p] = logistic(self.out[p])
        self.delta = [0.0] * len(self.out)
        self.iou = self.category = self.categories = self.objectness = self.anywhere = 0.0
        self.count = 0

    def place(self, cell: int, j: int) -> tuple[int, int]:
        """Return where the confidence and the box of a cell's j-th predictor stand."""
        p = self.cells * self.classes + cell * self.num + j
        return p, self.cells * (self.classes + self.num) + (cell * self.num + j) * 4

    def box(self, cell: int, j: int) -> Box:
        x, y, w, h = self.out[self.place(cell, j)[1] :][:4]
        if self.keys.get("sqrt"):
            w, h = w * w, h * h
        return x / self.grid[0], y / self.grid[1], w, h

    def choose(self, cell: int, truth: Box) -> int:
        best, best_iou, best_rmse = -1, 0.0, 20.0
        for j in range(self.num):
            out = self.box(cell, j)
            iou = box_iou(out, truth)
            rmse = math.sqrt(sum((a - b) ** 2 for a, b in zip(out, truth, strict=True)))
            if best_iou > 0 or iou > 0:
                if iou > best_iou:
                    best, best_iou = j, iou
            elif rmse < best_rmse:
                best, best_rmse = j, rmse
        if self.keys.get("forced"):
            best = 1 if truth[2] * truth[3] < 0.1 else 0
        return best

    def learn(
        self,
        truths: Sequence[Sequence[float]],
        weights: Sequence[float],
        chance: Mapping[int, int] | None = None,
    ) -> None:
        told = fill_truth(truths, self.grid, self.classes)
        for cell in range(self.cells):
            for j in range(self.num):
                p = self.place(cell, j)[0]
                self.delta[p] = self.keys.get("noobject_scale", 1) * (0 - self.out[p])
                self.anywhere += self.out[p]
            if cell in told:
                box, one_hot, class_id = told[cell]
                weight = weights[class_id] if class_id < self.classes else 1.0
                self.learn_classes(cell, one_hot, weight)
                truth = (box[0] / self.grid[0], box[1] / self.grid[1], box[2], box[3])
                best = self.choose(cell, truth) if chance is None else chance[cell]
                self.learn_box(cell, best, box, weight)

    def learn_classes(self, cell: int, one_hot: Sequence[float], weight: float) -> None:
        for c, goal in enumerate(one_hot):
            at = cell * self.classes + c
            self.delta[at] = self.keys.get("class_scale", 1) * weight * (goal - self.out[at])
            self.category += goal * self.out[at]
            self.categories += self.out[at]

    def learn_box(self, cell: int, j: int, goal: Box, weight: float) -> None:
        p, at = self.place(cell, j)
        truth = (goal[0] / self.grid[0], goal[1] / self.grid[1], goal[2], goal[3])
        iou = box_iou(self.box(cell, j), truth)
        wanted = iou if self.keys.get("rescore") else 1
        self.delta[p] = self.keys.get("object_scale", 1) * weight * (wanted - self.out[p])
        for entry, value in enumerate(goal):
            if self.keys.get("sqrt") and entry > 1:
                value = math.sqrt(value)
            self.delta[at + entry] = self.keys.get("coord_scale", 1) * (
                value - self.out[at + entry]
            )
        self.iou += iou
        self.objectness += self.out[p]
        self.count += 1
