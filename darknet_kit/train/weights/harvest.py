"""Weights out of an engine's own folder into the run, each by one rename, once they are whole.

Darknet opens the file that it is about to write under its final name (AlexeyAB `src/parser.c`,
`save_weights_upto`): until the last byte is there, and where the engine is killed for ever, that
name stands for half a file. So an engine writes into a folder of its attempt. A file of full length
is first taken out of the engine's way, so that its next save makes another one, then read, written
through to the disk, and given its name among the run's weights.
"""

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.errors import WeightsError
from darknet_kit.formats.weights import expected_bytes, read_weights_header
from darknet_kit.train.weights.checkpoint import WEIGHTS_SUFFIXES, is_finite

NOT_FINITE, DAMAGED = "not-finite", "damaged"
_REJECTED = ".nan"
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0  # a disk that is full now may have room again soon
# Where nobody knows how long a whole file is: so long after its last byte it is taken for one.
_SETTLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Harvested:
    """What became of a weights file. `path` is where it lies now: among the run's weights where
    `flaw` is empty, else in the engine's folder. A flaw is `not-finite` or `damaged`."""

    path: Path
    flaw: str = ""


def harvest(
    folder: Path,
    weights: Path,
    floats: int | None,
    *,
    ended: bool = True,
    left: Collection[str] = (),
) -> Iterator[Harvested]:
    """Bring whole and finite weights out of an engine's folder; yield what became of each.

    `floats` is how many values a whole file holds, None where nobody knows. `ended` says that no
    engine writes there any more: what is not whole now never will be, and is told. `left` names
    files that stay until then. Raises OSError where the disk is full or fails.
    """
    for name in _list_weights(folder):
        claim, source = folder / f".{name}.part", folder / name
        if claim.exists():  # taken by a dkit that was killed, or while the engine wrote
            yield from _bring(claim, name, weights, floats, ended=ended)
        if claim.exists() or not source.exists() or (name in left and not ended):
            continue
        if _is_whole(source, floats, ended=ended):
            os.replace(source, claim)
            yield from _bring(claim, name, weights, floats, ended=ended)
        elif ended:
            yield Harvested(source, DAMAGED)


def _list_weights(folder: Path) -> list[str]:
    """Return the names of weights in a folder, taken out of the engine's way or not."""
    with contextlib.suppress(FileNotFoundError):
        found = {name.removeprefix(".").removesuffix(".part") for name in os.listdir(folder)}
        return sorted(name for name in found if name.endswith(WEIGHTS_SUFFIXES))
    return []


def _is_whole(path: Path, floats: int | None, *, ended: bool) -> bool:
    state = path.stat()
    if floats is not None:
        return state.st_size == expected_bytes(floats)
    return ended or time.time() - state.st_mtime > _SETTLED_SECONDS


def _bring(
    claim: Path, name: str, weights: Path, floats: int | None, *, ended: bool
) -> Iterator[Harvested]:
    """Look at a file that was taken, and give it its name in the run where it is good."""
    before = _stamp(claim)
    flaw = _find_flaw(claim) if _is_whole(claim, floats, ended=ended) else DAMAGED
    if _stamp(claim) != before or (flaw == DAMAGED and not ended):
        return  # the engine had opened it just before; the next look will find it whole
    place = claim if flaw else weights / name
    if flaw == NOT_FINITE:
        place = claim.with_name(name + _REJECTED)
    if place != claim:
        os.replace(claim, place)
    yield Harvested(place, flaw)


def _find_flaw(path: Path) -> str:
    """Read a file whole; write it through to the disk, which a rename alone does not."""
    try:
        read_weights_header(path)
        if not is_finite(path):
            return NOT_FINITE
    except WeightsError:
        return DAMAGED
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())
    return ""


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


class Harvester:
    """Brings weights into a run while an engine writes them, in a thread of its own.

    The arguments are those of `harvest`.
    """

    def __init__(
        self, folder: Path, weights: Path, floats: int | None, left: Collection[str] = ()
    ) -> None:
        self._folder, self._weights, self._floats, self._left = folder, weights, floats, left
        self._found: list[Harvested] = []
        self._refused: tuple[float, OSError] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="weights", daemon=True)
        self._thread.start()

    def take(self) -> list[Harvested]:
        """Return what came in since the last call."""
        with self._lock:
            found, self._found = self._found, []
        return found

    @property
    def refused(self) -> OSError | None:
        """Why nothing could be brought in for a minute; None while it can, or may soon."""
        refused = self._refused
        is_over = refused is not None and time.monotonic() - refused[0] > _PATIENCE_SECONDS
        return refused[1] if refused and is_over else None

    def finish(self) -> OSError | None:
        """End the thread and bring in the rest, where the engine is gone; return why that cannot be
        done where the disk is full or fails."""
        self.stop()
        try:
            self._collect(ended=True)
        except OSError as error:
            return error
        return None

    def stop(self) -> None:
        """End the thread, after the file that it reads."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            try:
                self._collect(ended=False)
                self._refused = None
            except OSError as error:
                self._refused = self._refused or (time.monotonic(), error)

    def _collect(self, *, ended: bool) -> None:
        found = harvest(self._folder, self._weights, self._floats, ended=ended, left=self._left)
        for one in found:
            with self._lock:
                self._found.append(one)
