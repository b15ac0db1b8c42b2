"""Coordinates: expected values by hand, from pjreddie's formula, or from a second way to count."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.core.boxes import (
    Box,
    BoxConvention,
    box_from_cxcywh_norm,
    box_from_pascal,
    box_from_xywh,
    clip,
    cxcywh_norm,
    iou,
    is_finite,
    ordered,
    overhang,
)

INCLUSIVE, PLAIN, VOC_LABEL = BoxConvention.INCLUSIVE, BoxConvention.PLAIN, BoxConvention.VOC_LABEL
positions = st.floats(-2000, 2000, allow_nan=False)
sizes = st.integers(1, 4000)


def norm_x(xmin: float, xmax: float, width: int, convention: BoxConvention) -> tuple[float, float]:
    """Return centre and width as fractions, of a box that is 1..2 high."""
    cx, _, w, _ = cxcywh_norm(box_from_pascal(xmin, 1, xmax, 2, convention), width, 10)
    return cx, w


@pytest.mark.parametrize(
    ("convention", "cx", "width"),
    [
        (INCLUSIVE, 0.5, 1.0),  # all 500 pixels
        (PLAIN, 250.5 / 500, 499 / 500),  # labelImg's own arithmetic: .501, .998
        (VOC_LABEL, ((1 + 500) / 2 - 1) / 500, (500 - 1) / 500),  # pjreddie's scripts/voc_label.py
    ],
)
def test_three_conventions_for_the_box_around_a_whole_image(
    convention: BoxConvention, cx: float, width: float
) -> None:
    assert norm_x(1, 500, 500, convention) == pytest.approx((cx, width), abs=1e-12)


@given(positions, positions, sizes)
def test_voc_label_is_pjreddies_formula(xmin: float, xmax: float, width: int) -> None:
    expected = ((xmin + xmax) / 2.0 - 1) / width, (xmax - xmin) / width
    assert norm_x(xmin, xmax, width, VOC_LABEL) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 300), st.integers(1, 300))
def test_inclusive_counts_pixels(xmin: int, xmax: int) -> None:
    """As the VOC development kit does: `bb(3)-bb(1)+1`."""
    box = ordered(box_from_pascal(xmin, 5, xmax, 5, INCLUSIVE))
    pixels = range(min(xmin, xmax), max(xmin, xmax) + 1)
    assert (box.width, box.height) == (len(pixels), 1)
    assert (box.left, box.right) == (pixels[0] - 1, pixels[-1])


def test_swapped_corners_stay_swapped_until_they_are_ordered() -> None:
    swapped = box_from_pascal(90, 80, 10, 20, INCLUSIVE)
    assert swapped.right < swapped.left
    assert swapped.bottom < swapped.top
    assert ordered(swapped) == box_from_pascal(10, 20, 90, 80, INCLUSIVE) == Box(9, 19, 90, 80)


def test_coco_bbox_is_corner_and_size_from_0() -> None:
    assert box_from_xywh(10, 20, 30, 40) == Box(10, 20, 40, 60)


@pytest.mark.parametrize(
    ("box", "clipped", "beyond"),
    [
        (Box(2, 3, 8, 9), Box(2, 3, 8, 9), 0),
        (Box(0, 0, 20, 10), Box(0, 0, 20, 10), 0),
        (Box(-3, 1, 8, 9), Box(0, 1, 8, 9), 3),
        (Box(1, -4, 25, 10.5), Box(1, 0, 20, 10), 5),
        (Box(-1, -1, 21, 11), Box(0, 0, 20, 10), 1),
        (Box(30, 2, 40, 8), Box(20, 2, 20, 8), 20),  # outside: no width is left
        (Box(-9, 2, -1, 8), Box(0, 2, 0, 8), 9),
    ],
)
def test_clip_and_overhang_in_an_image_of_20_by_10(box: Box, clipped: Box, beyond: float) -> None:
    assert clip(box, 20, 10) == clipped
    assert overhang(box, 20, 10) == beyond


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1),
        (Box(0, 0, 10, 10), Box(5, 0, 15, 10), 50 / 150),
        (Box(0, 0, 2, 2), Box(1, 1, 3, 3), 1 / 7),
        (Box(0, 0, 4, 4), Box(1, 1, 3, 3), 4 / 16),
        (Box(0, 0, 10, 10), Box(10, 0, 20, 10), 0),  # they touch
        (Box(0, 0, 10, 10), Box(50, 50, 60, 60), 0),
        (Box(5, 5, 5, 5), Box(0, 0, 10, 10), 0),  # no area
    ],
)
def test_iou_by_hand(one: Box, other: Box, expected: float) -> None:
    assert iou(one, other) == pytest.approx(expected)
    assert iou(other, one) == pytest.approx(expected)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_edge_that_is_no_number_is_noticed(position: int, value: float) -> None:
    edges = [1.0, 2.0, 3.0, 4.0]
    assert is_finite(Box(*edges))
    edges[position] = value
    assert not is_finite(Box(*edges))


def test_a_box_that_is_in_order_is_returned_as_it_is() -> None:
    """The converter tells repaired boxes from others by this identity."""
    box = Box(1, 2, 3, 4)
    assert ordered(box) is box
    assert ordered(Box(3, 2, 1, 4)) == box


@given(positions, positions, positions, positions, sizes, sizes)
def test_labels_lead_back_to_the_box(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    box = ordered(Box(x1, y1, x2, y2))
    back = box_from_cxcywh_norm(*cxcywh_norm(box, width, height), width, height)
    expected = (box.left, box.top, box.right, box.bottom)
    assert (back.left, back.top, back.right, back.bottom) == pytest.approx(expected, abs=1e-6)


@given(positions, positions, positions, positions, sizes, sizes)
def test_a_clipped_box_is_ordered_inside_and_clipped_once(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    inside = clip(ordered(Box(x1, y1, x2, y2)), width, height)
    assert 0 <= inside.left <= inside.right <= width
    assert 0 <= inside.top <= inside.bottom <= height
    assert overhang(inside, width, height) == 0
    assert clip(inside, width, height) == inside


@given(positions, positions, st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.1, 10))
def test_iou_is_that_of_the_enlarged_boxes(
    x: float, y: float, width: float, height: float, factor: float
) -> None:
    one, other = box_from_xywh(x, y, width, height), box_from_xywh(x + 3, y - 2, height, width)
    assert iou(one.scaled(factor), other.scaled(factor)) == pytest.approx(iou(one, other), abs=1e-6)
