"""The log reader against engines that are training: line by line through a pipe, then the file.

AlexeyAB's Darknet is named by DKIT_TEST_ALEXEYAB; the 2018 original, which Debian packages, is
looked for on PATH.
"""

import math
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.flavor import identify
from darknet_kit.formats.logevent import Event, Finished, Iteration, MapResult
from darknet_kit.formats.trainlog import LogReader, read_log

_ITERATIONS = 24
# Learning rates at which this network learns, and at which it bursts.
_GOOD, _BAD = 0.0005, 50.0


def alexeyab() -> str:
    named = os.environ.get("DKIT_TEST_ALEXEYAB")
    if not named:
        pytest.skip("DKIT_TEST_ALEXEYAB names no darknet of AlexeyAB")
    return str(Path(named).resolve())


def original() -> str:
    found = shutil.which("darknet")
    if not found or identify(Path(found)).flavor is not Flavor.ORIGINAL:
        pytest.skip("the 2018 darknet is not on PATH (apt-get install darknet)")
    return found


def write_training(folder: Path, learning_rate: float) -> None:
    """Write eight images of a red and a green square, and a network of two layers and a head."""
    for index in range(8):
        image = Image.new("RGB", (64, 64), "black")
        draw = ImageDraw.Draw(image)
        draw.rectangle((4 + 2 * index, 8, 24 + 2 * index, 28), fill="red")
        draw.rectangle((30, 36, 50, 56), fill="green")
        image.save(folder / f"{index}.jpg")
        red = f"0 {(14 + 2 * index) / 64:.6f} 0.281250 0.312500 0.312500"
        (folder / f"{index}.txt").write_text(f"{red}\n1 0.625 0.71875 0.3125 0.3125\n")
    (folder / "train.txt").write_text("".join(f"{folder}/{index}.jpg\n" for index in range(8)))
    (folder / "a.names").write_text("red light\ngreen\n")
    (folder / "a.data").write_text(
        "classes=2\ntrain=train.txt\nvalid=train.txt\nnames=a.names\nbackup=.\n"
    )
    layer = "[convolutional]\nfilters={}\nsize={}\nstride={}\npad=1\nactivation={}\n"
    (folder / "a.cfg").write_text(
        "[net]\nbatch=8\nsubdivisions=2\nwidth=64\nheight=64\nchannels=3\nmomentum=0.9\n"
        f"decay=0.0005\nlearning_rate={learning_rate}\nburn_in=4\nmax_batches={_ITERATIONS}\n"
        "policy=constant\n"
        + layer.format(8, 3, 4, "leaky")
        + layer.format(16, 3, 2, "leaky")
        + layer.format(21, 1, 1, "linear")
        + "[yolo]\nmask=0,1,2\nanchors=14,14,20,20,26,26\nclasses=2\nnum=3\nrandom=0\n"
    )


def train(folder: Path, engine: str, *options: str) -> tuple[list[Event], LogReader]:
    """Train, feed each line to a reader as it comes, and keep the log."""
    reader = LogReader()
    events: list[Event] = []
    with (
        open(folder / "train.log", "wb") as log,
        subprocess.Popen(
            ["stdbuf", "-oL", engine, "detector", "train", "a.data", "a.cfg", *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            events += reader.feed(line)
    return events, reader


def test_alexeyab_with_map(tmp_path: Path) -> None:
    write_training(tmp_path, _GOOD)
    events, reader = train(tmp_path, alexeyab(), "-map", "-dont_show")
    iterations = [event for event in events if isinstance(event, Iteration)]
    assert [line.iteration for line in iterations] == list(range(1, _ITERATIONS + 1))
    assert [line.images for line in iterations] == [8 * n for n in range(1, _ITERATIONS + 1)]
    # ((iteration / burn_in) ** 4) * learning_rate, printed with six decimals
    rates = [_GOOD * min(1, n / 4) ** 4 for n in range(1, _ITERATIONS + 1)]
    assert [line.learning_rate for line in iterations] == pytest.approx(rates, abs=5e-7)
    (result,) = [event for event in events if isinstance(event, MapResult)]
    assert result.iteration == _ITERATIONS
    assert [entry.name for entry in result.classes] == ["red light", "green"]
    assert Finished(_ITERATIONS) in events
    assert (reader.flavor, reader.max_batches) == (Flavor.ALEXEYAB, _ITERATIONS)
    assert (reader.damaged, reader.iteration) == (0, _ITERATIONS)

    log = read_log(tmp_path / "train.log")
    assert list(log.metrics.loss) == [line.loss for line in iterations]
    assert repr(log.maps) == repr((result,))  # precision is nan, which is not equal to itself
    assert (log.ending.code, log.cuts, log.errors) == ("finished", (), ())
    assert log.last_weights == "./a_final.weights"


def test_original(tmp_path: Path) -> None:
    write_training(tmp_path, _GOOD)
    events, reader = train(tmp_path, original())
    iterations = [event for event in events if isinstance(event, Iteration)]
    assert [line.iteration for line in iterations] == list(range(1, _ITERATIONS + 1))
    assert all(line.is_finite and line.hours_left is None for line in iterations)
    assert Finished(_ITERATIONS) in events
    assert (reader.flavor, reader.damaged) == (Flavor.ORIGINAL, 0)


def test_a_network_that_bursts_is_seen_where_it_bursts(tmp_path: Path) -> None:
    write_training(tmp_path, _BAD)
    events, _ = train(tmp_path, alexeyab(), "-dont_show")
    burst = next(
        event.iteration for event in events if isinstance(event, Iteration) and not event.is_finite
    )
    log = read_log(tmp_path / "train.log")
    assert math.isfinite(log.metrics.avg_loss[0])
    assert log.diverged_at == burst > 1
    assert log.ending.code == "finished"  # the engine does not mind
