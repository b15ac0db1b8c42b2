"""The demo, with a real engine and few iterations."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from darknet_kit.dataset.shapes import SHAPES, draw_ilsvrc, wnid_of
from darknet_kit.formats.pascal import read_pascal
from tests.conftest import Ended

Dkit = Callable[..., Ended]


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(
            shutil.which("darknet"),
            id="darknet",
            marks=pytest.mark.skipif(not shutil.which("darknet"), reason="no darknet on PATH"),
        ),
        pytest.param(
            "torch",
            marks=pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no PyTorch"),
        ),
    ],
)
def test_the_demo_ends_with_a_chart_and_pictures_and_may_run_twice(
    dkit: Dkit, tmp_path: Path, engine: str
) -> None:
    words = ("demo", "--out", tmp_path / "demo", "--iterations", "10", "--json")
    first = dkit(*words, "--engine", engine)
    assert first.exit_code == 0, first.stderr
    assert "iteration 10 of 10" in first.stderr
    outcome = json.loads(first.stdout)
    if engine == "torch":
        assert 0 <= outcome["map50"] <= 1
    for key in ("chart", "sheet"):
        with Image.open(outcome[key]) as picture:
            assert min(picture.size) > 200
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo" / "all").rglob("*")}
    second = dkit(*words, "--engine", engine)
    assert second.exit_code == 0
    assert "iteration 10 of 10" not in second.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_drawn_trees_look_like_ilsvrc(tmp_path: Path) -> None:
    tree = draw_ilsvrc(tmp_path, train=5, valid=2, unannotated=0.4)
    nested = tree / "Annotations" / "CLS-LOC" / "train" / wnid_of(1)
    assert sorted(path.name for path in nested.iterdir()) == [
        f"{wnid_of(1)}_{number}.xml" for number in (3, 4, 5)
    ]
    assert len(list((tree / "Data/CLS-LOC/train").rglob("*.JPEG"))) == 5 * len(SHAPES)
    assert len(list((tree / "Data/CLS-LOC/val").glob("*.JPEG"))) == 2 * len(SHAPES)
    annotation = read_pascal(tree / "Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml")
    assert annotation.filename == "ILSVRC2012_val_00000001"
    assert {entry.name for entry in annotation.objects} == {wnid_of(0)}


def test_a_drawn_box_holds_the_shape_and_no_more(tmp_path: Path) -> None:
    """Inside the box each outermost row and column has pixels unlike those just outside it."""
    import random

    from darknet_kit.dataset.shapes import draw_scene

    picture, shapes = draw_scene(1, random.Random(3))
    for shape in shapes:
        inside = picture.crop((shape.left, shape.top, shape.right, shape.bottom))
        centre = inside.getpixel((inside.width // 2, inside.height // 2))
        assert isinstance(centre, tuple)
        for edge in (
            inside.crop((0, 0, inside.width, 1)),
            inside.crop((0, inside.height - 1, inside.width, inside.height)),
            inside.crop((0, 0, 1, inside.height)),
            inside.crop((inside.width - 1, 0, inside.width, inside.height)),
        ):
            pixels = [edge.getpixel((x, y)) for x in range(edge.width) for y in range(edge.height)]
            assert any(
                isinstance(pixel, tuple)
                and sum(abs(a - b) for a, b in zip(pixel, centre, strict=True)) < 200
                for pixel in pixels
            )


def test_drawing_again_completes_and_changes_nothing(tmp_path: Path) -> None:
    tree = draw_ilsvrc(tmp_path, train=2, valid=1)
    images = sorted(tree.rglob("*.JPEG"))
    whole = {path: path.read_bytes() for path in images}
    times = {path: path.stat().st_mtime_ns for path in images[1:]}
    images[0].unlink()
    draw_ilsvrc(tmp_path, train=2, valid=1)
    assert {path: path.read_bytes() for path in images} == whole
    assert {path: path.stat().st_mtime_ns for path in images[1:]} == times
