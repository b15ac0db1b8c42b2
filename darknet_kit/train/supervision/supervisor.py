"""Supervise a run: attempt after attempt until its weights are there, or nothing helps."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from darknet_kit.core.files import as_write_error
from darknet_kit.engine.find import Engine
from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.health.verdict import Ended
from darknet_kit.train.process import TICK_SECONDS
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.lock import only_writer
from darknet_kit.train.runs.record import LOWER_RATE, RunSettings
from darknet_kit.train.runs.recorder import tell_finished
from darknet_kit.train.runs.status import Stopping
from darknet_kit.train.runs.stopping import refuse_company
from darknet_kit.train.supervision.attempt import Attempt, Plan, Tick, TrainEvent, find_best
from darknet_kit.train.supervision.change import apply_change, read_change, write_change
from darknet_kit.train.supervision.farewell import Farewell
from darknet_kit.train.supervision.policy import Decision, Limits, Past, count_failures, decide
from darknet_kit.train.supervision.retreat import drop_sound, go_back
from darknet_kit.train.weights.checkpoint import Checkpoint, find_checkpoint
from darknet_kit.train.weights.keeping import recover_weights


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed and another one follows; `words` say which, why and from where."""

    ended: Ended
    words: str


SupervisedEvent = TrainEvent | Retrying | Stopping


class Training:
    """A run under way. `events` drives it; `stop` may be called from a signal handler."""

    def __init__(self, run: RunFolder, settings: RunSettings, cfg: Cfg, engine: Engine) -> None:
        self._run = run
        self._settings = settings
        self._cfg = cfg
        self._engine = engine
        self._limits = Limits(settings.retries, lower_rate=settings.on_nan == LOWER_RATE)
        self._past: list[Past] = []
        self._attempt: Attempt | None = None
        self._stopped = False
        max_batches = cfg.net.integer("max_batches")
        self._farewell = Farewell(max_batches, saves_itself=engine.embedded)

    def stop(self, *, now: bool = False) -> None:
        """Let the engine come to its next checkpoint, then end it; at once when called again, or
        `now`; a call after that kills it."""
        self._stopped = True
        if self._farewell.ask(now=now) and self._attempt is not None:
            self._attempt.stop()

    def events(self) -> Iterator[SupervisedEvent]:
        """Train and yield what the engines tell and which attempts follow, at last how it ended.

        Raises UsageError (`run-busy`, `engine-still-running`), ToolchainError, WriteError.
        """
        try:
            with only_writer(self._run):
                refuse_company(self._run)
                yield from self._begin()
        except OSError as error:
            raise as_write_error(error, error.filename or self._run.path) from error

    def _begin(self) -> Iterator[SupervisedEvent]:
        """Go on from what is there, or say that nothing is left to do."""
        recover_weights(self._run, self._cfg)
        start = find_checkpoint(self._run.weights, self._cfg)
        if start is not None and start.iteration >= self._cfg.net.integer("max_batches"):
            best = find_best(self._run, self._engine)
            drop_sound(self._run)
            tell_finished(self._run, start.iteration)
            yield Ended("finished", start.iteration, start, best)
        else:
            yield from self._try(Plan(start, read_change(self._run)))

    def _try(self, plan: Plan) -> Iterator[SupervisedEvent]:
        while True:
            ended = yield from self._follow(plan)
            if ended.state != "failed":
                yield ended
                return
            decision = self._decide(ended, plan)
            if self._stopped or not decision.again:
                yield replace(ended, given_up="" if decision.again else decision.words)
                return
            write_change(self._run, decision.change)
            start = go_back(self._run, self._cfg, decision.back_to)
            plan = Plan(start, decision.change, self._describe(ended, decision, start))
            yield Retrying(ended, plan.why)
            if (yield from self._wait(decision.wait)):
                yield replace(ended, state="stopped")
                return

    def _follow(self, plan: Plan) -> Generator[SupervisedEvent, None, Ended]:
        """Make one attempt and return how it ended."""
        cfg = apply_change(self._cfg, plan.change)
        self._attempt = Attempt(self._run, self._settings, cfg, self._engine, plan)
        if self._stopped:
            self._attempt.stop()
        self._farewell.begin(plan.start.iteration if plan.start else 0)
        ended: Ended | None = None
        for event in self._attempt.events():
            if self._farewell.note(event):
                self._attempt.stop()
            if isinstance(event, Tick) and (stopping := self._farewell.announce()):
                self._attempt.announce(stopping)
                yield stopping
            if isinstance(event, Ended):
                ended = event
            else:
                yield event
        assert ended is not None  # the last thing that an attempt tells
        return ended

    def _decide(self, ended: Ended, plan: Plan) -> Decision:
        began = plan.start.iteration if plan.start else 0
        saved = ended.checkpoint.iteration if ended.checkpoint else 0
        reported = ended.iteration > began
        self._past.append(Past(ended.code, began, saved, reported, ended.sound_until))
        return decide(self._past, plan.change, self._cfg, self._limits)

    def _describe(self, ended: Ended, decision: Decision, start: Checkpoint | None) -> str:
        """Say which attempt follows, as `attempt 2 of 4: out of memory, subdivisions 16 → 32, ...`.

        Attempts are counted since the last progress.
        """
        number = count_failures(self._past) + 1
        of = f" of {self._limits.retries + 1}" if number <= self._limits.retries + 1 else ""
        where = f"from iteration {start.iteration:,}" if start else "from the start"
        parts = [ended.code.replace("-", " "), decision.words, where]
        return f"attempt {number}{of}: {', '.join(part for part in parts if part)}"

    def _wait(self, seconds: float) -> Generator[Tick, None, bool]:
        """Let time pass; return whether a stop was asked for meanwhile."""
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))
            yield Tick()
        return self._stopped
