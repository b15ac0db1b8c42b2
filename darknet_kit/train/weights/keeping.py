"""What becomes of the weights that an engine writes: brought into the run, and not too many kept.

AlexeyAB's writes the 256 MB of YOLOv4 two hundred times in two million iterations. `_last`,
`_best`, `_final` and `_ema` are one file each; of the numbered ones the newest stay, and those that
the engine started from.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.files import WriteError, is_part, link, make_folder
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.logevent import Event, Finished, Iteration, MapResult, WeightsSaved
from darknet_kit.network.layers import weight_floats
from darknet_kit.train.runs.folder import BACKUP, BASE, RunFolder
from darknet_kit.train.runs.record import RunSettings
from darknet_kit.train.runs.recorder import Recorder
from darknet_kit.train.weights.checkpoint import Checkpoint
from darknet_kit.train.weights.harvest import Harvested, Harvester, harvest

_NUMBERED = re.compile(rf"{BASE}_(\d+)\.weights")


@dataclass(frozen=True, slots=True)
class WeightsKept:
    """Whole and finite weights of this name now lie in the run."""

    name: str


class Keeper:
    """Looks after the weights of one attempt, in whose folder it makes the one for the engine.

    The embedded engine gets the run's own: it writes no file in place and none with NaN, and lays
    beside its weights what belongs to them.
    """

    def __init__(
        self,
        run: RunFolder,
        attempt: Path,
        engine: Engine,
        cfg: Cfg,
        settings: RunSettings,
        start: Checkpoint | None = None,
    ) -> None:
        self._run, self._keep = run, settings.keep
        self._start = start.path if start else None
        self._harvester: Harvester | None = None
        self._saving: list[str] = []
        self._saved: list[Harvested] = []
        if engine.embedded:
            link("../../weights", attempt / BACKUP)
            return
        folder = make_folder(attempt / BACKUP)
        left = () if start or settings.weights else _read_again(engine, settings)
        self._harvester = Harvester(folder, run.weights, weight_floats(cfg), left)

    def note(self, event: Event) -> None:
        """Take in what the engine told: the embedded one has saved when its next line comes."""
        if self._harvester is None and isinstance(event, Iteration | MapResult | Finished):
            self._saved += [Harvested(self._run.weights / name) for name in self._saving]
            self._saving.clear()
        elif self._harvester is None and isinstance(event, WeightsSaved):
            self._saving.append(Path(event.path).name)

    def look(self, recorder: Recorder) -> Iterator[WeightsKept]:
        """Write down what came in since the last look and yield what is good of it.

        Raises OSError where for a minute nothing could be brought in.
        """
        if self._harvester is not None and (error := self._harvester.refused):
            raise error
        yield from _tell(self._take(), recorder)
        self._prune(recorder)

    def finish(self, recorder: Recorder) -> Iterator[WeightsKept]:
        """Bring in the rest, once the engine is gone. Raises OSError where that cannot be done."""
        _drop_parts(self._run)  # of an engine that was killed
        refused = self._harvester.finish() if self._harvester is not None else None
        yield from _tell(self._take(), recorder)
        if refused is not None:
            recorder.tell("weights-left", message=refused.strerror or str(refused))
            raise refused
        self._prune(recorder)

    def close(self) -> None:
        """Let go, whatever happened."""
        if self._harvester is not None:
            self._harvester.stop()

    def _take(self) -> list[Harvested]:
        if self._harvester is not None:
            return self._harvester.take()
        saved, self._saved = self._saved, []
        return saved

    def _prune(self, recorder: Recorder) -> None:
        if gone := prune_weights(self._run.weights, self._keep, self._start):
            recorder.tell("weights-pruned", paths=gone)


def _read_again(engine: Engine, settings: RunSettings) -> tuple[str, ...]:
    """Return weights that the engine itself loads: with several GPUs and nothing to start from,
    hank-ai's trains on one until burn_in, then begins again on all (`train_detector_internal`)."""
    is_read = engine.flavor is Flavor.HANK_AI and len(settings.gpus) > 1
    return (f"{BASE}_last.weights",) if is_read else ()


def _tell(found: list[Harvested], recorder: Recorder) -> Iterator[WeightsKept]:
    for one in found:
        if one.flaw:
            recorder.tell("weights-refused", path=str(one.path), why=one.flaw)
        else:
            recorder.tell("weights-kept", path=one.path.name)
            yield WeightsKept(one.path.name)


def recover_weights(run: RunFolder, cfg: Cfg) -> None:
    """Bring in what the last attempt left behind where dkit was killed; no engine runs any more.

    Raises WriteError.
    """
    make_folder(run.weights)
    attempts = run.attempts()
    folder = attempts[-1] / BACKUP if attempts else run.weights
    try:
        _drop_parts(run)
        if folder.is_dir() and not folder.samefile(run.weights):
            list(harvest(folder, run.weights, weight_floats(cfg)))
    except OSError as error:
        raise WriteError(
            f"cannot bring the last attempt's weights into the run: {error.strerror}",
            code="cannot-write",
            hint="Check the disk, then run the command again.",
            path=run.weights,
        ) from error


def _drop_parts(run: RunFolder) -> None:
    """Delete what was being written into the run's weights when its writer was killed."""
    for name in os.listdir(run.weights):
        if is_part(name):
            (run.weights / name).unlink()


def prune_weights(folder: Path, keep: int, start: Path | None = None) -> list[str]:
    """Delete all but the `keep` numbered weights of most iterations, and the states beside them;
    return the names of those that went. 0 keeps all. `start` is never deleted."""
    if not keep:
        return []
    found = {name: match for name in os.listdir(folder) if (match := _NUMBERED.fullmatch(name))}
    by_age = sorted(found, key=lambda name: int(found[name][1]))
    gone = [name for name in by_age[:-keep] if start is None or folder / name != start]
    for name in gone:
        for path in (folder / name, (folder / name).with_suffix(".state")):
            path.unlink(missing_ok=True)
    return gone
