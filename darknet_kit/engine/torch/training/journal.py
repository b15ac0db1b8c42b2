"""What a training prints as it goes on, and the averages that it prints."""

import sys
import time
from collections.abc import Callable

from darknet_kit.engine.torch.training.learner import Lesson
from darknet_kit.engine.torch.training.loglines import (
    format_iteration,
    format_loaded,
    format_parts,
)

Write = Callable[[str], object]

_LOSS_KEPT = 0.9
_TIME_KEPT = 0.99


def write_out(text: str) -> None:
    """Print at once: who supervises a training follows it line by line."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_nothing(_text: str) -> None:
    """Be silent: of several processes only the first one prints."""


class Journal:
    """Keeps the average loss and the hours left, and writes each iteration down.

    Averages are those of AlexeyAB `src/detector.c`, `train_detector`: a tenth of each loss, a
    hundredth of each estimate of the time left.
    """

    def __init__(self, write: Write, max_batches: int, iteration_images: int, world: int) -> None:
        self.write = write
        self.avg_loss: float | None = None
        self._max_batches = max_batches
        self._images = iteration_images
        self._world = world
        self._hours_left: float | None = None
        self._waited = 0.0

    def note_loaded(self, seconds: float) -> None:
        """Write how long an iteration waited for its images."""
        self._waited = seconds
        self.write(format_loaded(seconds, after_start=self.avg_loss is not None))

    def note_lesson(self, lesson: Lesson, layers: list[int]) -> None:
        """Write what the heads told; `layers` are their numbers."""
        for line in lesson.lines:
            self.write(line)
        for layer, parts in zip(layers, lesson.parts, strict=True):
            self.write(format_parts(layer, parts))

    def note_iteration(self, iteration: int, loss: float, rate: float, started: float) -> None:
        """Write an iteration that began at `started` (time.perf_counter) and has just ended."""
        if self.avg_loss is None or self.avg_loss != self.avg_loss:
            self.avg_loss = loss
        self.avg_loss = self.avg_loss * _LOSS_KEPT + loss * (1 - _LOSS_KEPT)
        seconds = time.perf_counter() - started
        shown = -1.0 if self._hours_left is None else self._hours_left
        images = iteration * self._images
        self.write(format_iteration(iteration, loss, self.avg_loss, rate, seconds, images, shown))
        self._estimate(iteration, seconds + self._waited)

    def _estimate(self, iteration: int, seconds: float) -> None:
        left = (self._max_batches - iteration) / self._world * seconds / 3600
        before = left if self._hours_left is None else self._hours_left
        self._hours_left = left * (1 - _TIME_KEPT) + before * _TIME_KEPT
