"""Suppression, against plain loops and by hand."""

import random

import pytest

pytest.importorskip("torch")
import numpy as np

from darknet_kit.engine.torch.detection import suppression
from darknet_kit.engine.torch.detection.detections import Detections
from darknet_kit.engine.torch.detection.suppression import (
    NmsKind,
    Suppression,
    read_suppression,
    suppress,
)
from darknet_kit.formats.cfg import parse_cfg
from tests import reference_map


def crowd(seed: int, count: int, classes: int) -> Detections:
    """Make boxes in a few heaps, and scores of which half are 0 and some are equal."""
    rng = np.random.default_rng(seed)
    heaps = rng.uniform(0.2, 0.8, (6, 2))[rng.integers(0, 6, count)]
    boxes = np.concatenate(
        (heaps + rng.normal(0, 0.03, (count, 2)), rng.uniform(0.1, 0.3, (count, 2))), 1
    )
    scores = np.round(rng.uniform(0, 1, (count, classes)), 2)
    scores[rng.random((count, classes)) < 0.5] = 0
    return Detections(boxes.astype(np.float32), scores.astype(np.float32))


@pytest.mark.parametrize("kind", list(NmsKind))
@pytest.mark.parametrize("thresh", [0.2, 0.6])
@pytest.mark.parametrize("count", [40, 150])
@pytest.mark.parametrize("few", [0, 1000])
def test_suppression_is_that_of_plain_loops(
    kind: NmsKind, thresh: float, count: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression, "_FEW", few)
    found = crowd(count, count, 3)
    left = suppress(found, thresh, Suppression(kind, 0.8))
    order, scores = reference_map.suppress(
        found.boxes.tolist(), found.scores.tolist(), thresh, kind, 0.8
    )
    kept = [place for place, row in enumerate(scores) if any(row)]
    np.testing.assert_array_equal(left.scores, np.array([scores[place] for place in kept]))
    np.testing.assert_array_equal(left.boxes, found.boxes[[order[place] for place in kept]])


def test_kinds_differ_where_centres_lie_apart() -> None:
    # Two squares, one moved by a fifth of its side: IoU .8 / 1.2; the hull is 1.2 x 1, so that
    # the distance counts (.04 / 2.44) ** .6 = .0849 or, with beta 2, next to nothing.
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.6, 0.5, 0.5, 0.5]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    left = {
        kind: len(suppress(Detections(boxes, scores), 0.6, Suppression(kind, 2.0)).scores)
        for kind in NmsKind
    }
    assert left == {"default": 1, "cornersnms": 1, "greedynms": 2, "diounms": 1}


def test_distance_in_pixels_is_another_one_in_oblong_images() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.6, 0.5, 0.5, 0.5]], np.float32)
    found = Detections(boxes, np.array([[0.9], [0.8]], np.float32))
    rule = Suppression(NmsKind.GREEDY)
    # In an image ten times as high as wide: (.04 / (1.44 + 100)) ** .6 = .009.
    assert len(suppress(found, 0.6, rule, (10, 100)).scores) == 1
    assert len(suppress(found, 0.6, rule).scores) == 2


def test_a_suppressed_box_suppresses_nothing() -> None:
    # Each box covers two thirds of the next one, and only a third of the one after that.
    boxes = [[0.3 + 0.1 * number, 0.5, 0.5, 0.5] for number in range(200)]
    scores = [[1 - number / 300] for number in range(200)]
    found = Detections(np.array(boxes, np.float32), np.array(scores, np.float32))
    left = suppress(found, 0.5, Suppression())
    np.testing.assert_array_equal(left.boxes, found.boxes[::2])


def test_classes_are_suppressed_apart_and_empty_boxes_left_out() -> None:
    boxes = np.array([[0.5, 0.5, 0.4, 0.4]] * 3, np.float32)
    scores = np.array([[0.9, 0.0], [0.8, 0.3], [0.7, 0.0]], np.float32)
    left = suppress(Detections(boxes, scores), 0.45, Suppression())
    np.testing.assert_array_equal(left.scores, np.array([[0, 0.3], [0.9, 0]], np.float32))


def test_an_equal_overlap_does_not_suppress() -> None:
    # Areas 1 and 2, one inside the other: IoU is exactly one half.
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.25, 0.5]], np.float32)
    found = Detections(boxes, np.array([[0.9], [0.8]], np.float32))
    assert len(suppress(found, 0.5, Suppression()).scores) == 2
    assert len(suppress(found, 0.4999, Suppression()).scores) == 1


@pytest.mark.parametrize("kind", list(NmsKind))
def test_boxes_without_end_or_size_are_let_be(kind: NmsKind) -> None:
    rng = random.Random(3)
    odd = [float("inf"), 0.0, 3e38, 0.5]
    boxes = [
        [rng.choice([0.5, float("inf")]), 0.5, rng.choice(odd), rng.choice(odd)] for _ in "x" * 90
    ]
    found = Detections(np.array(boxes, np.float32), np.full((90, 1), 0.5, np.float32))
    assert 0 < len(suppress(found, 0.45, Suppression(kind)).scores) <= 90


def test_nothing_found_stays_nothing() -> None:
    none = Detections(np.zeros((0, 4), np.float32), np.zeros((0, 5), np.float32))
    assert suppress(none, 0.45, Suppression()).scores.shape == (0, 5)


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ("[yolo]\nnms_kind=greedynms\nbeta_nms=0.7\n", Suppression(NmsKind.GREEDY, 0.7)),
        ("[yolo]\nnms_kind=diounms\n", Suppression(NmsKind.DIOU, 0.6)),
        ("[Gaussian_yolo]\nnms_kind=cornersnms\n", Suppression(NmsKind.CORNERS, 0.6)),
        ("[yolo]\nnms_kind=softnms\n", Suppression(NmsKind.DEFAULT, 0.6)),
        ("[yolo]\nnms_kind=diounms\n[yolo]\n", Suppression()),
        ("[yolo]\n[yolo]\nnms_kind=greedynms\n[upsample]\n", Suppression(NmsKind.GREEDY, 0.6)),
        ("[yolo]\nnms_kind=greedynms\n[region]\nnms_kind=greedynms\n", Suppression()),
        ("[detection]\nnms_kind=greedynms\n", Suppression()),
    ],
)
def test_the_last_head_says_how(heads: str, expected: Suppression) -> None:
    assert read_suppression(parse_cfg("[net]\n" + heads)) == expected
