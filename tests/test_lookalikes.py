"""Images to validate on that look like a training image: real photographs, and drawn ones."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from darknet_kit.formats.imagelook import look_of

from .conftest import Ended

Dkit = Callable[..., Ended]


def _draw(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Return a picture of many rectangles."""
    drawn, picture = random.Random(seed), Image.new("RGB", size, "gray")
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y = drawn.randrange(size[0]), drawn.randrange(size[1])
        shade = tuple(drawn.randrange(256) for _ in range(3))
        draw.rectangle((x, y, x + 60, y + 45), fill=shade)
    return picture


def _check(
    dkit: Dkit, folder: Path, train: Sequence[Path], valid: Sequence[Path], *more: str
) -> list[str]:
    """Return the messages of lookalikes."""
    for name, images in (("train", train), ("valid", valid)):
        (folder / f"{name}.txt").write_text("".join(f"{image}\n" for image in images))
    (folder / "x.names").write_text("cat\n")
    lists = f"train = {folder}/train.txt\nvalid = {folder}/valid.txt\nnames = {folder}/x.names\n"
    (folder / "x.data").write_text(f"classes = 1\n{lists}")
    ended = dkit("check", folder / "x.data", "--only", "lookalike", "--json", *more)
    return [
        example["message"]
        for found in json.loads(ended.stdout)["findings"]
        for example in found["examples"]
    ]


def _save_again(picture: Image.Image, folder: Path) -> dict[str, Path]:
    """Save a picture as people do who collect data sets."""
    small = picture.resize((picture.width // 2, picture.height // 2))
    square = picture.resize((416, 416))
    near = picture.crop((1, 0, *picture.size))
    made = {"near.png": near, "small.jpg": small, "square.png": square, "worse.jpg": picture}
    for name, one in made.items():
        one.save(folder / name, quality=50)
    return {name: folder / name for name in made}


def test_a_picture_saved_anew_is_found(dkit: Dkit, tmp_path: Path) -> None:
    train = [tmp_path / f"{seed}.png" for seed in range(6)]
    for seed, path in enumerate(train):
        _draw(seed).save(path)
    again = _save_again(_draw(3), tmp_path)
    _draw(100).save(tmp_path / "other.png")
    _draw(3).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "turned.png")
    valid = [*again.values(), tmp_path / "other.png", tmp_path / "turned.png"]
    found = _check(dkit, tmp_path, train, valid, "--decode", "--workers", "1")
    expected = [f"{path} looks like {train[3]} in train.txt:4" for path in again.values()]
    assert found == expected[: len(found)]
    assert len(found) == 3  # as many as a finding shows
    assert not _check(dkit, tmp_path, train, valid)  # without their pixels


def test_copies_are_told_once(dkit: Dkit, tmp_path: Path) -> None:
    """What is one file, or of one content, is a leaked image already."""
    picture = _draw(1)
    for name in ("one.png", "two.png"):
        picture.save(tmp_path / name)
    train, valid = [tmp_path / "one.png"], [tmp_path / "one.png", tmp_path / "two.png"]
    assert not _check(dkit, tmp_path, train, valid, "--decode")


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_pictures_of_one_shade_look_like_nothing(shade: int, dkit: Dkit, tmp_path: Path) -> None:
    paths = [tmp_path / "one.png", tmp_path / "other.png"]
    for path, size in zip(paths, ((200, 100), (100, 100)), strict=True):
        Image.new("L", size, shade).save(path)
        assert look_of(Image.open(path)) == 0
    assert not _check(dkit, tmp_path, paths[:1], paths[1:], "--decode")


def test_different_things_before_one_background_are_different(dkit: Dkit, tmp_path: Path) -> None:
    """Most of both pictures is the same to the pixel."""
    paths = []
    for name, box in (("left", (40, 60, 120, 160)), ("right", (180, 60, 260, 160))):
        picture = Image.new("RGB", (320, 240), "white")
        ImageDraw.Draw(picture).ellipse(box, fill="navy")
        picture.save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    assert not _check(dkit, tmp_path, paths[:1], paths[1:], "--decode")


@pytest.mark.parametrize("name", ["voc2012_100", "bccd_100", "damage2d", "cards_upper_JPG"])
def test_no_two_photographs_of_real_sets_look_alike(
    name: str, dkit: Dkit, tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    images = sorted(shared_data(f"A_voc/{name}").rglob("*.[jJ][pP]*[gG]"))
    assert len(images) > 60
    assert not _check(dkit, tmp_path, images[::2], images[1::2], "--decode")


def test_real_photographs_are_found_again(
    dkit: Dkit, tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    images = sorted(shared_data("A_voc/voc2012_100").rglob("*.jpg"))[:40]
    again = []
    for image in images:
        with Image.open(image) as picture:
            small = picture.convert("RGB").resize((picture.width * 2 // 3, picture.height * 2 // 3))
        again.append(tmp_path / image.name)
        small.save(again[-1], quality=80)
    ended = _check(dkit, tmp_path, images, again, "--decode", "-o", str(tmp_path / "found.csv"))
    assert ended
    assert (tmp_path / "found.csv").read_text().count("looks like") >= 38
