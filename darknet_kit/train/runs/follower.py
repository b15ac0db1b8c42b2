"""A run as it goes on, from what lies in its folder: whoever watches may come and go."""

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darknet_kit.core.moments import parse_moment
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.growing import GrowingTable, Tail, as_cell, as_number
from darknet_kit.formats.logline import strip_controls
from darknet_kit.formats.trainlog import Metrics
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.state import State, judge_state
from darknet_kit.train.runs.status import Status, recall_status

_TAIL_BYTES = 1 << 16  # of events and of the log
_KEPT_EVENTS, _KEPT_LINES, _KEPT_SAMPLES = 40, 12, 720
_PACE_SECONDS = 900.0  # over which the pace is measured
_LINE_LETTERS = 300

Point = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at a moment. Unknown values are None, or empty; mAP is a fraction.

    `machine` is the last line of telemetry.csv, `updated` the heartbeat in epoch seconds.
    """

    name: str
    state: State
    reason: str
    iteration: int
    max_batches: int
    loss: float | None
    avg_loss: float | None
    learning_rate: float | None
    images: int
    map50: float | None
    best_map50: float | None
    best_iteration: int | None
    images_per_second: float | None
    seconds_per_iteration: float | None
    seconds_left: float | None
    attempt: str
    updated: float | None
    machine: Mapping[str, float | str | None]
    events: tuple[Mapping[str, Any], ...]
    lines: tuple[str, ...]


class Follower:
    """Follows one run folder; reads what is new, writes nothing."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.metrics = Metrics()
        self.maps: list[Point] = []
        self.samples: deque[dict[str, float | str | None]] = deque(maxlen=_KEPT_SAMPLES)
        self.cut_at: int | None = None
        self._status = Status()
        self._events: deque[Mapping[str, Any]] = deque(maxlen=_KEPT_EVENTS)
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._metrics_tail = GrowingTable(run.path / "metrics.csv")
        self._map_tail = GrowingTable(run.path / "map.csv")
        self._telemetry_tail: GrowingTable | None = None
        self._events_tail = Tail(run.path / "events.jsonl", _TAIL_BYTES)
        self._log_tail: Tail | None = None
        self._batch = _read_batch(run)

    def update(self) -> None:
        """Take in what was written since the last call.

        `cut_at` is then the iteration from which the run began again, None where it did not.
        """
        self.cut_at = None
        self._status = recall_status(self.run)
        self._take_metrics()
        self._take_maps()
        self._take_telemetry()
        for line in self._events_tail.read():
            self._take_event(line)
        self._take_log()

    def _take_metrics(self) -> None:
        from darknet_kit.formats.metricslines import iter_rising

        while lines := self._metrics_tail.read_lines():
            if self._metrics_tail.restarted:
                self._go_back(0)
                lines = lines[1:]
            for stretch in iter_rising(self._metrics_tail.names, lines):
                first = stretch.iteration[0]
                if self.metrics and first <= self.metrics.iteration[-1]:
                    self._go_back(first)
                self.metrics.extend(stretch, 0)

    def _go_back(self, iteration: int) -> None:
        self.metrics.drop_from(iteration)
        self.maps = [point for point in self.maps if point[0] < iteration]
        self.cut_at = iteration if self.cut_at is None else min(self.cut_at, iteration)

    def _take_maps(self) -> None:
        for row in _iter_named(self._map_tail):
            iteration, map50 = as_number(row.get("iteration")), as_number(row.get("map50"))
            if math.isfinite(iteration) and math.isfinite(map50):
                while self.maps and self.maps[-1][0] >= iteration:
                    self.maps.pop()
                self.maps.append((int(iteration), map50))

    def _take_telemetry(self) -> None:
        table = self.run.telemetry()
        if self._telemetry_tail is None or self._telemetry_tail.path != table:
            self._telemetry_tail = GrowingTable(table, last=1 << 20)
        for row in _iter_named(self._telemetry_tail):
            self.samples.append({name: as_cell(value) for name, value in row.items()})

    def _take_event(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:  # cut by a kill
            return
        if isinstance(event, dict):
            self._events.append(event)

    def _take_log(self) -> None:
        logs = self.run.logs()
        if not logs:
            return
        if self._log_tail is None or self._log_tail.path != logs[-1]:
            self._log_tail = Tail(logs[-1], _TAIL_BYTES)
        for line in self._log_tail.read():
            last = strip_controls(line).rstrip(b"\r").rpartition(b"\r")[2]
            text = last.decode("utf-8", "replace").strip()
            if text:
                self._lines.append(text[:_LINE_LETTERS])

    def snapshot(self) -> Snapshot:
        """Return how the run stands."""
        status, metrics = self._status, self.metrics
        updated = parse_moment(status.updated)
        verdict = judge_state(self.run, status, updated)
        best = max(reversed(self.maps), key=lambda point: point[1], default=None)
        iteration = metrics.iteration[-1] if metrics else status.iteration
        total = status.max_batches
        pace = self._measure_pace()
        running = verdict.state is State.RUNNING
        return Snapshot(
            name=self.run.name,
            state=verdict.state,
            reason=verdict.reason,
            iteration=iteration,
            max_batches=total,
            loss=_finite(metrics.loss),
            avg_loss=_finite(metrics.avg_loss),
            learning_rate=_finite(metrics.learning_rate),
            images=metrics.images[-1] if metrics else 0,
            map50=self.maps[-1][1] if self.maps else None,
            best_map50=best[1] if best else None,
            best_iteration=best[0] if best else None,
            images_per_second=self._batch / pace if pace and self._batch else None,
            seconds_per_iteration=pace,
            seconds_left=max(0, total - iteration) * pace if pace and total and running else None,
            attempt=status.attempt,
            updated=updated,
            machine=self.samples[-1] if self.samples else {},
            events=tuple(self._events),
            lines=tuple(self._lines),
        )

    def _measure_pace(self) -> float | None:
        """Return the seconds an iteration takes, by the clock where telemetry tells it."""
        marks = [
            (at, int(iteration))
            for sample in self.samples
            if (at := parse_moment(sample.get("time"))) is not None
            and isinstance(iteration := sample.get("iteration"), float)
        ]
        if marks:
            end = marks[-1]
            first = next(mark for mark in marks if end[0] - mark[0] <= _PACE_SECONDS)
            if end[1] > first[1] and end[0] > first[0]:
                return (end[0] - first[0]) / (end[1] - first[1])
        recent = [value for value in self.metrics.seconds[-100:] if math.isfinite(value)]
        return sum(recent) / len(recent) if recent and sum(recent) > 0 else None


def _iter_named(table: GrowingTable) -> Iterator[dict[str, str]]:
    """Yield all new rows of a table by the names of its columns."""
    while rows := table.read():
        for cells in rows:
            yield dict(zip(table.names, cells, strict=True))


def _read_batch(run: RunFolder) -> int:
    try:
        return max(0, read_cfg(run.cfg).net.integer("batch"))
    except CfgError:
        return 0


def _finite(column: Sequence[float]) -> float | None:
    return column[-1] if len(column) and math.isfinite(column[-1]) else None
