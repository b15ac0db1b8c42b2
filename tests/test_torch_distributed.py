"""Two processes on two halves of the images learn what one learns on all of them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch")

import numpy as np

from tests import torch_rank

_CFG = """[net]
width=64
height=48
channels=3
batch=8
subdivisions=2
max_batches=10
[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=8,8, 20,20, 40,30
num=3
classes=2
iou_loss=ciou
"""


def _start(arguments: list[str], rank: int, port: int) -> subprocess.Popen[bytes]:
    team = {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, torch_rank.__file__, *arguments]
    return subprocess.Popen(command, env=os.environ | team)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _learn_together(arguments: list[str]) -> None:
    port = _free_port()
    processes = [_start(arguments, rank, port) for rank in range(2)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()


def test_two_processes_have_the_gradient_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    (tmp_path / "net.cfg").write_text(_CFG)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (16, 3, 48, 64), np.uint8))
    truths = rng.uniform(0.1, 0.9, (16, 4, 5)).astype(np.float32)
    truths[:, :, 4] = rng.integers(0, 2, (16, 4))
    np.save(tmp_path / "truths.npy", truths)
    files = [str(tmp_path / name) for name in ("net.cfg", "images.npy", "truths.npy")]
    torch_rank.main(*[*files, str(tmp_path / "alone.npy")])
    _learn_together([*files, str(tmp_path / "together.npy")])
    alone, together = (np.load(tmp_path / f"{name}.npy") for name in ("alone", "together"))
    assert np.linalg.norm(alone) > 0
    assert np.linalg.norm(together - alone) / np.linalg.norm(alone) < 1e-5


@pytest.fixture
def pair(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A training of two processes, one of which starts the other, long enough to be broken off."""
    (tmp_path / "net.cfg").write_text(_CFG.replace("max_batches=10", "max_batches=100000"))
    Image.effect_noise((64, 48), 80).convert("RGB").save(tmp_path / "one.png")
    (tmp_path / "one.txt").write_text("1 .5 .5 .4 .4\n")
    (tmp_path / "train.txt").write_text(f"{tmp_path / 'one.png'}\n")
    (tmp_path / "net.names").write_text("a\nb\n")
    files = {"train": "train.txt", "names": "net.names", "backup": "backup"}
    lines = [f"{key} = {tmp_path / name}\n" for key, name in files.items()]
    (tmp_path / "net.data").write_text("classes = 2\n" + "".join(lines))
    words = ["detector", "train", "net.data", "net.cfg", "-gpus", "0,1", "-device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "darknet_kit.engine.torch", *words, "-workers", "0"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _follow(process: "subprocess.Popen[str]", count: int) -> list[str]:
    """Return the first `count` lines of iterations."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        if "avg loss" in line:
            lines.append(line)
        if len(lines) == count:
            break
    return lines


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_gpus_named_start_a_process_each_which_count_together(
    pair: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    lines = _follow(pair, 3)
    # Two processes, batch=8: an update counts for two iterations and 16 images.
    assert [line.split(":")[0].strip() for line in lines] == ["2", "4", "6"]
    assert [line.split(", ")[4] for line in lines] == ["16 images", "32 images", "48 images"]
    (other,) = _children(pair.pid)
    pair.terminate()
    assert pair.wait(60) == 130
    assert (tmp_path / "backup" / "net_last.weights").exists()
    assert not Path(f"/proc/{other}").exists()


@pytest.mark.parametrize("which", ["first", "other"])
def test_no_process_of_a_team_outlives_another(pair: "subprocess.Popen[str]", which: str) -> None:
    _follow(pair, 1)
    (other,) = _children(pair.pid)
    os.kill(pair.pid if which == "first" else other, signal.SIGKILL)
    assert pair.wait(60) != 0
    end = time.monotonic() + 30
    while Path(f"/proc/{other}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{other}").exists()
