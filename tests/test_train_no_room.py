"""A training whose disk is full, or that may not write any more: its end is told."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Ended
from tests.test_supervisor import attempts, ending
from tests.trainings import MakeFake, status

Dkit = Callable[..., Ended]
# In a room of its own: train, fill the disk behind the first weights, look, make room, go on.
SCRIPT = """
mount -t tmpfs -o size=2m none "$1" || exit 77
room=$1 keep=$2 run=$1/runs/nano
shift 2
python=$1
"$@" --out "$room/runs" --force & dkit=$!
until [ -e "$run/weights/project_last.weights" ]; do sleep .02; done
while kill -0 $dkit 2>/dev/null; do cat /dev/zero >>"$room/filler" 2>/dev/null; sleep .02; done
wait $dkit; echo "exit $?"
cp -a "$run" "$keep"
mount -o remount,size=9m "$room"
FAKE_SECONDS=0 "$python" -m darknet_kit train --resume "$run"; echo "exit $?"
"""


def test_the_end_of_a_run_is_told_on_a_full_disk(
    fake: MakeFake, shapes: Path, tmp_path: Path, dkit: Dkit
) -> None:
    engine, cfg = fake("finish")
    room, kept = tmp_path / "room", tmp_path / "kept/nano"
    room.mkdir()
    kept.parent.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1)")
    train: list[str | Path] = [sys.executable, "-m", "darknet_kit", "train", shapes, cfg]
    ended = subprocess.run(
        ["unshare", "-rm", "bash", "-c", SCRIPT, "bash", room, kept, *train, "--engine", engine],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "FAKE_SECONDS": "0.02"},
        timeout=120,
    )
    if ended.returncode == 77:
        pytest.skip(f"no mounting here: {ended.stderr.strip()}")
    assert [line for line in ended.stdout.splitlines() if line.startswith("exit")] == [
        "exit 5",
        "exit 0",
    ], ended.stderr
    assert "[disk-full]" in ended.stderr
    assert ending(kept, "0001")["code"] == "disk-full"
    assert (status(kept)["state"], status(kept)["code"]) == ("failed", "disk-full")
    (run,) = json.loads(dkit("runs", kept.parent, "--json").stdout)["runs"]
    assert run["state"] == "crashed"
    events = (kept / "events.jsonl").read_text()
    assert json.loads(events.splitlines()[-1])["event"] == "failed"


def test_weights_that_cannot_come_into_the_run_are_no_reason_to_train_again(
    fake: MakeFake, shapes: Path, tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, cfg = fake("finish")
    replace = os.replace

    def refuse(source: str | Path, place: str | Path) -> None:
        if Path(place).parent.name == "weights":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(place))
        replace(source, place)

    run = tmp_path / "runs/nano"
    with monkeypatch.context() as patch:
        patch.setattr("darknet_kit.train.weights.harvest.os.replace", refuse)
        ended = dkit("train", shapes, cfg, "--engine", engine, "--out", run.parent)
    assert ended.exit_code == 5
    assert "[cannot-write]" in ended.stderr
    assert "the file system is read-only" in ended.stderr
    assert attempts(run) == ["0001"]
    # They wait in the attempt: there is nothing left to train, and the run says so.
    assert dkit("train", "--resume", run).exit_code == 0
    assert attempts(run) == ["0001"]
    assert status(run)["state"] == "finished"
