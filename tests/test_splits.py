"""Which images train and which validate: as the set states, else drawn, and lasting."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.splits import draw_split
from tests.conftest import Ended

from .sets import lines, write_pair

Dkit = Callable[..., Ended]


def write_images(root: Path, stems: range) -> None:
    for number in stems:
        place = root / ("more" if number % 3 else ".") / f"{number:03}"
        write_pair(place.with_suffix(".jpg"), place.with_suffix(".xml"))


def split_of(out: Path) -> dict[str, str]:
    """Return the split of each listed image by its stem."""
    return {
        Path(image).stem: split
        for split in ("train", "valid", "test")
        if (out / f"{split}.txt").exists()
        for image in lines(out / f"{split}.txt")
    }


def test_images_that_are_added_move_no_others(tmp_path: Path, dkit: Dkit) -> None:
    root = tmp_path / "set"
    write_images(root, range(60))
    dkit("convert", "voc", root, "--out", tmp_path / "out", "--valid-fraction", "0.3")
    before = split_of(tmp_path / "out")
    assert len(before) == 60
    assert {"train", "valid"} == set(before.values())
    write_images(root, range(60, 90))
    write_images(root / "images", range(200, 220))
    dkit("convert", "voc", root, "--out", tmp_path / "out", "--valid-fraction", "0.3")
    after = split_of(tmp_path / "out")
    assert len(after) == 110
    assert {stem: after[stem] for stem in before} == before
    assert {after[stem] for stem in after.keys() - before.keys()} == {"train", "valid"}


def test_the_draw_does_not_depend_on_where_the_set_lies(tmp_path: Path, dkit: Dkit) -> None:
    found: list[dict[str, str]] = []
    for place in ("here", "else/where"):
        write_images(tmp_path / place, range(40))
        out = tmp_path / f"out_{len(found)}"
        dkit("convert", "voc", tmp_path / place, "--out", out, "--valid-fraction", "0.5")
        found.append(split_of(out))
    assert found[0] == found[1]
    dkit("convert", "voc", tmp_path / "here", "--out", tmp_path / "other", "--seed", "1")
    assert split_of(tmp_path / "other") != found[0]


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.1, 0.5, 0.9])
def test_a_fraction_is_about_that(fraction: float) -> None:
    """Within four standard deviations of a binomial of 20,000."""
    count = 20_000
    drawn = sum(draw_split(f"train/{number}", fraction, 7) == "valid" for number in range(count))
    assert abs(drawn - count * fraction) <= 4 * math.sqrt(count * fraction * (1 - fraction))


def test_a_larger_fraction_takes_more_and_gives_none_back() -> None:
    names = [f"{number}" for number in range(1000)]
    small = {name for name in names if draw_split(name, 0.1, 0) == "valid"}
    large = {name for name in names if draw_split(name, 0.2, 0) == "valid"}
    assert small < large


@pytest.mark.parametrize("fraction", ["0.001", "0.999"])
def test_of_a_few_images_one_at_least_trains_and_one_validates(
    tmp_path: Path, dkit: Dkit, fraction: str
) -> None:
    root = tmp_path / "set"
    write_images(root, range(2))
    dkit("convert", "voc", root, "--out", tmp_path / "out", "--valid-fraction", fraction)
    assert sorted(split_of(tmp_path / "out").values()) == ["train", "valid"]
    write_images(root, range(20))
    dkit("convert", "voc", root, "--out", tmp_path / "out", "--valid-fraction", fraction)
    drawn = sorted(split_of(tmp_path / "out").values())
    assert drawn == ["train"] * 19 + ["valid"] or drawn == ["train"] + ["valid"] * 19


def test_an_only_image_trains_and_a_fraction_of_0_takes_none(tmp_path: Path, dkit: Dkit) -> None:
    root = tmp_path / "set"
    write_images(root, range(1))
    for fraction in ("0.001", "0.999", "0"):
        dkit("convert", "voc", root, "--out", tmp_path / fraction, "--valid-fraction", fraction)
        assert split_of(tmp_path / fraction) == {"000": "train"}
    write_images(root, range(9))
    dkit("convert", "voc", root, "--out", tmp_path / "none", "--valid-fraction", "0")
    assert set(split_of(tmp_path / "none").values()) == {"train"}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("train val", {"train": "train", "val": "valid"}),
        ("train valid test", {"train": "train", "valid": "valid", "test": "test"}),
        ("train test", {"train": "train", "test": "valid"}),  # nothing else to validate on
        ("training validation", {"training": "train", "validation": "valid"}),
        ("val other", {"val": "valid", "other": "train"}),
        ("train other test", {"train": "train", "other": "train", "test": "valid"}),
    ],
)
def test_what_a_set_states_holds(
    tmp_path: Path, dkit: Dkit, folders: str, expected: dict[str, str]
) -> None:
    for folder in folders.split():
        write_pair(tmp_path / f"set/{folder}/{folder}.jpg", tmp_path / f"set/{folder}/{folder}.xml")
    dkit("convert", "voc", tmp_path / "set", "--out", tmp_path / "out", "--valid-fraction", "0.9")
    assert split_of(tmp_path / "out") == expected
