"""What a `[Gaussian_yolo]` section says, with Darknet's defaults (`parse_gaussian_yolo`)."""

import math
from dataclasses import dataclass

from darknet_kit.engine.torch.heads.boxes import IouKind
from darknet_kit.engine.torch.heads.yolokeys import (
    Anchors,
    choose,
    read_anchors,
    read_class_weights,
)
from darknet_kit.engine.torch.site import Site
from darknet_kit.network.heads import head_filters

_KINDS = {kind.value: kind for kind in IouKind}
# In half widths from the centre of a box to the point that its cell holds.
_POINTS = {"center": 0.0, "left_top": -1.0, "right_bottom": 1.0}


@dataclass(frozen=True, slots=True)
class GaussianKeys:
    """The keys that say how a head learns; the names are Darknet's.

    `iou_loss` is None for `mse`. `class_weights` come from `counters_per_class`, else None.
    `point` is `yolo_point`: -1 the left upper corner of a box, 0 its centre, 1 the other corner.
    """

    anchors: Anchors
    max: int
    iou_loss: IouKind | None
    iou_normalizer: float
    obj_normalizer: float
    cls_normalizer: float
    uc_normalizer: float
    delta_normalizer: float
    scale_x_y: float
    ignore_thresh: float
    truth_thresh: float
    iou_thresh: float
    iou_thresh_kind: IouKind
    objectness_smooth: bool
    label_smooth_eps: float
    max_delta: float
    point: float
    class_weights: tuple[float, ...] | None


def read_gaussian_keys(site: Site, classes: int) -> GaussianKeys:
    """Read a section. Raises CfgError where Darknet would stop or take another value silently."""
    section = site.section
    anchors = read_anchors(site)
    expected = head_filters("Gaussian_yolo", classes, len(anchors.mask))
    if classes < 1 or site.layer.input.channels != expected:
        raise site.error(
            f"gets {site.layer.input.channels} channels, not {expected}: "
            "(classes + 9) for each anchor in its mask",
            "wrong-filters",
            key="classes",
            hint=f"Set filters={expected} before it, or correct classes and mask.",
        )
    if section.find("map") is not None:
        raise site.error(
            "has map=, which the embedded engine does not have", "unsupported-key", key="map"
        )
    losses: dict[str, IouKind | None] = {"mse": None, **_KINDS}
    max_delta = section.number("max_delta", math.inf)
    return GaussianKeys(
        anchors=anchors,
        max=max(0, section.integer("max", 200)),
        iou_loss=choose(site, "iou_loss", "mse", losses),
        iou_normalizer=section.number("iou_normalizer", 0.75),
        obj_normalizer=section.number("obj_normalizer", 1.0),
        cls_normalizer=section.number("cls_normalizer", 1.0),
        uc_normalizer=section.number("uc_normalizer", 1.0),
        delta_normalizer=section.number("delta_normalizer", 1.0),
        scale_x_y=section.number("scale_x_y", 1.0),
        ignore_thresh=section.number("ignore_thresh", 0.5),
        truth_thresh=section.number("truth_thresh", 1.0),
        iou_thresh=section.number("iou_thresh", 1.0),
        iou_thresh_kind=choose(site, "iou_thresh_kind", "iou", _KINDS),
        objectness_smooth=bool(section.integer("objectness_smooth")),
        label_smooth_eps=section.number("label_smooth_eps", 0.0),
        max_delta=max_delta,
        point=choose(site, "yolo_point", "center", _POINTS),
        class_weights=read_class_weights(site, classes, max_delta),
    )
