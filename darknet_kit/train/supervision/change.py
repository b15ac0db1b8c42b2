"""What the supervisor changed of a run's network, so that it trains where it failed before.

`project.cfg` stays what was asked for; an attempt under changes has a cfg of its own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from darknet_kit.core.files import write_text
from darknet_kit.formats.cfg import Cfg, set_value
from darknet_kit.network.schedule import effective_batch
from darknet_kit.train.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Change:
    """`subdivisions` in force, 0 for the cfg's own; `rate` is a factor of its learning_rate."""

    subdivisions: int = 0
    rate: float = 1.0
    map: bool = True


NO_CHANGE = Change()


def apply_change(cfg: Cfg, change: Change) -> Cfg:
    """Return a network under a change. Its batch, and so what an iteration is, stays the same."""
    if change.subdivisions:
        cfg = set_value(cfg, cfg.net, "batch", effective_batch(cfg))
        cfg = set_value(cfg, cfg.net, "subdivisions", change.subdivisions)
    if change.rate != 1.0:
        rate = cfg.net.number("learning_rate", 0.001) * change.rate
        cfg = set_value(cfg, cfg.net, "learning_rate", f"{rate:.8g}")
    return cfg


def find_subdivisions(cfg: Cfg, now: int) -> int | None:
    """Return the next subdivisions, twice as many or more, that divide the batch; None at its end.

    More of them make smaller mini-batches, which take less of the GPU's memory.
    """
    batch = effective_batch(cfg)
    return next((n for n in range(2 * now, batch + 1) if batch % n == 0), None)


def _path(run: RunFolder) -> Path:
    return run.path / "change.json"


def read_change(run: RunFolder) -> Change:
    """Return the changes that earlier attempts led to."""
    try:
        found = json.loads(_path(run).read_text(encoding="utf-8"))
        return Change(int(found["subdivisions"]), float(found["rate"]), bool(found["map"]))
    except (OSError, ValueError, KeyError, TypeError):
        return NO_CHANGE


def write_change(run: RunFolder, change: Change) -> None:
    """Keep the changes for the attempts to come. Raises WriteError."""
    write_text(_path(run), json.dumps(asdict(change), indent=2) + "\n")
