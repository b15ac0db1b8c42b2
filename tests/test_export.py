"""Trainings for TensorBoard and Weights & Biases, read back by their own readers."""

import math
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darknet_kit.errors import UsageError
from darknet_kit.export.scalars import iter_steps
from darknet_kit.export.tensorboard import export_tensorboard
from darknet_kit.export.wandb import export_wandb
from darknet_kit.formats.logevent import ClassResult, Iteration, MapResult
from darknet_kit.formats.trainlog import Log
from tests.test_charts import log_of

ENDED = 1_700_000_000.0


@pytest.fixture
def log() -> Log:
    events = [Iteration(n, 10.0 / n, 20.0 / n, 0.001, 2.0, 64 * n) for n in range(1, 6)]
    result = MapResult(4, 0.5, 0.5, (ClassResult(0, "cat", 0.25), ClassResult(1, "a/b", math.nan)))
    return log_of([*events[:4], result, events[4]])


def test_steps_are_those_of_the_log(log: Log) -> None:
    steps = list(iter_steps(log, 100))
    assert [step.iteration for step in steps] == [1, 2, 3, 4, 5]
    assert [step.seconds for step in steps] == [2, 4, 6, 8, 10]
    assert steps[1].values == {"loss": 5.0, "avg_loss": 10.0, "learning_rate": 0.001}
    assert steps[3].values["mAP50"] == 0.5
    assert steps[3].values["AP/0 cat"] == 0.25
    assert "AP/1 a/b" not in steps[3].values


def test_a_long_log_keeps_its_peaks() -> None:
    events = [Iteration(n, 1.0, 1.0, 0.001, 1.0, n) for n in range(1, 10_001)]
    events[7776] = Iteration(7777, 99.0, 1.0, 0.001, 1.0, 7777)
    steps = list(iter_steps(log_of(events), 100))
    assert len(steps) <= 102
    assert max(step.values["loss"] for step in steps) == 99.0
    assert (steps[0].iteration, steps[-1].iteration) == (1, 10_000)


def test_tensorboard_reads_what_was_written(log: Log, tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here"
    )
    place = export_tensorboard(log, tmp_path / "tb", "night", ENDED)
    assert place == tmp_path / "tb" / "night"
    events = accumulator.EventAccumulator(str(place))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == [
        "AP/0 cat", "avg_loss", "learning_rate", "loss", "mAP50",
    ]  # fmt: skip
    losses = events.Scalars("loss")
    assert [one.step for one in losses] == [1, 2, 3, 4, 5]
    assert [one.value for one in losses] == pytest.approx([10, 5, 10 / 3, 2.5, 2])
    assert [one.wall_time for one in losses] == [ENDED - 8 + 2 * n for n in range(5)]
    assert [(one.step, one.value) for one in events.Scalars("mAP50")] == [(4, 0.5)]
    with pytest.raises(UsageError, match="not empty"):
        export_tensorboard(log, tmp_path / "tb", "night", ENDED)


def iter_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of an offline run: LevelDB's log format behind seven bytes.

    Blocks of 32 KiB hold chunks: checksum, length, kind (whole, first, middle, last) and data.
    """
    assert content.startswith(b":W&B")
    place, parts = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def read_records(file: Path, protocol: Any) -> Iterator[Any]:
    for data in iter_records(file.read_bytes()):
        record = protocol.Record()
        record.ParseFromString(data)
        yield record


def read_rows(file: Path, protocol: Any) -> Iterator[dict[str, float]]:
    for record in read_records(file, protocol):
        if record.HasField("history"):
            items = record.history.item
            yield {".".join(i.nested_key) or i.key: float(i.value_json) for i in items}


def test_wandb_reads_what_was_written(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2", reason="no wandb here")
    monkeypatch.setenv("HOME", str(tmp_path))
    place = export_wandb(log, tmp_path / "wb", "night", {"batch": "64"})
    assert place.name.startswith("offline-run-")
    (file,) = place.glob("*.wandb")
    deadline = time.monotonic() + 60  # its own process writes, and goes on for a moment
    while len(rows := list(read_rows(file, protocol))) < 5 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [row["_step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in rows] == pytest.approx([10, 5, 10 / 3, 2.5, 2])
    assert rows[3]["mAP50"] == 0.5
    runs = [record.run for record in read_records(file, protocol) if record.HasField("run")]
    assert {item.key: item.value_json for item in runs[0].config.update}["batch"] == '"64"'
