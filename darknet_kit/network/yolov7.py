"""YOLOv7 and its tiny version (Wang, Bochkovskiy and Liao, 2022).

Stages of the backbone (ELAN) join the outputs of several convolutions in a row. Three heads at the
end, after the whole neck.
"""

from darknet_kit.network.draft import Draft, conv, maxpool, pool_pyramid, route, upsample
from darknet_kit.network.yolov3 import ANCHORS as YOLOV3_ANCHORS
from darknet_kit.network.yolov4 import ANCHORS
from darknet_kit.network.yolov4csp import add_scaled_head

_MASKS = ("0,1,2", "3,4,5", "6,7,8")


def build_yolov7(draft: Draft, classes: int) -> None:
    """Add the E-ELAN backbone, pooling by half, path aggregation and three heads."""
    draft.title("backbone: E-ELAN")
    conv(draft, 32, 3, activation="swish")
    conv(draft, 64, 3, stride=2, activation="swish")
    conv(draft, 64, 3, activation="swish")
    conv(draft, 128, 3, stride=2, activation="swish")
    _stage(draft, 64, 256)
    _shrink(draft, 128)
    fine = _stage(draft, 128, 512)
    _shrink(draft, 256)
    middle = _stage(draft, 256, 1024)
    _shrink(draft, 512)
    _stage(draft, 256, 1024)

    draft.title("neck: spatial pyramid pooling")
    coarse = _pool(draft, 512)

    draft.title("neck: from coarse to fine")
    middle = _finer(draft, 256, middle)
    fine = _finer(draft, 128, fine)

    draft.title("neck: back to coarse")
    _shrink(draft, 128, middle)
    middle = _neck(draft, 256)
    _shrink(draft, 256, coarse)
    coarse = _neck(draft, 512)

    for neck, filters, mask in zip((fine, middle, coarse), (256, 512, 1024), _MASKS, strict=True):
        _head(draft, classes, neck, filters, mask, ANCHORS, "swish")


def _stage(draft: Draft, filters: int, joined: int) -> int:
    """Join the outputs of convolutions 0, 2 and 4 of a row with a bypass."""
    entry = draft.last
    bypass = conv(draft, filters, 1, activation="swish")
    route(draft, entry)
    row = [conv(draft, filters, 1, activation="swish")]
    row += [conv(draft, filters, 3, activation="swish") for _ in range(4)]
    route(draft, row[4], row[2], row[0], bypass)
    return conv(draft, joined, 1, activation="swish")


def _neck(draft: Draft, filters: int) -> int:
    """Join the outputs of a row of narrower convolutions with a bypass."""
    entry = draft.last
    bypass = conv(draft, filters, 1, activation="swish")
    route(draft, entry)
    row = [conv(draft, filters, 1, activation="swish")]
    row += [conv(draft, filters // 2, 3, activation="swish") for _ in range(4)]
    route(draft, *reversed(row), bypass)
    return conv(draft, filters, 1, activation="swish")


def _shrink(draft: Draft, filters: int, *laterals: int) -> int:
    """Halve the image twice over, by pooling and by a convolution, and join both."""
    entry = draft.last
    maxpool(draft, 2, 2)
    pooled = conv(draft, filters, 1, activation="swish")
    route(draft, entry)
    conv(draft, filters, 1, activation="swish")
    convolved = conv(draft, filters, 3, stride=2, activation="swish")
    return route(draft, convolved, pooled, *laterals)


def _pool(draft: Draft, filters: int) -> int:
    """Pool one half over several windows, let the other pass by, join both."""
    entry = draft.last
    bypass = conv(draft, filters, 1, activation="swish")
    route(draft, entry)
    conv(draft, filters, 1, activation="swish")
    conv(draft, filters, 3, activation="swish")
    middle = conv(draft, filters, 1, activation="swish")
    small, medium, large = pool_pyramid(draft)
    route(draft, middle, small, medium, large)
    conv(draft, filters, 1, activation="swish")
    deep = conv(draft, filters, 3, activation="swish")
    route(draft, deep, bypass)
    return conv(draft, filters, 1, activation="swish")


def _finer(draft: Draft, filters: int, lateral: int) -> int:
    """Carry the last neck to the next finer scale and join it with the backbone there."""
    _join_finer(draft, filters, lateral, "swish")
    return _neck(draft, filters)


def _join_finer(draft: Draft, filters: int, lateral: int, activation: str) -> None:
    conv(draft, filters, 1, activation=activation)
    larger = upsample(draft)
    route(draft, lateral)
    beside = conv(draft, filters, 1, activation=activation)
    route(draft, beside, larger)


def _head(
    draft: Draft,
    classes: int,
    neck: int,
    filters: int,
    mask: str,
    anchors: tuple[tuple[int, int], ...],
    activation: str,
) -> None:
    cell = {"0,1,2": 8, "3,4,5": 16, "6,7,8": 32}[mask]
    draft.title(f"head: one cell is {cell} pixels")
    route(draft, neck)
    conv(draft, filters, 3, activation=activation)
    values = {"objectness_smooth": 1, "obj_normalizer": "1.0", "max_delta": 2}
    add_scaled_head(draft, classes, mask, anchors, **values)


def build_yolov7_tiny(draft: Draft, classes: int) -> None:
    """Add four small ELAN stages, pooling, path aggregation and three heads."""
    draft.title("backbone: ELAN tiny")
    conv(draft, 32, 3, stride=2)
    conv(draft, 64, 3, stride=2)
    _tiny_stage(draft, 32, 64)
    maxpool(draft, 2, 2)
    fine = _tiny_stage(draft, 64, 128)
    maxpool(draft, 2, 2)
    middle = _tiny_stage(draft, 128, 256)
    maxpool(draft, 2, 2)
    _tiny_stage(draft, 256, 512)

    draft.title("neck: spatial pyramid pooling")
    coarse = _tiny_pool(draft, 256)

    draft.title("neck: from coarse to fine")
    _join_finer(draft, 128, middle, "leaky")
    middle = _tiny_stage(draft, 64, 128)
    _join_finer(draft, 64, fine, "leaky")
    fine = _tiny_stage(draft, 32, 64)

    draft.title("neck: back to coarse")
    middle = _tiny_coarser(draft, 64, middle)
    coarse = _tiny_coarser(draft, 128, coarse)

    for neck, filters, mask in zip((fine, middle, coarse), (128, 256, 512), _MASKS, strict=True):
        _head(draft, classes, neck, filters, mask, YOLOV3_ANCHORS, "leaky")


def _tiny_stage(draft: Draft, filters: int, joined: int) -> int:
    """Join the outputs of three convolutions in a row with a bypass."""
    entry = draft.last
    bypass = conv(draft, filters, 1)
    route(draft, entry)
    first = conv(draft, filters, 1)
    second = conv(draft, filters, 3)
    third = conv(draft, filters, 3)
    route(draft, bypass, first, second, third)
    return conv(draft, joined, 1)


def _tiny_pool(draft: Draft, filters: int) -> int:
    entry = draft.last
    bypass = conv(draft, filters, 1)
    route(draft, entry)
    middle = conv(draft, filters, 1)
    small, medium, large = pool_pyramid(draft)
    route(draft, large, medium, small, middle)
    deep = conv(draft, filters, 1)
    route(draft, bypass, deep)
    return conv(draft, filters, 1)


def _tiny_coarser(draft: Draft, filters: int, lateral: int) -> int:
    """Carry the last neck to the next coarser scale and join it with the neck there."""
    smaller = conv(draft, 2 * filters, 3, stride=2)
    route(draft, smaller, lateral)
    return _tiny_stage(draft, filters, 2 * filters)
