"""What an attempt leaves behind while it runs: log, metrics, events, heartbeat."""

import contextlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from darknet_kit.core.lines import open_lines
from darknet_kit.core.moments import format_moment
from darknet_kit.errors import DkitError
from darknet_kit.formats.datafile import read_names
from darknet_kit.formats.logevent import (
    ClassResult,
    EngineError,
    Event,
    Iteration,
    MapResult,
    Resized,
    WeightsSaved,
)
from darknet_kit.formats.metrics import (
    METRICS_HEADER,
    format_map_header,
    format_map_row,
    format_metrics_row,
)
from darknet_kit.train.runs.enginelog import EngineLog
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.identity import identify
from darknet_kit.train.runs.status import Status, Stopping, recall_status, write_status


class Recorder:
    """Writes one attempt into its run folder; the only writer there."""

    def __init__(
        self,
        run: RunFolder,
        attempt: Path,
        *,
        max_batches: int,
        pid: int,
        full_log: bool = False,
    ) -> None:
        self._run = run
        self._log = EngineLog(attempt / "log.txt", full=full_log)
        self._metrics = _open_table(run.path / "metrics.csv", METRICS_HEADER)
        self._events = open_lines(run.path / "events.jsonl")
        self._status = Status(
            state="running", attempt=attempt.name, engine=identify(pid), max_batches=max_batches
        )

    def __enter__(self) -> Self:
        self.tell("attempt-started", attempt=self._status.attempt)
        self.beat()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            with contextlib.suppress(DkitError, OSError):
                self.finish("failed", code="dkit", message=str(error))
        for stream in (self._events, self._metrics, self._log):
            with contextlib.suppress(OSError):  # of a full disk; how it ended is written by now
                stream.close()

    def keep_line(self, line: bytes) -> None:
        """Take in a line of the engine's output."""
        self._log.keep(line)

    def keep_event(self, event: Event) -> None:
        """Write down an event of the log."""
        if isinstance(event, Iteration):
            self._keep_iteration(event)
        elif isinstance(event, MapResult):
            self._keep_map(event)
            best = max(event.map50, self._status.best_map50 or 0.0)
            self._status = replace(self._status, map50=event.map50, best_map50=best)
            self.tell("map", iteration=event.iteration, map50=event.map50)
        elif isinstance(event, WeightsSaved):
            self.tell("weights-saved", iteration=event.iteration, path=Path(event.path).name)
        elif isinstance(event, EngineError):
            self.tell("engine-error", code=event.code, message=event.message)
        elif isinstance(event, Resized):
            self.tell("resized", iteration=event.iteration, width=event.width)

    def _keep_iteration(self, event: Iteration) -> None:
        self._metrics.write(format_metrics_row(event))
        loss = event.avg_loss if math.isfinite(event.avg_loss) else None
        self._status = replace(self._status, iteration=event.iteration, avg_loss=loss)

    def _keep_map(self, result: MapResult) -> None:
        # A column for every class of the run, whatever this one result names.
        classes = [
            ClassResult(class_id, name, 0.0)
            for class_id, name in enumerate(read_names(self._run.names))
        ]
        with _open_table(self._run.path / "map.csv", format_map_header(classes)) as table:
            table.write(format_map_row(result, classes))

    def tell(self, what: str, **facts: Any) -> None:
        """Append one line to events.jsonl."""
        line = {"time": format_moment(), "event": what, **facts}
        self._events.write(json.dumps(line) + "\n")

    def announce(self, stopping: Stopping) -> None:
        """Write down that a stop was asked for, and which iteration's weights it waits for."""
        self._status = replace(self._status, stopping=stopping)
        self.tell("stopping", **asdict(stopping))
        self.beat()

    def finish(self, state: str, **facts: Any) -> None:
        """Write down how the attempt ended."""
        self.tell(state, **facts)
        self._status = replace(self._status, state=state, stopping=None, **facts)
        self.beat()

    def beat(self) -> None:
        """Show that somebody is there, about every second, whether the engine prints or not."""
        write_status(self._run, self._status)
        self._log.flush()


def tell_finished(run: RunFolder, iteration: int) -> None:
    """Write down that a run is finished, where the dkit that trained it did not come to that.

    Raises WriteError.
    """
    status = recall_status(run)
    if status.state == "finished":
        return
    with open_lines(run.path / "events.jsonl") as events:
        facts = {"time": format_moment(), "event": "finished", "iteration": iteration}
        events.write(json.dumps(facts) + "\n")
    status = replace(status, state="finished", iteration=iteration, stopping=None)
    write_status(run, replace(status, code="", message="", evidence=()))


def _open_table(path: Path, header: str) -> Any:
    stream = open_lines(path)
    if stream.tell() == 0:
        stream.write(header)
    return stream
