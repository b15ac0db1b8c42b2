"""`dkit runs`: what is told of runs, also of folders that a kill or a hand cut."""

import json
import os
import signal
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.train.runs.creation import create_run
from darknet_kit.train.runs.identity import identify
from darknet_kit.train.runs.record import RunSettings
from tests.conftest import Ended
from tests.recorded_nvml import RTX_3090, RecordedLibrary, install
from tests.trainings import MakeFake, look, start, status, write_nano

Dkit = Callable[..., Ended]


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
