"""Whether what a run will write has room where it is to lie: engines do not tell of a full disk."""

import os
import tempfile
from pathlib import Path

from darknet_kit.core.files import WriteError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.estimate import estimate_disk

_PROBE = bytes(4096)


def check_room(run: Path, cfg: Cfg, *, keep: int, embedded: bool, full_log: bool) -> str:
    """Write a few bytes where the run will be, and say where its disk is too small for it; return
    "" where all is well.

    Weights that lie there already count. Raises CfgError, WriteError.
    """
    folder = _existing(run)
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(_PROBE)
        place = os.statvfs(folder)
    except OSError as error:
        raise WriteError(
            f"cannot write into this folder: {error.strerror}",
            code="cannot-write",
            hint="Name another folder for the run with --out.",
            path=folder,
        ) from error
    there = sum(path.stat().st_size for path in run.glob("weights/*"))
    need = estimate_disk(cfg, keep=keep, with_state=embedded, full_log=full_log) - there
    free = place.f_bavail * place.f_frsize
    if need <= free:
        return ""
    return f"weights and log will take {_size(need)}, and {_size(free)} are free in {folder}"


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
