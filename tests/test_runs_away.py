"""Runs without a terminal: in the background, under systemd, under Slurm."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.trainings import MakeFake, status, write_nano

Dkit = Callable[..., Ended]


def await_state(run: Path, state: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (run / "status.json").exists() and status(run)["state"] == state:
            return
        time.sleep(0.05)
    raise AssertionError((run / "output.log").read_text())


def test_a_detached_run_goes_on_without_this_process(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    words = ("train", shapes, cfg, "--engine", engine, "--out", tmp_path / "runs", "--detach")
    ended = dkit(*words, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    pid, run = document["pid"], Path(document["run"])
    assert os.getsid(pid) == pid  # no terminal, no group of ours
    await_state(run, "finished")
    assert os.waitpid(pid, 0)[1] == 0
    assert "Finished at iteration 300" in (run / "output.log").read_text()


def test_what_is_wrong_is_told_before_and_after_detaching(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    words = ("--engine", engine, "--out", tmp_path / "runs")
    refused = dkit("train", shapes, tmp_path / "no.cfg", *words, "--detach")
    assert (refused.exit_code, (tmp_path / "runs").exists()) == (1, False)
    assert dkit("train", shapes, cfg, *words).exit_code == 0
    finished = dkit("train", "--resume", tmp_path / "runs/nano", "--detach")
    assert (finished.exit_code, "finished already" in finished.stdout) == (0, True)
    shutil.rmtree(tmp_path / "runs/nano/weights")
    engine.unlink()
    broken = dkit("train", "--resume", tmp_path / "runs/nano", "--detach")
    assert broken.exit_code == 4
    assert "[no-engine]" in broken.stderr


def test_a_run_whose_disk_is_not_there_is_not_gone_on_with(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("nothing")
    words = ("--engine", engine, "--out", tmp_path / "runs", "--retries", "0")
    assert dkit("train", shapes, cfg, *words).exit_code == 5
    run = tmp_path / "runs" / "nano"
    (run / "train.txt").unlink()
    ended = dkit("train", "--resume", run)
    assert (ended.exit_code, "[missing-file]" in ended.stderr) == (1, True)
    (run / "train.txt").write_text("/not/mounted/1.jpg\n")
    ended = dkit("train", "--resume", run)
    assert (ended.exit_code, "[missing-image]" in ended.stderr) == (1, True)
    assert len(list((run / "attempts").iterdir())) == 1


def test_systemd_and_detach_do_not_go_together(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    words = ("--engine", engine, "--out", tmp_path / "runs", "--detach", "--write-unit", "slurm")
    ended = dkit("train", shapes, cfg, *words)
    assert (ended.exit_code, "[wrong-option]" in ended.stderr) == (2, True)
    assert not (tmp_path / "runs").exists()


ODD = "o dd%n$HOME\"q'\\b;&"


def write_unit(dkit: Dkit, engine: Path, cfg: Path, shapes: Path, out: Path, kind: str) -> Path:
    words = ("--engine", engine, "--out", out / "runs", "--name", ODD, "--write-unit", kind)
    ended = dkit("train", shapes, cfg, *words, "--json")
    assert ended.exit_code == 0, ended.stderr
    return Path(json.loads(ended.stdout)["unit"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here (apt-get install)")
def test_systemd_takes_the_unit_of_a_run_with_an_odd_name(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    unit = write_unit(dkit, engine, cfg, shapes, tmp_path, "systemd")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_words_of_a_unit_are_quoted_as_systemd_reads_them(
    dkit: Dkit, fake: MakeFake, shapes: Path, tmp_path: Path
) -> None:
    engine, cfg = fake("finish")
    unit = write_unit(dkit, engine, cfg, shapes, tmp_path, "systemd")
    # systemd.service(5): `%%` is %, `\"` is ", `\\` is \; after `:` a $ is a $.
    odd = "o dd%%n$HOME\\\"q'\\\\b;&"
    assert f'"--resume" "{tmp_path}/runs/{odd}"' in unit.read_text()
    assert "\nExecStart=:" in unit.read_text()
    assert " " not in unit.name


def run_job(script: Path, tmp_path: Path, **variables: str) -> "subprocess.Popen[str]":
    """Run a job script as Slurm would, with a scontrol that writes down how it was called."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/called"\n')
    scontrol.chmod(0o755)
    path = f"{scontrol.parent}:{os.environ['PATH']}"
    text = script.read_text().replace("export PATH=", f"export PATH={scontrol.parent}:")
    script.write_text(text)
    return subprocess.Popen(
        ["bash", str(script)],
        env={**os.environ, "PATH": path, "SLURM_JOB_ID": "4711", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "restarts", "exit_code", "called"),
    [
        (signal.SIGUSR1, "0", 0, "requeue 4711\n"),  # the job's time is nearly over
        (signal.SIGUSR1, "100", 130, ""),
        (signal.SIGTERM, "0", 130, ""),  # scancel
        (None, "0", 0, ""),
    ],
)
def test_a_job_is_queued_again_where_its_time_is_over(
    dkit: Dkit,
    fake: MakeFake,
    shapes: Path,
    tmp_path: Path,
    number: signal.Signals | None,
    restarts: str,
    exit_code: int,
    called: str,
) -> None:
    engine, cfg = fake("finish")
    if number:
        write_nano(cfg, 3000)
    script = write_unit(dkit, engine, cfg, shapes, tmp_path, "slurm")
    run = tmp_path / "runs" / ODD
    seconds = "0.005" if number else "0"
    job = run_job(script, tmp_path, SLURM_RESTART_COUNT=restarts, FAKE_SECONDS=seconds)
    if number:
        deadline = time.monotonic() + 30
        while not (run / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        job.send_signal(number)
    output = job.communicate(timeout=60)[0]
    assert job.returncode == exit_code, output
    told = tmp_path / "called"
    assert (told.read_text() if told.exists() else "") == called
    assert status(run)["state"] == ("stopped" if number else "finished")
