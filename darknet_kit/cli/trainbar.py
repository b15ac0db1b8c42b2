"""The live view of a training: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from darknet_kit.cli.streams import echo
from darknet_kit.formats.logevent import Event, Iteration, MapResult

_QUIET_SECONDS = 30.0


class TrainBar:
    """Shows iteration, average loss, learning rate, mAP and the time left, on stderr."""

    def __init__(self, max_batches: int) -> None:
        self._max_batches = max_batches
        self._map = ""
        self._first: Iteration | None = None
        self._started = self._told = time.monotonic()
        self._bar: tqdm[Never] | None = (
            tqdm(total=max_batches, unit="it", desc="train", dynamic_ncols=True, smoothing=0.05)
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, event: Event) -> None:
        """Take in what the engine told."""
        if isinstance(event, MapResult):
            self._map = f", mAP {event.map50:.1%}"
        elif isinstance(event, Iteration):
            facts = f"avg loss {event.avg_loss:.3f}, rate {event.learning_rate:g}{self._map}"
            if self._bar is not None:
                self._move(self._bar, event.iteration, facts)
            else:
                self._tell(event, facts)

    def _move(self, bar: "tqdm[Never]", iteration: int, facts: str) -> None:
        if self._first is None:
            bar.initial = bar.n = iteration - 1  # so that a resumed run has an honest pace
            self._first = Iteration(iteration, 0, 0, 0, 0, 0)
        bar.set_postfix_str(facts, refresh=False)
        bar.update(iteration - bar.n)

    def _tell(self, event: Iteration, facts: str) -> None:
        now = time.monotonic()
        self._first = self._first or event
        if now - self._told < _QUIET_SECONDS and event.iteration < self._max_batches:
            return
        self._told = now
        done = event.iteration - self._first.iteration
        left = (now - self._started) / done * (self._max_batches - event.iteration) if done else 0
        until = f", {left / 60:,.0f} min left" if left > 90 else f", {left:.0f} s left"
        echo(f"iteration {event.iteration:,} of {self._max_batches:,}: {facts}{until}", err=True)
