"""The heads of a network, and the rule for `filters` of the layer before one.

| head            | filters of the convolution before it        |
|-----------------|---------------------------------------------|
| `[yolo]`        | (classes + 5) * anchors in its mask          |
| `[Gaussian_yolo]` | (classes + 9) * anchors in its mask        |
| `[region]`      | (classes + coords + 1) * num                |
| `[detection]`   | `output` of `[connected]`: side * side * (classes + num * (coords + 1)) |

The embedded engine also has oblong grids: `dkit_side_w` and `dkit_side_h` in place of `side`.

From AlexeyAB's `make_yolo_layer`, `make_gaussian_yolo_layer`, `make_region_layer` and
`make_detection_layer`.
"""

from dataclasses import dataclass

from darknet_kit.formats.cfg import Cfg, Section
from darknet_kit.network.kinds import canonical_kind

_BOX_VALUES = {"yolo": 5, "Gaussian_yolo": 9}  # what an anchor predicts besides the classes
HEAD_KINDS = (*_BOX_VALUES, "region", "detection")
MASKED_KINDS = tuple(_BOX_VALUES)


@dataclass(frozen=True, slots=True)
class Head:
    """One head. `index` is its 0-based layer number; `filters` is what the rule asks for.

    `mask` holds the 0-based numbers of the anchors it uses; `anchor_values` counts the numbers
    under `anchors=`, two for each anchor; `num` is how many anchors it declares.
    """

    index: int
    section: Section
    classes: int
    num: int
    mask: tuple[int, ...]
    anchor_values: int
    filters: int


def head_filters(kind: str, classes: int, anchors: int, coords: int = 4) -> int:
    """Return `filters` of the convolution before a head that uses so many anchors."""
    return (classes + _BOX_VALUES.get(kind, coords + 1)) * anchors


def detection_outputs(cells: int, classes: int, boxes: int, coords: int = 4) -> int:
    """Return `output` of the connected layer before a `[detection]` head with so many cells."""
    return cells * (classes + boxes * (coords + 1))


def find_heads(cfg: Cfg) -> tuple[Head, ...]:
    """Return the heads in order, each with the values that the engine would use."""
    return tuple(
        _read_head(index, section)
        for index, section in enumerate(cfg.layers)
        if section.kind in HEAD_KINDS
    )


def find_filters_key(cfg: Cfg, head: Head) -> str | None:
    """Return under which key the layer before a head says how many values it gives it: `filters`
    or `output`; None where that layer is of a kind that cannot say so."""
    before = canonical_kind(cfg.layers[head.index - 1].kind) if head.index else ""
    if before == "connected":
        return "output"
    return "filters" if before == "convolutional" and head.section.kind != "detection" else None


def _read_head(index: int, section: Section) -> Head:
    kind = section.kind
    detection = kind == "detection"
    classes = section.integer("classes", 1 if detection else 20)
    num = section.integer("num", 1)
    mask = section.integers("mask") if kind in MASKED_KINDS else ()
    coords = section.integer("coords", 1 if detection else 4)
    if detection:
        side = section.integer("side", 7)
        columns, rows = (section.integer(key, side) for key in ("dkit_side_w", "dkit_side_h"))
        filters = detection_outputs(columns * rows, classes, num, coords)
    else:
        filters = head_filters(kind, classes, len(mask) if mask else num, coords)
    return Head(
        index=index,
        section=section,
        classes=classes,
        num=num,
        mask=mask or tuple(range(min(max(num, 0), 1000))),
        anchor_values=len(section.numbers("anchors")),
        filters=filters,
    )
