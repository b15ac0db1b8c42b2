"""Nothing is lost: killed at any call, run again, run twice at once, out of room."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.files import holding
from darknet_kit.dataset.shard import convert_shard

from .conftest import PROJECT, Ended
from .trees import WNIDS, Words, write_tree

Dkit = Callable[..., Ended]
JOBS = [
    *((kind, place) for kind in ("voc", "ilsvrc", "coco") for place in ("in place", "view")),
    ("voc", "subset"),
    ("ilsvrc", "subset"),
]
in_each_way = pytest.mark.parametrize(("kind", "place"), JOBS)


def prepare(base: Path, kind: str, place: str, dkit: Dkit, count: int = 12) -> tuple[Path, Words]:
    """Write a tree; return the folder to be written into, and the command that does."""
    source, out = write_tree(kind, base / "set", count), base / "out"
    if place == "subset":
        dkit("convert", kind, source, "--out", base / "all", "--name", "x")
        out.mkdir()
        return out, ["subset", base / "all/x.data", "--classes", ",".join(WNIDS[1:]), "--out", out]
    if place == "view":
        out.mkdir()
        return out, ["convert", kind, source, "--out", out]
    return source, ["convert", kind, source]


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what `stat` knows of every file, link and folder that a write would change."""
    return {
        str(path): (found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns)
        for path in sorted(folder.rglob("*"))
        for found in [path.lstat()]
    }


@in_each_way
def test_a_second_run_touches_nothing(tmp_path: Path, dkit: Dkit, kind: str, place: str) -> None:
    """No file, link or folder: not even a temporary one was there meanwhile."""
    _, words = prepare(tmp_path, kind, place, dkit)
    first = dkit(*words).exit_code
    before = everything(tmp_path)
    for workers in "12":
        assert dkit(*words, "--workers", workers).exit_code == first
        assert everything(tmp_path) == before


@in_each_way
def test_sources_stay_as_they_are(tmp_path: Path, dkit: Dkit, kind: str, place: str) -> None:
    """Times and inodes too; only the folders that get labels have another time."""
    out, words = prepare(tmp_path, kind, place, dkit)
    before = everything(tmp_path)
    dkit(*words)
    after = everything(tmp_path)
    for name, state in before.items():
        assert after[name] == state or (Path(name).is_dir() and name.startswith(str(out)))


@pytest.mark.parametrize(
    ("kind", "place", "named"),
    [*((*job, False) for job in JOBS), *((*job, True) for job in JOBS[1::3])],
)
def test_killed_at_any_call_and_run_again_is_as_if_nothing_happened(
    tmp_path: Path, dkit: Dkit, kind: str, place: str, named: bool
) -> None:
    """Every 17th call here, each time from another one on; `named` as on file systems of old."""
    out, words = prepare(tmp_path, kind, place, dkit, count=6)
    first = 1 + (2 * JOBS.index((kind, place)) + named) % 17
    command = [
        sys.executable,
        "-m",
        "tests.killing",
        out,
        *(str(first), "17"),
        *words,
        *("--workers", "1"),
    ]
    environment = {**os.environ, "DKIT_TEST_NAMED": "1" if named else ""}
    before = everything(tmp_path / "set")
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=PROJECT, env=environment
    )
    *wrong, last = ended.stdout.splitlines()
    assert wrong == []
    assert int(last.split()[1]) >= 5
    after = everything(tmp_path / "set")
    files = [name for name in before if not stat.S_ISDIR(int(str(before[name][1])))]
    assert [after.get(name) for name in files] == [before[name] for name in files]


@pytest.mark.parametrize("place", ["in place", "view", "subset"])
def test_one_dkit_at_a_time_writes_into_a_folder(tmp_path: Path, dkit: Dkit, place: str) -> None:
    out, words = prepare(tmp_path, "voc", place, dkit)
    before = everything(out)
    with holding(out):
        ended = dkit(*words)
        assert (ended.exit_code, "[folder-in-use]" in ended.stderr) == (1, True)
        assert everything(out) == before
        assert dkit(*words, "--dry-run").exit_code == 0
    assert dkit(*words).exit_code == 0


def test_a_folder_that_is_replaced_meanwhile_is_no_success(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = prepare(tmp_path, "voc", "view", dkit)

    def convert_and_move(*arguments: object, **more: object) -> object:
        result = convert_shard(*arguments, **more)  # type: ignore[arg-type]
        if (out / "valid").is_dir() and any((out / "valid").iterdir()):  # all is written
            out.rename(tmp_path / "moved")
            out.mkdir()
        return result

    monkeypatch.setattr("darknet_kit.dataset.convert.convert_shard", convert_and_move)
    ended = dkit(*words, "--workers", "1")
    assert (ended.exit_code, "[folder-moved]" in ended.stderr) == (1, True)
