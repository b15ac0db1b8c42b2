"""The weights of a run, over several attempts; files are written as Darknet does."""

import json
import struct
import time
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.formats.cfg import write_cfg
from darknet_kit.formats.logevent import Iteration, WeightsSaved
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings
from darknet_kit.train.runs.recorder import Recorder
from darknet_kit.train.supervision.retreat import drop_sound, go_back, hold_sound
from darknet_kit.train.weights import harvest
from darknet_kit.train.weights.checkpoint import Checkpoint, find_checkpoint
from darknet_kit.train.weights.keeping import Keeper, recover_weights

CFG = make_cfg(CfgRequest(classes=5, model="dkit-nano", max_batches=400))
BATCH = CFG.net.integer("batch")
DARKNET = Engine(Path("/e/darknet"), Flavor.ALEXEYAB)
HANK = Engine(Path("/e/darknet"), Flavor.HANK_AI)
EMBEDDED = Engine(Path("torch"), Flavor.ALEXEYAB, embedded=True)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.weights.mkdir(parents=True)
    write_cfg(folder.cfg, CFG)
    return folder


def write(path: Path, iteration: int, share: float = 1.0, value: float = 0.5) -> Path:
    floats = weight_floats(CFG)
    assert floats is not None
    whole = struct.pack("<iiiQ", 0, 2, 5, iteration * BATCH)
    whole += struct.pack(f"<{floats}f", *[value] * floats)
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_attempt_left_is_gone_on_from(run: RunFolder) -> None:
    write(run.weights / "project_last.weights", 100)
    backup = run.new_attempt() / "backup"
    backup.mkdir()
    write(backup / ".project_last.weights.part", 200)  # dkit was killed while it read this
    write(backup / "project_200.weights", 200, value=float("nan"))
    write(backup / "project_last.weights", 300, share=0.7)  # and the engine while it wrote this
    write(run.weights / ".project_100.weights.part", 100, share=0.2)
    recover_weights(run, CFG)
    assert names(run.weights) == ["project_last.weights"]
    assert find_checkpoint(run.weights, CFG) == Checkpoint(
        run.weights / "project_last.weights", 200
    )
    recover_weights(run, CFG)  # a second time there is nothing left to do
    assert names(backup) == ["project_200.weights.nan", "project_last.weights"]


def test_an_attempt_keeps_the_newest_and_what_it_began_from(run: RunFolder) -> None:
    start = Checkpoint(write(run.weights / "project_100.weights", 100), 100)
    attempt = run.new_attempt()
    keeper = Keeper(run, attempt, DARKNET, CFG, RunSettings("d", "c", keep=2), start)
    with Recorder(run, attempt, max_batches=400, pid=0) as recorder:
        for iteration in (200, 300, 400):
            write(attempt / f"backup/project_{iteration}.weights", iteration)
        write(attempt / "backup/project_last.weights", 400, value=float("inf"))
        kept = [one.name for one in keeper.finish(recorder)]
    assert sorted(kept) == [f"project_{at}.weights" for at in (200, 300, 400)]
    assert names(run.weights) == [f"project_{at}.weights" for at in (100, 300, 400)]
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [one["paths"] for one in events if one["event"] == "weights-pruned"] == [
        ["project_200.weights"]
    ]
    assert [one["why"] for one in events if one["event"] == "weights-refused"] == ["not-finite"]


def test_the_embedded_engine_writes_into_the_run_itself(run: RunFolder) -> None:
    attempt = run.new_attempt()
    Keeper(run, attempt, EMBEDDED, CFG, RunSettings("d", "c"))
    assert (attempt / "backup").samefile(run.weights)
    write(run.weights / "project_last.weights", 100)
    recover_weights(run, CFG)
    assert names(run.weights) == ["project_last.weights"]


@pytest.mark.parametrize(
    ("engine", "gpus", "is_left"),
    [(HANK, (0, 1), True), (HANK, (0,), False), (DARKNET, (0, 1), False)],
)
def test_weights_that_an_engine_reads_again_are_left_to_it(
    run: RunFolder, engine: Engine, gpus: tuple[int, ...], is_left: bool
) -> None:
    attempt = run.new_attempt()
    keeper = Keeper(run, attempt, engine, CFG, RunSettings("d", "c", gpus=gpus))
    with Recorder(run, attempt, max_batches=400, pid=0) as recorder:
        write(attempt / "backup/project_last.weights", 100)
        write(attempt / "backup/project_100.weights", 100)
        wanted = {"project_100.weights", *(() if is_left else ("project_last.weights",))}
        kept: set[str] = set()
        until = time.monotonic() + 60
        while not wanted <= kept and time.monotonic() < until:
            kept |= {one.name for one in keeper.look(recorder)}
        time.sleep(0.3 * is_left)  # and another look of the thread
        assert (attempt / "backup/project_last.weights").exists() is is_left
        list(keeper.finish(recorder))
    assert names(run.weights) == ["project_100.weights", "project_last.weights"]


def test_a_lost_loss_does_not_go_on_from_the_last_iteration(run: RunFolder) -> None:
    write(run.weights / "project_final.weights", 400)
    assert go_back(run, CFG, back_to=149) is None
    assert find_checkpoint(run.weights, CFG) is None  # a later start must not call it finished
    earliest = write(run.weights / "project_last.weights", 200)
    assert go_back(run, CFG, back_to=149) == Checkpoint(earliest, 200)


def test_what_the_embedded_engine_saved_is_told_when_its_next_line_comes(run: RunFolder) -> None:
    attempt = run.new_attempt()
    keeper = Keeper(run, attempt, EMBEDDED, CFG, RunSettings("d", "c"))
    with Recorder(run, attempt, max_batches=400, pid=0) as recorder:
        keeper.note(WeightsSaved(100, "backup/project_last.weights"))
        assert list(keeper.look(recorder)) == []
        keeper.note(Iteration(101, 1.0, 1.0, 0.001, 1.0, 808))
        assert [one.name for one in keeper.look(recorder)] == ["project_last.weights"]
        assert list(keeper.look(recorder)) == []
        write(run.weights / ".project_200.weights.part", 200, share=0.5)  # it was killed there
        assert list(keeper.finish(recorder)) == []
    assert names(run.weights) == []


def test_weights_that_cannot_come_in_end_an_attempt(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvest, "_PATIENCE_SECONDS", 0.0)
    attempt = run.new_attempt()
    keeper = Keeper(run, attempt, DARKNET, CFG, RunSettings("d", "c", keep=0))
    with Recorder(run, attempt, max_batches=400, pid=0) as recorder:
        run.weights.rmdir()
        write(attempt / "backup/project_last.weights", 100)
        looks = (list(keeper.look(recorder)) for _ in iter(lambda: time.sleep(0.02), 0))
        with pytest.raises(FileNotFoundError):
            next(kept for kept in looks if kept)
        keeper.close()
    recover_weights(run, CFG)
    assert names(run.weights) == ["project_last.weights"]


def test_weights_of_a_sane_loss_are_held_with_their_state(run: RunFolder) -> None:
    last, state = run.weights / "project_last.weights", run.weights / "project_last.state"
    for iteration in (100, 200):
        last.unlink(missing_ok=True)  # as a rename does, which leaves the held file alone
        write(last, iteration)
        state.unlink(missing_ok=True)
        state.write_text(f"state of {iteration}")
        for _ in range(2):  # two events of one file
            hold_sound(run, last.name)
    last.unlink()
    write(last, 300, value=float("nan"))
    state.unlink()
    sound = run.weights / "project_sound.weights"
    assert find_checkpoint(run.weights, CFG) == Checkpoint(sound, 200)
    assert sound.with_suffix(".state").read_text() == "state of 200"
    drop_sound(run)
    assert names(run.weights) == [last.name]


def test_of_one_file_under_two_names_the_engines_own_is_taken(run: RunFolder) -> None:
    last = write(run.weights / "project_last.weights", 100)
    hold_sound(run, last.name)
    assert find_checkpoint(run.weights, CFG) == Checkpoint(last, 100)
