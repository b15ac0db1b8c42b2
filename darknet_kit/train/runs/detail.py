"""One run in detail: what it was asked for, its weights, what happened last."""

import contextlib
import json
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darknet_kit.errors import AnyPath, DkitError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.weights import read_weights_header
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.schedule import effective_batch
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.listing import RunSummary, summarize_run
from darknet_kit.train.runs.record import RunRecord, recall_record

_LAST_EVENTS = 8
_TAIL = 1 << 16  # bytes of events.jsonl
_WHAT = {
    "final": "the end of the training",
    "best": "of the best mAP",
    "last": "the latest",
    "sound": "the latest with a sound loss",
    "ema": "averages, for detection",
}
_NAME = re.compile(r"_(final|best|last|sound|ema)\.weights$")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Weights of a run. `size` is in bytes, `written` in epoch seconds. `iteration` is None where
    the file or the run's cfg does not tell it, `what` says what they are good for."""

    path: Path
    size: int
    written: float
    iteration: int | None
    what: str


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run: its line of the table, run.toml, its weights by age, and the last events."""

    summary: RunSummary
    record: RunRecord
    weights: tuple[WeightsFile, ...]
    events: tuple[Mapping[str, Any], ...]


def describe_run(path: AnyPath, last_events: int = _LAST_EVENTS) -> RunDetail:
    """Return all that a run folder tells, of its events the last ones."""
    run = RunFolder(Path(path).absolute())
    return RunDetail(
        summary=summarize_run(run.path),
        record=recall_record(run),
        weights=tuple(sorted(_iter_weights(run), key=lambda file: file.written)),
        events=tuple(_last_events(run.path / "events.jsonl", last_events)),
    )


def _iter_weights(run: RunFolder) -> Iterator[WeightsFile]:
    try:
        cfg = read_cfg(run.cfg)
        floats, batch = weight_floats(cfg), effective_batch(cfg)
    except DkitError:
        floats = batch = None
    for path in (*run.weights.glob("*.weights"), *run.weights.glob("*.backup")):
        with contextlib.suppress(OSError):  # pruned in this moment
            state = path.stat()
            iteration, what = _read_weights(path, floats, batch)
            yield WeightsFile(path, state.st_size, state.st_mtime, iteration, what)


def _read_weights(path: Path, floats: int | None, batch: int | None) -> tuple[int | None, str]:
    """Return the iteration of a file and what it is good for."""
    try:
        header = read_weights_header(path)
    except DkitError:
        return None, "DAMAGED"
    if floats is not None and header.floats != floats:
        return None, "CUT, or of another network"
    found = _NAME.search(path.name)
    what = _WHAT[found[1]] if found else "the latest" if path.suffix == ".backup" else ""
    return (header.iteration(batch) if batch else None), what


def _last_events(path: Path, most: int) -> Iterator[Mapping[str, Any]]:
    """Yield the last events, lines that a kill cut off left out."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            lines = deque(stream.read().split(b"\n"), maxlen=most + 1)
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
