"""Supervise a run: attempt after attempt until its weights are there, or nothing helps."""

import json
import os
from collections.abc import Iterator

from darknet_kit.engine.find import Engine
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.attempt import Attempt, Ended, TrainEvent, find_best
from darknet_kit.train.checkpoint import find_checkpoint
from darknet_kit.train.keeping import recover_weights
from darknet_kit.train.lock import only_writer
from darknet_kit.train.runfolder import RunFolder, RunSettings


class Training:
    """A run under way. `events` drives it; `stop` may be called from a signal handler."""

    def __init__(self, run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine) -> None:
        self._run = run
        self._settings = settings
        self._cfg = cfg
        self._engine = engine
        self._attempt: Attempt | None = None
        self._stopped = False

    def stop(self) -> bool:
        """End the engine; a second call kills it. Tell whether it takes its time to end well."""
        first, self._stopped = not self._stopped, True
        if self._attempt is not None:
            self._attempt.stop()
        return first and self._engine.embedded

    def events(self) -> Iterator[TrainEvent]:
        """Train and yield what the engine tells, at last how it ended.

        Raises UsageError (`run-busy`, `engine-still-running`), ToolchainError.
        """
        with only_writer(self._run):
            _refuse_orphan(self._run)
            recover_weights(self._run, self._cfg)
            start = find_checkpoint(self._run.weights, self._cfg)
            if start is not None and start.iteration >= self._cfg.net.integer("max_batches"):
                best = find_best(self._run, self._engine)
                yield Ended("finished", start.iteration, start, best)
                return
            self._attempt = Attempt(self._run, self._settings, self._cfg, self._engine, start)
            if self._stopped:
                self._attempt.stop()
            yield from self._attempt.events()


def _refuse_orphan(run: RunFolder) -> None:
    """Refuse a run whose engine outlived the dkit that started it (kill -9)."""
    try:
        pid = int(json.loads(run.status.read_text(encoding="utf-8")).get("engine_pid") or 0)
        where = os.readlink(f"/proc/{pid}/cwd") if pid else ""
    except (OSError, ValueError, TypeError, AttributeError):
        return
    if where.startswith(f"{run.path}{os.sep}"):
        raise UsageError(
            f"the engine of an earlier attempt still runs here, as process {pid}",
            code="engine-still-running",
            hint=f"Let it end, or end it: kill {pid}",
            path=run.path,
        )
