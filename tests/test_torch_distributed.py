"""Two processes on two halves of the images learn what one learns on all of them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
from numpy.typing import NDArray

_RANK = Path(__file__).with_name("torch_rank.py")
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


def _start(arguments: list[str], rank: int, world: int, port: int) -> subprocess.Popen[bytes]:
    team = {
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    command = [sys.executable, str(_RANK), *arguments]
    return subprocess.Popen(command, env=os.environ | (team if world > 1 else {}))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _gradient(folder: Path, world: int) -> NDArray[np.float32]:
    port, out = _free_port(), folder / f"gradient{world}.npy"
    names = ["net.cfg", "images.npy", "truths.npy"]
    arguments = [*(str(folder / name) for name in names), str(out)]
    processes = [_start(arguments, rank, world, port) for rank in range(world)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0] * world
    finally:
        for process in processes:
            process.kill()
    gradient: NDArray[np.float32] = np.load(out)
    return gradient


def test_two_processes_have_the_gradient_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    (tmp_path / "net.cfg").write_text(_CFG)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (16, 3, 48, 64), np.uint8))
    truths = rng.uniform(0.1, 0.9, (16, 4, 5)).astype(np.float32)
    truths[:, :, 4] = rng.integers(0, 2, (16, 4))
    np.save(tmp_path / "truths.npy", truths)
    alone, together = _gradient(tmp_path, 1), _gradient(tmp_path, 2)
    assert np.linalg.norm(alone) > 0
    assert np.linalg.norm(together - alone) / np.linalg.norm(alone) < 1e-5
