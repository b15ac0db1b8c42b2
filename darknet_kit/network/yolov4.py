"""YOLOv4 (Bochkovskiy, Wang and Liao, 2020) and its tiny version (Wang et al., 2020)."""

from darknet_kit.network.draft import (
    Draft,
    alternate,
    conv,
    format_anchors,
    maxpool,
    predict,
    residual,
    route,
    upsample,
)
from darknet_kit.network.heads import head_filters
from darknet_kit.network.yolov3 import TINY_ANCHORS

_ANCHORS = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip


def build_yolov4(draft: Draft, classes: int) -> None:
    """Add CSPDarknet-53, spatial pyramid pooling, a path aggregation neck and three heads."""
    draft.title("backbone: CSPDarknet-53")
    conv(draft, 32, 3, activation="mish")
    _csp_stage(draft, 64, blocks=1, split=False)
    _csp_stage(draft, 128, blocks=2)
    fine = _csp_stage(draft, 256, blocks=8)
    middle = _csp_stage(draft, 512, blocks=8)
    _csp_stage(draft, 1024, blocks=4)

    draft.title("neck: spatial pyramid pooling")
    alternate(draft, 512, 3)
    _pyramid_pooling(draft)
    coarse = alternate(draft, 512, 3)

    draft.title("neck: from coarse to fine")
    middle = _finer(draft, coarse, 256, middle)
    fine = _finer(draft, middle, 128, fine)

    draft.title("head for small objects: one cell is 8 pixels")
    _head(draft, classes, 256, mask="0,1,2", scale_x_y="1.2")

    draft.title("back to coarse, and the head for medium objects: 16 pixels")
    middle = _coarser(draft, fine, 256, middle)
    _head(draft, classes, 512, mask="3,4,5", scale_x_y="1.1")

    draft.title("back to coarse, and the head for large objects: 32 pixels")
    _coarser(draft, middle, 512, coarse)
    _head(draft, classes, 1024, mask="6,7,8", scale_x_y="1.05", random=1)


def _csp_stage(draft: Draft, filters: int, blocks: int, *, split: bool = True) -> int:
    """Halve the image; half of the channels pass by the residual blocks, then both are joined.

    The first stage does not split: both ways have all channels.
    """
    inner = filters // 2 if split else filters
    draft.note("downsample")
    down = conv(draft, filters, 3, stride=2, activation="mish")
    bypass = conv(draft, inner, 1, activation="mish")
    route(draft, down)
    conv(draft, inner, 1, activation="mish")
    for _ in range(blocks):
        residual(draft, inner if split else inner // 2, inner, "mish")
    deep = conv(draft, inner, 1, activation="mish")
    route(draft, deep, bypass)
    return conv(draft, filters, 1, activation="mish")


def _pyramid_pooling(draft: Draft) -> int:
    """Stack what came in with its maxima over windows of 5, 9 and 13 cells."""
    entry = draft.last
    small = maxpool(draft, 5, 1)
    route(draft, entry)
    medium = maxpool(draft, 9, 1)
    route(draft, entry)
    large = maxpool(draft, 13, 1)
    return route(draft, large, medium, small, entry)


def _finer(draft: Draft, neck: int, narrow: int, lateral: int) -> int:
    """Carry a neck to the next finer scale and join it with the backbone there."""
    if draft.last != neck:
        route(draft, neck)
    conv(draft, narrow, 1)
    larger = upsample(draft)
    route(draft, lateral)
    beside = conv(draft, narrow, 1)
    route(draft, beside, larger)
    return alternate(draft, narrow, 5)


def _coarser(draft: Draft, neck: int, narrow: int, lateral: int) -> int:
    """Carry a neck to the next coarser scale and join it with the neck there."""
    route(draft, neck)
    smaller = conv(draft, narrow, 3, stride=2)
    route(draft, smaller, lateral)
    return alternate(draft, narrow, 5)


def _head(draft: Draft, classes: int, filters: int, mask: str, **values: object) -> None:
    conv(draft, filters, 3)
    predict(draft, head_filters("yolo", classes, 3))
    draft.add(
        "yolo",
        mask=mask,
        anchors=format_anchors(_ANCHORS),
        classes=classes,
        num=len(_ANCHORS),
        jitter=".3",
        ignore_thresh=".7",
        truth_thresh=1,
        iou_thresh="0.213",
        cls_normalizer="1.0",
        iou_normalizer="0.07",
        iou_loss="ciou",
        nms_kind="greedynms",
        beta_nms="0.6",
        max_delta=5,
        **values,
    )


def build_yolov4_tiny(draft: Draft, classes: int) -> None:
    """Add three CSP stages that split by channel groups, and two heads."""
    draft.title("backbone: CSPDarknet-53 tiny")
    conv(draft, 32, 3, stride=2)
    conv(draft, 64, 3, stride=2)
    _tiny_stage(draft, 64)
    _tiny_stage(draft, 128)
    lateral = _tiny_stage(draft, 256)
    conv(draft, 512, 3)

    draft.title("head for large objects: one cell is 32 pixels")
    neck = conv(draft, 256, 1)
    conv(draft, 512, 3)
    _tiny_head(draft, classes, "3,4,5")

    draft.title("head for smaller objects: 16 pixels")
    route(draft, neck)
    conv(draft, 128, 1)
    larger = upsample(draft)
    route(draft, larger, lateral)
    conv(draft, 256, 3)
    _tiny_head(
        draft,
        classes,
        "0,1,2",
        note="the weights published for 80 classes were trained with mask=1,2,3 here",
    )


def _tiny_stage(draft: Draft, filters: int) -> int:
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


def _tiny_head(draft: Draft, classes: int, mask: str, note: str = "") -> None:
    predict(draft, head_filters("yolo", classes, 3))
    if note:
        draft.note(note)
    draft.add(
        "yolo",
        mask=mask,
        anchors=format_anchors(TINY_ANCHORS),
        classes=classes,
        num=len(TINY_ANCHORS),
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
