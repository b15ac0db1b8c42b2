"""YOLOv2 and its tiny version (Redmon and Farhadi, 2016).

One `[region]` head on a grid of 32 pixels. Its anchors are in cells, not in pixels.
"""

from darknet_kit.network.draft import (
    Draft,
    alternate,
    conv,
    format_anchors,
    maxpool,
    predict,
    route,
)
from darknet_kit.network.heads import head_filters

_ANCHORS = (
    (0.57273, 0.677385),
    (1.87446, 2.06253),
    (3.33843, 5.47434),
    (7.88282, 3.52778),
    (9.77052, 9.16828),
)


def build_yolov2(draft: Draft, classes: int) -> None:
    """Add Darknet-19, a finer layer folded into the coarse grid, and a head."""
    draft.title("backbone: Darknet-19")
    for filters in (32, 64):
        conv(draft, filters, 3)
        maxpool(draft, 2, 2)
    for filters, count in ((128, 3), (256, 3)):
        _stage(draft, filters, count)
        maxpool(draft, 2, 2)
    fine = _stage(draft, 512, 5)
    maxpool(draft, 2, 2)
    _stage(draft, 1024, 5)

    draft.title("head: one cell is 32 pixels")
    conv(draft, 1024, 3)
    deep = conv(draft, 1024, 3)
    route(draft, fine)
    conv(draft, 64, 1)
    folded = draft.add("reorg", stride=2)
    route(draft, folded, deep)
    conv(draft, 1024, 3)
    _head(draft, classes, jitter=".3", rescore=1)


def _stage(draft: Draft, filters: int, count: int) -> int:
    """Add convolutions in turn, 3x3 to `filters` channels and 1x1 to half as many."""
    conv(draft, filters, 3)
    return alternate(draft, filters // 2, count - 1)


def build_yolov2_tiny(draft: Draft, classes: int) -> None:
    """Add seven convolutions between poolings, and a head."""
    draft.title("backbone: convolutions and poolings")
    for filters in (16, 32, 64, 128, 256):
        conv(draft, filters, 3)
        maxpool(draft, 2, 2)
    conv(draft, 512, 3)
    maxpool(draft, 2, 1)
    conv(draft, 1024, 3)

    draft.title("head: one cell is 32 pixels")
    conv(draft, 512, 3)
    _head(draft, classes, jitter=".2", rescore=0)


def _head(draft: Draft, classes: int, jitter: str, rescore: int) -> None:
    predict(draft, head_filters("region", classes, len(_ANCHORS)))
    draft.add(
        "region",
        anchors=format_anchors(_ANCHORS),
        bias_match=1,
        classes=classes,
        coords=4,
        num=len(_ANCHORS),
        softmax=1,
        jitter=jitter,
        rescore=rescore,
        object_scale=5,
        noobject_scale=1,
        class_scale=1,
        coord_scale=1,
        absolute=1,
        thresh=".6",
        random=1,
    )
