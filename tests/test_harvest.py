"""Weights on their way from an engine's folder into the run; files are written as Darknet does."""

import struct
import threading
import time
from pathlib import Path

import pytest

from darknet_kit.train.weights.harvest import DAMAGED, NOT_FINITE, Harvested, Harvester, harvest
from darknet_kit.train.weights.keeping import prune_weights

FLOATS = 1000


def content(value: float = 0.5, floats: int = FLOATS, seen: int = 640) -> bytes:
    return struct.pack("<iiiQ", 0, 2, 5, seen) + struct.pack(f"<{floats}f", *[value] * floats)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("backup", "weights"):
        (tmp_path / name).mkdir()
    return tmp_path / "backup", tmp_path / "weights"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_whole_and_finite_moves_and_all_else_stays(folders: tuple[Path, Path]) -> None:
    backup, weights = folders
    (backup / "project_last.weights").write_bytes(content())
    (backup / "project.backup").write_bytes(content(1.0))
    (backup / "project_100.weights").write_bytes(content(float("nan")))
    (backup / "project_200.weights").write_bytes(content(float("inf")))
    (backup / "project_300.weights").write_bytes(content()[:-1])
    (backup / "chart.png").write_bytes(b"png")
    found = {one.path.name: one.flaw for one in harvest(backup, weights, FLOATS)}
    assert found == {
        "project_last.weights": "",
        "project.backup": "",
        "project_100.weights.nan": NOT_FINITE,
        "project_200.weights.nan": NOT_FINITE,
        "project_300.weights": DAMAGED,
    }
    assert names(weights) == ["project.backup", "project_last.weights"]
    assert (weights / "project_last.weights").read_bytes() == content()


def test_one_nan_among_many_values_is_found(folders: tuple[Path, Path]) -> None:
    backup, weights = folders
    floats = 700_001  # over several blocks, and no whole number of them
    body = bytearray(content(floats=floats))
    body[-4:] = struct.pack("<f", float("-inf"))
    (backup / "project_last.weights").write_bytes(body)
    assert [one.flaw for one in harvest(backup, weights, floats)] == [NOT_FINITE]
    assert names(weights) == []


def test_a_file_still_growing_waits(folders: tuple[Path, Path]) -> None:
    backup, weights = folders
    whole = content()
    with open(backup / "project_last.weights", "wb", buffering=0) as stream:
        for end in (0, 20, 2000, len(whole) - 1):
            stream.write(whole[stream.tell() : end])
            assert list(harvest(backup, weights, FLOATS, ended=False)) == []
        stream.write(whole[-1:])
        assert list(harvest(backup, weights, FLOATS, ended=False)) == [
            Harvested(weights / "project_last.weights")
        ]


def test_a_file_opened_anew_as_it_was_taken_comes_when_it_is_whole_again(
    folders: tuple[Path, Path],
) -> None:
    backup, weights = folders
    claim = backup / ".project_last.weights.part"  # the engine writes on into what was renamed
    claim.write_bytes(content()[:500])
    (backup / "project_last.weights").write_bytes(content(2.0))
    assert list(harvest(backup, weights, FLOATS, ended=False)) == []
    claim.write_bytes(content(1.0))
    assert len(list(harvest(backup, weights, FLOATS, ended=False))) == 2
    assert (weights / "project_last.weights").read_bytes() == content(2.0)  # the later one


def test_what_a_killed_dkit_had_taken_is_brought_in(folders: tuple[Path, Path]) -> None:
    backup, weights = folders
    (backup / ".project_400.weights.part").write_bytes(content())
    (backup / ".project_last.weights.part").write_bytes(content()[:500])
    found = sorted((one.path.name, one.flaw) for one in harvest(backup, weights, FLOATS))
    assert found == [(".project_last.weights.part", DAMAGED), ("project_400.weights", "")]
    assert names(weights) == ["project_400.weights"]


def test_weights_that_the_engine_reads_again_stay_until_it_is_gone(
    folders: tuple[Path, Path],
) -> None:
    backup, weights = folders
    (backup / "project_last.weights").write_bytes(content())
    left = ("project_last.weights",)
    assert list(harvest(backup, weights, FLOATS, ended=False, left=left)) == []
    assert [one.path for one in harvest(backup, weights, FLOATS, left=left)] == [
        weights / "project_last.weights"
    ]


def test_no_half_file_is_ever_seen_under_a_name_of_the_run(folders: tuple[Path, Path]) -> None:
    """An engine overwrites `_last` in place, in pieces, while a reader opens it all the time."""
    backup, weights = folders
    wholes = {content(float(value), seen=value) for value in range(40)}
    over = threading.Event()

    def write() -> None:
        for whole in sorted(wholes):
            with open(backup / "project_last.weights", "wb", buffering=0) as stream:
                for start in range(0, len(whole), 997):
                    stream.write(whole[start : start + 997])
                    time.sleep(0.001)
            time.sleep(0.02)
        over.set()

    harvester = Harvester(backup, weights, FLOATS)
    writer = threading.Thread(target=write)
    writer.start()
    read = set()
    while not over.is_set():
        time.sleep(0.002)
        if (weights / "project_last.weights").exists():
            read.add((weights / "project_last.weights").read_bytes())
    writer.join()
    assert harvester.finish() is None
    found = harvester.take()
    assert read <= wholes
    assert len(found) > 1
    assert not any(one.flaw for one in found)
    assert (weights / "project_last.weights").read_bytes() == max(wholes)


def test_the_newest_numbered_weights_stay_and_those_started_from(tmp_path: Path) -> None:
    numbered = [f"project_{count}.weights" for count in (900, 1000, 2000, 10_000)]
    others = ["project_last.weights", "project_best.weights", "project_final.weights", "x.txt"]
    for name in (*numbered, *others, "project_900.state", "project_10000.state"):
        (tmp_path / name).touch()
    assert prune_weights(tmp_path, 0) == []
    assert prune_weights(tmp_path, 2, tmp_path / "project_1000.weights") == ["project_900.weights"]
    assert prune_weights(tmp_path, 1) == ["project_1000.weights", "project_2000.weights"]
    assert names(tmp_path) == sorted([numbered[-1], *others, "project_10000.state"])
