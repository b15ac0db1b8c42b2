"""What an attempt saw while its engine ran: enough to stop it in time, and to say why it ended."""

import shutil
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from darknet_kit.core.files import WriteError, as_write_error
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.logevent import (
    EngineError,
    EngineWarning,
    Event,
    Iteration,
    WeightsSaved,
)
from darknet_kit.formats.weights import expected_bytes
from darknet_kit.network.layers import weight_floats
from darknet_kit.train.health.causes import Cause
from darknet_kit.train.health.datawatch import DataWatch
from darknet_kit.train.health.deaths import count_oom_kills
from darknet_kit.train.health.divergence import LossWatch
from darknet_kit.train.health.pulse import Pulse
from darknet_kit.train.telemetry.gpu import GpuTrouble

_TAIL_LINES = 60  # hank-ai prints a long backtrace after what matters
_LONGEST_LINE = 300
_FULL_DISK_BYTES = 1 << 20
_FREE_SPACE = "Free some space; a run of many numbered weights needs less with --keep 1."
_LOOK_AT_DISK = "Look at the disk, and at who may write there."
# Engines print thousands of these; the log reader knows none of them to tell anything.
_DETAIL = (b"v3 ", b" total_bbox", b"total_bbox", b"Region ", b"Loaded: ")


class Witness:
    """Takes in lines, events and ticks of one attempt that runs in `folder`.

    `trouble` is why the engine has to be stopped, None while it may go on. `errors` are those after
    the last whole iteration, `warned` counts warnings by code, `last` is the last sane iteration,
    `troubles` what GPUs reported of themselves; `since` (CLOCK_MONOTONIC) and `oom_kills` are of
    the moment before the engine started.
    """

    def __init__(self, folder: Path, cfg: Cfg, stall_minutes: float) -> None:
        self.trouble: Cause | None = None
        self.errors: list[EngineError] = []
        self.warned: Counter[str] = Counter()
        self.last: Iteration | None = None
        self.cure = ""
        self.since = time.monotonic()
        self.oom_kills = count_oom_kills()
        self.troubles: list[GpuTrouble] = []
        self.loss = LossWatch(cfg.net.integer("burn_in"))
        self.pulse = Pulse(stall_minutes)
        self._data = DataWatch()
        self._folder = folder
        self._floats = weight_floats(cfg)
        self._saved: Path | None = None
        self._news: list[tuple[str, dict[str, Any]]] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def hear(self, line: bytes) -> None:
        """Take in a line of output."""
        self.pulse.hear(line)
        if line.startswith(_DETAIL):
            return
        text = line.rsplit(b"\r", 1)[-1].decode("utf-8", "replace").rstrip()
        if self._tail and "error: " in self._tail[-1] and text.startswith("  "):
            self.cure = self.cure or text.strip()  # the embedded engine's second line
        if text.strip():
            self._tail.append(text.strip()[:_LONGEST_LINE])

    def tail(self, count: int = _TAIL_LINES) -> tuple[str, ...]:
        """Return the last lines, without those that engines print for each mini-batch."""
        return tuple(self._tail)[-count:]

    def note(self, event: Event) -> None:
        """Take in what a line told."""
        self.pulse.note(event)
        self.trouble = self.trouble or self._data.note(event)
        if isinstance(event, Iteration):
            self._note_iteration(event)
        elif isinstance(event, EngineError):
            self.errors.append(event)
        elif isinstance(event, EngineWarning):
            self._note_warning(event)
        elif isinstance(event, WeightsSaved):
            self._saved = self._folder / event.path

    def _note_warning(self, event: EngineWarning) -> None:
        if not self.warned[event.code]:  # the first of what may be thousands
            self._news.append(("engine-warning", {"code": event.code, "message": event.message}))
        self.warned[event.code] += 1

    def take_news(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what is worth a line in events.jsonl since the last call: names and facts."""
        news, self._news = self._news, []
        return news

    def _note_iteration(self, event: Iteration) -> None:
        if self.errors:  # an engine that goes on has overcome them
            self.errors = [
                error for error in self.errors if (error.iteration or 0) >= event.iteration - 1
            ]
        self.look_at_disk()
        if self.trouble is None:
            self.last = event
            if message := self.loss.look(event):
                cure = "Lower the learning_rate, and look at labels and anchors: dkit check"
                self.trouble = Cause("diverged", message, cure)

    def tick(self) -> None:
        """Take in that a second has passed."""
        pauses = self.pulse.pauses
        message = self.pulse.tick()
        if self.pulse.pauses > pauses:
            self._news.append(("paused", {"seconds": round(self.pulse.paused)}))
        if message and self.trouble is None:
            cure = "If it happens again, look at the GPU (`dkit doctor`) and at the data's disk."
            self.trouble = Cause("stalled", message, cure, self.tail(6))

    def give_up(self) -> None:
        """Take in that the engine outlived SIGKILL: it waits for a driver, and holds its GPU."""
        before = f" ({self.trouble.message})" if self.trouble else ""
        message = f"the engine does not end, though it was killed{before}"
        self.trouble = Cause("engine-does-not-end", message, "Reboot, then resume the run.")

    def note_unwritten(self, error: OSError | WriteError) -> None:
        """Take in that dkit itself could not write into the run."""
        if isinstance(error, OSError):
            error = as_write_error(error, error.filename or self._folder)
        is_full = error.code == "disk-full"
        code, cure = (error.code, _FREE_SPACE) if is_full else ("cannot-write", _LOOK_AT_DISK)
        message = f"dkit {error.message} ({error.path})"
        self.trouble = self.trouble or Cause(code, message, cure)

    def look_at_disk(self) -> None:
        """Find weights that were cut because the disk is full: no engine says so.

        They are looked at once the engine went on, or is gone.
        """
        path, self._saved = self._saved, None
        if path is None or self._floats is None or self.trouble is not None:
            return
        try:
            size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
        except OSError:
            return  # whole, and brought into the run already
        whole = expected_bytes(self._floats)
        if size < whole and free < _FULL_DISK_BYTES:
            self.trouble = Cause(
                "disk-full",
                f"the disk is full: {path.name} has {size:,} of its {whole:,} bytes",
                _FREE_SPACE,
                (f"{free:,} bytes are free at {path.parent}",),
            )
