"""Back to weights from before a loss was lost; those from after it are set aside, not deleted.

Engines overwrite their last weights every 100 iterations, sooner than an explosion is certain. So
those of a sane loss are held under one more name until others follow.
"""

import contextlib
import os
from pathlib import Path

from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.runs.folder import BASE, RunFolder
from darknet_kit.train.weights.checkpoint import Checkpoint, iter_checkpoints

_ASIDE = ".diverged"
_BEST = "_best.weights"
_SOUND = f"{BASE}_sound.weights"
_LAST = (f"{BASE}_last.weights", f"{BASE}.backup")


def go_back(run: RunFolder, cfg: Cfg, back_to: int | None) -> Checkpoint | None:
    """Return the furthest good weights, of no iteration beyond `back_to` where one is given.

    Where all are beyond it the earliest of them has to do: it is still better than nothing; but not
    those of the last iteration, from which nothing would be trained. Other weights beyond get
    another name, so that no later start takes them for the furthest. The best by mAP stay: they
    were measured.
    """
    found = list(iter_checkpoints(run.weights, cfg))
    if back_to is None:
        return found[0] if found else None
    before = [one for one in found if one.iteration <= back_to]
    last = cfg.net.integer("max_batches")
    chosen = next(iter(before or [one for one in found[::-1] if one.iteration < last]), None)
    for one in found:
        is_beyond = one.iteration > (chosen.iteration if chosen else back_to)
        if is_beyond and not one.path.name.endswith(_BEST):
            _set_aside(one.path)
    return chosen


def hold_sound(run: RunFolder, name: str) -> None:
    """Hold the last weights, which came from a sane loss; costs a file, but no copying."""
    if name not in _LAST:
        return
    part = run.weights / f".{_SOUND}.part"
    with contextlib.suppress(OSError):  # a file system without hard links
        part.unlink(missing_ok=True)
        os.link(run.weights / name, part)
        os.replace(part, run.weights / _SOUND)


def drop_sound(run: RunFolder) -> None:
    """Let go of what was held, at the end of a training."""
    with contextlib.suppress(OSError):
        (run.weights / _SOUND).unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    for each in (path, path.with_suffix(".state")):
        with contextlib.suppress(FileNotFoundError):
            os.replace(each, each.with_name(each.name + _ASIDE))
