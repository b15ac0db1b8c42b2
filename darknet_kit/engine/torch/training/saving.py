"""When which weights are written, and under which name.

Names and times are AlexeyAB's (`src/detector.c`, `train_detector`): `_last` every 100 iterations,
`_N` every 1,000 (10,000 from max_batches=10000 on), `_best` after the best mAP, `_final` at the
end.
"""

from dataclasses import dataclass
from pathlib import Path

from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.datafile import DataFile

_SHORT_TRAINING = 10_000


@dataclass(frozen=True, slots=True)
class SavingPlan:
    """Where weights go, and every how many iterations."""

    folder: Path
    base: str
    every: int
    last_every: int

    def path(self, what: object) -> Path:
        """Return the path of `last`, `best`, `final`, or of an iteration."""
        return self.folder / f"{self.base}_{what}.weights"

    def is_due(self, before: int, iteration: int) -> bool:
        """Tell whether numbered weights are due; an update may count several iterations."""
        return before // self.every < iteration // self.every

    def is_last_due(self, before: int, iteration: int) -> bool:
        """Tell whether `_last` is due. Upstream writes none where it writes all others as often."""
        return self.last_every < self.every and (
            before // self.last_every < iteration // self.last_every
        )


def plan_saving(cfg: Cfg, cfg_path: str, data: DataFile) -> SavingPlan:
    """Read `saveweights=` and `savelast=` of the `.data` file; the name is that of the cfg."""
    short = cfg.net.integer("max_batches") < _SHORT_TRAINING
    default = 1000 if short else 10_000
    return SavingPlan(
        folder=data.backup or Path("/backup"),
        base=Path(cfg_path).name.partition(".")[0],
        every=_positive(data.options.get("saveweights"), default),
        last_every=_positive(data.options.get("savelast"), 100),
    )


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else default
