"""`dkit stats`: every figure is counted by hand, or by another program."""

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from darknet_kit.dataset import advice
from darknet_kit.dataset.boxshapes import BoxShapes, find_quantile
from darknet_kit.dataset.stats import stats
from tests.conftest import Ended

from .sets import Boxes, write_labels

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

TRAIN: dict[str, Boxes] = {
    "a": [(0, 0.5, 0.5), (0, 0.1, 0.2), (1, 0.1, 0.1)],
    "b": [(0, 0.3, 0.3)],
    "c": [],
    "d": None,
    "e": [(2, 0.01, 0.02), (9, 0.5, 0.5)],
    "f": [(0, 0.001, 0.5)],
}
VALID: dict[str, Boxes] = {"v": [(1, 0.4, 0.2), (1, 0.4, 0.2)], "w": []}


def codes(ended: Ended) -> set[str]:
    return {one["code"] for one in json.loads(ended.stdout)["advice"]}


# --- counts -----------------------------------------------------------------------------------


def test_boxes_and_images_of_each_class(tmp_path: Path) -> None:
    counted = stats(write_labels(tmp_path, train=TRAIN, valid=VALID))
    train, valid = counted.splits["train"], counted.splits["valid"]
    assert train.boxes == {0: 4, 1: 1, 2: 1}
    assert train.shown == {0: 3, 1: 1, 2: 1}
    assert (train.images, train.negatives, train.unlabelled, train.beyond) == (6, 1, 1, 1)
    assert train.per_image == {3: 1, 1: 2, 0: 1, 2: 1}
    assert (valid.boxes, valid.shown, valid.negatives) == ({1: 2}, {1: 1}, 1)
    assert counted.total.boxes == {0: 4, 1: 3, 2: 1}
    assert counted.total.per_image == {3: 1, 2: 2, 1: 2, 0: 2}


def test_many_images_in_two_processes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    images: dict[str, Boxes] = {f"{n:04}": [(n % 3, 0.1, 0.1 + n / 1000)] for n in range(600)}
    counted = stats(
        write_labels(tmp_path, train=images, valid=VALID),
        workers=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert counted.splits["train"].boxes == {0: 200, 1: 200, 2: 200}
    assert counted.splits["train"].shapes.by_class[0].boxes == 200
    assert counted.splits["train"].shapes.by_class[1].width == pytest.approx(20)
    assert told[-1] == (602, 602)


def test_images_in_two_lists_and_twice_in_one(tmp_path: Path) -> None:
    data = write_labels(tmp_path, train=TRAIN, valid=VALID, test={"a": TRAIN["a"]})
    with (tmp_path / "valid.txt").open("a") as stream:
        stream.write(f"{tmp_path}/a.jpg\n{tmp_path}/b.jpg\n{tmp_path}/b.jpg\n")
    counted = stats(data)
    assert counted.shared == {("train", "valid"): 2, ("train", "test"): 1, ("valid", "test"): 1}
    assert counted.splits["valid"].repeated == 1
    assert counted.splits["train"].repeated == 0
    assert counted.splits["valid"].boxes == {0: 4, 1: 3}


def test_real_labels_as_a_plain_count_has_them(
    tmp_path: Path, shared_data: Find, dkit: Dkit
) -> None:
    out = tmp_path / "set"
    dkit("convert", "voc", shared_data("A_voc/voc2012_100"), "--out", out)
    rows: list[list[str]] = []
    images: Counter[str] = Counter()
    for name in ("train.txt", "valid.txt"):
        for image in (out / name).read_text().splitlines():
            lines = [
                line.split() for line in Path(image).with_suffix(".txt").read_text().splitlines()
            ]
            rows += lines
            images.update({line[0] for line in lines})
    assert len(rows) == 273 - 38  # objects less difficult ones, by SOURCES.md
    counted = stats(next(out.glob("*.data")))
    boxes = Counter(int(row[0]) for row in rows)
    assert counted.total.boxes == boxes
    assert counted.total.shown == {int(name): count for name, count in images.items()}
    widths = [float(row[3]) for row in rows]
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        exact = float(np.quantile(widths, share, method="inverted_cdf"))
        assert counted.total.shapes.width_at(share) == pytest.approx(exact, abs=0.00005001)
    first = counted.total.shapes.by_class[0]
    mean = np.mean([float(row[4]) for row in rows if row[0] == "0"])
    assert first.mean_height == pytest.approx(mean)


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([1, 2, 3, 4], 0.5, 2),
        ([1, 2, 3, 4], 0.25, 1),
        ([1, 2, 3, 4], 0.95, 4),
        ([5], 0.05, 5),
        (list(range(1, 21)), 0.95, 19),
        (list(range(1, 21)), 0.05, 1),
        ([-3, -3, 7], 0.5, -3),
        ([], 0.5, 0),
    ],
)
def test_a_quantile_is_the_least_that_enough_do_not_exceed(
    values: list[int], share: float, expected: int
) -> None:
    assert find_quantile(Counter(values), share) == expected


def test_quantiles_are_those_of_numpy() -> None:
    draw = random.Random(3)
    boxes = [(draw.betavariate(2, 8) + 0.01, draw.betavariate(2, 5) + 0.01) for _ in range(5000)]
    shapes = BoxShapes((416, 416))
    for width, height in boxes:
        shapes.count(0, width, height)
    widths, heights = map(np.array, zip(*boxes, strict=True))
    for share in (0.05, 0.5, 0.95):
        exact = float(np.quantile(np.minimum(heights, 1), share, method="inverted_cdf"))
        assert shapes.height_at(share) == pytest.approx(exact, abs=0.00005001)
        exact = float(np.quantile(widths / heights, share, method="inverted_cdf"))
        assert shapes.aspect_at(share) == pytest.approx(exact, rel=0.006)


def test_sizes_are_those_at_the_network_input() -> None:
    shapes = BoxShapes((200, 100))
    for width, height in [(0.08, 0.16), (0.07, 0.16), (0.32, 0.16), (0.48, 0.96), (1.7, 0.96)]:
        shapes.count(0, width, height)
    # 16 x 16, 14 x 16, 64 x 16 = 32 x 32, 96 x 96, and 200 x 96 px
    assert shapes.by_size == {"small": 1, "tiny": 1, "medium": 1, "large": 2}
    assert shapes.by_class[0].tiny == 1
    assert shapes.aspect_at(1) == pytest.approx(64 / 16)
    assert shapes.width_at(1) == 1


@pytest.mark.parametrize(("width", "height"), [(0.0099, 0.5), (0.5, 0.0099), (0, 0), (-1, 0.5)])
def test_what_is_narrower_than_a_pixel_is_unseen(width: float, height: float) -> None:
    shapes = BoxShapes((100, 100))
    shapes.count(0, width, height)
    assert (shapes.unseen, shapes.boxes) == (1, 0)
    shapes.count(0, 0.01, 0.01)
    assert (shapes.unseen, shapes.boxes) == (1, 1)


# --- what it says -----------------------------------------------------------------------------


def test_the_summary_holds_the_counts(tmp_path: Path, dkit: Dkit) -> None:
    ended = dkit("stats", write_labels(tmp_path, train=TRAIN, valid=VALID))
    assert ended.exit_code == 3  # one image has no label file, one box no class
    words = [line.split() for line in ended.stdout.splitlines()]
    assert ["train", "6", "6", "1.2", "1", "1"] in words
    assert ["valid", "2", "2", "1.0", "1", "0"] in words
    assert ["all", "8", "8", "1.1", "2", "1"] in words
    # 416 px: cat .5, .1, .3 wide; dog .1, .4, .4 wide
    assert ["0", "cat", "4", "3", "0", "0", "125", "x", "139"] in words
    assert ["1", "dog", "1", "1", "2", "1", "125", "x", "69"] in words
    assert ["2", "owl", "1", "1", "0", "0", "4", "x", "8"] in words
    assert "Next:  dkit check" in ended.stdout


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("boxes", "0 1 2"),
        ("images", "0 1 2"),
        ("size", "2 1 0"),
        ("name", "0 1 2"),
        ("id", "0 1 2"),
    ],
)
def test_the_table_is_sorted(tmp_path: Path, dkit: Dkit, order: str, expected: str) -> None:
    data = write_labels(tmp_path, train=TRAIN, valid=VALID)
    classes = json.loads(dkit("stats", data, "--sort", order, "--json").stdout)["classes"]
    assert [one["class_id"] for one in classes] == [int(number) for number in expected.split()]


def test_a_long_table_shows_both_ends(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "20")
    names = [f"class{number:03}" for number in range(100)]
    images: dict[str, Boxes] = {"i": [(n, 0.1, 0.1) for n in range(100) for _ in range(100 - n)]}
    data = write_labels(tmp_path, names, train=images)
    short = dkit("stats", data).stdout
    assert re.findall(r"^ +\d+  (class\d+)", short, re.M) == [*names[:8], *names[-4:]]
    assert "… 88 more classes: --all shows them" in short
    assert re.findall(r"^ +\d+  (class\d+)", dkit("stats", data, "--all").stdout, re.M) == names


def test_a_csv_for_every_class(tmp_path: Path, dkit: Dkit) -> None:
    data = write_labels(tmp_path, train=TRAIN, valid=VALID)
    table = tmp_path / "new" / "classes.csv"
    assert "wrote" in dkit("stats", data, "-o", table, "--sort", "id").stdout
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["name"] for row in rows] == ["cat", "dog", "owl"]
    assert rows[1] == {
        "class_id": "1",
        "name": "dog",
        "wnid": "",
        "train_boxes": "1",
        "train_images": "1",
        "valid_boxes": "2",
        "valid_images": "1",
        "test_boxes": "0",
        "test_images": "0",
        "mean_width": "0.300000",
        "mean_height": "0.166667",
        "tiny_boxes": "0",
    }
    assert "up to date" in dkit("stats", data, "-o", table, "--sort", "id").stdout
    table.write_text("mine")
    assert dkit("stats", data, "-o", table).exit_code == 2
    assert table.read_text() == "mine"
    assert dkit("stats", data, "-o", table, "--overwrite").exit_code == 3
    assert table.read_text().startswith("class_id,")


def test_names_cannot_steer_the_terminal(tmp_path: Path, dkit: Dkit) -> None:
    names = ["\x1b[2Jcat", "犬" * 40, "a\u0301b"]
    shown = dkit("stats", write_labels(tmp_path, names, train=TRAIN)).stdout
    assert "\x1b" not in shown
    lines = [line for line in shown.splitlines() if line.startswith(("   0  ", "   1  "))]
    assert "犬" * 13 + "…" in shown
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["-o", "chart.jpg"], "unknown-picture", 2),
        (["--size", "0"], "bad-size", 2),
        (["--size", "416x0"], "bad-size", 2),
        (["--size", "big"], "bad-size", 2),
        (["--few", "0"], "usage", 2),
        (["--sort", "colour"], "usage", 2),
        (["--tree", "/no/such.tree"], "missing-file", 1),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, dkit: Dkit, words: list[str], code: str, exit_code: int
) -> None:
    data = write_labels(tmp_path, train=TRAIN)
    (tmp_path / "x.wnids").write_text("n1\nn2\nn3\n")
    ended = dkit("stats", data, *words, "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["code"]) == (exit_code, code)


def test_a_tree_of_synsets_is_no_use_without_wnids(tmp_path: Path, dkit: Dkit) -> None:
    ended = dkit("stats", write_labels(tmp_path, train=TRAIN), "--tree", "9k.tree")
    assert (ended.exit_code, "[wrong-option]" in ended.stderr) == (2, True)


def test_lists_without_images(tmp_path: Path, dkit: Dkit) -> None:
    ended = dkit("stats", write_labels(tmp_path, train={}, valid={}))
    assert ended.exit_code == 0
    assert "3 classes, 0 boxes in 0 images" in ended.stdout


# --- advice -----------------------------------------------------------------------------------


def every(class_ids: Sequence[int], images: int, size: float = 0.3) -> dict[str, Boxes]:
    """Return images that show these classes, one box each."""
    return {f"i{n}": [(class_id, size, size) for class_id in class_ids] for n in range(images)}


def test_a_good_set_needs_no_advice(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "DESIRED_IMAGES", 60)
    quiet: dict[str, Boxes] = {**every((0, 1, 2), 60), "negative": []}
    data = write_labels(tmp_path, train=quiet, valid={"v": [(0, 0.2, 0.2), (1, 1, 1), (2, 1, 1)]})
    ended = dkit("stats", data)
    assert "worth knowing" not in ended.stdout
    assert ended.exit_code == 0
    assert codes(dkit("stats", data, "--json")) == set()


@pytest.mark.parametrize(
    ("train", "valid", "code", "finding"),
    [
        ({"a": None, "b": []}, {}, "missing-labels", "1 of 2 train images have no label file"),
        ({"a": [(3, 1, 1)]}, {}, "class-out-of-range", "1 train box is"),
        ({"a": []}, {"a": []}, "shared-images", "1 image is in train and in valid"),
        (every((0,), 3), {}, "no-valid-list", "no image to validate on"),
        ({}, every((0,), 3), "no-train-list", "no image to train on"),
        (every((0, 2), 3), {}, "not-in-train", "1 of 3 classes has no box in train: dog"),
        ({}, every((2,), 1), "not-in-valid", "2 of 3 classes have no box in valid: cat, dog"),
        (every((0, 1), 49), {}, "few-boxes", "2 of 3 classes have fewer than 50"),
        ({"a": [(0, 1, 1)] * 40 + [(1, 1, 1)] * 4}, {}, "imbalance", "cat has 10 times"),
        (every((0, 1, 2), 1), {}, "no-negatives", "every training image shows an object"),
        ({"a": [(0, 1, 1)] * 201}, {}, "crowded-images", "1 training image has more than 200"),
        (every((0,), 9) | {"a": [(0, 0.001, 1)]}, {}, "unseen-boxes", "1 box is narrower"),
        (every((0,), 8) | {"a": [(0, 0.01, 0.1)]}, {}, "tiny-boxes", "11% of the boxes"),
    ],
)
def test_advice(
    tmp_path: Path,
    dkit: Dkit,
    train: dict[str, Boxes],
    valid: dict[str, Boxes],
    code: str,
    finding: str,
) -> None:
    ended = dkit("stats", write_labels(tmp_path, train=train, valid=valid), "--json")
    found = {one["code"]: one["finding"] for one in json.loads(ended.stdout)["advice"]}
    assert finding in found[code]


@pytest.mark.parametrize(("images", "expected"), [(1999, True), (2000, False)])
def test_two_thousand_images_of_each_class_are_wished_for(
    tmp_path: Path, dkit: Dkit, images: int, expected: bool
) -> None:
    data = write_labels(tmp_path, train=every((0, 1, 2), 1))
    (tmp_path / "train.txt").write_text(f"{tmp_path}/i0.jpg\n" * images)
    assert ("few-images" in codes(dkit("stats", data, "--json", "--workers", "1"))) is expected


@pytest.mark.parametrize(
    ("train", "code"),
    [
        (every((0, 1, 2), 50), "few-boxes"),
        ({"a": [(0, 1, 1)] * 39 + [(1, 1, 1)] * 4}, "imbalance"),
        ({"a": [(0, 1, 1)] * 200}, "crowded-images"),
        (every((0,), 9) | {"a": [(0, 0.01, 0.1)]}, "tiny-boxes"),
        (every((0,), 9) | {"a": [(0, 0.0025, 1)]}, "unseen-boxes"),
    ],
)
def test_no_advice_below_the_bounds(
    tmp_path: Path, dkit: Dkit, train: dict[str, Boxes], code: str
) -> None:
    assert code not in codes(dkit("stats", write_labels(tmp_path, train=train), "--json"))
