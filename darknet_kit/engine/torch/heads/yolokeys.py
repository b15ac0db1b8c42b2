"""What a `[yolo]` section says, with Darknet's defaults (AlexeyAB `src/parser.c`, `parse_yolo`)."""

import math
from dataclasses import dataclass
from typing import TypeVar

from darknet_kit.engine.torch.heads.boxes import IouKind
from darknet_kit.engine.torch.site import Site
from darknet_kit.network.heads import head_filters

_Value = TypeVar("_Value")

# Darknet's anchor where the list under `anchors=` ends too early, in pixels.
_DEFAULT_ANCHOR = 0.5
_KINDS = {kind.value: kind for kind in IouKind}


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of a section (width, height in pixels), and those that this head uses.

    `mask` holds 0-based numbers into `all`; a truth goes to the best of all, here or elsewhere.
    """

    all: tuple[tuple[float, float], ...]
    mask: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class YoloKeys:
    """The keys that say how a head learns; the names are Darknet's.

    `iou_loss` is None for `mse`. `class_weights` come from `counters_per_class`, else None.
    `softmax` is `dkit_class_loss=ce`, `squared_objectness` is `dkit_obj_loss=mse`.
    """

    anchors: Anchors
    max: int
    iou_loss: IouKind | None
    iou_normalizer: float
    obj_normalizer: float
    cls_normalizer: float
    delta_normalizer: float
    scale_x_y: float
    new_coords: bool
    ignore_thresh: float
    truth_thresh: float
    iou_thresh: float
    iou_thresh_kind: IouKind
    objectness_smooth: bool
    label_smooth_eps: float
    focal_loss: bool
    max_delta: float
    show_details: bool
    class_weights: tuple[float, ...] | None
    softmax: bool
    squared_objectness: bool


def read_yolo_keys(site: Site, classes: int) -> YoloKeys:
    """Read a section. Raises CfgError where Darknet would stop or take another value silently."""
    section = site.section
    anchors = read_anchors(site)
    expected = head_filters("yolo", classes, len(anchors.mask))
    if classes < 1 or site.layer.input.channels != expected:
        raise site.error(
            f"gets {site.layer.input.channels} channels, not {expected}: "
            "(classes + 5) for each anchor in its mask",
            "wrong-filters",
            key="classes",
            hint=f"Set filters={expected} before it, or correct classes and mask.",
        )
    max_delta = section.number("max_delta", math.inf)
    losses: dict[str, IouKind | None] = {"mse": None, **_KINDS}
    keys = YoloKeys(
        anchors=anchors,
        max=max(0, section.integer("max", 200)),
        iou_loss=choose(site, "iou_loss", "mse", losses),
        iou_normalizer=section.number("iou_normalizer", 0.75),
        obj_normalizer=section.number("obj_normalizer", 1.0),
        cls_normalizer=section.number("cls_normalizer", 1.0),
        delta_normalizer=section.number("delta_normalizer", 1.0),
        scale_x_y=section.number("scale_x_y", 1.0),
        new_coords=bool(section.integer("new_coords")),
        ignore_thresh=section.number("ignore_thresh", 0.5),
        truth_thresh=section.number("truth_thresh", 1.0),
        iou_thresh=section.number("iou_thresh", 1.0),
        iou_thresh_kind=choose(site, "iou_thresh_kind", "iou", _KINDS),
        objectness_smooth=bool(section.integer("objectness_smooth")),
        label_smooth_eps=section.number("label_smooth_eps", 0.0),
        focal_loss=bool(section.integer("focal_loss")),
        max_delta=max_delta,
        show_details=bool(section.integer("show_details", 1)),
        class_weights=read_class_weights(site, classes, max_delta),
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


def read_anchors(site: Site) -> Anchors:
    """Read `num`, `anchors` and `mask`; anchors that are missing are 0.5 x 0.5 pixels.

    Raises CfgError for a mask that names an anchor that does not exist, or one twice, and for an
    anchor without size.
    """
    section = site.section
    num = section.integer("num", 1)
    mask = section.integers("mask") or tuple(range(num))
    if not mask or not all(0 <= number < num for number in mask) or len(set(mask)) < len(mask):
        raise site.error(
            f"has mask={','.join(map(str, mask))}, and {num} anchors to choose from",
            "bad-mask",
            key="mask",
            hint="A mask holds different whole numbers from 0 to num - 1.",
        )
    numbers = section.numbers("anchors")[: 2 * num]
    numbers += (_DEFAULT_ANCHOR,) * (2 * num - len(numbers))
    if min(numbers) <= 0:
        raise site.error("has an anchor that is not above 0", "bad-anchors", key="anchors")
    return Anchors(tuple(zip(numbers[::2], numbers[1::2], strict=True)), mask)


def read_class_weights(site: Site, classes: int, max_delta: float) -> tuple[float, ...] | None:
    """Read `counters_per_class`: the largest count over each one, `max_delta` at most.

    None where the key is missing. Raises CfgError where the counts are not one for each class.
    AlexeyAB `src/parser.c`, `get_classes_multipliers`.
    """
    if site.section.find("counters_per_class") is None:
        return None
    counts = [max(1, count) for count in site.section.integers("counters_per_class")]
    if len(counts) != classes:
        raise site.error(
            f"has {len(counts)} counters_per_class and {classes} classes",
            "bad-value",
            key="counters_per_class",
            hint="Give one count for each class, in the order of the names.",
        )
    return tuple(min(max(counts) / count, max_delta) for count in counts)


def choose(site: Site, key: str, default: str, choices: dict[str, _Value]) -> _Value:
    """Return what a word of the section stands for. Raises CfgError for any other word."""
    word = site.section.text(key, default)
    if word not in choices:
        raise site.error(
            f"has {key}={word}, which is none of {', '.join(choices)}",
            "bad-value",
            key=key,
            hint="A comment behind a word belongs to the word; put it on a line of its own.",
        )
    return choices[word]
