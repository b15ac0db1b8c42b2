"""`dkit runs`: states that hold after every kind of end, and folders that a kill or a hand cut."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.formats.cfg import read_cfg, write_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.runs.creation import create_run
from darknet_kit.train.runs.identity import identify
from darknet_kit.train.runs.record import RunSettings
from tests.conftest import Ended
from tests.recorded_nvml import RTX_3090, RecordedLibrary, install
from tests.trainings import MakeFake, engine_pid, start, status, write_nano

Dkit = Callable[..., Ended]


def look(dkit: Dkit, out: Path) -> dict[str, Any]:
    """Return the only run below `out` as `dkit runs` tells it."""
    ended = dkit("runs", out, "--json")
    assert ended.exit_code == 0, ended.stderr
    (run,) = json.loads(ended.stdout)["runs"]
    return dict(run)


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


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("place", "age", "state", "reason"),
    [
        ({"boot": "0"}, 0, "lost", "the machine was started anew while it ran"),
        ({"boot": "0", "host": "node7"}, 60, "running", "on node7"),
        ({"boot": "0", "host": "node7"}, 3600, "lost", "no sign of life from node7 for 60 min"),
        ({"boot": "0", "host": "node7"}, 7200, "lost", "for 2.0 h"),
        ({"namespace": "pid:[1]", "host": "box"}, 0, "lost", "without a word"),  # a container's
    ],
)
def test_of_another_machine_the_heartbeat_decides(
    dkit: Dkit, tmp_path: Path, place: dict[str, str], age: int, state: str, reason: str
) -> None:
    here = {**asdict(identify()), **place}
    written = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(time.time() - age))
    run = make_run(tmp_path / "far", state="running", updated=written, engine=here)
    (run / ".lock").write_text(json.dumps(here))
    seen = look(dkit, run.parent)
    # The engine's process id is that of a living process here, and means nothing.
    assert (seen["state"], seen["orphan"]) == (state, None)
    assert reason in seen["reason"]


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


def test_a_number_that_was_given_again_is_not_taken_for_the_engine(
    dkit: Dkit, tmp_path: Path
) -> None:
    here = asdict(identify())
    for name, start_time in (("same", here["start"]), ("other", here["start"] - 1)):
        engine = {**here, "start": start_time}
        make_run(tmp_path / name, state="running", engine=engine)
    runs = json.loads(dkit("runs", tmp_path, "--sort", "name", "--json").stdout)["runs"]
    assert [run["orphan"] for run in runs] == [None, os.getpid()]


def make_run(path: Path, **told: object) -> Path:
    """Write a run folder as it would lie there after its end."""
    attempt = path / "attempts" / "0001"
    attempt.mkdir(parents=True)
    document = {"state": "finished", "iteration": 200, "max_batches": 200, **told}
    (path / "run.toml").write_text('[engine]\npath = "/d/darknet"\nflavor = "alexeyab"\n')
    (path / "status.json").write_text(json.dumps(document))
    (attempt / "command.txt").write_text("darknet\n")
    (attempt / "exit.json").write_text(json.dumps({"state": "finished", "iteration": 200}))
    header = "iteration,loss,avg_loss,learning_rate,seconds,images,hours_left\n"
    (path / "metrics.csv").write_text(f"{header}199,2,1.5,.1,1,9,1\n200,2,1.25,.1,1,9,1\n")
    (path / "map.csv").write_text("iteration,map50,f1\n100,0.5,\n150,0.75,\n200,0.25,\n")
    return path


def test_numbers_come_from_the_tables(dkit: Dkit, tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    seen = look(dkit, tmp_path)
    assert (seen["avg_loss"], seen["best_map50"], seen["best_iteration"]) == (1.25, 0.75, 150)
    table = dkit("runs", tmp_path).stdout
    for text in ("200 of 200", "1.25", "75.0% at 150", "alexeyab", "1 run: 1 finished"):
        assert text in table


def test_runs_are_sorted(dkit: Dkit, tmp_path: Path) -> None:
    for name, iteration, day in (("b", 100, 1), ("a", 300, 3), ("c", 200, 2)):
        updated = f"2026-01-0{day}T00:00:00+0000"
        make_run(tmp_path / name, iteration=iteration, updated=updated)
    for order, names in (("when", "acb"), ("name", "abc"), ("iteration", "acb")):
        listed = json.loads(dkit("runs", tmp_path, "--sort", order, "--json").stdout)["runs"]
        assert "".join(run["name"] for run in listed) == names


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.toml", None, "run.toml is gone"),
        ("run.toml", "[run\n", "run.toml cannot be read"),
        ("status.json", None, "status.json is gone"),
        ("status.json", '{"state": "fin', "status.json cannot be read"),
        ("status.json", "[]", "status.json cannot be read"),
        ("metrics.csv", "iteration,loss\n7", "200 of 200"),
        ("map.csv", "\0\n1,x\n150,0.9", "200 of 200"),  # a line cut off is no result
        ("attempts/0001/exit.json", "{", "200 of 200"),
        (".lock", "{", "200 of 200"),
    ],
)
def test_a_damaged_run_is_listed_beside_the_others(
    dkit: Dkit, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    make_run(tmp_path / "whole")
    damaged = make_run(tmp_path / "damaged")
    if content is None:
        (damaged / name).unlink()
    else:
        (damaged / name).write_text(content)
    (tmp_path / "no run").mkdir()
    ended = dkit("runs", tmp_path)
    assert ended.exit_code == 0, ended.stderr
    assert said in ended.stdout
    assert "2 runs: 2 finished" in ended.stdout
    assert "0.9" not in dkit("runs", tmp_path, "--json").stdout
    assert dkit("runs", "show", damaged).exit_code == 0


def test_a_run_without_an_attempt_is_no_riddle(dkit: Dkit, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "run.toml").write_text("[run]\n")
    seen = look(dkit, tmp_path)
    assert (seen["state"], seen["reason"]) == ("interrupted", "no engine was started yet")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["{none}"], "no-run"),
        (["{empty}"], "no-run"),
        (["show"], "usage"),
        (["show", "{empty}"], "no-run"),
        (["stop", "{empty}"], "no-run"),
        (["show", "a", "b"], "usage"),
        (["{empty}", "--now"], "usage"),
    ],
)
def test_wrong_words_are_told(dkit: Dkit, tmp_path: Path, words: list[str], code: str) -> None:
    ended = dkit("runs", *(w.format(none=tmp_path / "none", empty=tmp_path) for w in words))
    assert ended.exit_code == 2
    assert f"[{code}]" in ended.stderr


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


@pytest.mark.parametrize(("gpu", "names"), [(None, ["NVIDIA GeForce RTX 3090"]), (False, [])])
def test_a_run_names_the_gpus_that_its_engine_may_use(
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool | None,
    names: list[str],
) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090))
    cfg = read_cfg(write_nano(tmp_path / "nano.cfg", 300))
    engine = Engine(Path("/e/darknet"), Flavor.ALEXEYAB, Features(gpu=gpu))
    settings = RunSettings(str(shapes), str(cfg.path))
    run = create_run(tmp_path / "run", read_dataset(shapes), cfg, settings, engine)
    host = tomllib.loads(run.record.read_text())["host"]
    assert (host["gpus"], host["driver"]) == (names, "570.86.10" if names else "")


def test_the_heart_of_a_run_beats_while_its_engine_is_silent(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("silent")  # from iteration 120 on
    process = start(engine, shapes, cfg, tmp_path / "runs", seconds=0)
    run = tmp_path / "runs" / "nano"
    beats: dict[object, object] = {}
    deadline = time.monotonic() + 60
    while len(beats) < 3 and time.monotonic() < deadline:
        seen = status(run)
        if seen["iteration"] == 120:
            beats[seen["updated"]] = look(dkit, run.parent)["state"]
        time.sleep(0.1)
    process.send_signal(signal.SIGQUIT)
    process.communicate(timeout=60)
    assert list(beats.values()) == ["running"] * 3
