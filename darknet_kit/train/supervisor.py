"""Supervise one engine process: start it, follow it, stop it when it is lost, judge its files.

Exit codes of darknet lie in both directions: 0 for a missing file, a crash after a finished
training. What counts is whether whole, finite weights of the last iteration lie in the run; so too
for the embedded engine, whose exit codes are true, but which a kernel may kill like any other.
"""

import json
import os
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from darknet_kit.core.files import write_text
from darknet_kit.engine.command import best_weights_name, stdin_text, train_command
from darknet_kit.engine.find import Engine
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.logevent import EngineError, Event, Iteration
from darknet_kit.formats.logline import LogReader
from darknet_kit.train.checkpoint import Checkpoint, find_checkpoint
from darknet_kit.train.process import ABRUPT, GENTLE, EngineProcess, describe_end
from darknet_kit.train.recorder import Recorder
from darknet_kit.train.runfolder import BASE, RunFolder, RunSettings, only_writer

_TAIL_LINES = 20
_STOPPED = 130  # the embedded engine's exit code where anybody asked it to end


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An engine process is running. `start` is the checkpoint that it goes on from, if any."""

    number: str
    command: str
    start: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: finished, stopped (on request) or failed.

    `iteration` is the last one reported, or that of the weights where none was. `checkpoint` are
    the furthest good weights, `best` those of the best mAP. `code` and `message` name the cause
    where it failed, `cure` what the engine advises, `tail` is the log's end.
    """

    state: str
    iteration: int
    checkpoint: Checkpoint | None
    best: Path | None
    code: str = ""
    message: str = ""
    cure: str = ""
    tail: tuple[str, ...] = ()


TrainEvent = Event | AttemptStarted | Ended


class Training:
    """One attempt at a run. `events` drives it; `stop` may be called from a signal handler."""

    def __init__(self, run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine) -> None:
        self._run = run
        self._settings = settings
        self._cfg = cfg
        self._engine = engine
        self._max_batches = cfg.net.integer("max_batches")
        self._process: EngineProcess | None = None
        self._stopped = False
        self._errors: list[EngineError] = []
        self._cure = ""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._last: Iteration | None = None

    def stop(self) -> bool:
        """End the engine; a second call kills it. Tell whether it takes its time to end well."""
        first, self._stopped = not self._stopped, True
        if self._process is not None:
            self._process.stop()
        return first and self._engine.embedded

    def events(self) -> Iterator[TrainEvent]:
        """Run the engine to its end and yield what it tells, at last how it ended.

        Raises UsageError (`run-busy`, `engine-still-running`), ToolchainError.
        """
        with only_writer(self._run):
            _refuse_orphan(self._run)
            start = find_checkpoint(self._run.weights, self._cfg)
            if start is not None and start.iteration >= self._max_batches:
                yield self._end("finished", start.iteration)
                return
            attempt = self._run.new_attempt()
            command = self._command(start)
            write_text(attempt / "command.txt", f"cd {attempt} &&\n{shlex.join(command)}\n")
            yield AttemptStarted(attempt.name, shlex.join(command), start)
            yield from self._follow(attempt, command)

    def _command(self, start: Checkpoint | None) -> list[str]:
        above = Path("../..")  # short, and free of what Darknet would mangle
        first = Path(self._settings.weights) if self._settings.weights else None
        return train_command(
            self._engine,
            above / self._run.data.name,
            above / self._run.cfg.name,
            start.path if start else first,
            map=self._settings.map,
            gpus=self._settings.gpus,
            clear=self._settings.clear and start is None,
        )

    def _follow(self, attempt: Path, command: list[str]) -> Iterator[TrainEvent]:
        how = GENTLE if self._engine.embedded else ABRUPT
        process = EngineProcess(command, attempt, stdin_text(self._engine), how)
        self._process = process
        reader = LogReader()
        try:
            if self._stopped:
                process.stop()
            with Recorder(
                self._run, attempt, max_batches=self._max_batches, pid=process.pid
            ) as recorder:
                diverged = False
                for line in process.lines():
                    recorder.keep_line(line)
                    for event in reader.feed(line):
                        recorder.keep_event(event)
                        diverged |= self._note(event)
                        yield event
                    self._note_line(line)
                    # The embedded engine ends by itself.
                    if diverged and not self._engine.embedded and not process.stop_requested:
                        process.stop()
                returncode = process.wait()
                ended = self._judge(returncode, diverged)
                write_text(attempt / "exit.json", _exit_record(ended, returncode))
                recorder.finish(ended.state, code=ended.code, message=ended.message)
            yield ended
        finally:
            process.end()

    def _note(self, event: Event) -> bool:
        """Remember what the verdict needs; return whether training is lost."""
        if isinstance(event, EngineError):
            self._errors.append(event)
        elif isinstance(event, Iteration):
            self._last = event
            return not event.is_finite
        return False

    def _note_line(self, line: bytes) -> None:
        text = line.rsplit(b"\r", 1)[-1].decode("utf-8", "replace").rstrip()
        if self._tail and "error: " in self._tail[-1] and text.startswith("  "):
            self._cure = self._cure or text.strip()  # the embedded engine's second line
        if text.strip():
            self._tail.append(text.strip()[:300])

    def _judge(self, returncode: int, diverged: bool) -> Ended:
        checkpoint = find_checkpoint(self._run.weights, self._cfg)
        start = checkpoint.iteration if checkpoint else 0
        iteration = self._last.iteration if self._last else start
        # The embedded engine may end well before max_batches: when mAP no longer rises.
        is_content = self._engine.embedded and returncode == 0
        if checkpoint and (checkpoint.iteration >= self._max_batches or is_content):
            return self._end("finished", iteration)
        if diverged:
            message = f"the loss became {self._last.loss:g}" if self._last else "the loss is lost"
            return self._end("failed", iteration, "diverged", f"{message} at {iteration:,}")
        if self._stopped or (self._engine.embedded and returncode == _STOPPED):
            return self._end("stopped", iteration)
        how = describe_end(returncode)
        if self._errors:
            first = self._errors[0]
            message = first.message if self._engine.embedded else f"{first.message} ({how})"
            return self._end("failed", iteration, first.code, message)
        return self._end("failed", iteration, "engine-ended", f"the engine ended early: {how}")

    def _end(self, state: str, iteration: int, code: str = "", message: str = "") -> Ended:
        best_name = best_weights_name(self._engine.flavor, BASE)
        best = self._run.weights / best_name if best_name else None
        return Ended(
            state=state,
            iteration=iteration,
            checkpoint=find_checkpoint(self._run.weights, self._cfg),
            best=best if best is not None and best.exists() else None,
            code=code,
            message=message,
            cure=self._cure if state == "failed" else "",
            tail=tuple(self._tail),
        )


def _exit_record(ended: Ended, returncode: int) -> str:
    document = {**asdict(ended), "returncode": returncode, "how": describe_end(returncode)}
    return json.dumps(document, indent=2, default=str) + "\n"


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
