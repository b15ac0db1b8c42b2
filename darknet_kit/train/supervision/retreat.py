"""Back to weights from before a loss was lost; those from after it are set aside, not deleted.

Engines overwrite their last weights every 100 iterations, sooner than an explosion is certain. So
those of a sane loss are held under one more name until others follow.
"""

import contextlib
import os
from pathlib import Path

from darknet_kit.formats.cfg import Cfg
from darknet_kit.train.runs.folder import BASE, RunFolder
from darknet_kit.train.weights.checkpoint import SOUND, Checkpoint, iter_checkpoints

_ASIDE = ".diverged"
_BEST = "_best.weights"
_STATE = ".state"
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
    """Hold the last weights, which came from a sane loss; costs a file, but no copying.

    So too the embedded engine's state of them.
    """
    if name not in _LAST:
        return
    weights, sound = run.weights / name, run.weights / SOUND
    states = weights.with_suffix(_STATE), sound.with_suffix(_STATE)
    states = weights.with_suffix(_STATE), sound.with_suffix(_STATE)
    for source, held in ((weights, sound), states):
        part = held.with_name(f".{held.name}.part")
        with contextlib.suppress(OSError):  # a file system without hard links; no state
            os.link(source, part)
            os.replace(part, held)
        with contextlib.suppress(OSError):  # a rename onto the same file leaves both names
            part.unlink()


def drop_sound(run: RunFolder) -> None:
    """Let go of what was held, at the end of a training."""
    for each in (run.weights / SOUND, (run.weights / SOUND).with_suffix(_STATE)):
        with contextlib.suppress(OSError):
            each.unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    for each in (path, path.with_suffix(_STATE)):
        with contextlib.suppress(FileNotFoundError):
            os.replace(each, each.with_name(each.name + _ASIDE))
