"""YOLOv3, with spatial pyramid pooling too, and its tiny version (Redmon and Farhadi, 2018)."""

from darknet_kit.network.draft import (
    Draft,
    alternate,
    conv,
    format_anchors,
    maxpool,
    pool_pyramid,
    predict,
    residual,
    route,
    upsample,
)
from darknet_kit.network.heads import head_filters

ANCHORS = (
    (10, 13), (16, 30), (33, 23),
    (30, 61), (62, 45), (59, 119),
    (116, 90), (156, 198), (373, 326),
)  # fmt: skip
TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))


def build_yolov3(draft: Draft, classes: int) -> None:
    """Add Darknet-53 and three heads, from coarse to fine."""
    _build(draft, classes, pooled=False)


def build_yolov3_spp(draft: Draft, classes: int) -> None:
    """Add Darknet-53, spatial pyramid pooling, and three heads, from coarse to fine."""
    _build(draft, classes, pooled=True)


def _build(draft: Draft, classes: int, *, pooled: bool) -> None:
    draft.title("backbone: Darknet-53")
    conv(draft, 32, 3)
    _stage(draft, 64, blocks=1)
    _stage(draft, 128, blocks=2)
    fine = _stage(draft, 256, blocks=8)
    middle = _stage(draft, 512, blocks=8)
    _stage(draft, 1024, blocks=4)

    draft.title("head for large objects: one cell is 32 pixels")
    coarse_neck = _pooled_neck(draft) if pooled else alternate(draft, 512, 5)
    _head(draft, classes, 1024, mask="6,7,8")

    draft.title("head for medium objects: 16 pixels")
    middle_neck = _finer(draft, coarse_neck, 256, middle)
    _head(draft, classes, 512, mask="3,4,5")

    draft.title("head for small objects: 8 pixels")
    _finer(draft, middle_neck, 128, fine)
    _head(draft, classes, 256, mask="0,1,2")


def _pooled_neck(draft: Draft) -> int:
    """Narrow, stack what came with its maxima over windows of 5, 9 and 13 cells, narrow again."""
    entry = alternate(draft, 512, 3)
    small, medium, large = pool_pyramid(draft)
    route(draft, large, medium, small, entry)
    return alternate(draft, 512, 3)


def _stage(draft: Draft, filters: int, blocks: int) -> int:
    """Halve the image, then refine it in residual blocks."""
    draft.note("downsample")
    last = conv(draft, filters, 3, stride=2)
    for _ in range(blocks):
        last = residual(draft, filters // 2, filters, "leaky")
    return last


def _finer(draft: Draft, neck: int, narrow: int, lateral: int) -> int:
    """Carry a neck to the next finer scale and join it with the backbone there."""
    route(draft, neck)
    conv(draft, narrow, 1)
    larger = upsample(draft)
    route(draft, larger, lateral)
    return alternate(draft, narrow, 5)


def _head(draft: Draft, classes: int, filters: int, mask: str) -> None:
    conv(draft, filters, 3)
    _yolo(draft, classes, mask, ANCHORS)


def _yolo(draft: Draft, classes: int, mask: str, anchors: tuple[tuple[int, int], ...]) -> None:
    predict(draft, head_filters("yolo", classes, mask.count(",") + 1))
    draft.add(
        "yolo",
        mask=mask,
        anchors=format_anchors(anchors),
        classes=classes,
        num=len(anchors),
        jitter=".3",
        ignore_thresh=".7",
        truth_thresh=1,
        random=1,
    )


def build_yolov3_tiny(draft: Draft, classes: int) -> None:
    """Add seven convolutions between poolings, and two heads."""
    draft.title("backbone: convolutions and poolings")
    lateral = -1
    for filters in (16, 32, 64, 128, 256):
        lateral = conv(draft, filters, 3)
        maxpool(draft, 2, 2)
    conv(draft, 512, 3)
    maxpool(draft, 2, 1)
    conv(draft, 1024, 3)

    draft.title("head for large objects: one cell is 32 pixels")
    neck = conv(draft, 256, 1)
    conv(draft, 512, 3)
    _yolo(draft, classes, "3,4,5", TINY_ANCHORS)

    draft.title("head for smaller objects: 16 pixels")
    route(draft, neck)
    conv(draft, 128, 1)
    larger = upsample(draft)
    route(draft, larger, lateral)
    conv(draft, 256, 3)
    _yolo(draft, classes, "0,1,2", TINY_ANCHORS)
