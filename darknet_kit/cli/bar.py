"""Progress on stderr: a bar on a terminal, elsewhere a line per tenth; short work is silent."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from darknet_kit.cli.streams import echo
from darknet_kit.core.progress import Progress
from darknet_kit.core.wording import format_duration

if TYPE_CHECKING:
    from tqdm import tqdm

_PATIENCE_SECONDS = 2.0
_WIDE = (
    "{desc}: {percentage:.0f}% |{bar}| {n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, "
    "{remaining} left"
)
_NARROW = "{desc} {percentage:.0f}% {rate_noinv_fmt} {remaining} left"
_NARROW_COLUMNS = 72
_LONG_NUMBERS = 100_000  # from there on 545k for 544,546


@contextlib.contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Progress]:
    """Show the progress of one piece of work while the block runs, how fast it goes, and how long
    it will take."""
    if sys.stderr.isatty():
        with _terminal_bar(label, unit) as move:
            yield move
    else:
        yield _Lines(label, unit, time.monotonic()).tell


@contextlib.contextmanager
def _terminal_bar(label: str, unit: str) -> Iterator[Progress]:
    started, bar = time.monotonic(), None
    with contextlib.ExitStack() as stack:

        def move(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                if time.monotonic() - started < _PATIENCE_SECONDS:
                    return
                bar = stack.enter_context(_open_bar(label, unit, done))
            if done < bar.n:  # a second round, at another pace
                bar.initial = 0
                bar.reset()
            bar.total = total or None
            bar.unit_scale = total >= _LONG_NUMBERS
            bar.update(done - bar.n)

        yield move


def _open_bar(label: str, unit: str, done: int) -> "tqdm[NoReturn]":
    from tqdm import tqdm  # a twentieth of a second, which short work can do without

    columns = os.get_terminal_size(sys.stderr.fileno()).columns
    return tqdm(
        desc=label,
        unit=f" {unit}",
        initial=done,
        delay=1e-6,  # it is shown when there is something to tell
        leave=False,
        ncols=None if columns else 79,  # where no width is told, as by some that record a terminal
        dynamic_ncols=columns > 0,
        miniters=1,
        bar_format=_NARROW if 0 < columns < _NARROW_COLUMNS else _WIDE,
    )


@dataclass(slots=True)
class _Lines:
    """Tells each tenth of the work on a line of its own."""

    label: str
    unit: str
    started: float
    done: int = 0
    told: int = 0

    def tell(self, done: int, total: int) -> None:
        if done < self.done:  # a second round, at another pace
            self.started, self.told = time.monotonic(), 0
        self.done = done
        tenth = 10 * done // total if total else 0
        seconds = time.monotonic() - self.started
        if tenth > self.told and seconds > _PATIENCE_SECONDS:
            self.told = tenth
            rate = done / seconds
            echo(
                f"{self.label}: {10 * tenth}% ({done:,} of {total:,} {self.unit}, "
                f"{rate:{',.0f' if rate >= 10 else '.2g'}} a second, "
                f"{format_duration((total - done) / rate)} left)",
                err=True,
            )
