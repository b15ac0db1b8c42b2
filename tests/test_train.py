"""Training: real engines where the machine has them, and a fake one that misbehaves on request."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.formats.cfg import read_cfg, write_cfg
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.conftest import Ended
from tests.trainings import engine_pid, start, status, write_nano

Dkit = Callable[..., Ended]


def test_a_finished_training_leaves_a_readable_run(
    dkit: Dkit, fake: Callable[[str], tuple[Path, Path]], shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    run = tmp_path / "runs" / "nano"
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert ended.exit_code == 0, ended.stderr
    assert "Finished at iteration 300" in ended.stdout
    assert status(run)["state"] == "finished"
    # 300 iterations and a header; -nan in the region lines is no divergence.
    assert len((run / "metrics.csv").read_text().splitlines()) == 301
    assert (run / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "run.toml").exists()
    log = (run / "attempts" / "0001" / "log.txt").read_text()
    assert log.count("avg loss") == 300
    assert log.count("v3 (mse") == 300  # the one line of each iteration needs no summing up
    assert not list(run.rglob("*.part"))


def test_a_crash_after_the_final_weights_is_a_success(
    dkit: Dkit, fake: Callable[[str], tuple[Path, Path]], shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("crash-at-end")
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert ended.exit_code == 0, ended.stderr
    record = json.loads((tmp_path / "runs/nano/attempts/0001/exit.json").read_text())
    assert record["state"] == "finished"
    assert record["returncode"] != 0


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("crash", "crashed", "SIGSEGV"),
        ("out-of-memory", "out-of-memory", "out of memory"),
        ("nothing", "engine-ended", "exit code 0"),
    ],
)
def test_a_failure_is_named_and_ends_with_five(
    dkit: Dkit,
    fake: Callable[[str], tuple[Path, Path]],
    shapes: Path,
    tmp_path: Path,
    mode: str,
    code: str,
    said: str,
) -> None:
    engine, cfg = fake(mode)
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs", "--json")
    assert ended.exit_code == 5
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == code
    assert said in error["message"]
    assert status(tmp_path / "runs" / "nano")["state"] == "failed"


def test_a_crashed_run_goes_on_from_its_last_weights(
    dkit: Dkit,
    fake: Callable[[str], tuple[Path, Path]],
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, cfg = fake("crash")
    dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    monkeypatch.setenv("FAKE_MODE", "finish")
    ended = dkit("train", "--resume", tmp_path / "runs" / "nano")
    assert ended.exit_code == 0, ended.stderr
    assert "goes on from iteration 100: project_last.weights" in ended.stderr
    log = (tmp_path / "runs/nano/attempts/0002/log.txt").read_text()
    assert "\n 101: " in log
    assert "\n 100: " not in log


def test_divergence_stops_the_run_and_nan_weights_are_not_gone_on_with(
    dkit: Dkit,
    fake: Callable[[str], tuple[Path, Path]],
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, cfg = fake("nan")
    monkeypatch.setenv("FAKE_SWIFT", "140")
    monkeypatch.setenv("FAKE_SECONDS", "0.03")  # time to stop it before it saves again, at 200
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert ended.exit_code == 5
    assert "[diverged]" in ended.stderr
    assert "iteration 100" in ended.stderr  # the good weights, not those of 200
    assert status(tmp_path / "runs" / "nano")["avg_loss"] is None


def test_weights_cut_by_a_kill_never_come_into_the_run(
    dkit: Dkit,
    fake: Callable[[str], tuple[Path, Path]],
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, cfg = fake("cut")  # writes half of `_last` at 220, over that of 200, and is killed
    monkeypatch.setenv("FAKE_SECONDS", "0.005")
    run = tmp_path / "runs" / "nano"
    ended = dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert "(iteration 200)" in ended.stderr
    whole = 20 + 4 * weight_floats(read_cfg(cfg))  # type: ignore[operator]
    kept = {path.name: path.stat().st_size for path in (run / "weights").iterdir()}
    assert kept["project_last.weights"] == whole
    # Where they were there for a second, they are held as those of a sane loss too.
    assert kept.keys() <= {"project_last.weights", "project_sound.weights"}
    assert set(kept.values()) == {whole}
    cut = run / "attempts/0001/backup/project_last.weights"
    assert cut.stat().st_size < whole
    assert '"why": "damaged"' in (run / "events.jsonl").read_text()


def test_a_network_that_an_engine_would_mistake_is_refused(
    dkit: Dkit, shapes: Path, tmp_path: Path
) -> None:
    if not shutil.which("darknet"):
        pytest.skip("no darknet on PATH (apt-get install)")
    # The 2018 original takes mish for relu, and trains.
    cfg = tmp_path / "yolov4.cfg"
    write_cfg(cfg, make_cfg(CfgRequest(classes=5, model="yolov4", size=(96, 96))))
    ended = dkit("train", shapes, cfg, "--engine", shutil.which("darknet"), "--out", tmp_path)
    assert ended.exit_code == 2
    assert "[unsupported-by-engine]" in ended.stderr
    assert "activation=mish" in ended.stderr


def test_a_second_run_of_the_same_cfg_gets_a_name_of_its_own(
    dkit: Dkit, fake: Callable[[str], tuple[Path, Path]], shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    for _ in range(2):
        dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["nano", "nano-2"]


def test_a_killed_dkit_leaves_an_engine_that_a_resume_will_not_disturb(
    dkit: Dkit, fake: Callable[[str], tuple[Path, Path]], shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("deaf")
    process = start(engine, shapes, cfg, tmp_path / "runs")
    run = tmp_path / "runs" / "nano"
    pid = engine_pid(run)
    assert isinstance(pid, int)
    process.kill()
    process.communicate()
    try:
        ended = dkit("train", "--resume", run)
        assert ended.exit_code == 2
        assert "[engine-still-running]" in ended.stderr
        assert f"kill {pid}" in ended.stderr
    finally:
        os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        ([], 2, "usage"),
        (["no.data", "{cfg}"], 1, "missing-file"),
        (["{data}", "no.cfg"], 1, "missing-file"),
        (["{data}", "{names}"], 1, "not-a-cfg"),
        (["{data}", "{cfg}", "no.weights"], 1, "missing-file"),
        (["{data}", "{cfg}", "{cfg}"], 1, "not-weights"),
        (["{data}", "{other}"], 1, "wrong-classes"),
        (["{data}", "{cfg}", "--engine", "/no/darknet"], 4, "no-engine"),
        (["--resume", "{folder}"], 2, "no-run"),
        (["{data}", "{cfg}", "--resume", "{folder}"], 2, "wrong-option"),
        (["--resume", "{folder}", "--gpus", "0"], 2, "wrong-option"),
        (["--resume", "{folder}", "--no-map"], 2, "wrong-option"),
        (["{data}", "{cfg}", "--gpus", "one"], 2, "usage"),
        (["{data}", "{cfg}", "--clear"], 2, "clear-without-weights"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    dkit: Dkit,
    fake: Callable[[str], tuple[Path, Path]],
    shapes: Path,
    tmp_path: Path,
    arguments: list[str],
    exit_code: int,
    code: str,
) -> None:
    engine, cfg = fake("finish")
    other = write_nano(tmp_path / "other.cfg", 300, classes=7)
    places = {
        "data": shapes,
        "cfg": cfg,
        "other": other,
        "names": shapes.with_suffix(".names"),
        "folder": tmp_path,
    }
    words = [word.format(**places) for word in arguments]
    if "--engine" not in words and "--resume" not in words:
        words += ["--engine", str(engine)]
    ended = dkit("train", *words, "--out", tmp_path / "runs")
    assert ended.exit_code == exit_code, ended.stderr
    assert f"[{code}]" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 3 + ended.stderr.count("engine:")
    assert not (tmp_path / "runs").exists()


def test_weights_of_a_finished_training_would_stop_at_once(
    dkit: Dkit, fake: Callable[[str], tuple[Path, Path]], shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    dkit("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs")
    final = tmp_path / "runs/nano/weights/project_final.weights"
    words = ("train", shapes, cfg, final, "--engine", engine, "--out", tmp_path / "runs")
    ended = dkit(*words)
    assert ended.exit_code == 2
    assert "[nothing-to-train]" in ended.stderr
    assert dkit(*words, "--clear").exit_code == 0


def engine_programs() -> list[object]:
    """Debian's darknet from PATH, and AlexeyAB's where DKIT_TEST_ALEXEYAB names one."""
    debian, alexeyab = shutil.which("darknet"), os.environ.get("DKIT_TEST_ALEXEYAB")
    return [
        pytest.param(
            debian,
            id="debian",
            marks=pytest.mark.skipif(not debian, reason="no darknet on PATH (apt-get install)"),
        ),
        pytest.param(
            alexeyab,
            id="alexeyab",
            marks=pytest.mark.skipif(not alexeyab, reason="DKIT_TEST_ALEXEYAB names no binary"),
        ),
    ]


@pytest.mark.parametrize("program", engine_programs())
def test_a_real_engine_trains_is_stopped_and_resumed(
    dkit: Dkit, shapes: Path, tmp_path: Path, program: str
) -> None:
    request = CfgRequest(classes=5, model="dkit-nano", max_batches=300, size=(32, 32), batch=2)
    cfg = tmp_path / "nano.cfg"
    write_cfg(cfg, make_cfg(request))
    process = start(Path(program), shapes, cfg, tmp_path / "runs")
    process.send_signal(signal.SIGQUIT)  # at once
    stdout, stderr = process.communicate(timeout=60)
    run = tmp_path / "runs" / "nano"
    assert process.returncode == 130, stdout + stderr
    ended = dkit("train", "--resume", run)
    assert ended.exit_code == 0, ended.stderr
    assert re.search("goes on from iteration [12]00", ended.stderr)
    assert status(run)["iteration"] == 300
    final = run / "weights" / "project_final.weights"
    # 5 convolutions with batch norm (8, 16, 32, 64, 128 filters of 3 x 3) and a head of
    # (5 + 5) x 3 filters of 1 x 1 with biases: by hand.
    floats = sum(4 * o + 9 * i * o for i, o in [(3, 8), (8, 16), (16, 32), (32, 64), (64, 128)])
    floats += 30 + 128 * 30
    assert final.stat().st_size == 20 + 4 * floats
    assert (run / "chart.png").exists()


@pytest.mark.parametrize("program", engine_programs())
def test_labels_where_an_engine_does_not_look_are_noticed_before_it_starts(
    dkit: Dkit, tmp_path: Path, program: str
) -> None:
    # An `images` folder: the original looks in `labels`, AlexeyAB's beside the image.
    is_debian = program == shutil.which("darknet")
    tree = draw_ilsvrc(tmp_path / "images", train=3, valid=1)
    flavor = "alexeyab" if is_debian else "original"
    assert dkit("convert", "ilsvrc", tree, "--flavor", flavor).exit_code == 0
    cfg = write_nano(tmp_path / "nano.cfg", 10)
    ended = dkit("train", tree / "ilsvrc.data", cfg, "--engine", program)
    assert ended.exit_code == 1
    assert "[no-boxes]" in ended.stderr
