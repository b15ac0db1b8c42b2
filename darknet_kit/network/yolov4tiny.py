"""YOLOv4-tiny with two heads and with three (Wang, Bochkovskiy and Liao, 2020)."""

from collections.abc import Sequence

from darknet_kit.network.draft import (
    Draft,
    conv,
    format_anchors,
    maxpool,
    predict,
    route,
    upsample,
)
from darknet_kit.network.heads import head_filters
from darknet_kit.network.yolov3 import TINY_ANCHORS
from darknet_kit.network.yolov4 import ANCHORS


def build_yolov4_tiny(draft: Draft, classes: int) -> None:
    """Add three CSP stages that split by channel groups, and two heads."""
    _, lateral = _backbone(draft)
    draft.title("head for large objects: one cell is 32 pixels")
    neck = conv(draft, 256, 1)
    conv(draft, 512, 3)
    _head(draft, classes, "3,4,5", TINY_ANCHORS)

    draft.title("head for smaller objects: 16 pixels")
    _finer(draft, neck, 128, lateral)
    _head(
        draft,
        classes,
        "0,1,2",
        TINY_ANCHORS,
        note="the weights published for 80 classes were trained with mask=1,2,3 here",
    )


def build_yolov4_tiny_3l(draft: Draft, classes: int) -> None:
    """Add the backbone of yolov4-tiny and three heads; the third sees small objects."""
    fine, middle = _backbone(draft)
    draft.title("head for large objects: one cell is 32 pixels")
    neck = conv(draft, 256, 1)
    conv(draft, 512, 3)
    _head(draft, classes, "6,7,8", ANCHORS)

    draft.title("head for medium objects: 16 pixels")
    neck = _finer(draft, neck, 128, middle)
    _head(draft, classes, "3,4,5", ANCHORS)

    draft.title("head for small objects: 8 pixels")
    _finer(draft, neck, 64, fine)
    _head(draft, classes, "0,1,2", ANCHORS)


def _backbone(draft: Draft) -> tuple[int, int]:
    """Add the backbone; return what finer heads read from it, at 8 and at 16 pixels a cell."""
    draft.title("backbone: CSPDarknet-53 tiny")
    conv(draft, 32, 3, stride=2)
    conv(draft, 64, 3, stride=2)
    _stage(draft, 64)
    fine = _stage(draft, 128)
    middle = _stage(draft, 256)
    conv(draft, 512, 3)
    return fine, middle


def _stage(draft: Draft, filters: int) -> int:
    """Refine the second half of the channels, join both, halve the image.

    Returns the last layer before the image is halved that is not a mere route.
    """
    entry = conv(draft, filters, 3)
    draft.add("route", layers=draft.offset(entry), groups=2, group_id=1)
    first = conv(draft, filters // 2, 3)
    second = conv(draft, filters // 2, 3)
    route(draft, second, first)
    joined = conv(draft, filters, 1)
    route(draft, entry, joined)
    maxpool(draft, 2, 2)
    return joined


def _finer(draft: Draft, neck: int, narrow: int, lateral: int) -> int:
    """Carry a neck to the next finer scale and join it with the backbone there."""
    route(draft, neck)
    conv(draft, narrow, 1)
    larger = upsample(draft)
    route(draft, larger, lateral)
    return conv(draft, 2 * narrow, 3)


def _head(
    draft: Draft, classes: int, mask: str, anchors: Sequence[tuple[int, int]], note: str = ""
) -> None:
    predict(draft, head_filters("yolo", classes, 3))
    if note:
        draft.note(note)
    draft.add(
        "yolo",
        mask=mask,
        anchors=format_anchors(anchors),
        classes=classes,
        num=len(anchors),
        jitter=".3",
        scale_x_y="1.05",
        cls_normalizer="1.0",
        iou_normalizer="0.07",
        iou_loss="ciou",
        ignore_thresh=".7",
        truth_thresh=1,
        random=0,
        resize="1.5",
        nms_kind="greedynms",
        beta_nms="0.6",
    )
