"""Which weights of a run are still good.

Engines write weights in place: a kill or a full disk leaves a cut file that they would load
without a word, and a run that diverged leaves whole files full of NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.weights import WeightsHeader, read_weights_header
from darknet_kit.network.layers import weight_floats
from darknet_kit.network.schedule import effective_batch

WEIGHTS_SUFFIXES = (".weights", ".backup")
"""How the names of weights end; `.backup` is what the 2018 original calls its last ones."""
_BLOCK = 1 << 20
SOUND = "project_sound.weights"
"""One more name of the last weights whose loss was sane."""
_AVERAGE = "_ema.weights"  # made of many iterations' weights; training goes on from its own


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Whole, finite weights and the iteration at which training goes on from them."""

    path: Path
    iteration: int


def find_checkpoint(folder: Path, cfg: Cfg) -> Checkpoint | None:
    """Return the furthest good weights in a folder, or None."""
    return next(iter_checkpoints(folder, cfg), None)


def iter_checkpoints(folder: Path, cfg: Cfg) -> Iterator[Checkpoint]:
    """Yield good weights, the furthest first; of equals the one written last, of one file under
    two names not the second, `SOUND`."""
    floats, batch = weight_floats(cfg), effective_batch(cfg)
    found: list[tuple[int, float, bool, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.endswith(WEIGHTS_SUFFIXES) or path.name.endswith(_AVERAGE):
            continue
        header = _header(path)
        if header is not None and (floats is None or header.floats == floats):
            written = path.stat().st_mtime
            found.append((header.iteration(batch), written, path.name != SOUND, path))
    for iteration, _, _, path in sorted(found, reverse=True):
        if is_finite(path):
            yield Checkpoint(path, iteration)


def _header(path: Path) -> WeightsHeader | None:
    try:
        return read_weights_header(path)
    except WeightsError:
        return None


def is_finite(path: Path) -> bool:
    """Tell whether all weights are numbers. Reads the file in blocks, and other threads run on."""
    import numpy as np

    block = bytearray(_BLOCK)
    with open(path, "rb") as stream:
        stream.seek(read_weights_header(path).header_bytes)
        while count := stream.readinto(block):
            if not np.isfinite(np.frombuffer(block, "<f4", count // 4)).all():
                return False
    return True
