"""A training that fails and is tried again: an engine that misbehaves on request, and real ones."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.formats.cfg import read_cfg, set_value, write_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.train import process
from darknet_kit.train.health import divergence
from darknet_kit.train.supervision import policy
from tests import engines
from tests.conftest import Ended
from tests.trainings import MakeFake, engine_pid, status, write_nano

Dkit = Callable[..., Ended]
Train = Callable[..., Ended]


@pytest.fixture
def train(dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path) -> Train:
    """Train with the fake engine in a mode: train("crash", "--retries", 2)."""

    def call(mode: str, *options: object) -> Ended:
        engine, cfg = fake(mode)
        out = tmp_path / "runs"
        words = ("train", shapes, cfg, "--engine", engine, "--out", out, *options)
        return dkit(*(str(word) for word in words))

    return call


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "nano"


def attempts(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "attempts").iterdir())


def ending(run: Path, attempt: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((run / "attempts" / attempt / "exit.json").read_text())
    return document


def events(run: Path, what: str) -> list[dict[str, object]]:
    lines = (run / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == what]


def test_a_crash_is_gone_on_from_the_newest_weights(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONCE", "1")
    ended = train("crash")
    assert ended.exit_code == 0, ended.stderr
    assert "attempt 2 of 4: crashed, from iteration 100" in ended.stderr
    assert attempts(run) == ["0001", "0002"]
    assert ending(run, "0001")["code"] == "crashed"
    log = (run / "attempts/0002/log.txt").read_text()
    assert "\n 101: " in log
    assert "\n 100: " not in log
    plan = json.loads((run / "attempts/0002/plan.json").read_text())
    assert plan["start"]["iteration"] == 100
    (retrying,) = events(run, "retrying")
    assert retrying["why"] == plan["why"] == "attempt 2 of 4: crashed, from iteration 100"


def test_a_crash_at_one_place_is_given_up(train: Train, run: Path) -> None:
    ended = train("crash", "--retries", 2)
    assert ended.exit_code == 5
    # The first got to 100; three from there did not get further.
    assert attempts(run) == ["0001", "0002", "0003"]
    assert "it failed 3 times without progress" in ended.stderr
    assert "[crashed]" in ended.stderr


def test_out_of_memory_takes_more_subdivisions(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FITS", "2")
    ended = train("out-of-memory")
    assert ended.exit_code == 0, ended.stderr
    assert "attempt 2 of 4: out of memory, subdivisions 1 → 2, from iteration 100" in ended.stderr
    assert "subdivisions 2 → 4" in ended.stderr
    used = read_cfg(run / "attempts/0003/project.cfg").net
    assert (used.integer("batch"), used.integer("subdivisions")) == (8, 4)
    asked = read_cfg(run / "project.cfg").net
    assert (asked.integer("batch"), asked.integer("subdivisions")) == (8, 1)


def test_nan_goes_back_at_half_the_rate(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_RATE", "0.0004")
    monkeypatch.setenv("FAKE_SECONDS", "0.005")  # time to bring in weights before the next are lost
    ended = train("nan")
    assert ended.exit_code == 0, ended.stderr
    assert "diverged, rate × 0.5, from iteration 100" in ended.stderr
    rates = [
        read_cfg(run / f"attempts/{name}/project.cfg").net.number("learning_rate")
        for name in ("0002", "0003")
    ]
    assert rates == [0.00075, 0.000375]
    assert json.loads((run / "change.json").read_text())["rate"] == 0.25


def test_on_nan_stop_stops(train: Train, run: Path) -> None:
    ended = train("nan", "--on-nan", "stop")
    assert ended.exit_code == 5
    assert attempts(run) == ["0001"]
    assert "[diverged]" in ended.stderr


def test_an_explosion_goes_back_behind_it(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_RATE", "0.001")
    monkeypatch.setenv("FAKE_SECONDS", "0.008")
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    # Certain only after the weights of 200 have replaced those of 100.
    monkeypatch.setattr(divergence, "_GIANT_FOR", 60)
    ended = train("explode")
    assert ended.exit_code == 0, ended.stderr
    assert "attempt 2 of 4: diverged, rate × 0.5, from iteration 100" in ended.stderr
    names = {path.name for path in (run / "weights").iterdir()}
    assert "project_last.weights.diverged" in names
    assert "project_sound.weights" not in names  # no longer needed


def test_labels_that_end_an_engine_end_the_run(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "recorded.log"
    log.write_text("Couldn't open file: /data/labels/dog.txt\n")
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_CODE", "0")
    ended = train("replay")
    assert ended.exit_code == 5
    assert "[missing-label]" in ended.stderr
    assert "dkit check" in ended.stderr
    assert attempts(run) == ["0001"]


def test_labels_that_an_engine_puts_up_with_are_counted(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "recorded.log"
    line = "Can't open label file. (This can be normal only if you use MSCOCO): /d/a.txt \n"
    log.write_text(line * 1234)
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_CODE", "0")
    monkeypatch.setattr(process, "TICK_SECONDS", 0.01)
    ended = train("replay", "--retries", 0)
    assert "the engine told of missing-label 1,234 times" in ended.stderr
    assert ending(run, "0001")["warned"] == {"missing-label": 1234}


IMAGE = 'Cannot load image "/d/{}.jpg"\n'
LABEL = "Can't open label file. (This can be normal only if you use MSCOCO): /d/{}.txt \n"


@pytest.mark.parametrize(
    ("line", "since", "code"),
    [
        (IMAGE, 30, "unreadable-image"),
        (IMAGE, 0, "unreadable-image"),
        (LABEL, 30, "missing-label"),
        (LABEL, 0, "engine-ended"),  # images without objects, all the time
        (LABEL, 90, "engine-ended"),  # not long enough to be sure
    ],
)
def test_data_that_vanish_end_the_run(
    train: Train,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    since: int,
    code: str,
) -> None:
    rate = "0.001000 rate, 0.1 seconds"
    log = tmp_path / "recorded.log"
    log.write_text(
        "".join(
            (line.format(at) * 8 if at > since else "")
            + f"\n {at}: 2.5, 2.5 avg loss, {rate}, {8 * at} images, 0.1 hours left\n"
            for at in range(1, 100)
        )
    )
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_CODE", "0")
    ended = train("replay", "--retries", 0)
    assert f"[{code}]" in ended.stderr
    assert attempts(run) == ["0001"]


@pytest.mark.parametrize(
    ("log", "returncode", "code", "tried"),
    [
        ("snippets/pjreddie_issue491_oom_after_resize.txt", -6, "out-of-memory", 4),
        ("snippets/AlexeyAB_issue786_nan.txt", 0, "diverged", 4),
        ("snippets/AlexeyAB_issue8308_killed_during_map.txt", -9, "killed", 4),
        ("hank_ai/v4_crash_cuda_invalid_device.log", -6, "no-gpu", 1),
        ("hank_ai/v5_truncated_multi_gpu.log", 0, "engine-ended", 4),
    ],
)
def test_recorded_ends_are_named(
    train: Train,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_data: Callable[[str], Path],
    log: str,
    returncode: int,
    code: str,
    tried: int,
) -> None:
    monkeypatch.setenv("FAKE_LOG", str(shared_data(f"D_logs/{log}")))
    monkeypatch.setenv("FAKE_CODE", str(returncode))
    ended = train("replay", "--json")
    assert ended.exit_code == 5
    assert json.loads(ended.stdout)["error"]["code"] == code
    assert len(attempts(run)) == tried


def test_a_silent_engine_is_killed_and_gone_on_with(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONCE", "1")
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    ended = train("silent", "--stall-minutes", 0.01)
    assert ended.exit_code == 0, ended.stderr
    assert "stalled, from iteration 100" in ended.stderr
    assert ending(run, "0001")["code"] == "stalled"
    assert events(run, "engine-stopped")[0]["code"] == "stalled"


def test_an_engine_deaf_to_term_is_killed(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONCE", "1")
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(
        "darknet_kit.train.supervision.attempt.ABRUPT", process.Stop(signal.SIGTERM, 0.2)
    )
    ended = train("deaf", "--stall-minutes", 0.01)
    assert ended.exit_code == 0, ended.stderr
    assert ending(run, "0001")["how"] == "killed by SIGKILL"


@pytest.mark.parametrize("last", [300, 200], ids=["midway", "at the end"])
def test_weights_cut_by_a_full_disk_end_the_run(
    dkit: Dkit,
    fake: MakeFake,
    shapes: Path,
    tmp_path: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: int,
) -> None:
    full = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr("darknet_kit.train.health.witness.shutil.disk_usage", lambda _path: full)
    monkeypatch.setenv("FAKE_SECONDS", "0.01")
    engine, cfg = fake("full")
    write_nano(cfg, last)
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert ended.exit_code == 5
    assert "[disk-full]" in ended.stderr
    assert attempts(run) == ["0001"]
    assert ending(run, "0001")["iteration"] == 200


def test_an_engine_that_is_deleted_is_gone(
    train: Train, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = policy.decide

    def delete(*words: object) -> policy.Decision:
        (tmp_path / "darknet").unlink(missing_ok=True)
        return decide(*words)  # type: ignore[arg-type]

    monkeypatch.setattr("darknet_kit.train.supervision.supervisor.decide", delete)
    ended = train("crash")
    assert ended.exit_code == 5
    assert "[engine-gone]" in ended.stderr
    assert len(attempts(run)) == 2


def test_what_a_run_was_asked_holds_for_its_resumption(dkit: Dkit, train: Train, run: Path) -> None:
    train("crash", "--retries", 0, "--on-nan", "stop", "--stall-minutes", 7)
    assert attempts(run) == ["0001"]
    assert dkit("train", "--resume", run).exit_code == 5
    assert attempts(run) == ["0001", "0002"]
    assert dkit("train", "--resume", run, "--retries", "1").exit_code == 5
    assert "retries = 1" in (run / "run.toml").read_text()
    assert len(attempts(run)) == 4


def at_first_weights(run: Path, number: signal.Signals) -> threading.Thread:
    """Send the first engine of a run a signal once its weights have come in."""

    def watch() -> None:
        deadline = time.monotonic() + 90
        while not any((run / "weights").glob("*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(engine_pid(run), number)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def write_small(path: Path) -> Path:
    """Write a network that real engines train for 300 iterations in seconds."""
    cfg = make_cfg(CfgRequest(5, "dkit-nano", size=(32, 32), max_batches=300))
    for key, value in (("batch", 2), ("subdivisions", 1)):
        cfg = set_value(cfg, cfg.net, key, value)
    write_cfg(path, cfg)
    return path


REAL = [
    pytest.param(engines.original, id="original"),
    pytest.param(engines.alexeyab, id="alexeyab"),
    pytest.param(engines.hank_ai, id="hank-ai"),
]


@pytest.mark.parametrize("find_engine", REAL)
def test_a_real_engine_that_is_killed_is_started_again(
    dkit: Dkit,
    shapes: Path,
    tmp_path: Path,
    run: Path,
    find_engine: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy, "_FIRST_WAIT", 0.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cfg = write_small(tmp_path / "nano.cfg")
    engine = find_engine()
    killer = at_first_weights(run, signal.SIGKILL)
    words = ("--engine", engine, "--out", tmp_path / "runs", "--no-map")
    ended = dkit("train", shapes, cfg, *words)
    killer.join()
    assert ended.exit_code == 0, ended.stderr
    assert "attempt 2 of 4: killed, from iteration " in ended.stderr
    assert ending(run, "0001")["how"] == "killed by SIGKILL"
    assert status(run)["iteration"] == 300


@pytest.mark.parametrize("find_engine", REAL[:1])
def test_a_real_engine_that_hangs_is_started_again(
    dkit: Dkit,
    shapes: Path,
    tmp_path: Path,
    run: Path,
    find_engine: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "darknet_kit.train.supervision.attempt.ABRUPT", process.Stop(signal.SIGTERM, 0.5)
    )
    monkeypatch.setattr(policy, "_FIRST_WAIT", 0.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cfg = write_small(tmp_path / "nano.cfg")
    engine, out = find_engine(), tmp_path / "runs"
    stopper = at_first_weights(run, signal.SIGSTOP)
    words = ("--engine", engine, "--out", out, "--stall-minutes", "0.05")
    ended = dkit("train", shapes, cfg, *words)
    stopper.join()
    assert ended.exit_code == 0, ended.stderr
    assert "attempt 2 of 4: stalled, from iteration " in ended.stderr
    assert status(run)["iteration"] == 300
