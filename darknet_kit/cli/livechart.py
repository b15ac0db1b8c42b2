"""The chart of a run, drawn anew now and then while the run goes on.

By a process of its own, of the lowest priority: matplotlib and pandas would stay in the supervisor
for good, with four times its memory, and a long log takes seconds.
"""

import importlib.util
import math
import sys
import threading
import time
from types import TracebackType
from typing import Self

from darknet_kit.train.process import capture
from darknet_kit.train.runs.folder import RunFolder

EVERY_SECONDS = 300.0
_SHARE = 100  # drawing takes one part in so many of the time at most
_PATIENCE_SECONDS = 600.0
_LAST_SECONDS = 10.0
_NICE = ("nice", "-n", "19")


class LiveChart:
    """Draws while its block runs, when `refresh` finds that it is time."""

    def __init__(self, run: RunFolder, every: float = EVERY_SECONDS) -> None:
        self._run, self._every = run, every
        can_draw = importlib.util.find_spec("matplotlib") and importlib.util.find_spec("pandas")
        self._due = time.monotonic() + every if can_draw else math.inf
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)  # so that no older chart comes after the last one

    def refresh(self) -> None:
        """Begin a new chart, if it is time; return at once."""
        if time.monotonic() < self._due or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._draw, name="chart", daemon=True)
        self._thread.start()

    def _draw(self) -> None:
        began = time.monotonic()
        words = ("plot-log", str(self._run.path), "-o", str(self._run.chart), "--overwrite")
        capture([*_NICE, sys.executable, "-m", "darknet_kit", *words], _PATIENCE_SECONDS)
        now = time.monotonic()
        self._due = now + max(self._every, _SHARE * (now - began))
