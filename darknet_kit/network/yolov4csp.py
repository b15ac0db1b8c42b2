"""Scaled-YOLOv4: yolov4-csp and yolov4x-mish (Wang, Bochkovskiy and Liao, 2020).

CSP blocks in the neck as well, and heads whose outputs need no activation of their own
(`new_coords`): the convolution before them ends in a logistic one.
"""

from darknet_kit.network.draft import (
    Draft,
    conv,
    format_anchors,
    pool_pyramid,
    predict,
    residual,
    route,
    upsample,
)
from darknet_kit.network.heads import head_filters
from darknet_kit.network.yolov4 import ANCHORS, csp_stage


def build_yolov4_csp(draft: Draft, classes: int) -> None:
    """Add CSPDarknet-53, a CSP neck and three heads."""
    _build(draft, classes, width=64, blocks=(2, 8, 8, 4), pairs=2)


def build_yolov4x_mish(draft: Draft, classes: int) -> None:
    """Add the network of yolov4-csp, a quarter wider and deeper."""
    _build(draft, classes, width=80, blocks=(3, 10, 10, 5), pairs=3)


def _build(
    draft: Draft, classes: int, width: int, blocks: tuple[int, int, int, int], pairs: int
) -> None:
    """Add the whole network: `width` channels at half size, `pairs` convolutions in each neck."""
    draft.title("backbone: CSPDarknet")
    conv(draft, 32, 3, activation="mish")
    draft.note("downsample")
    conv(draft, width, 3, stride=2, activation="mish")
    residual(draft, width // 2, width, "mish")
    csp_stage(draft, 2 * width, blocks[0])
    fine = csp_stage(draft, 4 * width, blocks[1])
    middle = csp_stage(draft, 8 * width, blocks[2])
    csp_stage(draft, 16 * width, blocks[3])

    draft.title("neck: spatial pyramid pooling")
    coarse = _pool(draft, 8 * width, pairs - 1)

    draft.title("neck: from coarse to fine")
    middle = _finer(draft, 4 * width, middle, pairs)
    fine = _finer(draft, 2 * width, fine, pairs)

    draft.title("head for small objects: one cell is 8 pixels")
    _head(draft, classes, 4 * width, "0,1,2", objectness_smooth=0, obj_normalizer="4.0")

    draft.title("back to coarse, and the head for medium objects: 16 pixels")
    middle = _coarser(draft, fine, 4 * width, middle, pairs)
    _head(draft, classes, 8 * width, "3,4,5", objectness_smooth=1, obj_normalizer="1.0")

    draft.title("back to coarse, and the head for large objects: 32 pixels")
    _coarser(draft, middle, 8 * width, coarse, pairs)
    _head(draft, classes, 16 * width, "6,7,8", objectness_smooth=1, obj_normalizer="0.4")


def _pool(draft: Draft, filters: int, pairs: int) -> int:
    """Pool one half over several windows, let the other pass by, join both."""
    entry = draft.last
    bypass = conv(draft, filters, 1, activation="mish")
    route(draft, entry)
    conv(draft, filters, 1, activation="mish")
    conv(draft, filters, 3, activation="mish")
    middle = conv(draft, filters, 1, activation="mish")
    small, medium, large = pool_pyramid(draft)
    route(draft, large, medium, small, middle)
    deep = _refine(draft, filters, pairs)
    route(draft, deep, bypass)
    return conv(draft, filters, 1, activation="mish")


def _refine(draft: Draft, filters: int, pairs: int) -> int:
    """Add convolutions in turn, 1x1 and 3x3."""
    last = draft.last
    for _ in range(pairs):
        conv(draft, filters, 1, activation="mish")
        last = conv(draft, filters, 3, activation="mish")
    return last


def _csp_neck(draft: Draft, filters: int, pairs: int) -> int:
    """Refine one half without shortcuts, let the other pass by, join both."""
    entry = conv(draft, filters, 1, activation="mish")
    bypass = conv(draft, filters, 1, activation="mish")
    route(draft, entry)
    deep = _refine(draft, filters, pairs)
    route(draft, deep, bypass)
    return conv(draft, filters, 1, activation="mish")


def _finer(draft: Draft, filters: int, lateral: int, pairs: int) -> int:
    """Carry the last neck to the next finer scale and join it with the backbone there."""
    conv(draft, filters, 1, activation="mish")
    larger = upsample(draft)
    route(draft, lateral)
    beside = conv(draft, filters, 1, activation="mish")
    route(draft, beside, larger)
    return _csp_neck(draft, filters, pairs)


def _coarser(draft: Draft, neck: int, filters: int, lateral: int, pairs: int) -> int:
    """Carry a neck to the next coarser scale and join it with the neck there."""
    route(draft, neck)
    smaller = conv(draft, filters, 3, stride=2, activation="mish")
    route(draft, smaller, lateral)
    return _csp_neck(draft, filters, pairs)


def _head(draft: Draft, classes: int, filters: int, mask: str, **values: object) -> None:
    conv(draft, filters, 3, activation="mish")
    add_scaled_head(draft, classes, mask, ANCHORS, max_delta=2 if mask == "6,7,8" else 5, **values)


def add_scaled_head(
    draft: Draft, classes: int, mask: str, anchors: tuple[tuple[int, int], ...], **values: object
) -> None:
    """Add a head with `new_coords`, and its convolution with logistic outputs."""
    predict(draft, head_filters("yolo", classes, 3), activation="logistic")
    draft.add(
        "yolo",
        mask=mask,
        anchors=format_anchors(anchors),
        classes=classes,
        num=len(anchors),
        jitter=".1",
        scale_x_y="2.0",
        ignore_thresh=".7",
        truth_thresh=1,
        resize="1.5",
        iou_thresh="0.2",
        iou_normalizer="0.05",
        cls_normalizer="0.5",
        iou_loss="ciou",
        nms_kind="diounms",
        beta_nms="0.6",
        new_coords=1,
        **values,
    )
