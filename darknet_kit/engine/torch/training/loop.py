"""`detector train`: from a data set and a network to weights, iteration by iteration.

The order of events, of lines and of files is that of AlexeyAB `src/detector.c`, `train_detector`.
"""

import itertools
import math
import random
import time
from collections.abc import Sequence

import torch

from darknet_kit import __version__
from darknet_kit.core.files import make_folder
from darknet_kit.engine.torch.commandline import CommandLine
from darknet_kit.engine.torch.data.complaints import format_problem
from darknet_kit.engine.torch.data.loader import TrainLoader, choose_workers
from darknet_kit.engine.torch.data.options import read_options
from darknet_kit.engine.torch.device import Arithmetic, choose_arithmetic
from darknet_kit.engine.torch.distributed import Team, agree, joining, share_number, starting_ranks
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.stopping import StopRequest, listening
from darknet_kit.engine.torch.training.classweights import count_objects, weigh_classes
from darknet_kit.engine.torch.training.ema import MovingAverage, plan_average
from darknet_kit.engine.torch.training.examination import Examination, Interrupted
from darknet_kit.engine.torch.training.journal import Journal, write_nothing, write_out
from darknet_kit.engine.torch.training.learner import Learner, Lesson
from darknet_kit.engine.torch.training.loglines import (
    FAREWELL,
    format_layers,
    format_program,
    format_resized,
    format_saved,
    format_start,
)
from darknet_kit.engine.torch.training.multiscale import MultiScale
from darknet_kit.engine.torch.training.optimizer import build_optimizer
from darknet_kit.engine.torch.training.plan import TrainPlan, read_plan
from darknet_kit.engine.torch.training.resume import (
    TrainState,
    find_state,
    read_generators,
    set_generators,
    write_state,
)
from darknet_kit.engine.torch.training.schedule import learning_rate
from darknet_kit.engine.torch.weights import load_weights, save_weights
from darknet_kit.errors import TrainError, WeightsError

FINISHED, INTERRUPTED = 0, 130


def train(command: CommandLine, words: Sequence[str]) -> int:
    """Train as the command line says and return the exit code.

    0: max_batches (or the end of patience) is reached and `_final.weights` written. 130: stopped
    on request, with `_last.weights` of that iteration. Raises TrainError (`diverged`) where the
    loss is no number any more, with nothing written over good weights, and DkitError for all that
    cannot work.
    """
    on_cpu = command.device == "cpu"
    with starting_ranks(command.gpus, words, on_cpu=on_cpu) as team, listening() as stop:
        plan = read_plan(command, write_out if team.is_first else write_nothing)
        arithmetic = choose_arithmetic(command.device, plan.precision, team.local_rank)
        with joining(team, arithmetic.device):
            training = Training(plan, arithmetic, team)
            with training.loader:
                return training.run(stop)


class Training:
    """One training: what lives from one iteration to the next.

    `iteration` counts updates as the schedule does: one more with each for every process, as in
    Darknet, so that `iteration * batch` images have been seen by all of them together.
    """

    def __init__(self, plan: TrainPlan, arithmetic: Arithmetic, team: Team) -> None:
        """Build the network, fill it and make everything ready. Raises DkitError."""
        self._plan, self._team, self._arithmetic = plan, team, arithmetic
        self._write = write_out if team.is_first else write_nothing
        path = None if plan.command.clear else plan.command.weights
        state = find_state(path, self._write) if path else None
        self._seed = share_number(self._choose_seed(state), team)
        torch.manual_seed(self._seed)
        self.network = Network(plan.cfg)
        self.iteration = self._load_weights()
        torch.manual_seed(self._seed + self.iteration * team.world + team.rank)
        self._learner = Learner(
            self.network,
            arithmetic,
            team,
            subdivisions=plan.subdivisions,
            compile_mode=plan.command.compile,
        )
        self._optimizer = build_optimizer(self.network, plan.cfg)
        self._scale = MultiScale(plan.cfg, plan.head, plan.mini_batch)
        self._size = self._scale.initial
        self._begun = False
        self._journal = Journal(self._write, plan.max_batches, plan.batch, team.world)
        self._examination = Examination(plan, start=self.iteration) if plan.examines else None
        average = plan_average(plan.cfg)
        self._average = MovingAverage(self.network, average) if average else None
        if plan.cfg.net.integer("dkit_class_weights"):
            weigh_classes(self.network, count_objects(plan.paths, self.network.heads[-1].classes))
        if state is not None and state.iteration == self.iteration:
            self._restore(state)
        self.loader = self._make_loader()

    def run(self, stop: StopRequest) -> int:
        """Train to the end, or to a reason to stop; return the exit code. Raises TrainError."""
        self._announce()
        while self.iteration < self._plan.max_batches:
            before = self.iteration
            lesson = self._iterate()
            if self._agree(not math.isfinite(lesson.loss)):
                raise self._diverged(lesson)
            self._examine_when_due(stop)
            self._save_when_due(before)
            if self._agree(stop.requested):
                self._save("last")
                return INTERRUPTED
            if self._agree(self._is_hopeless()):
                break
        self._save("final")
        self._write(FAREWELL)
        return FINISHED

    def _agree(self, value: bool) -> bool:
        """Tell whether any process says yes, so that all of them stop at the same iteration."""
        return agree(value, self._team, self._arithmetic.device)

    def _load_weights(self) -> int:
        """Fill the network where weights are named; return the iteration to go on from."""
        path, batch = self._plan.command.weights, self._plan.batch
        if path is None:
            return 0
        loaded = load_weights(self.network, path, anew=self._plan.command.clear)
        self._write(f"Loading weights from {path}...Done! Loaded {loaded.layers} layers\n")
        if not loaded.is_whole:
            self._write(f"note: layers {loaded.layers} to {loaded.of - 1} start at random\n")
        if self._plan.command.clear or not loaded.is_whole:
            return 0
        return loaded.seen // batch

    def _choose_seed(self, state: TrainState | None) -> int:
        if self._plan.command.seed is not None:
            return self._plan.command.seed
        kept = state.numbers.get("seed") if state else None
        return random.getrandbits(31) if kept is None else int(kept)

    def _restore(self, state: TrainState) -> None:
        """Go on exactly: momentum, averages, and what has been measured so far."""
        try:
            self._optimizer.restore(state.optimizer)
            if self._average is not None:
                self._average.restore(state.average)
            if self._team.is_first:  # whose state it is; the others draw from their own
                set_generators(state.generators, self._arithmetic.device)
        except WeightsError as error:
            self._write(f"note: {error}; training goes on from the weights alone\n")
            return
        self._journal.avg_loss = state.numbers.get("avg_loss")
        if self._examination:
            self._examination.restore(state.numbers)

    def _state(self) -> TrainState:
        numbers: dict[str, float] = {"seed": self._seed}
        if self._journal.avg_loss is not None:
            numbers["avg_loss"] = self._journal.avg_loss
        return TrainState(
            iteration=self.iteration,
            optimizer=self._optimizer.state(),
            average=self._average.state() if self._average else {},
            generators=read_generators(self._arithmetic.device),
            numbers=numbers | (self._examination.numbers() if self._examination else {}),
        )

    def _make_loader(self) -> TrainLoader:
        plan, device = self._plan, self._arithmetic.device
        workers = plan.command.workers
        place = plan.command.augment or ("device" if device.type == "cuda" else "host")
        return TrainLoader(
            plan.paths,
            read_options(plan.cfg),
            seed=self._seed,
            workers=choose_workers(device.type, self._team.world) if workers is None else workers,
            cache_bytes=plan.command.cache << 20,
            start=self.iteration * plan.batch,
            rank=self._team.rank,
            world=self._team.world,
            pin=device.type == "cuda",
            leave_colour=place == "device",
            note=lambda problem: self._write(format_problem(problem)),
        )

    def _announce(self) -> None:
        plan, net = self._plan, self._plan.cfg.net
        if self._team.is_first:
            make_folder(plan.saving.folder)
        self._write(format_program(__version__, torch.__version__, self._arithmetic.describe()))
        rate = net.number("learning_rate", 0.001) * self._team.world
        update = self._optimizer
        self._write(format_start(plan.saving, rate, update.momentum, update.decay))
        self._write(format_layers(self.network.plan))
        self.network.advance(self.iteration)
        if self.network.frozen:
            self._write(f"note: layers 0 to {self.network.frozen - 1} get no gradient\n")
        self.network.train()

    def _iterate(self) -> Lesson:
        """Do one iteration and write it down."""
        plan, started = self._plan, time.perf_counter()
        self.network.advance(self.iteration)
        self._resize_when_due()
        size = (self._size.width, self._size.height)
        batches = self.loader.batches(size, self._size.batch)
        first = next(batches)
        self._journal.note_loaded(time.perf_counter() - started)
        started = time.perf_counter()
        self._begun = True
        told = self._learner.learn(
            itertools.chain([first], itertools.islice(batches, plan.subdivisions - 1)),
            self.iteration * plan.batch,
        )
        self.iteration += self._team.world
        rng = random.Random(self._seed + self.iteration)
        rate = learning_rate(plan.cfg, self.iteration, rng, processes=self._team.world)
        self._optimizer.step(
            rate, images=told.images * self._team.world, batch_number=self.iteration
        )
        if self._average is not None:
            self._write(self._average.follow(self.iteration - self._team.world, self.iteration))
        lesson = self._learner.read(told)
        layers = [head.index for head in self.network.heads]
        self._journal.note_lesson(lesson, layers)
        if self._examination:
            self._examination.announce(self._write)
        self._journal.note_iteration(self.iteration, lesson.loss, rate, started)
        return lesson

    def _resize_when_due(self) -> None:
        update = self.iteration // self._team.world
        if not self._scale.coefficient or (self._begun and not self._scale.is_due(update)):
            return
        # The first size is the largest, so that memory that does not suffice shows at once.
        largest = self._journal.avg_loss is None
        self._size = self._scale.choose(
            update, self._seed, iteration=self.iteration, largest=largest
        )
        self._write(f"Resizing, random_coef = {self._scale.coefficient:.2f} \n")
        self._write(format_resized(self._size))

    def _examine_when_due(self, stop: StopRequest) -> None:
        """Compute mAP where it is time, in the first process; the others wait for its next word."""
        exam = self._examination
        if exam is None or not self._team.is_first or not exam.is_due(self.iteration):
            return
        try:
            is_best = exam.examine(self.network, self.iteration, self._write, stop)
        except Interrupted:
            return
        finally:
            self.network.train()
        if is_best:
            self._write("New best mAP!\n")
            self._save("best")

    def _is_hopeless(self) -> bool:
        return self._examination is not None and self._examination.is_hopeless

    def _save_when_due(self, before: int) -> None:
        saving = self._plan.saving
        if saving.is_due(before, self.iteration):
            self._save(self.iteration)
        if saving.is_last_due(before, self.iteration):
            self._save("last")

    def _save(self, what: object) -> None:
        """Write weights, and beside them what an exact continuation needs."""
        if not self._team.is_first:
            return
        saving, seen = self._plan.saving, self.iteration * self._plan.batch
        self._write(format_saved(saving.path(what)))
        save_weights(self.network, saving.path(what), seen)
        write_state(saving.path(what), self._state())
        if what in ("last", "final") and self._average:
            with self._average.lent():
                save_weights(self.network, saving.path("ema"), seen)
            self._write(f" EMA weights are saved to the file: {saving.path('ema')} \n")

    def _diverged(self, lesson: Lesson) -> TrainError:
        return TrainError(
            f"the loss became {lesson.loss} at iteration {self.iteration:,}",
            code="diverged",
            hint="Try half the learning_rate; the weights saved before are still good.",
            path=self._plan.cfg.path,
        )
