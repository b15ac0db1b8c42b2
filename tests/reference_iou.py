"""Overlaps of two boxes and Darknet's steps, one pair at a time, in double precision.

Written from the order in which AlexeyAB's `src/box.c` (`box_iou_kind`, `dx_box_iou`) does things.
"""

import math

Box = tuple[float, float, float, float]


def edges(box: Box) -> tuple[float, float, float, float]:
    """Return top, bottom, left, right."""
    x, y, w, h = box
    return y - h / 2, y + h / 2, x - w / 2, x + w / 2


def areas(a: Box, b: Box) -> tuple[float, float]:
    """Return what two boxes share, and what they cover."""
    at, ab, al, ar = edges(a)
    bt, bb, bl, br = edges(b)
    w, h = min(ar, br) - max(al, bl), min(ab, bb) - max(at, bt)
    shared = w * h if w > 0 and h > 0 else 0.0
    return shared, a[2] * a[3] + b[2] * b[3] - shared


def hull(a: Box, b: Box) -> tuple[float, float]:
    at, ab, al, ar = edges(a)
    bt, bb, bl, br = edges(b)
    return max(ar, br) - min(al, bl), max(ab, bb) - min(at, bt)


def overlap(kind: str, a: Box, b: Box) -> float:
    shared, covered = areas(a, b)
    iou = shared / covered if shared and covered else 0.0
    width, height = hull(a, b)
    if kind == "giou":
        around = width * height
        return iou if around == 0 else iou - (around - covered) / around
    diagonal = width**2 + height**2
    if kind in ("iou", "mse") or diagonal == 0:
        return iou
    distance = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / diagonal
    if kind == "diou":
        return float(iou - distance**0.6)
    v = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return float(iou - distance - v * v / (1 - iou + v + 1e-6))


def gradient(kind: str, box: Box, truth: Box) -> list[float]:
    """Return Darknet's step of x, y, w, h, before the exponentials of w and h."""
    box = (box[0], box[1], box[2] or 1.0, box[3] or 1.0)
    t, b, left, right = edges(box)
    tt, tb, tl, tr = edges(truth)
    area, truth_area = (b - t) * (right - left), (tb - tt) * (tr - tl)
    ih, iw = min(b, tb) - max(t, tt), min(right, tr) - max(left, tl)
    i = iw * ih
    u = area + truth_area - i
    cw, ch = max(right, tr) - min(left, tl), max(b, tb) - min(t, tt)
    c = cw * ch
    # By edge: top, bottom, left, right.
    d_area = [-(right - left), right - left, -(b - t), b - t]
    d_i = [-iw if t > tt else 0.0, iw if b < tb else 0.0]
    d_i += [-ih if left > tl else 0.0, ih if right < tr else 0.0]
    d_u = [x - y for x, y in zip(d_area, d_i, strict=True)]
    d_c = [-cw if t < tt else 0.0, cw if b > tb else 0.0]
    d_c += [-ch if left < tl else 0.0, ch if right > tr else 0.0]
    p = [(u * di - i * du) / u**2 if u > 0 else 0.0 for di, du in zip(d_i, d_u, strict=True)]
    apart = iw <= 0 or ih <= 0
    if kind == "giou":
        extra = [(c * du - u * dc) / c**2 for du, dc in zip(d_u, d_c, strict=True)]
        p = extra if apart else [x + y for x, y in zip(p, extra, strict=True)]
    step = [p[2] + p[3], p[0] + p[1], p[3] - p[2], p[1] - p[0]]
    if kind in ("diou", "ciou"):
        extra = distance_gradient(kind, box, truth, i / u, (cw, ch))
        step = extra if apart else [x + y for x, y in zip(step, extra, strict=True)]
    return step


def distance_gradient(
    kind: str, box: Box, truth: Box, iou: float, around: tuple[float, float]
) -> list[float]:
    """Return what the distance of the centres adds, and the ratio of the sides for CIoU."""
    t, b, left, right = edges(box)
    tt, tb, tl, tr = edges(truth)
    (cw, ch), c = around, around[0] ** 2 + around[1] ** 2
    s = (box[0] - truth[0]) ** 2 + (box[1] - truth[1]) ** 2
    dcw_dx, dch_dy = (right > tr) - (left < tl), (b > tb) - (t < tt)
    dcw_dw, dch_dh = ((right > tr) + (left < tl)) / 2, ((b > tb) + (t < tt)) / 2
    step = [
        (2 * (truth[0] - box[0]) * c - 2 * cw * dcw_dx * s) / c**2,
        (2 * (truth[1] - box[1]) * c - 2 * ch * dch_dy * s) / c**2,
        2 * cw * dcw_dw * s / c**2,
        2 * ch * dch_dh * s / c**2,
    ]
    if kind == "ciou":
        gap = math.atan(truth[2] / truth[3]) - math.atan(box[2] / box[3])
        v = 4 / math.pi**2 * gap**2
        alpha = v / (1 - iou + v + 1e-6)
        step[2] += alpha * 8 / math.pi**2 * gap * box[3]
        step[3] -= alpha * 8 / math.pi**2 * gap * box[2]
    return step
