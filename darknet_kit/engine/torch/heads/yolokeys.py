"""What a `[yolo]` section says, with Darknet's defaults (AlexeyAB `src/parser.c`, `parse_yolo`)."""

import math
from dataclasses import dataclass
from typing import Any

from darknet_kit.engine.torch.heads.boxes import IouKind
from darknet_kit.engine.torch.heads.keys import (
    choose,
    read_anchor_sizes,
    read_class_weights,
    require_channels,
)
from darknet_kit.engine.torch.site import Site

_MOST_ANCHORS = 1000
_KINDS = {kind.value: kind for kind in IouKind}
_LOSSES: dict[str, IouKind | None] = {"mse": None, **_KINDS}


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of a section (width, height in pixels), and those that this head uses.

    `mask` holds 0-based numbers into `all`; a truth goes to the best of all, here or elsewhere.
    """

    all: tuple[tuple[float, float], ...]
    mask: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnchoredKeys:
    """The keys that `[yolo]` and `[Gaussian_yolo]` share; the names are Darknet's.

    `iou_loss` is None for `mse`. `class_weights` come from `counters_per_class`, else None.
    """

    anchors: Anchors
    max: int
    iou_loss: IouKind | None
    iou_normalizer: float
    obj_normalizer: float
    cls_normalizer: float
    delta_normalizer: float
    scale_x_y: float
    ignore_thresh: float
    truth_thresh: float
    iou_thresh: float
    iou_thresh_kind: IouKind
    objectness_smooth: bool
    label_smooth_eps: float
    max_delta: float
    class_weights: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class YoloKeys(AnchoredKeys):
    """The keys that say how a `[yolo]` head learns.

    `softmax` is `dkit_class_loss=ce`, `squared_objectness` is `dkit_obj_loss=mse`.
    """

    new_coords: bool
    focal_loss: bool
    show_details: bool
    softmax: bool
    squared_objectness: bool


def read_yolo_keys(site: Site, classes: int) -> YoloKeys:
    """Read a section. Raises CfgError where Darknet would stop or take another value silently."""
    section = site.section
    keys = YoloKeys(
        **read_anchored_keys(site, classes),
        new_coords=bool(section.integer("new_coords")),
        focal_loss=bool(section.integer("focal_loss")),
        show_details=bool(section.integer("show_details", 1)),
        softmax=choose(site, "dkit_class_loss", "bce", {"bce": False, "ce": True}),
        squared_objectness=choose(site, "dkit_obj_loss", "bce", {"bce": False, "mse": True}),
    )
    if keys.softmax and (keys.new_coords or keys.focal_loss):
        other = "new_coords" if keys.new_coords else "focal_loss"
        raise site.error(
            f"has dkit_class_loss=ce and {other}=1, which exclude each other",
            "bad-value",
            key="dkit_class_loss",
            hint="Delete one of the two.",
        )
    return keys


def read_anchored_keys(site: Site, classes: int) -> dict[str, Any]:
    """Return the fields of `AnchoredKeys` by their names. Raises CfgError."""
    section, anchors = site.section, _read_anchors(site)
    require_channels(site, classes, len(anchors.mask))
    max_delta = section.number("max_delta", math.inf)
    return {
        "anchors": anchors,
        "max": max(0, section.integer("max", 200)),
        "iou_loss": choose(site, "iou_loss", "mse", _LOSSES),
        "iou_normalizer": section.number("iou_normalizer", 0.75),
        "obj_normalizer": section.number("obj_normalizer", 1.0),
        "cls_normalizer": section.number("cls_normalizer", 1.0),
        "delta_normalizer": section.number("delta_normalizer", 1.0),
        "scale_x_y": section.number("scale_x_y", 1.0),
        "ignore_thresh": section.number("ignore_thresh", 0.5),
        "truth_thresh": section.number("truth_thresh", 1.0),
        "iou_thresh": section.number("iou_thresh", 1.0),
        "iou_thresh_kind": choose(site, "iou_thresh_kind", "iou", _KINDS),
        "objectness_smooth": bool(section.integer("objectness_smooth")),
        "label_smooth_eps": section.number("label_smooth_eps", 0.0),
        "max_delta": max_delta,
        "class_weights": read_class_weights(site, classes, max_delta),
    }


def _read_anchors(site: Site) -> Anchors:
    """Read `num`, `anchors` and `mask`.

    Raises CfgError for a mask that names an anchor that does not exist, or one twice.
    """
    num = site.section.integer("num", 1)
    if num > _MOST_ANCHORS:
        raise site.error(f"has num={num}: no head has so many anchors", "bad-anchors", key="num")
    mask = site.section.integers("mask") or tuple(range(num))
    if not mask or not all(0 <= number < num for number in mask) or len(set(mask)) < len(mask):
        raise site.error(
            f"has mask={','.join(map(str, mask))}, and {num} anchors to choose from",
            "bad-mask",
            key="mask",
            hint="A mask holds different whole numbers from 0 to num - 1.",
        )
    return Anchors(read_anchor_sizes(site, num), mask)
