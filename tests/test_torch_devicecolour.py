"""Colours shifted for a whole mini-batch are those that OpenCV gives image by image."""

# ruff: noqa: E402 - these imports need the extra `torch`

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from torch import Tensor

from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.engine.torch.__main__ import main
from darknet_kit.engine.torch.data.colour import Tint, shift_colour
from darknet_kit.engine.torch.data.devicecolour import tint
from darknet_kit.engine.torch.data.loader import Batch, TrainLoader
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import Pixels
from darknet_kit.engine.torch.training import learner
from darknet_kit.formats.cfg import set_value, write_cfg
from darknet_kit.formats.logevent import Iteration
from darknet_kit.formats.logline import LogReader
from darknet_kit.network.model import CfgRequest, make_cfg

SIZE = (48, 32)
OPTIONS = LoaderOptions(*SIZE, classes=3, hue=0.1, saturation=1.5, exposure=1.5)
TINTS = (
    Tint(0.1, 1.5, 1.5),
    Tint(-0.1, 1 / 1.5, 1 / 1.5),
    Tint(0.93, 3.0, 0.4),  # hues beyond the circle's end, saturations beyond 255
    Tint(-0.5, 0.2, 2.5),
    Tint(0.037, 1.0, 1.0),
    Tint(0.0, 1.31, 1.0),
)
Rectangle = tuple[int, int, int, int]


def to_batch(images: Sequence[Pixels]) -> Tensor:
    batch: Tensor = torch.from_numpy(np.stack(images))
    return batch.permute(0, 3, 1, 2)  # channels last in memory


def to_patches(rows: Sequence[Sequence[tuple[Rectangle, Tint]]]) -> Tensor:
    """Return patches [images, most, 7]; images with fewer get empty ones."""
    patches: Tensor = torch.zeros(len(rows), max(map(len, rows)), 7)
    for place, row in zip(patches, rows, strict=True):
        for patch, (rectangle, one) in zip(place, row, strict=False):
            patch[:] = torch.tensor((*rectangle, one.hue, one.saturation, one.exposure))
    return patches


def assert_near(found: Tensor, expected: Sequence[Pixels], levels: int = 1) -> None:
    assert found.dtype == torch.uint8
    difference = found.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(expected)
    assert abs(difference).max() <= levels


def draw_images(count: int, channels: int = 3, side: int = 96) -> list[Pixels]:
    """Noise, whose lower half has few levels, so that greys and equal channels are frequent."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, side, side, channels)).astype(np.uint8)
    noise[:, side // 2 :] = noise[:, side // 2 :] // 85 * 85
    return list(noise)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_whole_images_in_colour_and_gray(channels: int, form: Any) -> None:
    images = draw_images(len(TINTS), channels)
    patches = to_patches([[((0, 0, 96, 96), one)] for one in TINTS])
    found = tint(to_batch(images).contiguous(memory_format=form), patches)
    assert_near(found, [shift_colour(*pair) for pair in zip(images, TINTS, strict=True)])


def test_every_colour_of_a_coarse_cube() -> None:
    levels = np.array([*range(0, 256, 5), 1, 2, 127, 128, 254], np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    rectangle = (0, 0, cube.shape[1], cube.shape[0])
    for one in TINTS:
        found = tint(to_batch([cube]), to_patches([[(rectangle, one)]]))
        assert_near(found, [shift_colour(cube, one)])


def test_each_tile_of_a_mosaic_has_its_own_tint_and_the_rest_stays() -> None:
    images = draw_images(3)
    tiles = ((0, 0, 40, 30), (40, 0, 96, 30), (0, 30, 40, 96), (40, 30, 96, 96))
    rows = [list(zip(tiles, TINTS, strict=False)), [(tiles[2], TINTS[0])], []]
    found = tint(to_batch(images), to_patches(rows))
    expected = [image.copy() for image in images]
    for image, row in zip(expected, rows, strict=True):
        for (left, top, right, bottom), one in row:
            part = image[top:bottom, left:right]
            part[:] = shift_colour(np.ascontiguousarray(part), one)
    assert_near(found, expected)
    untouched = to_batch(images)[1:].clone()
    found[1, :, 30:, :40] = untouched[0, :, 30:, :40]
    assert torch.equal(found[1:], untouched)


def test_nothing_waits_for_the_device() -> None:
    """On the meta device there is no number that Python could look at."""
    images = torch.empty(2, 3, 32, 48, dtype=torch.uint8, device="meta")
    assert tint(images, torch.empty(2, 4, 7, device="meta")).shape == images.shape


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Eight images of different sizes."""
    folder: Path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    found = []
    for number in range(8):
        height, width = rng.integers(30, 80, 2)
        path = folder / f"{number}.png"
        assert cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3)).astype(np.uint8))
        path.with_suffix(".txt").write_text(f"{number % 3} .5 .5 .5 .6\n")
        found.append(str(path))
    return found


def take(
    paths: Sequence[str], options: LoaderOptions, *, leave_colour: bool, **ways: Any
) -> list[Batch]:
    with TrainLoader(paths, options, seed=1, leave_colour=leave_colour, **ways) as loader:
        return list(itertools.islice(loader.batches(SIZE, 10), 3))


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("mosaic", [False, True])
def test_what_is_left_to_the_device_gives_the_same_images(
    paths: list[str], channels: int, mosaic: bool
) -> None:
    options = replace(OPTIONS, channels=channels, mosaic=mosaic)
    here = take(paths, options, leave_colour=False)
    left = take(paths, options, leave_colour=True)
    for one, other in zip(here, left, strict=True):
        assert one.patches is None
        assert other.patches is not None
        assert other.patches.shape == (10, 4 if mosaic else 1, 7)
        assert torch.equal(one.truths, other.truths)
        assert not torch.equal(one.images, other.images)
        found = tint(other.images, other.patches)
        assert_near(found, list(one.images.permute(0, 2, 3, 1).numpy()))


def test_workers_and_a_later_start_change_nothing(paths: list[str]) -> None:
    options = replace(OPTIONS, mosaic=True)
    here = take(paths, options, leave_colour=True)
    there = take(paths, options, leave_colour=True, workers=2, start=10)
    for one, other in zip(here[1:], there, strict=False):
        assert all(itertools.starmap(torch.equal, zip(one, other, strict=True)))


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, blur=5),
        replace(OPTIONS, gaussian_noise=20),
        replace(OPTIONS, mixup=True),
        replace(OPTIONS, hue=0.0, saturation=1.0, exposure=1.0),
    ],
    ids=["blur", "noise", "mixup", "no colour"],
)
def test_what_colour_must_go_before_stays_with_it(paths: list[str], options: LoaderOptions) -> None:
    here = take(paths, options, leave_colour=False)
    left = take(paths, options, leave_colour=True)
    for one, other in zip(here, left, strict=True):
        assert other.patches is None
        assert torch.equal(one.images, other.images)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of drawn shapes, and a small network that shifts colours and joins mosaics."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_ilsvrc(folder, train=4, valid=2)
    convert_ilsvrc(folder / "ILSVRC", ConvertOptions(out=os.fspath(folder / "set")))
    cfg = make_cfg(CfgRequest(classes=5, model="dkit-nano", max_batches=10))
    colours = {"hue": 0.1, "saturation": 1.5, "exposure": 1.5, "mosaic": 1}
    short = {"batch": 4, "subdivisions": 2, "burn_in": 2, "max_batches": 4}
    for key, value in (short | colours).items():
        cfg = set_value(cfg, cfg.net, key, value)
    write_cfg(folder / "net.cfg", cfg)
    return folder


def train(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[float]:
    """Train on the CPU and return the loss of each iteration."""
    data, cfg = (os.fspath(folder / name) for name in ("set/ilsvrc.data", "net.cfg"))
    command = ["detector", "train", data, cfg, *words, "-device", "cpu", "-seed", "3"]
    assert main([*command, "-workers", "0"]) == 0
    reader = LogReader()
    lines = capsys.readouterr().out.splitlines(keepends=True)
    events = [event for line in lines for event in reader.feed(line)]
    return [event.loss for event in events if isinstance(event, Iteration)]


def test_a_training_learns_the_same_wherever_colours_are_shifted(
    prepared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def count(images: Tensor, patches: Tensor) -> Tensor:
        calls.append(len(images))
        return tint(images, patches)

    monkeypatch.setattr(learner, "tint", count)
    host = train(prepared, capsys)
    assert not calls  # on a CPU the loader does it
    device = train(prepared, capsys, "-augment", "device")
    assert calls == [2] * 8
    assert len(device) == len(host) == 4
    assert device[0] == pytest.approx(host[0], rel=0.02)
