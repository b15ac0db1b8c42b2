"""One attempt at a run: an engine process followed to its end."""

import json
import shlex
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from darknet_kit.core.files import WriteError, link, write_text
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.command import best_weights_name, stdin_text, train_command
from darknet_kit.engine.find import Engine
from darknet_kit.formats.cfg import Cfg, write_cfg
from darknet_kit.formats.logevent import Event
from darknet_kit.formats.logline import LogReader
from darknet_kit.train.health.verdict import Ended, end, explain, format_exit, tell_end
from darknet_kit.train.health.witness import Witness
from darknet_kit.train.process import ABRUPT, GENTLE, EngineProcess
from darknet_kit.train.runs.folder import BASE, RunFolder
from darknet_kit.train.runs.record import RunSettings
from darknet_kit.train.runs.recorder import Recorder
from darknet_kit.train.runs.reserve import give_reserve, take_reserve
from darknet_kit.train.runs.status import Stopping
from darknet_kit.train.supervision.change import NO_CHANGE, Change
from darknet_kit.train.supervision.retreat import drop_sound, hold_sound
from darknet_kit.train.telemetry.observer import Observer
from darknet_kit.train.weights.checkpoint import Checkpoint, find_checkpoint
from darknet_kit.train.weights.keeping import Keeper, WeightsKept

_ENDING = ".weights"  # hank-ai's passes over all other files
_STOPPED = 130  # the embedded engine's exit code where anybody asked it to end


@dataclass(frozen=True, slots=True)
class Plan:
    """What an attempt starts from and with which changes; `why` in words, empty for the first."""

    start: Checkpoint | None = None
    change: Change = NO_CHANGE
    why: str = ""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An engine process is running. `start` is the checkpoint that it goes on from, if any."""

    number: str
    command: str
    start: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Tick:
    """About a second has passed, whatever the engine does."""


TrainEvent = Event | AttemptStarted | Tick | WeightsKept | Ended


class Attempt:
    """One engine process in a folder of its own. `events` drives it; `stop` may be called from a
    signal handler."""

    def __init__(
        self, run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine, plan: Plan
    ) -> None:
        """`cfg` is the network under the changes of `plan`."""
        self._run = run
        self._settings = settings
        self._cfg = cfg
        self._engine = engine
        self._plan = plan
        self._max_batches = cfg.net.integer("max_batches")
        self._process: EngineProcess | None = None
        self._stopped = False
        self._recorder: Recorder | None = None

    def stop(self) -> None:
        """Ask the engine to end; a second call kills it."""
        self._stopped = True
        if self._process is not None:
            self._process.stop()

    def announce(self, stopping: Stopping) -> None:
        """Write down what a stop waits for, for those who look at the run."""
        if self._recorder is not None:
            self._recorder.announce(stopping)

    def events(self) -> Iterator[TrainEvent]:
        """Run the engine to its end and yield what it tells, at last how it ended.

        Raises ToolchainError, WriteError.
        """
        folder, start = self._run.new_attempt(), self._plan.start
        command = self._command(folder)
        write_text(folder / "command.txt", f"cd {folder} &&\n{shlex.join(command)}\n")
        write_text(folder / "plan.json", json.dumps(asdict(self._plan), indent=2, default=str))
        yield AttemptStarted(folder.name, shlex.join(command), start)
        keeper = Keeper(self._run, folder, self._engine, self._cfg, self._settings, start)
        witness = Witness(folder, self._cfg, self._settings.stall_minutes)
        how = GENTLE if self._engine.embedded else ABRUPT
        process = EngineProcess(command, folder, stdin_text(self._engine), how)
        self._process = process
        take_reserve(self._run)
        try:
            if self._stopped:
                process.stop()
            try:
                ended = yield from self._record(process, folder, keeper, witness)
            except (OSError, WriteError) as error:  # not even how it ended can be written
                witness.note_unwritten(error)
                ended = self._judge(witness, process.end(), process.pid)
            yield ended
        finally:
            process.end()
            keeper.close()

    def _record(
        self, process: EngineProcess, folder: Path, keeper: Keeper, witness: Witness
    ) -> Generator[TrainEvent, None, Ended]:
        """Follow the engine, write down all that it does, and return how it ended."""
        began = time.time()
        with Recorder(
            self._run,
            folder,
            max_batches=self._max_batches,
            pid=process.pid,
            full_log=self._settings.full_log,
        ) as recorder:
            self._recorder = recorder
            if self._plan.why:
                recorder.tell("retrying", why=self._plan.why)
            with Observer(self._run, folder, self._settings, process.pid) as observer:
                try:
                    yield from self._follow(process, recorder, keeper, observer, witness)
                except (OSError, WriteError) as error:
                    witness.note_unwritten(error)
                returncode = process.end()
            give_reserve(self._run)
            observer.report(recorder)
            witness.troubles += observer.troubles
            try:
                yield from keeper.finish(recorder)
            except (OSError, WriteError) as error:
                witness.note_unwritten(error)
            witness.look_at_disk()
            ended = self._judge(witness, returncode, process.pid)
            ended = replace(ended, bottleneck=observer.find_bottleneck())
            write_text(folder / "exit.json", format_exit(ended, returncode, began))
            recorder.finish(ended.state, **tell_end(ended))
        return ended

    def _command(self, folder: Path) -> list[str]:
        above = Path("../..")  # short, and free of what Darknet would mangle
        change = self._plan.change
        cfg = above / self._run.cfg.name
        if change != NO_CHANGE:
            cfg = Path(self._run.cfg.name)
            write_cfg(folder / cfg, self._cfg)
        return train_command(
            self._engine,
            above / self._run.data.name,
            cfg,
            self._find_start(folder),
            map=self._settings.map and change.map,
            gpus=self._settings.gpus,
            clear=self._settings.clear and self._plan.start is None,
        )

    def _find_start(self, folder: Path) -> Path | None:
        """Return the weights to start from, under a name that the engine takes for weights."""
        first = Path(self._settings.weights) if self._settings.weights else None
        start = self._plan.start.path if self._plan.start else first
        if start is None or start.suffix == _ENDING or self._engine.flavor is not Flavor.HANK_AI:
            return start
        link(start, folder / f"start{_ENDING}")
        return Path(f"start{_ENDING}")

    def _follow(
        self,
        process: EngineProcess,
        recorder: Recorder,
        keeper: Keeper,
        observer: Observer,
        witness: Witness,
    ) -> Iterator[TrainEvent]:
        reader = LogReader()
        for line in process.lines():
            if line is None:
                observer.report(recorder)
                yield from self._look_around(recorder, keeper, witness)
                yield Tick()
            else:
                recorder.keep_line(line)
                observer.note_line(line)
                for event in reader.feed(line):
                    recorder.keep_event(event)
                    observer.note(event)
                    keeper.note(event)
                    witness.note(event)
                    yield event
                witness.hear(line)
            if witness.trouble and not process.stop_requested and not self._ends_itself(witness):
                recorder.tell("engine-stopped", code=witness.trouble.code)
                process.stop()
            if line is None and process.is_stuck():
                witness.give_up()
                return

    def _look_around(
        self, recorder: Recorder, keeper: Keeper, witness: Witness
    ) -> Iterator[WeightsKept]:
        """Do what is due about every second, whatever the engine does."""
        recorder.beat()
        witness.tick()
        for what, facts in witness.take_news():
            recorder.tell(what, **facts)
        for kept in keeper.look(recorder):
            if witness.loss.is_sound:
                hold_sound(self._run, kept.name)
            yield kept

    def _ends_itself(self, witness: Witness) -> bool:
        """Tell whether the engine will end without being asked: the embedded one at a NaN."""
        return self._engine.embedded and bool(witness.last and not witness.last.is_finite)

    def _judge(self, witness: Witness, returncode: int, pid: int) -> Ended:
        checkpoint = find_checkpoint(self._run.weights, self._cfg)
        best = find_best(self._run, self._engine)
        is_lost = witness.trouble is not None and witness.trouble.code == "diverged"
        # The embedded engine may end well before max_batches: when mAP no longer rises.
        is_content = self._engine.embedded and returncode == 0
        if checkpoint and (checkpoint.iteration >= self._max_batches or is_content) and not is_lost:
            drop_sound(self._run)
            return end("finished", witness, checkpoint, best)
        was_asked = self._stopped or (self._engine.embedded and returncode == _STOPPED)
        if was_asked and witness.trouble is None:
            return end("stopped", witness, checkpoint, best)
        cause = explain(witness, returncode, pid, self._engine)
        return end("failed", witness, checkpoint, best, cause)


def find_best(run: RunFolder, engine: Engine) -> Path | None:
    """Return the weights with the best mAP, where the engine keeps them and has written some."""
    name = best_weights_name(engine.flavor, BASE)
    path = run.weights / name if name else None
    return path if path is not None and path.exists() else None
