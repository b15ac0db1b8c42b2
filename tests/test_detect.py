"""Detection: parsing, suppression and matching by hand; real engines on a network they trained."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from darknet_kit.core.boxes import Box
from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.evaluate.detect import Detection, parse_detection, suppress
from darknet_kit.evaluate.matching import match_all
from darknet_kit.formats.cfg import write_cfg
from darknet_kit.formats.datafile import iter_image_list
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.conftest import Ended

Dkit = Callable[..., Ended]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The engine counts pixels from 1.
        ("000003 0.5 1 1 11 21", (3, Detection(7, 0.5, Box(0, 0, 10, 20)))),
        ("000000 0.25 2.5 3.5 4 5", (0, Detection(7, 0.25, Box(1.5, 2.5, 3, 4)))),
        ("000003 0.5 1 1 11", None),
        ("name 0.5 1 1 11 21", None),
        ("", None),
    ],
)
def test_a_line_of_the_engine_becomes_a_box(
    line: str, expected: tuple[int, Detection] | None
) -> None:
    assert parse_detection(line, 7) == expected


def test_a_second_detection_of_the_same_object_is_suppressed() -> None:
    best = Detection(0, 0.9, Box(0, 0, 10, 10))
    shifted = Detection(0, 0.6, Box(0, 0, 10, 8))  # IoU 0.8
    beside = Detection(0, 0.5, Box(6, 0, 16, 10))  # IoU 4/16 = 0.25
    other = Detection(1, 0.4, Box(0, 0, 10, 10))  # another class
    assert suppress([other, shifted, beside, best]) == [best, beside, other]


def test_matching_counts_by_hand() -> None:
    truths = [(0, Box(0, 0, 10, 10)), (0, Box(50, 50, 60, 60)), (1, Box(0, 0, 10, 10))]
    detections = [
        Detection(0, 0.9, Box(0, 0, 10, 9)),  # IoU 0.9: found
        Detection(0, 0.8, Box(0, 0, 10, 10)),  # the same truth again: made up
        Detection(0, 0.7, Box(50, 50, 60, 54)),  # IoU 0.4: made up
    ]
    matches = match_all([(detections, truths), ([], [])])
    assert (matches.truths, matches.found, matches.claimed) == (3, 1, 3)
    assert matches.recall == pytest.approx(1 / 3)
    assert matches.precision == pytest.approx(1 / 3)


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, and runs/nano trained in it by the darknet on PATH."""
    from darknet_kit.cli.main import main

    if not shutil.which("darknet"):
        pytest.skip("no darknet on PATH (apt-get install)")
    folder = tmp_path_factory.mktemp("trained")
    tree = draw_ilsvrc(folder / "drawn", train=10, valid=3)
    convert_ilsvrc(tree, ConvertOptions(out=str(folder / "set")))
    request = CfgRequest(classes=5, model="dkit-nano", max_batches=200)
    write_cfg(folder / "nano.cfg", make_cfg(request))
    words = ["train", folder / "set/ilsvrc.data", folder / "nano.cfg", "--out", folder / "runs"]
    assert main([*map(str, words), "--engine", str(shutil.which("darknet"))]) == 0
    return folder


def test_pictures_and_json_come_out(dkit: Dkit, trained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no more")
    lists = trained / "set" / "valid.txt"
    out = tmp_path / "found"
    ended = dkit("detect", trained / "runs/nano", lists, broken, "--thresh", "0.01", "--out", out)
    assert ended.exit_code == 3, ended.stderr  # one image was skipped
    assert "broken.jpg" in ended.stderr
    records = json.loads((out / "detections.json").read_text())
    assert [record["image"] for record in records] == list(iter_image_list(lists))
    found = [entry for record in records for entry in record["objects"]]
    assert found
    for record in records:
        width, height = size_of(record["image"])
        assert Path(record["picture"]).exists()
        for entry in record["objects"]:
            left, top, right, bottom = entry["xyxy_px"]
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            assert 0.01 <= entry["confidence"] <= 1
    assert (out / "sheet.png").exists()
    again = dkit("detect", trained / "runs/nano", lists, "--out", out)
    assert (again.exit_code, "[not-empty]" in again.stderr) == (2, True)


def test_one_image_alone_and_two_of_one_name(dkit: Dkit, trained: Path, tmp_path: Path) -> None:
    # The 2018 original starts four loaders whether there are four images or not.
    image = Path(next(iter_image_list(trained / "set" / "valid.txt")))
    copy = tmp_path / "odd (1) name.jpg"
    copy.write_bytes(image.read_bytes())
    out = tmp_path / "found"
    words = ("detect", trained / "runs/nano", image, "--out")
    assert dkit(*words, out).exit_code == 0
    (tmp_path / "twin").mkdir()
    twin = tmp_path / "twin" / image.name
    twin.write_bytes(image.read_bytes())
    ended = dkit("detect", trained / "runs/nano", image, twin, copy, "--out", tmp_path / "all")
    assert ended.exit_code == 0
    records = json.loads((tmp_path / "all" / "detections.json").read_text())
    assert len({record["picture"] for record in records}) == 3
    assert records[0]["objects"] == records[1]["objects"] == records[2]["objects"]


def test_boxes_are_those_of_alexeyabs_own_json(trained: Path, dkit: Dkit, tmp_path: Path) -> None:
    """The oracle is `detector test -out`, which writes fractions of the image."""
    program = os.environ.get("DKIT_TEST_ALEXEYAB")
    if not program:
        pytest.skip("DKIT_TEST_ALEXEYAB names no binary")
    run, out = trained / "runs" / "nano", tmp_path / "found"
    words = ("detect", run, trained / "set" / "valid.txt", "--thresh", "0.05", "--out", out)
    assert dkit(*words, "--engine", program).exit_code == 0
    records = json.loads((out / "detections.json").read_text())
    assert sum(len(record["objects"]) for record in records) > 0
    for record in records:
        size = size_of(record["image"])
        expected = ask_alexeyab(program, run, record["image"], tmp_path)
        # `valid` suppresses at an IoU of 0.6 before dkit does at 0.45. A box that only a box
        # suppressed later had suppressed is then missing; none can be there in addition.
        assert bool(record["objects"]) == bool(expected)
        assert len(record["objects"]) <= len(expected)
        for entry in record["objects"]:
            same_class = [box for class_id, box in expected if class_id == entry["class_id"]]
            assert min(distance(entry["xyxy_px"], box, size) for box in same_class) <= 1.01


def ask_alexeyab(
    program: str, run: Path, image: str, folder: Path
) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Return class_id and edges in pixels of what `detector test` finds."""
    weights = str(run / "weights" / "project_final.weights")
    (folder / "net.data").write_text(f"classes=5\nnames={run / 'project.names'}\n")
    command = [program, "detector", "test", "net.data", str(run / "project.cfg"), weights, image]
    options = ["-thresh", "0.05", "-dont_show", "-out", "theirs.json"]
    subprocess.run([*command, *options], cwd=folder, capture_output=True, check=True)
    (theirs,) = json.loads((folder / "theirs.json").read_text())
    width, height = size_of(image)
    found = []
    for entry in theirs["objects"]:
        place = entry["relative_coordinates"]
        cx, cy = place["center_x"] * width, place["center_y"] * height
        w, h = place["width"] * width, place["height"] * height
        found.append((entry["class_id"], (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)))
    return found


def distance(
    mine: list[float], theirs: tuple[float, float, float, float], size: tuple[int, int]
) -> float:
    """Return how far two boxes lie apart at most, in pixels, once clipped to the image.

    `valid` clips what it counts from 1, and so up to a pixel within the image.
    """
    limits = (*size, *size)
    return max(
        abs(max(0.0, min(limit, other)) - one)
        for one, other, limit in zip(mine, theirs, limits, strict=True)
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["{folder}", "x.jpg"], "no-run"),
        (["{run}", "/no/such.jpg"], "unreadable-image"),
        (["{run}", "{empty}"], "no-images"),
        (["{run}", "{image}", "--weights", "/no.weights"], "missing-file"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    dkit: Dkit, trained: Path, tmp_path: Path, words: list[str], code: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "folder": trained,
        "run": trained / "runs" / "nano",
        "empty": tmp_path / "empty",
        "image": next(iter_image_list(trained / "set" / "valid.txt")),
    }
    ended = dkit("detect", *(word.format(**places) for word in words), "--out", tmp_path / "o")
    assert ended.exit_code in (1, 2)
    assert f"[{code}]" in ended.stderr
    assert not (tmp_path / "o").exists()
