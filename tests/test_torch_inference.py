"""`detector map`, `valid` and `test` of a small network, from image files to what is written."""

import json
import random
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from PIL import Image, ImageDraw

from darknet_kit.engine.torch.detection.cocoap import coco_map, measure_coco
from darknet_kit.engine.torch.detection.meanap import (
    MapOptions,
    MapSet,
    compute_map,
    read_map_set,
    run_map,
)
from darknet_kit.engine.torch.detection.testing import TestOptions, run_test
from darknet_kit.engine.torch.detection.validation import ValidOptions, run_valid
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.weights import save_weights
from darknet_kit.errors import CfgError, DatasetError, UsageError
from darknet_kit.formats.cfg import parse_cfg
from darknet_kit.formats.datafile import read_data
from tests.engines import alexeyab, run_engine

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
        f"classes=3\nvalid={folder}/valid.txt\n"
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
