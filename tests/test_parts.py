"""Conversions in parts, `--shard I/N`: what comes of them together, and where one is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.files import holding

from .conftest import Ended
from .sets import contents, lines
from .trees import write_tree

Dkit = Callable[..., Ended]

_DKIT = (sys.executable, "-c", "from darknet_kit.cli.start import run; run()")


def _convert(dkit: Dkit, kind: str, source: Path, *more: str | Path) -> Ended:
    return dkit("convert", kind, source, *more, "--name", "set", "--workers", "1")


def _kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".conversion-*"))


@pytest.mark.parametrize("kind", ["voc", "coco", "ilsvrc"])
@pytest.mark.parametrize("in_view", [True, False])
def test_parts_together_are_the_whole(kind: str, in_view: bool, tmp_path: Path, dkit: Dkit) -> None:
    source, out = write_tree(kind, tmp_path / "set", 41), tmp_path / "view"
    made, more = (out, ("--out", out)) if in_view else (source, ())
    shutil.copytree(source, tmp_path / "untouched")
    whole = _convert(dkit, kind, source, *more)
    expected = contents(made)
    shutil.rmtree(made)
    shutil.copytree(tmp_path / "untouched", source, dirs_exist_ok=True)
    for number in (3, 1, 2):
        part = _convert(dkit, kind, source, *more, "--shard", f"{number}/3")
        assert f"part {number}/3" in part.stdout
        assert "without --shard" in part.stdout
    assert len(_kept(made)) == 3
    assert not (made / "train.txt").exists()
    together = _convert(dkit, kind, source, *more)
    assert (together.stdout, together.exit_code) == (whole.stdout, whole.exit_code)
    assert contents(made) == expected


def test_what_a_part_did_is_not_done_again(tmp_path: Path, dkit: Dkit) -> None:
    """The annotations are broken by then: what is listed all the same can come from parts alone."""
    source, out = write_tree("ilsvrc", tmp_path / "set", 40), tmp_path / "view"
    for number in (1, 2, 3, 4):
        _convert(dkit, "ilsvrc", source, "--out", out, "--shard", f"{number}/4")
    (out / ".conversion-2-of-4.json").write_text('{"of": "somet')
    for xml in source.rglob("*.xml"):
        xml.write_text("<annotation>")
    made = _convert(dkit, "ilsvrc", source, "--out", out)
    # Of 32 images to train on and 8 to validate on, a quarter is done anew, and left out.
    assert "10  bad-xml" in made.stdout
    assert len(lines(out / "train.txt")) == 24
    assert len(lines(out / "valid.txt")) == 6
    assert not _kept(out)


def test_parts_of_other_images_are_not_taken(tmp_path: Path, dkit: Dkit) -> None:
    source, out = write_tree("ilsvrc", tmp_path / "set", 40), tmp_path / "view"
    for number in (1, 2):
        _convert(dkit, "ilsvrc", source, "--out", out, "--shard", f"{number}/2")
    for gone in ("7.JPEG", "7.xml"):
        next(source.rglob(gone)).unlink()
    _convert(dkit, "ilsvrc", source, "--out", out)
    listed = [Path(line).stem for line in lines(out / "train.txt") + lines(out / "valid.txt")]
    assert sorted(listed, key=int) == [str(number) for number in range(40) if number != 7]


def test_parts_may_begin_at_the_same_moment(tmp_path: Path) -> None:
    source, out = write_tree("voc", tmp_path / "set", 40), tmp_path / "view"
    parts = [
        subprocess.Popen([*_DKIT, "convert", "voc", source, "--out", out, "--shard", f"{number}/4"])
        for number in (1, 2, 3, 4)
    ]
    assert [part.wait() for part in parts] == [0] * 4
    assert len(_kept(out)) == 4


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "/", "a/b", "-1/2", "1/2/3", ""])
def test_what_is_no_part_is_refused(shard: str, tmp_path: Path, dkit: Dkit) -> None:
    ended = _convert(dkit, "voc", tmp_path, "--shard", shard)
    assert (ended.exit_code, "[bad-shard]" in ended.stderr) == (2, True)


def test_a_part_does_not_wait_for_a_conversion_that_goes_on(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darknet_kit.dataset.output._PATIENCE_SECONDS", 0.1)
    source, out = write_tree("voc", tmp_path / "set", 4), tmp_path / "view"
    out.mkdir()
    with holding(out):
        ended = _convert(dkit, "voc", source, "--out", out, "--shard", "1/2")
    assert (ended.exit_code, "[folder-in-use]" in ended.stderr) == (1, True)
    assert list(out.iterdir()) == []


def test_a_part_cannot_be_dry(tmp_path: Path, dkit: Dkit) -> None:
    ended = _convert(dkit, "voc", tmp_path, "--shard", "1/2", "--dry-run")
    assert (ended.exit_code, "[contradiction]" in ended.stderr) == (2, True)


def test_what_only_has_the_name_of_a_part_is_nothing(tmp_path: Path, dkit: Dkit) -> None:
    """In a source from elsewhere, which is converted in place: nothing is waited for, or lost."""
    source = write_tree("voc", tmp_path / "set", 12)
    os.mkfifo(source / ".conversion-1-of-2.json")
    (source / ".conversion-2-of-2.json").mkdir()
    (source / ".conversion-1-of-3.json").symlink_to("/dev/zero")
    strange = ["1-of-1000000000", "01-of-02", "9-of-7", "1-of-4", "2-of-4"]
    for name in strange:
        (source / f".conversion-{name}.json").write_text("[" * 100_000)
    converted = _convert(dkit, "voc", source)
    assert (converted.exit_code, converted.stderr) == (0, "")
    assert len(lines(source / "train.txt") + lines(source / "valid.txt")) == 12
