"""Anchors: clusters that can be told by eye, a plain reading of the IoU, and AlexeyAB's program."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.anchors import best_iou, compute_anchors
from darknet_kit.dataset.convert import convert_voc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.errors import CfgError, DatasetError
from darknet_kit.formats.cfg import format_cfg, parse_cfg, read_cfg
from darknet_kit.network.anchors import count_anchors, read_anchors, set_anchors
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.conftest import Ended
from tests.engines import alexeyab
from tests.sets import Boxes, write_labels

Dkit = Callable[..., Ended]

THREE = ((10.0, 20.0), (40.0, 30.0), (100.0, 120.0))


def three_heaps(boxes: int = 300) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Boxes within 5 % of three sizes."""
    chance = np.random.default_rng(1)
    sizes = np.array(THREE)[chance.integers(3, size=boxes)]
    return (sizes * chance.uniform(0.95, 1.05, sizes.shape)).astype(np.float32)


def test_iou_of_boxes_on_one_centre() -> None:
    sizes = np.array([[10, 20], [30, 30]], np.float32)
    anchors = np.array([[20, 10], [10, 10]], np.float32)
    # 10 x 20 and 20 x 10 share 100 of 300, 10 x 10 is half of it; 30 x 30 holds 200 of its 900.
    assert best_iou(sizes, anchors).tolist() == pytest.approx([0.5, 200 / 900])


@pytest.mark.parametrize("seed", range(5))
def test_heaps_are_found_from_any_start(seed: int) -> None:
    found = compute_anchors(three_heaps(), 3, seed)
    assert np.allclose(found, THREE, rtol=0.02)


def test_the_same_seed_gives_the_same_anchors() -> None:
    sizes = np.random.default_rng(2).uniform(5, 400, (2000, 2)).astype(np.float32)
    assert np.array_equal(compute_anchors(sizes, 9, 4), compute_anchors(sizes, 9, 4))


def test_too_few_boxes_are_told() -> None:
    with pytest.raises(DatasetError, match="there are 2"):
        compute_anchors(np.array([[1, 2], [3, 4], [1, 2]], np.float32), 3)


@pytest.mark.parametrize(
    ("model", "count", "first", "last"),
    [
        ("yolov4", 9, (12, 16), (459, 401)),
        ("yolov3-tiny", 6, (10, 14), (344, 319)),
        # In cells of 32 pixels: 0.57273 x 0.677385 and 9.77052 x 9.16828.
        ("yolov2", 5, (18.32736, 21.67632), (312.65664, 293.38496)),
    ],
)
def test_anchors_of_a_network_in_pixels(
    model: str, count: int, first: tuple[float, float], last: tuple[float, float]
) -> None:
    cfg = make_cfg(CfgRequest(3, model))
    anchors = read_anchors(cfg)
    assert len(anchors) == count_anchors(cfg) == count
    assert anchors[0] == pytest.approx(first)
    assert anchors[-1] == pytest.approx(last)


def test_anchors_go_into_every_head_by_area() -> None:
    cfg = set_anchors(make_cfg(CfgRequest(3, "dkit-nano")), tuple(reversed(THREE)))
    assert "anchors=10,20,  40,30,  100,120\n" in format_cfg(cfg)
    cells = set_anchors(make_cfg(CfgRequest(3, "yolov2")), [(32.0, 64.0)] * 5)
    assert "anchors=1.0000,2.0000,  1.0000" in format_cfg(cells)
    with pytest.raises(CfgError, match="num=9"):
        set_anchors(make_cfg(CfgRequest(3)), THREE)


def test_heads_with_anchors_of_their_own_are_left_alone() -> None:
    text = format_cfg(make_cfg(CfgRequest(3, "yolov4-tiny")))
    cfg = parse_cfg(text.replace("anchors=10,14", "anchors=11,14", 1))
    with pytest.raises(CfgError, match="different anchors"):
        set_anchors(cfg, [(8.0, 8.0)] * 6)
    with pytest.raises(CfgError, match="different anchors"):
        count_anchors(cfg)


@pytest.fixture
def cells(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """100 pictures of blood cells."""
    folder = tmp_path / "cells"
    options = ConvertOptions(out=str(folder), flavor=Flavor.ALEXEYAB)
    return Path(convert_voc(shared_data("A_voc/bccd_100"), options).paths.data)


def test_alexeyabs_program_finds_no_better_ones(cells: Path, dkit: Dkit) -> None:
    engine = alexeyab()
    words: list[str | Path] = ["detector", "calc_anchors", cells, "-num_of_clusters", "9"]
    words += ["-width", "416", "-height", "416"]
    folder = cells.parent / "engine"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ended = subprocess.run([engine, *words], cwd=folder, capture_output=True, text=True, check=True)
    theirs = re.search(r"avg IoU = +([\d.]+) %", ended.stdout)
    assert theirs
    ours = json.loads(dkit("anchors", cells, "--json").stdout)
    assert f"box: {ours['boxes']}" in ended.stdout
    assert ours["computed"]["average_iou"] >= float(theirs[1]) / 100 - 0.002


def test_the_command_compares_and_writes(cells: Path, dkit: Dkit, tmp_path: Path) -> None:
    cfg, out = tmp_path / "mine.cfg", tmp_path / "new.cfg"
    cfg.write_text(format_cfg(make_cfg(CfgRequest(3, "yolov4-tiny"))))
    ended = dkit("anchors", cells, "--cfg", cfg, "-o", out)
    assert ended.exit_code == 0
    assert "the network's own 6" in ended.stdout
    assert read_anchors(read_cfg(out)) != read_anchors(read_cfg(cfg))
    before, after = (path.read_text().splitlines() for path in (cfg, out))
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(changed) == 2  # its two heads
    assert all(one.startswith("anchors=") for one, _ in changed)
    assert dkit("anchors", cells, "--cfg", cfg, "-o", cfg).exit_code == 2
    assert dkit("anchors", cells, "-o", out).exit_code == 2


def test_make_cfg_takes_computed_ones(cells: Path, dkit: Dkit, tmp_path: Path) -> None:
    out = tmp_path / "a.cfg"
    words = ("make-cfg", "--data", cells, "--model", "dkit-nano", "-o", out)
    assert dkit(*words, "--anchors", "computed").exit_code == 0
    cfg = read_cfg(out)
    assert read_anchors(cfg) != read_anchors(make_cfg(CfgRequest(3, "dkit-nano")))
    assert "average IoU" in out.read_text()
    assert dkit("make-cfg", "--classes", "3", "--anchors", "computed").exit_code == 2


@pytest.mark.parametrize(
    ("boxes", "code"), [([], "no-boxes"), (None, "no-boxes"), ([(0, 0.2, 0.3)], "too-few-boxes")]
)
def test_data_without_enough_boxes(dkit: Dkit, tmp_path: Path, boxes: Boxes, code: str) -> None:
    data = write_labels(tmp_path, train={"a": boxes, "b": boxes}, valid={"c": boxes})
    for words in (("anchors", data), ("make-cfg", "--data", data, "--anchors", "computed")):
        ended = dkit(*words)
        assert (ended.exit_code, f"[{code}]" in ended.stderr) == (1, True)
    assert list(tmp_path.glob("*.cfg")) == []
