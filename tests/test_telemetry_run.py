"""The sampler beside a training, and what `dkit train` makes of it."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from darknet_kit.core.files import open_append
from darknet_kit.formats.telemetry import HostSample
from darknet_kit.train.telemetry import sampler as sampler_module
from darknet_kit.train.telemetry.host import HostMeter
from darknet_kit.train.telemetry.sampler import Sampler
from tests.conftest import Ended
from tests.engines import original
from tests.recorded_nvml import RTX_3090, RecordedLibrary, install
from tests.trainings import MakeFake, write_nano

Dkit = Callable[..., Ended]


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "telemetry.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def await_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (path.exists() and text in path.read_text()):
        time.sleep(0.02)


def test_samples_come_at_even_times(tmp_path: Path) -> None:
    with Sampler(tmp_path, attempt=3, pid=os.getpid(), image=tmp_path, every=0.2) as sampler:
        sampler.iteration = 17
        time.sleep(1.7)
    times = [datetime.fromisoformat(row["time"]).timestamp() for row in rows(tmp_path)]
    assert 3 <= len(times) <= 8
    # However late each one is, it belongs to a whole number of intervals since the first.
    for moment in times[1:]:
        assert (moment - times[0]) / 0.2 == pytest.approx(round((moment - times[0]) / 0.2), abs=0.4)
    assert {(row["attempt"], row["iteration"]) for row in rows(tmp_path)} == {("3", "17")}


def test_no_seconds_mean_no_samples(tmp_path: Path) -> None:
    with Sampler(tmp_path, attempt=1, pid=os.getpid(), image=tmp_path, every=0):
        assert not any(thread.name == "telemetry" for thread in threading.enumerate())
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "telemetry.csv").mkdir()
    with Sampler(tmp_path, attempt=1, pid=os.getpid(), image=tmp_path, every=0.1):
        time.sleep(0.3)


def test_a_full_disk_costs_samples_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    read = HostMeter.read

    def count(meter: HostMeter) -> HostSample:
        reads.append(meter)
        return read(meter)

    monkeypatch.setattr(HostMeter, "read", count)
    monkeypatch.setattr(
        sampler_module, "open_table", lambda *_: open_append("/dev/full", binary=True)
    )
    with Sampler(tmp_path, attempt=1, pid=os.getpid(), image=tmp_path, every=0.1):
        time.sleep(0.8)
    assert len(reads) >= 3


def test_meters_that_fail_leave_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: HostMeter) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(HostMeter, "read", fail)
    with Sampler(tmp_path, attempt=1, pid=os.getpid(), image=tmp_path, every=0.1):
        time.sleep(0.5)
    last = rows(tmp_path)[-1]
    assert last["cpu_percent"] == ""
    assert float(last["engine_rss_mib"]) > 1


def test_an_engine_killed_midway_leaves_whole_lines(tmp_path: Path) -> None:
    engine = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with Sampler(tmp_path, attempt=1, pid=engine.pid, image=tmp_path, every=0.1):
        time.sleep(0.5)
        engine.kill()
        engine.communicate()
        time.sleep(0.5)
    table = rows(tmp_path)
    assert table[0]["engine_processes"] == "1"
    assert table[-1]["engine_processes"] == ""
    assert table[-1]["memory_used_mib"] != ""


def test_a_training_names_what_it_waited_for(
    tmp_path: Path, dkit: Dkit, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's darknet computes on one core, whatever there is."""
    install(monkeypatch, None)
    cfg = write_nano(tmp_path / "nano.cfg", 10)
    cfg.write_text(re.sub(r"(?m)^batch=\d+", "batch=16", cfg.read_text()))
    options = ("--engine", original(), "--out", tmp_path, "--telemetry-seconds", "0.1")
    ended = dkit("train", shapes, cfg, *options, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    run = Path(document["run"])
    table = rows(run)
    seen = [row for row in table if int(row["iteration"]) > 0]
    assert len(seen) >= 6
    assert [int(row["iteration"]) for row in table] == sorted(int(r["iteration"]) for r in table)
    assert max(float(row["engine_cpu_percent"] or 0) for row in seen) > 5
    assert all(None not in row.values() and None not in row for row in table)
    bottleneck = document["bottleneck"]
    assert bottleneck["numbers"]["samples"] == len(seen)
    assert "gpu_use" not in bottleneck["numbers"]
    assert 0 <= bottleneck["numbers"]["waiting"] < 50  # drawn images are small
    record = json.loads((run / "attempts/0001/exit.json").read_text())
    assert record["bottleneck"] == bottleneck
    status = json.loads((run / "status.json").read_text())
    assert bottleneck["evidence"] in status["bottleneck"]
    assert "telemetry_seconds = 0.1" in (run / "run.toml").read_text()


def test_a_gpu_that_is_lost_while_training_is_an_event(
    tmp_path: Path,
    dkit: Dkit,
    shapes: Path,
    fake: MakeFake,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = RecordedLibrary(RTX_3090)
    install(monkeypatch, library)
    engine, cfg = fake("finish")
    run = tmp_path / "nano"

    def lose() -> None:
        await_text(run / "telemetry.csv", ",74,")
        library.xids = [(0, 79)]
        library.lost = {0}
        await_text(run / "events.jsonl", "gpu-lost")
        gate.touch()

    thread = threading.Thread(target=lose)
    thread.start()
    options = ("--engine", engine, "--out", tmp_path, "--telemetry-seconds", "0.1")
    ended = dkit("train", shapes, cfg, *options)
    thread.join()
    assert ended.exit_code == 0, ended.stderr
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    told = {event["event"]: event for event in events}
    assert (told["gpu-xid"]["gpu"], told["gpu-xid"]["xid"]) == (0, 79)
    assert told["gpu-lost"]["error"] == "gpu-is-lost"
    assert rows(run)[0]["gpu0_c"] == "74"
