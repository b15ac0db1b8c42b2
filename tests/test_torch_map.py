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
import torch
from PIL import Image, ImageDraw

from darknet_kit.engine.torch.average_precision import (
    NO_TRUTHS,
    Claims,
    ClassPrecision,
    Precision,
    Truths,
    claim,
    measure_precision,
)
from darknet_kit.engine.torch.cocoap import coco_map, measure_coco
from darknet_kit.engine.torch.detections import Detections
from darknet_kit.engine.torch.meanap import (
    MapOptions,
    MapResult,
    MapSet,
    compute_map,
    format_map,
    read_map_set,
    run_map,
)
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.observation import Observation
from darknet_kit.engine.torch.testing import TestOptions, format_found, run_test
from darknet_kit.engine.torch.validation import ValidOptions, run_valid
from darknet_kit.engine.torch.weights import save_weights
from darknet_kit.errors import CfgError, DatasetError, UsageError
from darknet_kit.formats.cfg import parse_cfg
from darknet_kit.formats.datafile import read_data
from darknet_kit.formats.logevent import MapResult as LoggedMap
from darknet_kit.formats.logstream import iter_log
from tests import reference_map
from tests.engines import alexeyab, run_engine

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


TINY = """\
[net]
width=96
height=64
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=4
stride=4
[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=16
size=1
activation=linear
[yolo]
mask=0,1
anchors=20,14, 44,30
classes=3
num=2
nms_kind=greedynms
"""


def make_set(folder: Path, count: int = 7) -> Path:
    """Write images of different sizes with labels, lists and a data file; return the latter."""
    rng = random.Random(8)
    folder.mkdir(exist_ok=True)
    images = []
    for number in range(count):
        width, height = rng.choice([(120, 80), (96, 64), (70, 100)])
        picture = Image.effect_noise((width, height), 90).convert("RGB")
        pen = ImageDraw.Draw(picture)
        labels = []
        for _ in range(3):
            cx, cy, w, h = (rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), 0.4, 0.4)
            left, top = (cx - w / 2) * width, (cy - h / 2) * height
            color = tuple(rng.randrange(256) for _ in range(3))
            pen.rectangle((left, top, left + w * width, top + h * height), fill=color)
            labels.append(f"{rng.randrange(3)} {cx:.6f} {cy:.6f} {w} {h}\n")
        images.append(folder / f"{number}.png")
        picture.save(images[-1])
        images[-1].with_suffix(".txt").write_text("".join(labels))
    (folder / "valid.txt").write_text("".join(f"{image}\n" for image in images))
    (folder / "x.names").write_text("ant\nbee\ncow\n")
    (folder / "x.data").write_text(
        f"classes=3\ntrain={folder}/none.txt\nvalid={folder}/valid.txt\n"
        f"names={folder}/x.names\nresults={folder}/results\nbackup={folder}\n"
    )
    return folder / "x.data"


def make_network(text: str = TINY, spread: float = 0.3) -> Network:
    """Build a network whose random weights find a little of each class, with scores far apart."""
    torch.manual_seed(3)
    network = Network(parse_cfg(text))
    with torch.no_grad():
        for tensor in network.parameters():
            if tensor.dim() == 4:
                tensor.normal_(0, spread)
        for name, statistics in network.named_buffers():
            if "var" in name:
                statistics.fill_(1)  # a new network's is 0, as in Darknet
    return network


def test_results_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    network = make_network()
    data = read_map_set(read_data(make_set(tmp_path)))
    one, five = (compute_map(network, data, MapOptions(batch=batch)) for batch in (1, 5))
    assert one.precision.detections > 500
    assert one.precision == five.precision


def test_an_image_that_is_gone_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = read_map_set(read_data(make_set(tmp_path)))
    (tmp_path / "2.png").write_bytes(b"no image")
    told: list[tuple[int, int]] = []
    result = compute_map(make_network(), data, progress=lambda *done: told.append(done))
    assert result.precision.truths == 18
    assert told == [(number, 7) for number in range(1, 7)]
    assert "2.png" in capsys.readouterr().err


def test_difficult_lists_belong_to_the_images_by_place(tmp_path: Path) -> None:
    data = make_set(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    labels = [tmp_path / f"{number}.txt" for number in range(7)]
    for number, label in enumerate(labels):
        (other / f"hard{number}.txt").write_text(label.read_text())
    plain = read_map_set(read_data(data))
    (tmp_path / "hard.txt").write_text("".join(f"{other}/hard{n}.png\n" for n in range(7)))
    data.write_text(data.read_text() + f"difficult={tmp_path}/hard.txt\n")
    for label in labels:
        label.write_text("")
    hard = read_map_set(read_data(data))
    network = make_network()
    without = compute_map(network, plain, MapOptions(iou_thresh=0.2)).precision
    found = compute_map(network, hard, MapOptions(iou_thresh=0.2)).precision
    assert found.truths == without.truths == 0
    assert 0 < found.detections < without.detections


def test_lists_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = make_set(tmp_path)
    (tmp_path / "hard.txt").write_text("a.png\n")
    text = path.read_text()
    path.write_text(text + f"difficult={tmp_path}/hard.txt\n")
    with pytest.raises(DatasetError, match="1 paths of difficult objects for 7 images"):
        read_map_set(read_data(path))
    path.write_text(text)
    network, data = make_network(), read_map_set(read_data(path))
    with pytest.raises(DatasetError, match="2 names for 3 classes"):
        compute_map(network, MapSet(("a", "b"), data.images))
    with pytest.raises(UsageError, match="1 points"):
        compute_map(network, data, MapOptions(points=1))
    (tmp_path / "valid.txt").write_text("\n")
    with pytest.raises(DatasetError, match="no image"):
        read_map_set(read_data(path))
    headless = make_network(TINY[: TINY.index("[yolo]")])
    with pytest.raises(CfgError, match="no head"):
        compute_map(headless, data)


@pytest.mark.parametrize("eval_", ["voc", "coco"])
def test_valid_writes_whole_files(tmp_path: Path, eval_: str) -> None:
    path = make_set(tmp_path)
    path.write_text(path.read_text() + f"eval={eval_}\n")
    assert run_valid(make_network(), read_data(path), ValidOptions()) == 0
    files = sorted(file.name for file in (tmp_path / "results").iterdir())
    if eval_ == "coco":
        assert files == ["coco_results.json"]
        listed = json.loads((tmp_path / "results" / files[0]).read_text())
        assert {one["category_id"] for one in listed} == {1, 2, 3}
        assert {one["image_id"] for one in listed} == set(range(7))
    else:
        assert files == [f"comp4_det_test_{name}.txt" for name in ("ant", "bee", "cow")]
        for file in files:
            lines = (tmp_path / "results" / file).read_text().splitlines()
            assert {len(line.split()) for line in lines} == {6}


def test_valid_that_finds_nothing_is_still_json(tmp_path: Path) -> None:
    path = make_set(tmp_path, 1)
    path.write_text(path.read_text() + "eval=coco\n")
    network = make_network()
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.fill_(-9)
    run_valid(network, read_data(path), ValidOptions(out="mine"))
    assert json.loads((tmp_path / "results" / "mine.json").read_text()) == []


def test_boxes_without_end_do_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_set(tmp_path, 2)
    network, data = make_network(), read_data(path)
    *_, bias = network.parameters()
    with torch.no_grad():
        bias.view(2, 8)[0, 2:4] = 200  # the size's exponent, of one of two anchors
    monkeypatch.chdir(tmp_path)
    result = run_map(network, data, MapOptions())
    assert result.precision.detections > 100
    run_valid(network, data, ValidOptions())
    assert (
        " 1.000000 1.000000 120.000000 80.000000"
        in (tmp_path / "results" / "comp4_det_test_ant.txt").read_text()
    )
    path.write_text(path.read_text() + "eval=coco\n")
    run_valid(network, read_data(path), ValidOptions())
    assert json.loads((tmp_path / "results" / "coco_results.json").read_text())
    coco_map(network, read_map_set(data))
    run_test(network, data, TestOptions((str(tmp_path / "0.png"),), 0.1, out="found.json"))
    assert json.loads((tmp_path / "found.json").read_text())
    assert "inf" not in (tmp_path / "found.json").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("names", "more", "match"),
    [("a\nb/../c\nd\n", "", "cannot be part"), ("a\nb\nc\n", "eval=kitti\n", "kitti")],
)
def test_valid_refuses_what_it_cannot_write(
    tmp_path: Path, names: str, more: str, match: str
) -> None:
    path = make_set(tmp_path, 1)
    (tmp_path / "x.names").write_text(names)
    path.write_text(path.read_text() + more)
    with pytest.raises(DatasetError, match=match):
        run_valid(make_network(), read_data(path), ValidOptions())


def test_test_prints_draws_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_data(make_set(tmp_path, 2))
    monkeypatch.chdir(tmp_path)
    images = (str(tmp_path / "0.png"), "missing.png", str(tmp_path / "1.png"))
    asked = TestOptions(images, 0.1, ext_output=True, out="found.json", save_labels=True)
    assert run_test(make_network(), data, asked) == 1
    printed = capsys.readouterr()
    assert re.findall(r"^(\S+): Predicted in \d+\.\d{6} milli-seconds\.$", printed.out, re.M) == [
        images[0],
        images[2],
    ]
    assert "missing.png: no such file" in printed.err
    listed = json.loads((tmp_path / "found.json").read_text())
    assert [one["frame_id"] for one in listed] == [1, 2]
    count = sum(len(one["objects"]) for one in listed)
    assert printed.out.count("left_x") == count > 0
    with Image.open(tmp_path / "predictions.jpg") as drawn, Image.open(images[2]) as stored:
        assert drawn.size == stored.size
    assert len((tmp_path / "1.txt").read_text().splitlines()[0].split()) == 5


def test_coco_map_of_what_is_exactly_right_is_one() -> None:
    images = [{"id": number, "width": 100, "height": 100} for number in (1, 2)]
    box = [10.0, 10.0, 40.0, 40.0]
    truths = [
        {"image_id": number, "category_id": 0, "bbox": box, "area": 1600.0, "iscrowd": 0}
        for number in (1, 2)
    ]
    right = [{"image_id": number, "category_id": 0, "bbox": box, "score": 0.9} for number in (1, 2)]
    found = measure_coco(images, truths, right, 3)
    assert (found.map, found.map50, found.map_medium, found.recall) == (1, 1, 1, 1)
    assert (found.map_small, found.map_large) == (-1, -1)
    # IoU 32 / 40 = .8: a hit at seven of ten thresholds, up to .80.
    shifted = [{**one, "bbox": [10.0, 10.0, 32.0, 40.0]} for one in right]
    found = measure_coco(images, truths, shifted, 3)
    assert found.map == pytest.approx(0.7)
    assert found.map75 == 1
    # One of two objects: precision is 1 at the recalls 0 to .50, of which there are 51 in 101.
    assert measure_coco(images, truths, right[:1], 3).map == pytest.approx(51 / 101)
    assert measure_coco(images, truths, [], 3).map == 0


def test_coco_map_of_a_network(tmp_path: Path) -> None:
    data = read_map_set(read_data(make_set(tmp_path)))
    found = coco_map(make_network(), data)
    assert 0 <= found.map <= found.map50 < 1
    assert 0 < found.recall < 1


@pytest.mark.parametrize("letter_box", [0, 1])
def test_map_and_valid_are_those_of_a_real_binary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], letter_box: int
) -> None:
    engine, path = alexeyab(), make_set(tmp_path)
    cfg, weights = tmp_path / "x.cfg", tmp_path / "x.weights"
    cfg.write_text(TINY.replace("[net]", f"[net]\nletter_box={letter_box}"))
    network = make_network(cfg.read_text())
    save_weights(network, weights, 0)
    printed = run_engine(engine, ["detector", "map", path, cfg, weights], tmp_path)
    capsys.readouterr()
    run_map(network, read_data(path), MapOptions())
    mine = capsys.readouterr().out
    assert _map_lines(mine) == _map_lines(printed)
    (tmp_path / "results").mkdir()
    run_engine(engine, ["detector", "valid", path, cfg, weights], tmp_path)
    theirs = _read_results(tmp_path / "results")
    run_valid(network, read_data(path), ValidOptions())
    assert len(theirs) > 100
    for one, other in zip(_read_results(tmp_path / "results"), theirs, strict=True):
        assert one[0] == other[0]
        assert one[1] == pytest.approx(other[1], abs=2e-3)


def _map_lines(text: str) -> list[str]:
    lines = text.replace("\r", "\n").split("\n")
    start = next(number for number, line in enumerate(lines) if "calculation mAP" in line)
    return [
        line
        for line in lines[start:]
        if line.strip() and not re.match(r" rank =|\d+|Total Detection Time", line)
    ]


def _read_results(folder: Path) -> list[tuple[str, list[float]]]:
    """Return image and class in one word, then score and box, sorted for comparison."""
    rows = []
    for file in sorted(folder.iterdir()):
        for line in file.read_text().splitlines():
            image, *numbers = line.split()
            rows.append((f"{image} {file.name}", [float(number) for number in numbers]))
    return sorted(rows)
