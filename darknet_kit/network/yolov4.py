"""YOLOv4 (Bochkovskiy, Wang and Liao, 2020)."""

from darknet_kit.network.draft import (
    Draft,
    alternate,
    conv,
    format_anchors,
    pool_pyramid,
    predict,
    residual,
    route,
    upsample,
)
from darknet_kit.network.heads import head_filters

ANCHORS = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip


def build_yolov4(draft: Draft, classes: int) -> None:
    """Add CSPDarknet-53, spatial pyramid pooling, a path aggregation neck and three heads."""
    draft.title("backbone: CSPDarknet-53")
    conv(draft, 32, 3, activation="mish")
    csp_stage(draft, 64, blocks=1, split=False)
    csp_stage(draft, 128, blocks=2)
    fine = csp_stage(draft, 256, blocks=8)
    middle = csp_stage(draft, 512, blocks=8)
    csp_stage(draft, 1024, blocks=4)

    draft.title("neck: spatial pyramid pooling")
    alternate(draft, 512, 3)
    entry = draft.last
    small, medium, large = pool_pyramid(draft)
    route(draft, large, medium, small, entry)
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


def csp_stage(draft: Draft, filters: int, blocks: int, *, split: bool = True) -> int:
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
        anchors=format_anchors(ANCHORS),
        classes=classes,
        num=len(ANCHORS),
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
