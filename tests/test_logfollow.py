"""Logs that grow while they are read: nothing twice, nothing lost, wherever a line is cut."""

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.errors import LogError
from darknet_kit.formats.logfollow import LogFollower
from darknet_kit.formats.trainlog import Cut, read_log
from tests.conftest import Ended

Find = Callable[[str], Path]

LOGS = [
    "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt",
    "D_logs/hank_ai/v5_legogears_yolov3-tiny_full.log",
]
LINE = " {0}: {1}, {1} avg loss, 0.001000 rate, 1.500000 seconds, {2} images, 3.250000 hours left\n"


def lines(first: int, last: int, loss: float = 2.5) -> str:
    return "".join(LINE.format(n, loss, 64 * n) for n in range(first, last + 1))


@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_grows_by_any_pieces_is_read_as_the_whole(
    shared_data: Find, tmp_path: Path, name: str
) -> None:
    content = shared_data(name).read_bytes()
    path = tmp_path / "train.log"
    draw = random.Random(3)
    follower, written = LogFollower(path), 0
    with open(path, "wb", buffering=0) as stream:
        while written < len(content):
            written += stream.write(content[written : written + draw.randint(1, 60_000)])
            follower.update()
            assert follower.offset <= written
    assert not follower.update()
    whole = read_log(path)
    assert repr(follower.log) == repr(whole)
    assert len(whole.metrics) > 3000


def test_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    follower = LogFollower(path)
    text = lines(1, 2)
    path.write_text(text[:-20])
    assert follower.update()
    assert (len(follower.log.metrics), follower.offset) == (1, len(lines(1, 1)))
    assert not follower.update()
    path.write_text(text)
    assert follower.update()
    assert list(follower.log.metrics.iteration) == [1, 2]


def test_a_log_that_begins_anew_is_a_run_that_was_resumed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(lines(1, 10))
    follower = LogFollower(path)
    follower.update()
    path.write_text(lines(6, 8, 9.0))  # shorter
    follower.update()
    log = follower.log
    assert list(log.metrics.loss) == [2.5] * 5 + [9.0] * 3
    assert log.cuts == (Cut(10, 6),)
    other = tmp_path / "b.log"
    other.write_text(lines(7, 30, 1.0))
    os.replace(other, path)  # another file of the same name
    follower.update()
    assert list(follower.log.metrics.loss) == [2.5] * 5 + [9.0] + [1.0] * 24


def test_damaged_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(lines(1, 3))
    follower = LogFollower(path)
    follower.update()
    with open(path, "a") as stream:
        stream.write(lines(4, 4) + lines(5, 5).replace(" rate", ""))
    follower.update()
    assert [damage.line for damage in follower.log.damage] == [5]


def test_logs_before_the_one_that_grows_are_read_once(tmp_path: Path) -> None:
    first, last = tmp_path / "1.log", tmp_path / "2.log"
    first.write_text(lines(1, 10))
    last.write_text(lines(8, 9, 9.0))
    follower = LogFollower(last, [first])
    follower.update()
    assert repr(follower.log) == repr(read_log(first, last))
    assert list(follower.log.metrics.loss) == [2.5] * 7 + [9.0] * 2


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08 packed\n", b'{"cells": []}\n', b"\x89PNG\n"])
def test_what_cannot_be_followed_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.log"
    with pytest.raises(LogError, match="no such file"):
        LogFollower(path).update()
    path.write_bytes(content)
    with pytest.raises(LogError) as caught:
        LogFollower(path).update()
    assert caught.value.code == "not-a-log"


def test_the_chart_is_drawn_anew_until_the_training_ends(
    dkit: Callable[..., Ended], tmp_path: Path
) -> None:
    path, picture = tmp_path / "a.log", tmp_path / "a.svg"
    path.write_text(lines(1, 50))
    drawn: list[bytes] = []

    def train() -> None:
        while not picture.exists():
            time.sleep(0.02)
        drawn.append(picture.read_bytes())
        with open(path, "a") as stream:
            stream.write(lines(51, 100, 0.5) + "Saving weights to backup/a_final.weights\n")

    training = threading.Thread(target=train)
    training.start()
    ended = dkit("plot-log", path, "--follow", "0.1", "-o", picture)
    training.join()
    assert ended.exit_code == 0, ended.stderr
    assert "finished at iteration 100" in ended.stdout
    assert picture.read_bytes() != drawn[0]
    assert "50 iterations, average loss 2.5" in ended.stderr
    again = dkit("plot-log", path, "--dry-run", "--follow", "1")
    assert (again.exit_code, "[usage]" in again.stderr) == (2, True)
