"""Back to weights from before a loss was lost; those from after it are set aside, not deleted."""

import contextlib
import os
from pathlib import Path

from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.checkpoint import Checkpoint, iter_checkpoints
from darknet_kit.train.runfolder import RunFolder

_ASIDE = ".diverged"
_BEST = "_best.weights"


def go_back(run: RunFolder, cfg: Cfg, back_to: int | None) -> Checkpoint | None:
    """Return the furthest good weights, of no iteration beyond `back_to` where one is given.

    Where all are beyond it the earliest of them has to do: it is still better than nothing. Other
    weights beyond get another name, so that no later start takes them for the furthest. The best by
    mAP stay: they were measured.
    """
    found = list(iter_checkpoints(run.weights, cfg))
    if back_to is None:
        return found[0] if found else None
    before = [one for one in found if one.iteration <= back_to]
    chosen = before[0] if before else found[-1] if found else None
    for one in found:
        if chosen and one.iteration > chosen.iteration and not one.path.name.endswith(_BEST):
            _set_aside(one.path)
    return chosen


def _set_aside(path: Path) -> None:
    for each in (path, path.with_suffix(".state")):
        with contextlib.suppress(FileNotFoundError):
            os.replace(each, each.with_name(each.name + _ASIDE))
