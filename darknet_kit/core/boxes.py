"""All coordinate arithmetic, and the pixel conventions that it starts from.

Inside dkit a box is four edges in pixels, measured from the image's top-left corner: pixel
number 0 reaches from 0.0 to 1.0, and a box around the whole image is (0, 0, width, height).
"""

import math
from enum import StrEnum

import msgspec


class BoxConvention(StrEnum):
    """What the four numbers of a Pascal `<bndbox>` mean.

    INCLUSIVE  pixel numbers from 1, the last one belongs to the box: the PASCAL VOC development
               kit, whose overlap measure counts `xmax - xmin + 1` pixels (VOCevaldet.m).
    PLAIN      edges in pixels from 0: labelImg, CVAT, VoTT, Roboflow exports, ILSVRC (whose files
               hold 0 and never the image's width; its development kit names no origin).
    VOC_LABEL  what pjreddie's and AlexeyAB's scripts/voc_label.py make of the numbers: the centre
               less one pixel, the width as `xmax - xmin`. For labels equal to older ones.
    """

    INCLUSIVE = "inclusive"
    PLAIN = "plain"
    VOC_LABEL = "voc-label"


# Python looks long for a member of an enum; this is done for every box.
_PLAIN, _VOC_LABEL = BoxConvention.PLAIN, BoxConvention.VOC_LABEL


class Box(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Edges in pixels from the image's top-left corner, xyxy_px."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def scaled(self, factor: float) -> "Box":
        """Return the box in an image enlarged by `factor`."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)


def box_from_pascal(
    xmin: float, ymin: float, xmax: float, ymax: float, convention: BoxConvention
) -> Box:
    """Return the edges that four Pascal numbers stand for; corners stay the way round they are."""
    if convention is _PLAIN:
        return Box(xmin, ymin, xmax, ymax)
    if convention is _VOC_LABEL:
        return Box(xmin - 1, ymin - 1, xmax - 1, ymax - 1)
    # Where the lower pixel number begins and the higher one ends.
    left, right = (xmin - 1, xmax) if xmin <= xmax else (xmin, xmax - 1)
    top, bottom = (ymin - 1, ymax) if ymin <= ymax else (ymin, ymax - 1)
    return Box(left, top, right, bottom)


def box_from_xywh(x: float, y: float, width: float, height: float) -> Box:
    """Return the edges of a COCO `bbox`: 0-based top-left corner, width and height, in pixels."""
    return Box(x, y, x + width, y + height)


def box_from_cxcywh_norm(
    cx: float, cy: float, width: float, height: float, image_width: int, image_height: int
) -> Box:
    """Return the edges in pixels of a Darknet label: centre and size as fractions of the image."""
    return Box(
        (cx - width / 2) * image_width,
        (cy - height / 2) * image_height,
        (cx + width / 2) * image_width,
        (cy + height / 2) * image_height,
    )


def cxcywh_norm(box: Box, image_width: int, image_height: int) -> tuple[float, float, float, float]:
    """Return centre and size as fractions of the image, as a Darknet label holds them."""
    return (
        (box.left + box.right) / 2 / image_width,
        (box.top + box.bottom) / 2 / image_height,
        (box.right - box.left) / image_width,
        (box.bottom - box.top) / image_height,
    )


def inner_fractions(
    box: Box, image_width: int, image_height: int
) -> tuple[float, float, float, float] | None:
    """Return `cxcywh_norm` of a box that is inside, as `is_inside` tells; None for others.

    One call for the two, since all but a few of a million boxes are.
    """
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    if 0 <= left <= right <= image_width and 0 <= top <= bottom <= image_height:
        return (
            (left + right) / 2 / image_width,
            (top + bottom) / 2 / image_height,
            (right - left) / image_width,
            (bottom - top) / image_height,
        )
    return None


def is_finite(box: Box) -> bool:
    """Tell whether all four edges are numbers."""
    # A sum with one that is none is none; that of numbers can be too large, though.
    return math.isfinite(box.left + box.top + box.right + box.bottom) or (
        math.isfinite(box.left)
        and math.isfinite(box.top)
        and math.isfinite(box.right)
        and math.isfinite(box.bottom)
    )


def is_inside(box: Box, image_width: int, image_height: int) -> bool:
    """Tell whether a box is ordered and reaches nowhere beyond the image."""
    across = 0 <= box.left <= box.right <= image_width
    return across and 0 <= box.top <= box.bottom <= image_height


def ordered(box: Box) -> Box:
    """Return the box with left before right and top above bottom."""
    if box.left <= box.right and box.top <= box.bottom:
        return box
    return Box(
        min(box.left, box.right),
        min(box.top, box.bottom),
        max(box.left, box.right),
        max(box.top, box.bottom),
    )


def clip(box: Box, image_width: int, image_height: int) -> Box:
    """Return the part of an ordered box that lies inside the image; it may have no area."""
    return Box(
        min(max(box.left, 0.0), image_width),
        min(max(box.top, 0.0), image_height),
        min(max(box.right, 0.0), image_width),
        min(max(box.bottom, 0.0), image_height),
    )


def overhang(box: Box, image_width: int, image_height: int) -> float:
    """Return by how many pixels an ordered box reaches beyond the image at most; 0 when inside."""
    return max(-box.left, -box.top, box.right - image_width, box.bottom - image_height, 0.0)


def iou(one: Box, other: Box) -> float:
    """Return the area that two ordered boxes share over the area that they cover, 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)
