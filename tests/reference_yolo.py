"""A `[yolo]` head, slowly: one cell, one anchor, one truth after another, in double precision.

Written from the order in which AlexeyAB's `src/yolo_layer.c` (`process_batch`) does things, so that
what the engine does all at once has something to be held to.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.reference_iou import Box, gradient, overlap

DEFAULTS: dict[str, Any] = {
    "iou_loss": "mse",
    "iou_thresh_kind": "iou",
    "iou_normalizer": 0.75,
    "obj_normalizer": 1.0,
    "cls_normalizer": 1.0,
    "scale_x_y": 1.0,
    "new_coords": 0,
    "ignore_thresh": 0.5,
    "truth_thresh": 1.0,
    "iou_thresh": 1.0,
    "objectness_smooth": 0,
    "label_smooth_eps": 0.0,
    "focal_loss": 0,
    "max_delta": math.inf,
    "show_details": 1,
    "max": 200,
    "dkit_class_loss": "bce",
    "dkit_obj_loss": "bce",
}


@dataclass
class Reference:
    """One head and what it has made of the images so far. Keys are those of the section."""

    keys: dict[str, Any]
    classes: int
    anchors: list[tuple[float, float]]
    mask: list[int]
    size: tuple[int, int]
    weights: list[float] | None = None
    ious: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    learnt: int = 0
    rewritten: int = 0
    present: dict[tuple[int, int, int], set[int]] = field(default_factory=dict)

    def key(self, name: str) -> Any:
        return self.keys.get(name, DEFAULTS[name])

    def weight(self, class_id: int) -> float:
        return self.weights[class_id] if self.weights else 1.0

    def activated(self, raw: np.ndarray) -> np.ndarray:
        """Return [B, A, 5 + C, H, W] in double precision, as the layer's output holds it."""
        out = raw.reshape(len(raw), len(self.mask), 5 + self.classes, *raw.shape[2:]).astype(float)
        if not self.key("new_coords"):
            probable = slice(4, 5 if self.key("dkit_class_loss") == "ce" else None)
            for entries in (slice(0, 2), probable):
                out[:, :, entries] = 1 / (1 + np.exp(-out[:, :, entries]))
        if self.key("dkit_class_loss") == "ce":
            grown = np.exp(out[:, :, 5:])
            out[:, :, 5:] = grown / grown.sum(axis=2, keepdims=True)
        stretch = self.key("scale_x_y")
        out[:, :, :2] = out[:, :, :2] * stretch - (stretch - 1) / 2
        return out

    def box(self, out: np.ndarray, a: int, i: int, j: int) -> Box:
        """Return the box of one cell; `out` is one image."""
        height, width = out.shape[2:]
        x, y, w, h = (float(value) for value in out[a, :4, j, i])
        pw, ph = self.anchors[self.mask[a]]
        w, h = (4 * w * w, 4 * h * h) if self.key("new_coords") else (math.exp(w), math.exp(h))
        return (i + x) / width, (j + y) / height, w * pw / self.size[0], h * ph / self.size[1]

    def delta(self, raw: np.ndarray, truths: np.ndarray) -> np.ndarray:
        """Return the delta of [B, A * (5 + C), H, W]."""
        out = self.activated(raw)
        delta = np.zeros_like(out)
        for image in range(len(raw)):
            self.learn_image(out[image], delta[image], truths[image])
        return delta.reshape(raw.shape)

    def cost(self, delta: np.ndarray) -> float:
        split = delta.reshape(len(delta), len(self.mask), 5 + self.classes, *delta.shape[2:])
        others = float((split[:, :, 4:] ** 2).sum())
        if self.key("iou_loss") == "mse" or not self.key("show_details"):
            return float((delta**2).sum())
        values = self.values if self.key("iou_loss") == "giou" else self.ious
        missing = sum(1 - value for value in values) / max(1, len(values))
        return float(self.key("iou_normalizer") * missing + self.key("obj_normalizer") * others)

    def learn_image(self, out: np.ndarray, delta: np.ndarray, rows: np.ndarray) -> None:
        truths: list[tuple[Box, int]] = []
        for x, y, w, h, class_id in rows[: self.key("max")].astype(float).tolist():
            if x == 0:
                break
            if 0 <= class_id < self.classes:
                truths.append(((x, y, w, h), int(class_id)))
        height, width = out.shape[2:]
        cells = [(a, i, j) for j in range(height) for i in range(width) for a in range(len(out))]
        for a, i, j in cells:
            self.present.clear()
            self.learn_absence(out, delta, a, i, j, truths)
        self.present.clear()
        for truth, class_id in truths:
            self.learn_truth(out, delta, truth, class_id)
        if self.key("iou_thresh") < 1:
            for a, i, j in cells:
                wanted = int((delta[a, 5:, j, i] > 0).sum())
                if delta[a, 4, j, i] != 0 and wanted:
                    delta[a, :4, j, i] /= wanted
        if self.key("dkit_obj_loss") == "mse" and not self.key("new_coords"):
            delta[:, 4] *= out[:, 4] * (1 - out[:, 4])

    def learn_absence(
        self,
        out: np.ndarray,
        delta: np.ndarray,
        a: int,
        i: int,
        j: int,
        truths: list[tuple[Box, int]],
    ) -> None:
        """Ask for no objectness, unless the box is good; learn from a box that is very good."""
        here, norm = self.box(out, a, i, j), self.key("obj_normalizer")
        objectness = out[a, 4, j, i]
        best, best_truth = 0.0, 0
        for number, (truth, _) in enumerate(truths):
            iou = overlap("iou", here, truth)
            if iou > best:
                best, best_truth = iou, number
        match = best if (out[a, 5:, j, i] > 0.25).any() else 0.0
        delta[a, 4, j, i] = -norm * objectness
        if match > self.key("ignore_thresh"):
            if self.key("objectness_smooth"):
                delta[a, 4, j, i] = max(delta[a, 4, j, i], norm * (match - objectness))
            else:
                delta[a, 4, j, i] = 0
        if best <= self.key("truth_thresh"):
            return
        smooth = self.key("objectness_smooth")
        delta[a, 4, j, i] = norm * ((best**2 if smooth else 1) - objectness)
        truth, class_id = truths[best_truth]
        self.learn_class(out, delta, a, i, j, class_id)
        if smooth and self.key("dkit_class_loss") == "bce":
            nearer = best**2 - out[a, 5 + class_id, j, i]
            delta[a, 5 + class_id, j, i] = self.weight(class_id) * nearer
        self.learn_box(out, delta, a, i, j, truth, class_id)

    def learn_truth(self, out: np.ndarray, delta: np.ndarray, truth: Box, class_id: int) -> None:
        height, width = out.shape[2:]
        i, j = min(int(truth[0] * width), width - 1), min(int(truth[1] * height), height - 1)
        shape = (0.0, 0.0, truth[2], truth[3])
        shapes = [(0.0, 0.0, w / self.size[0], h / self.size[1]) for w, h in self.anchors]
        best, best_n = 0.0, 0
        for n, anchor in enumerate(shapes):
            iou = overlap("iou", anchor, shape)
            if iou > best:
                best, best_n = iou, n
        chosen = [best_n]
        for n, anchor in enumerate(shapes):
            fits = overlap(self.key("iou_thresh_kind"), anchor, shape)
            if n != best_n and self.key("iou_thresh") < 1 and fits > self.key("iou_thresh"):
                chosen.append(n)
        for n in chosen:
            if n not in self.mask:
                continue
            a = self.mask.index(n)
            here = self.box(out, a, i, j)
            self.ious.append(overlap("iou", here, truth))
            self.values.append(overlap(self.key("iou_loss"), here, truth))
            self.learn_box(out, delta, a, i, j, truth, class_id)
            present = self.key("obj_normalizer") * (1 - out[a, 4, j, i])
            if not self.key("objectness_smooth") or delta[a, 4, j, i] == 0:
                delta[a, 4, j, i] = self.weight(class_id) * present
            self.learn_class(out, delta, a, i, j, class_id)

    def learn_class(
        self, out: np.ndarray, delta: np.ndarray, a: int, i: int, j: int, class_id: int
    ) -> None:
        p, step = out[a, 5:, j, i], delta[a, 5:, j, i]
        if self.key("dkit_class_loss") == "ce":
            self.learn_softmax(p, step, (a, i, j), class_id)
            return
        eps, weight = self.key("label_smooth_eps"), self.weight(class_id)
        if step[class_id] != 0:
            step[class_id] = weight * (1 - eps + eps / 2 - p[class_id])
            return
        wanted = np.zeros(self.classes)
        wanted[class_id] = 1
        if self.key("focal_loss"):
            q = p[class_id]
            step[:] = -0.5 * (1 - q) * (2 * q * math.log(q) + q - 1) * (wanted - p)
            return
        step[:] = wanted * (1 - eps) + eps / 2 - p
        if self.weights:
            step[class_id] *= weight * self.key("cls_normalizer")

    def learn_softmax(
        self, p: np.ndarray, step: np.ndarray, slot: tuple[int, int, int], class_id: int
    ) -> None:
        """Follow d/dz of the sum of w y log softmax(z), y shared by the classes of the slot."""
        present = self.present.setdefault(slot, set())
        present.add(class_id)
        eps = self.key("label_smooth_eps")
        y = np.full(self.classes, eps / self.classes)
        y[list(present)] += (1 - eps) / len(present)
        w = np.array(self.weights or [1.0] * self.classes)
        jacobian = np.eye(self.classes) - p[None]
        step[:] = self.key("cls_normalizer") * ((w * y)[:, None] * jacobian).sum(axis=0)

    def learn_box(
        self,
        out: np.ndarray,
        delta: np.ndarray,
        a: int,
        i: int,
        j: int,
        truth: Box,
        class_id: int,
    ) -> None:
        height, width = out.shape[2:]
        self.learnt += 1
        self.rewritten += bool(delta[a, :4, j, i].any())
        norm = self.key("iou_normalizer") * self.weight(class_id)
        x, y, w, h = truth
        if self.key("iou_loss") == "mse":
            ratios = [
                side * full / anchor
                for side, full, anchor in zip(
                    (w, h), self.size, self.anchors[self.mask[a]], strict=True
                )
            ]
            new = self.key("new_coords")
            sides = [math.sqrt(r / 4) if new else math.log(r) for r in ratios]
            target = np.array([x * width - i, y * height - j, *sides])
            delta[a, :4, j, i] += (2 - w * h) * norm * (target - out[a, :4, j, i])
            return
        step = gradient(self.key("iou_loss"), self.box(out, a, i, j), truth)
        if not self.key("new_coords"):
            step[2] *= math.exp(out[a, 2, j, i])
            step[3] *= math.exp(out[a, 3, j, i])
        limit = self.key("max_delta")
        delta[a, :4, j, i] += [min(max(one * norm, -limit), limit) for one in step]
