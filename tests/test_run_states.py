"""States of runs that hold after every kind of end, each of them a real one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from darknet_kit.formats.cfg import write_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.runs.identity import identify
from tests.conftest import Ended
from tests.trainings import MakeFake, edit, engine_pid, look, start, status

Dkit = Callable[..., Ended]


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)


@pytest.fixture
def under_way(
    fake: MakeFake, shapes: Path, tmp_path: Path
) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Start a run whose engine falls silent at iteration 100; nothing of it outlives the test."""
    engine, cfg = fake("deaf")
    process = start(engine, shapes, cfg, tmp_path / "runs", seconds=0)
    run = tmp_path / "runs" / "nano"
    pid = engine_pid(run)
    assert isinstance(pid, int)
    yield process, run
    process.kill()
    process.communicate()
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_run_under_way_is_running(
    dkit: Dkit, under_way: tuple["subprocess.Popen[str]", Path]
) -> None:
    process, run = under_way
    seen = look(dkit, run.parent)
    assert (seen["state"], seen["reason"]) == ("running", f"process {process.pid}")
    assert (seen["max_batches"], seen["attempts"][0]["state"]) == (300, "")
    assert "under way" in dkit("runs", "show", run).stdout


def test_after_kill_9_of_dkit_a_run_is_lost_and_its_engine_can_be_stopped(
    dkit: Dkit, under_way: tuple["subprocess.Popen[str]", Path]
) -> None:
    process, run = under_way
    pid = engine_pid(run)
    process.kill()
    process.communicate()
    seen = look(dkit, run.parent)
    assert status(run)["state"] == "running"  # what the file says
    assert (seen["state"], seen["orphan"]) == ("lost", pid)
    assert f"dkit runs stop {run}" in dkit("runs", "show", run).stdout
    # It ignores TERM.
    assert dkit("runs", "stop", run, "--now").exit_code == 0
    await_end(pid)
    assert (look(dkit, run.parent)["state"], look(dkit, run.parent)["orphan"]) == ("lost", None)
    assert f"dkit train --resume {run}" in dkit("runs", "show", run).stdout
    assert "[not-running]" in dkit("runs", "stop", run).stderr


def test_after_kill_9_of_both_a_run_is_lost(
    dkit: Dkit, under_way: tuple["subprocess.Popen[str]", Path]
) -> None:
    process, run = under_way
    pid = engine_pid(run)
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot write of its engine's end
    os.killpg(pid, signal.SIGKILL)
    process.kill()
    process.communicate()
    await_end(pid)
    seen = look(dkit, run.parent)
    assert (seen["state"], seen["orphan"]) == ("lost", None)


@pytest.mark.parametrize(
    ("mode", "state", "reason"),
    [
        ("finish", "finished", ""),
        ("nan", "diverged", "nan"),
        ("out-of-memory", "crashed", "out of memory"),
    ],
)
def test_the_end_of_a_run_is_told(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path, mode: str, state: str, reason: str
) -> None:
    engine, cfg = fake(mode)
    dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    seen = look(dkit, tmp_path / "runs")
    assert seen["state"] == state
    assert reason in seen["reason"]
    shown = dkit("runs", "show", tmp_path / "runs" / "nano")
    assert shown.exit_code == 0
    assert f"nano: {state}" in shown.stdout


def test_a_run_of_another_machine_is_stopped_there(
    dkit: Dkit, under_way: tuple["subprocess.Popen[str]", Path]
) -> None:
    _, run = under_way
    edit(run / ".lock", host="node7", boot="0")
    ended = dkit("runs", "stop", run)
    assert (ended.exit_code, "[other-machine]" in ended.stderr) == (2, True)
    assert "node7" in ended.stderr


def test_two_processes_that_race_for_a_run_do_not_both_get_it(
    fake: MakeFake, shapes: Path, tmp_path: Path, dkit: Dkit, gate: Path
) -> None:
    engine, cfg = fake("finish")
    words = ("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    run = Path(json.loads(dkit(*words, "--write-unit", "slurm", "--json").stdout)["run"])
    command = [sys.executable, "-m", "darknet_kit", "train", "--resume", str(run)]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    deadline = time.monotonic() + 60
    while all(racer.poll() is None for racer in racers) and time.monotonic() < deadline:
        time.sleep(0.02)
    gate.touch()
    ended = [(racer.communicate(timeout=60)[1], racer.returncode) for racer in racers]
    assert sorted(code for _, code in ended) == [0, 2]
    assert sum("[run-busy]" in text for text, _ in ended) == 1
    assert len(list((run / "attempts").iterdir())) == 1


def test_after_kill_9_of_its_engine_a_run_goes_on(
    fake: MakeFake, shapes: Path, tmp_path: Path, dkit: Dkit, gate: Path
) -> None:
    engine, cfg = fake("finish")
    process = start(engine, shapes, cfg, tmp_path / "runs", seconds=0)
    run = tmp_path / "runs" / "nano"
    os.killpg(engine_pid(run), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(list((run / "attempts").iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    seen = look(dkit, run.parent)
    assert (seen["state"], len(seen["attempts"])) == ("running", 2)
    assert seen["attempts"][0]["state"] == "failed"
    assert "SIGKILL" in seen["attempts"][0]["message"]
    gate.touch()
    process.communicate(timeout=60)
    assert look(dkit, run.parent)["state"] == "finished"


def test_after_kill_9_of_a_real_engine_a_run_without_retries_has_crashed(
    shapes: Path, tmp_path: Path, dkit: Dkit
) -> None:
    darknet = shutil.which("darknet")
    if not darknet:
        pytest.skip("no darknet on PATH (apt-get install)")
    cfg = tmp_path / "nano.cfg"
    request = CfgRequest(classes=5, model="dkit-nano", max_batches=900, size=(32, 32), batch=2)
    write_cfg(cfg, make_cfg(request))
    process = start(Path(darknet), shapes, cfg, tmp_path / "runs", options=("--retries", "0"))
    run = tmp_path / "runs" / "nano"
    pid = engine_pid(run)
    os.killpg(pid, signal.SIGSTOP)
    assert look(dkit, run.parent)["state"] == "running"
    os.killpg(pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5, stderr
    seen = look(dkit, run.parent)
    assert seen["state"] == "crashed"
    assert "SIGKILL" in seen["reason"]


def test_two_new_runs_of_one_name_do_not_share_a_folder(
    fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    command = [
        sys.executable,
        "-m",
        "darknet_kit",
        "train",
        str(shapes),
        str(cfg),
        "--engine",
        str(engine),
    ]
    racers = [
        subprocess.Popen([*command, "--out", str(tmp_path / "runs")], stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [racer.wait(timeout=60) for racer in racers] == [0, 0]
    for name in ("nano", "nano-2"):
        run = tmp_path / "runs" / name
        assert (status(run)["state"], len(list((run / "attempts").iterdir()))) == ("finished", 1)


def test_nobody_trains_where_another_machine_wrote_a_moment_ago(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("crash")
    words = ("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert dkit(*words, "--retries", "0").exit_code == 5
    run = tmp_path / "runs" / "nano"
    far = {**asdict(identify()), "boot": "0", "host": "node7"}
    edit(run / "status.json", state="running", engine=far)
    ended = dkit("train", "--resume", run)
    assert (ended.exit_code, "[run-busy]" in ended.stderr) == (2, True)
    assert "node7" in ended.stderr
    edit(run / "status.json", updated="2026-01-01T00:00:00+0000")
    assert "[run-busy]" not in dkit("train", "--resume", run, "--retries", "0").stderr
