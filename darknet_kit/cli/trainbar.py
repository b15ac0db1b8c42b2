"""The live view of a training: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from darknet_kit.cli.streams import echo
from darknet_kit.core.wording import format_duration
from darknet_kit.formats.logevent import Event, Iteration, MapResult
from darknet_kit.train.supervision.pace import Pace

_QUIET_SECONDS = 30.0
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"


class TrainBar:
    """Shows iteration, average loss, learning rate, mAP, images a second and the time left, on
    stderr. Pace and time left are those of what this process sees, mAP and saving included."""

    def __init__(self, max_batches: int) -> None:
        self._max_batches = max_batches
        self._map = ""
        self._pace = Pace()
        self._told = time.monotonic()
        self._bar: tqdm[Never] | None = (
            tqdm(total=max_batches, desc="train", dynamic_ncols=True, bar_format=_FORMAT)
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
            self._pace.note(event.iteration, event.images)
            if self._bar is not None:
                self._bar.set_postfix_str(self._facts(event), refresh=False)
                self._bar.update(event.iteration - self._bar.n)
            else:
                self._tell(event)

    def _facts(self, event: Iteration) -> str:
        images = self._pace.images_per_second()
        left = self._pace.seconds_until(self._max_batches)
        parts = [f"avg loss {event.avg_loss:.3f}, rate {event.learning_rate:g}{self._map}"]
        parts += [f"{images:.3g} images/s"] if images else []
        parts += [f"{format_duration(left)} left"] if left else []
        return ", ".join(parts)

    def _tell(self, event: Iteration) -> None:
        now = time.monotonic()
        if now - self._told < _QUIET_SECONDS and event.iteration < self._max_batches:
            return
        self._told = now
        done = f"iteration {event.iteration:,} of {self._max_batches:,}"
        echo(f"{done}: {self._facts(event)}", err=True)
