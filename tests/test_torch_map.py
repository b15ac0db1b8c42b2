"""Darknet's mAP: recorded from AlexeyAB's binary, against plain loops, and by hand."""

import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import numpy as np

from darknet_kit.engine.torch.detection.average_precision import (
    NO_TRUTHS,
    Claims,
    ClassPrecision,
    Precision,
    Truths,
    claim,
    measure_precision,
)
from darknet_kit.engine.torch.detection.detections import Detections
from darknet_kit.engine.torch.detection.meanap import (
    MapOptions,
    MapResult,
    format_map,
)
from darknet_kit.engine.torch.detection.observation import Observation
from darknet_kit.engine.torch.detection.testing import format_found
from darknet_kit.formats.logevent import MapResult as LoggedMap
from darknet_kit.formats.logstream import iter_log
from tests import reference_map

GOLDEN = json.loads((Path(__file__).parent / "golden" / "map.json").read_text())


def to_truths(rows: list[list[float]]) -> Truths:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Truths(table[:, 0].astype(np.int64), table[:, 1:])


def read_golden(image: dict[str, Any], classes: int = 3) -> Detections:
    """Put together what was recorded: class, score, cx, cy, w, h, box by box."""
    boxes: list[list[float]] = []
    scores: list[list[float]] = []
    for class_id, score, *box in image["detections"]:
        if not boxes or boxes[-1] != box:
            boxes.append(box)
            scores.append([0.0] * classes)
        scores[-1][class_id] = score
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32))


@pytest.mark.parametrize("number", range(len(GOLDEN["runs"])))
def test_map_is_alexeyabs_to_the_letter(number: int) -> None:
    run = GOLDEN["runs"][number]
    asked = {key: value for key, value in run["options"].items() if key != "points"}
    options = MapOptions(**asked, points=int(run["options"].get("points", 0)))
    claims = []
    for image in GOLDEN["images"]:
        found = read_golden(image)
        hard = to_truths(image["difficult"]) if run["difficult"] else NO_TRUTHS
        truths = to_truths(image["labels"])
        claims.append(claim(found.boxes, found.scores, truths, options.iou_thresh, hard))
    precision = measure_precision(claims, 3, options.thresh, options.points)
    text = format_map(MapResult(options, ("c0", "c1", "c2"), precision, 2.5))
    expected = [*run["text"], "Total Detection Time: 2 Seconds", *GOLDEN["end"]]
    assert text.split("\n") == [*expected, ""]


@pytest.mark.parametrize("number", range(len(GOLDEN["images"])))
def test_text_of_one_image_is_alexeyabs(number: int) -> None:
    image = GOLDEN["images"][number]
    found = read_golden(image)
    shown = Detections(found.boxes, np.where(found.scores > 0.25, found.scores, 0))
    text = format_found(
        Observation("x", (320, 240), shown, 0.0), ["c0", "c1", "c2"], 0.25, ext_output=True
    )
    assert text.splitlines() == [line for line in image["found"] if line]


def make_scene(seed: int, classes: int) -> reference_map.Image:
    """Objects, boxes near them, several to an object, and boxes anywhere."""
    rng = random.Random(seed)
    objects = [
        (rng.randrange(classes), [rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), 0.3, 0.2])
        for _ in range(rng.randrange(6))
    ]
    boxes, scores = [], []
    for _ in range(rng.randrange(25)):
        class_id, box = rng.choice(objects or [(0, [0.5, 0.5, 0.3, 0.2])])
        boxes.append([value + rng.uniform(-0.06, 0.06) * rng.random() for value in box])
        row = [rng.choice([0.0, rng.random()]) for _ in range(classes)]
        row[class_id] = rng.random()
        scores.append(row)
    hard = rng.randrange(len(objects) + 1)
    return reference_map.Image(boxes, scores, objects[hard:], objects[:hard])


@pytest.mark.parametrize("points", [0, 2, 11, 101])
@pytest.mark.parametrize("iou_thresh", [0.5, 0.75])
def test_map_is_that_of_plain_loops(points: int, iou_thresh: float) -> None:
    classes = 4
    scenes = [make_scene(seed, classes - 1) for seed in range(40)]
    for scene in scenes:
        for row in scene.scores:
            row.append(0.0)  # a class that nothing shows
    expected = reference_map.measure(scenes, classes, iou_thresh, 0.3, points)
    claims = [
        claim(
            np.array(scene.boxes, np.float32).reshape(-1, 4),
            np.array(scene.scores, np.float32).reshape(-1, classes),
            to_truths([[class_id, *box] for class_id, box in scene.truths]),
            iou_thresh,
            to_truths([[class_id, *box] for class_id, box in scene.difficult]),
        )
        for scene in scenes
    ]
    found = measure_precision(claims, classes, 0.3, points)
    assert [one.ap for one in found.classes] == pytest.approx(expected.aps, abs=1e-9)
    assert [one.tp for one in found.classes] == expected.tp
    assert [one.fp for one in found.classes] == expected.fp
    assert found.detections == expected.detections
    assert found.average_iou == pytest.approx(expected.iou_sum / (found.tp + found.fp), rel=1e-5)
    assert found.tp > 20
    assert found.detections < sum(np.count_nonzero(scene.scores) for scene in scenes)


def ranked(hits: str, truths: int) -> Claims:
    """Claims of one class in one image, the most confident first; `x` claims a new object."""
    numbers = np.cumsum([hit == "x" for hit in hits]) - 1
    return Claims(
        class_ids=np.zeros(len(hits), np.int64),
        scores=np.linspace(0.9, 0.1, len(hits)).astype(np.float32),
        truths=np.where([hit == "x" for hit in hits], numbers, -1),
        ious=np.full(len(hits), 0.8, np.float32),
        counted=np.ones(len(hits), np.bool_),
        objects=np.zeros(truths, np.int64),
    )


@pytest.mark.parametrize(
    ("hits", "truths", "points", "expected"),
    [
        ("xx", 2, 0, 1.0),
        ("x", 2, 0, 0.5),
        ("", 2, 0, 0.0),
        ("--", 2, 0, 0.0),
        # Precisions 1, 1/2, 2/3: the second step counts with the best from rank 2 on.
        ("x-x", 2, 0, 0.5 * 1 + 0.5 * 2 / 3),
        # Precisions 0, 1/2, 2/3.
        ("-xx", 2, 0, 2 / 3),
        # The step of a hit right behind a hit counts with the precision of the former.
        ("xx--", 4, 0, 0.5),
        ("-x", 1, 0, 0.5),
        ("x-x", 2, 11, (6 * 1 + 5 * 2 / 3) / 11),
        ("x", 2, 11, 6 / 11),
        ("x-x", 2, 101, (51 * 1 + 50 * 2 / 3) / 101),
    ],
)
def test_average_precision_by_hand(hits: str, truths: int, points: int, expected: float) -> None:
    found = measure_precision([ranked(hits, truths)], 1, 0.25, points)
    assert found.classes[0].ap == pytest.approx(expected, abs=1e-12)


def test_a_claim_is_never_passed_on() -> None:
    # Two objects side by side, two detections that both fit the left one better.
    truths = to_truths([[0, 0.4, 0.5, 0.4, 0.4], [0, 0.45, 0.5, 0.4, 0.4]])
    boxes = np.array([[0.40, 0.5, 0.4, 0.4], [0.41, 0.5, 0.4, 0.4]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    claims = claim(boxes, scores, truths, 0.5)
    assert claims.truths.tolist() == [0, 0]
    found = measure_precision([claims], 1)
    assert (found.tp, found.fp, found.fn) == (1, 1, 1)
    assert found.classes[0].ap == 0.5


def test_an_iou_equal_to_the_threshold_is_no_hit() -> None:
    boxes, scores = np.array([[0.5, 0.5, 0.25, 0.5]], np.float32), np.ones((1, 1), np.float32)
    truths = to_truths([[0, 0.5, 0.5, 0.5, 0.5]])
    assert claim(boxes, scores, truths, 0.5).truths.tolist() == [-1]
    assert claim(boxes, scores, truths, 0.4999).truths.tolist() == [0]


def test_at_the_threshold_a_weaker_claim_before_it_takes_the_object() -> None:
    truths = to_truths([[0, 0.5, 0.5, 0.4, 0.4]])
    boxes = np.array([[0.5, 0.5, 0.4, 0.4]] * 2, np.float32)
    claims = claim(boxes, np.array([[0.1], [0.9]], np.float32), truths, 0.5)
    found = measure_precision([claims], 1, 0.25)
    assert (found.tp, found.fp) == (0, 1)
    assert found.classes[0].ap == 1.0


def test_of_nothing_there_is_no_precision() -> None:
    found = measure_precision([], 2)
    assert (found.mean, found.detections, found.truths, found.average_iou) == (0, 0, 0, 0)
    assert all(map(math.isnan, (found.precision, found.recall, found.f1)))


def read_maps(path: Path) -> list[LoggedMap]:
    return [event for event in iter_log(path) if isinstance(event, LoggedMap)]


def test_the_log_reader_reads_what_is_printed(tmp_path: Path) -> None:
    classes = (
        ClassPrecision(0, 0.123456, 3, 4, 10),
        ClassPrecision(1, 1.0, 7, 0, 9),
    )
    precision = Precision(classes, 40, 19, 0.5)
    result = MapResult(MapOptions(iou_thresh=0.75), ("a, ap = 1%", "b"), precision, 1.0)
    log = tmp_path / "log"
    log.write_text(format_map(result))
    (read,) = read_maps(log)
    assert read.map50 == pytest.approx(0.561728)
    assert read.iou_threshold == 0.75
    assert [(one.class_id, one.name, one.tp, one.fp) for one in read.classes] == [
        (0, "a, ap = 1%", 3, 4),
        (1, "b", 7, 0),
    ]
    assert [one.ap for one in read.classes] == pytest.approx([0.1235, 1.0])
    assert (read.precision, read.recall, read.f1, read.average_iou) == (0.71, 0.53, 0.61, 0.5)


def test_a_real_log_is_printed_again(shared_data: Callable[[str], Path]) -> None:
    log = shared_data("D_logs/classic/alexeyab_detector_map_coco80.txt")
    (read,) = read_maps(log)
    real = re.sub(r" rank = [^\r\n]*[\r\n]", "", log.read_bytes().decode())
    truths = 9204 + 27131
    classes = tuple(
        ClassPrecision(one.class_id, one.ap, one.tp or 0, one.fp or 0, 0) for one in read.classes
    )
    precision = Precision(classes, 897029, truths, read.average_iou or 0)
    names = tuple(one.name for one in read.classes)
    text = format_map(MapResult(MapOptions(), names, precision, 133.0))
    start, end = real.index("\n detections_count"), real.index(" mean average")
    assert text[: text.index(" mean average")] == real[start:end]
    # The classes' AP has been rounded, so the mean of them is only near.
    assert precision.mean == pytest.approx(0.243967, abs=1e-5)
