"""One attempt at a run: an engine process followed to its end, and judged by its files.

Exit codes of darknet lie in both directions: 0 for a missing file, a crash after a finished
training. What counts is whether whole, finite weights of the last iteration lie in the run; so too
for the embedded engine, whose exit codes are true, but which a kernel may kill like any other.
"""

import json
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from darknet_kit.core.files import write_text
from darknet_kit.engine.command import best_weights_name, stdin_text, train_command
from darknet_kit.engine.find import Engine
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.logevent import EngineError, Event, Iteration
from darknet_kit.formats.logline import LogReader
from darknet_kit.train.bottleneck import Bottleneck
from darknet_kit.train.checkpoint import Checkpoint, find_checkpoint
from darknet_kit.train.keeping import Keeper, WeightsKept
from darknet_kit.train.observer import Observer
from darknet_kit.train.process import ABRUPT, GENTLE, EngineProcess, describe_end
from darknet_kit.train.recorder import Recorder
from darknet_kit.train.runfolder import BASE, RunFolder, RunSettings

_TAIL_LINES = 20
_STOPPED = 130  # the embedded engine's exit code where anybody asked it to end


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An engine process is running. `start` is the checkpoint that it goes on from, if any."""

    number: str
    command: str
    start: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Tick:
    """About a second has passed, whatever the engine does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: finished, stopped (on request) or failed.

    `iteration` is the last one reported, or that of the weights where none was. `checkpoint` are
    the furthest good weights, `best` those of the best mAP. `code` and `message` name the cause
    where it failed, `cure` what the engine advises, `tail` is the log's end.
    `bottleneck` is what it waited for, where telemetry says.
    """

    state: str
    iteration: int
    checkpoint: Checkpoint | None
    best: Path | None
    code: str = ""
    message: str = ""
    cure: str = ""
    tail: tuple[str, ...] = ()
    bottleneck: Bottleneck | None = None


TrainEvent = Event | AttemptStarted | Tick | WeightsKept | Ended


class Attempt:
    """One engine process in a folder of its own. `events` drives it; `stop` may be called from a
    signal handler."""

    def __init__(
        self,
        run: RunFolder,
        settings: RunSettings,
        cfg: Cfg,
        engine: Engine,
        start: Checkpoint | None = None,
    ) -> None:
        self._run = run
        self._settings = settings
        self._cfg = cfg
        self._engine = engine
        self._start = start
        self._max_batches = cfg.net.integer("max_batches")
        self._process: EngineProcess | None = None
        self._stopped = False
        self._errors: list[EngineError] = []
        self._cure = ""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._last: Iteration | None = None

    def stop(self) -> None:
        """Ask the engine to end; a second call kills it."""
        self._stopped = True
        if self._process is not None:
            self._process.stop()

    def events(self) -> Iterator[TrainEvent]:
        """Run the engine to its end and yield what it tells, at last how it ended.

        Raises ToolchainError.
        """
        folder = self._run.new_attempt()
        command = self._command()
        write_text(folder / "command.txt", f"cd {folder} &&\n{shlex.join(command)}\n")
        yield AttemptStarted(folder.name, shlex.join(command), self._start)
        keeper = Keeper(self._run, folder, self._engine, self._cfg, self._settings, self._start)
        how = GENTLE if self._engine.embedded else ABRUPT
        process = EngineProcess(command, folder, stdin_text(self._engine), how)
        self._process = process
        try:
            if self._stopped:
                process.stop()
            with Recorder(
                self._run,
                folder,
                max_batches=self._max_batches,
                pid=process.pid,
                full_log=self._settings.full_log,
            ) as recorder:
                with Observer(self._run, folder, self._settings, process.pid) as observer:
                    yield from self._follow(process, recorder, keeper, observer)
                    returncode = process.end()
                observer.report(recorder)
                yield from keeper.finish(recorder)
                ended = replace(self._judge(returncode), bottleneck=observer.find_bottleneck())
                _write_end(ended, returncode, folder, recorder)
            yield ended
        finally:
            process.end()
            keeper.close()

    def _command(self) -> list[str]:
        above = Path("../..")  # short, and free of what Darknet would mangle
        first = Path(self._settings.weights) if self._settings.weights else None
        return train_command(
            self._engine,
            above / self._run.data.name,
            above / self._run.cfg.name,
            self._start.path if self._start else first,
            map=self._settings.map,
            gpus=self._settings.gpus,
            clear=self._settings.clear and self._start is None,
        )

    def _follow(
        self, process: EngineProcess, recorder: Recorder, keeper: Keeper, observer: Observer
    ) -> Iterator[TrainEvent]:
        reader = LogReader()
        for line in process.lines():
            if line is None:
                recorder.beat()
                observer.report(recorder)
                yield from keeper.look(recorder)
                yield Tick()
                continue
            recorder.keep_line(line)
            observer.note_line(line)
            for event in reader.feed(line):
                recorder.keep_event(event)
                observer.note(event)
                self._note(event)
                yield event
            self._note_line(line)
            # The embedded engine ends by itself.
            if self._is_lost() and not self._engine.embedded and not process.stop_requested:
                process.stop()

    def _note(self, event: Event) -> None:
        """Remember what the verdict needs."""
        if isinstance(event, EngineError):
            self._errors.append(event)
        elif isinstance(event, Iteration) and not self._is_lost():
            self._last = event

    def _is_lost(self) -> bool:
        """Tell whether the loss is no number any more."""
        return self._last is not None and not self._last.is_finite

    def _note_line(self, line: bytes) -> None:
        text = line.rsplit(b"\r", 1)[-1].decode("utf-8", "replace").rstrip()
        if self._tail and "error: " in self._tail[-1] and text.startswith("  "):
            self._cure = self._cure or text.strip()  # the embedded engine's second line
        if text.strip():
            self._tail.append(text.strip()[:300])

    def _judge(self, returncode: int) -> Ended:
        checkpoint = find_checkpoint(self._run.weights, self._cfg)
        # The embedded engine may end well before max_batches: when mAP no longer rises.
        is_content = self._engine.embedded and returncode == 0
        if checkpoint and (checkpoint.iteration >= self._max_batches or is_content):
            return self._end("finished", checkpoint)
        if self._last and self._is_lost():
            what = f"the loss became {self._last.loss:g} at {self._last.iteration:,}"
            return self._end("failed", checkpoint, "diverged", what)
        if self._stopped or (self._engine.embedded and returncode == _STOPPED):
            return self._end("stopped", checkpoint)
        how = describe_end(returncode)
        if self._errors:
            first = self._errors[0]
            message = first.message if self._engine.embedded else f"{first.message} ({how})"
            return self._end("failed", checkpoint, first.code, message)
        message = f"the engine ended early: {how}"
        return self._end("failed", checkpoint, "engine-ended", message)

    def _end(
        self, state: str, checkpoint: Checkpoint | None, code: str = "", message: str = ""
    ) -> Ended:
        start = checkpoint.iteration if checkpoint else 0
        return Ended(
            state=state,
            iteration=self._last.iteration if self._last else start,
            checkpoint=checkpoint,
            best=find_best(self._run, self._engine),
            code=code,
            message=message,
            cure=self._cure if state == "failed" else "",
            tail=tuple(self._tail),
        )


def find_best(run: RunFolder, engine: Engine) -> Path | None:
    """Return the weights with the best mAP, where the engine keeps them and has written some."""
    name = best_weights_name(engine.flavor, BASE)
    path = run.weights / name if name else None
    return path if path is not None and path.exists() else None


def _write_end(ended: Ended, returncode: int, folder: Path, recorder: Recorder) -> None:
    document = {**asdict(ended), "returncode": returncode, "how": describe_end(returncode)}
    write_text(folder / "exit.json", json.dumps(document, indent=2, default=str) + "\n")
    slow = {"bottleneck": str(ended.bottleneck)} if ended.bottleneck else {}
    recorder.finish(ended.state, code=ended.code, message=ended.message, **slow)
