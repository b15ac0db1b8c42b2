"""What ends a training, when, and what does not: signals, lost terminals, closed pipes."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.formats.cfg import read_cfg, write_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.weights.checkpoint import find_checkpoint
from tests.conftest import Ended
from tests.trainings import MakeFake, engine_pid, start, status, write_nano

Dkit = Callable[..., Ended]


def saved(run: Path) -> int:
    checkpoint = find_checkpoint(run / "weights", read_cfg(run / "project.cfg"))
    return checkpoint.iteration if checkpoint else 0


def promised(run: Path) -> list[int]:
    """Return the iterations whose weights a stop was said to wait for."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [event["iteration"] for event in events if event["event"] == "stopping"]


def await_event(run: Path, name: str) -> None:
    deadline = time.monotonic() + 30
    while f'"event": "{name}"' not in (run / "events.jsonl").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def under_way(
    fake: MakeFake, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Path
) -> tuple["subprocess.Popen[str]", Path]:
    """Start a run whose first checkpoint came at once and was looked at; it stays at 120."""
    monkeypatch.setenv("FAKE_SWIFT", "100")
    engine, cfg = fake("finish")
    process = start(engine, shapes, write_nano(cfg, 3000), tmp_path / "runs", seconds=0.01)
    run = tmp_path / "runs" / "nano"
    await_event(run, "weights-kept")
    return process, run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_engine_come_to_its_next_checkpoint(
    under_way: tuple["subprocess.Popen[str]", Path], number: signal.Signals, gate: Path
) -> None:
    process, run = under_way
    pid = engine_pid(run)
    process.send_signal(number)
    await_event(run, "stopping")
    assert process.poll() is None
    gate.touch()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    (iteration,) = promised(run)
    assert iteration % 100 == 0
    assert f"stops once iteration {iteration} is saved, in about" in stderr
    assert saved(run) == iteration
    assert "dkit train --resume" in stdout
    assert "Traceback" not in stderr
    assert not Path(f"/proc/{pid}").exists()
    assert status(run)["state"] == "stopped"


def test_a_second_signal_ends_it_at_once(
    under_way: tuple["subprocess.Popen[str]", Path],
) -> None:
    process, run = under_way
    process.send_signal(signal.SIGINT)
    await_event(run, "stopping")
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert saved(run) < promised(run)[0]
    assert "going on repeats" in stdout


def test_a_stop_from_outside_is_told_what_it_waits_for(
    dkit: Dkit, under_way: tuple["subprocess.Popen[str]", Path]
) -> None:
    process, run = under_way
    asked = dkit("runs", "stop", run)
    assert asked.exit_code == 0
    (iteration,) = promised(run)
    assert f"after its next checkpoint, at iteration {iteration}" in asked.stdout
    assert process.poll() is None
    assert dkit("runs", "stop", run, "--now").exit_code == 0  # QUIT
    assert process.wait(timeout=60) == 130
    process.communicate()
    assert saved(run) < iteration
    runs = json.loads(dkit("runs", run.parent, "--json").stdout)["runs"]
    assert runs[0]["state"] == "interrupted"


def test_a_hangup_does_not_end_a_training(
    fake: MakeFake, shapes: Path, tmp_path: Path, gate: Path
) -> None:
    engine, cfg = fake("finish")
    process = start(engine, shapes, cfg, tmp_path / "runs", seconds=0)
    process.send_signal(signal.SIGHUP)
    gate.touch()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert status(tmp_path / "runs" / "nano")["state"] == "finished"


def test_closed_pipes_do_not_end_a_training(
    fake: MakeFake, shapes: Path, tmp_path: Path, gate: Path
) -> None:
    engine, cfg = fake("finish")
    process = start(engine, shapes, cfg, tmp_path / "runs", seconds=0)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stderr.close()
    gate.touch()
    assert process.wait(timeout=60) == 0
    assert status(tmp_path / "runs" / "nano")["state"] == "finished"


def test_a_lost_terminal_does_not_end_a_training(
    fake: MakeFake, shapes: Path, tmp_path: Path, gate: Path
) -> None:
    engine, cfg = fake("finish")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    command = [sys.executable, "-m", "darknet_kit", "train", str(shapes), str(cfg)]
    process = subprocess.Popen(
        ["setsid", "--ctty", *command, "--engine", str(engine), "--out", str(tmp_path / "runs")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "FAKE_SECONDS": "0.01"},
    )
    os.close(theirs)
    shown = b""
    while b" left" not in shown:  # the bar is there
        assert select.select([ours], [], [], 30)[0], shown
        shown += os.read(ours, 1 << 16)
    assert b"images/s" in shown
    os.close(ours)  # the kernel sends SIGHUP, and every write fails with EIO
    gate.touch()
    assert process.wait(timeout=60) == 0
    assert status(tmp_path / "runs" / "nano")["state"] == "finished"


@pytest.mark.skipif(not shutil.which("darknet"), reason="no darknet on PATH (apt-get install)")
def test_a_real_engine_loses_nothing_when_it_is_stopped(
    dkit: Dkit, shapes: Path, tmp_path: Path
) -> None:
    cfg = tmp_path / "nano.cfg"
    request = CfgRequest(classes=5, model="dkit-nano", max_batches=1000, size=(32, 32), batch=2)
    write_cfg(cfg, make_cfg(request))
    darknet = shutil.which("darknet")
    assert darknet
    process = start(Path(darknet), shapes, cfg, tmp_path / "runs")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    run = tmp_path / "runs" / "nano"
    assert process.returncode == 130, stderr
    kept = saved(run)
    assert kept >= 100
    assert "[engine-still-running]" not in dkit("train", "--resume", run, "--dry-run").stderr
    assert all(kept >= iteration for iteration in promised(run))
