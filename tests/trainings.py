"""Runs to test with: a drawn data set, an engine that misbehaves on request, a dkit to kill."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.formats.cfg import read_cfg, write_cfg
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.supervision import policy

if TYPE_CHECKING:
    from tests.conftest import Ended

MakeFake = Callable[[str], tuple[Path, Path]]
FAKE = Path(__file__).with_name("fake_darknet.py")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set, converted into a view; returns its .data file."""
    folder = tmp_path_factory.mktemp("shapes")
    tree = draw_ilsvrc(folder / "drawn", train=6, valid=2)
    result = convert_ilsvrc(tree, ConvertOptions(out=str(folder / "set")))
    return Path(result.paths.data)


def write_nano(path: Path, max_batches: int, classes: int = 5) -> Path:
    write_cfg(
        path, make_cfg(CfgRequest(classes=classes, model="dkit-nano", max_batches=max_batches))
    )
    return path


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Path, Path]]:
    """Make a fake engine of a mode; returns its program and a cfg of 300 iterations for it."""

    # Processes that only train leave the chart out: it takes them longer than the training.
    left_out = tmp_path / "left-out"
    left_out.mkdir()
    (left_out / "matplotlib.py").write_text("raise ImportError\n")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{left_out}:{before}" if before else str(left_out))

    def make(mode: str) -> tuple[Path, Path]:
        cfg = write_nano(tmp_path / "nano.cfg", 300)
        monkeypatch.setattr(policy, "_FIRST_WAIT", 0.0)
        monkeypatch.setenv("FAKE_MODE", mode)
        monkeypatch.setenv("FAKE_FLOATS", str(weight_floats(read_cfg(cfg))))
        program = tmp_path / "darknet"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program, cfg

    return make


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file; until it is there a fake engine stays at iteration 120."""
    path = tmp_path / "gate"
    monkeypatch.setenv("FAKE_GATE", str(path))
    return path


def status(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "status.json").read_text())
    return document


def engine_pid(run: Path) -> int:
    """Return the process id of the engine that status.json names."""
    return int(status(run)["engine"]["pid"])


def start(
    engine: Path,
    shapes: Path,
    cfg: Path,
    out: Path,
    seconds: float = 0.05,
    options: Sequence[str] = (),
) -> "subprocess.Popen[str]":
    """Start `dkit train` as a process of its own and wait until weights are there; `seconds` are
    what the fake engine takes for an iteration."""
    command = [sys.executable, "-m", "darknet_kit", "train", str(shapes), str(cfg)]
    process = subprocess.Popen(
        [*command, "--engine", str(engine), "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_SECONDS": str(seconds)},
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(out.glob("*/weights/*")):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate())


def look(dkit: Callable[..., "Ended"], out: Path) -> dict[str, Any]:
    """Return the only run below `out` as `dkit runs` tells it."""
    ended = dkit("runs", out, "--json")
    assert ended.exit_code == 0, ended.stderr
    (run,) = json.loads(ended.stdout)["runs"]
    return dict(run)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
