"""Whether a training can start from these weights, and where."""

import os
import re
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.errors import CfgError, DatasetError, UsageError
from darknet_kit.formats.cfg import Cfg, read_cfg
from darknet_kit.formats.datafile import iter_image_list
from darknet_kit.formats.weights import WeightsHeader, read_weights_header
from darknet_kit.network.schedule import effective_batch
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings

_NUMBERED = re.compile(r"_(\d{2,9})\.weights$")
_LARGEST_BATCH = 4096


def check_images_there(run: RunFolder) -> None:
    """Refuse to go on where the images of a run are gone, as when their disk is not mounted; looks
    at the first one. Raises DatasetError (`missing-file`, `missing-image`)."""
    images = run.path / "train.txt"
    first = next(iter(iter_image_list(images)), None)
    if first is not None and not os.path.exists(first):
        raise DatasetError(
            "the first image of this run is not there",
            code="missing-image",
            hint=f"Is its disk mounted? The list: {images}",
            path=first,
        )


def check_start(
    cfg: Cfg, weights: str, *, clear: bool = False, flavor: Flavor | None = None
) -> str:
    """Return what a person should know of a start from these weights; empty where all is well.

    `clear` starts their count of images anew. Raises CfgError, WeightsError, UsageError
    (`nothing-to-train`, `hank-partial-weights`).
    """
    from darknet_kit.network.fit import require_fit  # numpy, which a start at random does without

    header = read_weights_header(weights)
    fit = require_fit(cfg, header)
    iteration, end = header.iteration(effective_batch(cfg)), cfg.net.integer("max_batches")
    if iteration >= end and not clear:
        raise UsageError(
            f"these weights have {iteration:,} iterations behind them and max_batches is {end:,}: "
            "the engine would stop at once",
            code="nothing-to-train",
            hint="Start their count anew with --clear, or raise max_batches.",
            path=weights,
        )
    if not fit.is_backbone:
        return ""
    layers = f"{fit.layers} of {fit.of} layers"
    if flavor is Flavor.HANK_AI:
        raise UsageError(
            f"these weights hold the first {layers}, and hank-ai's darknet refuses a part",
            code="hank-partial-weights",
            hint="Start at random, or take another engine: --engine torch",
            path=weights,
        )
    return f"{weights} fills the first {layers}; the rest starts at random"


def tell_batch(cfg: Cfg, weights: str) -> str:
    """Say where weights were trained with another batch than this network has; else return "".

    Engines count images and divide by the batch of the cfg, so that another batch moves the
    schedule. A file does not say its batch; its number in Darknet's name does, or the run that it
    lies in. Raises WeightsError.
    """
    header = read_weights_header(weights)
    before, now = _find_batch(header), effective_batch(cfg)
    if not before or before == now or not header.seen:
        return ""
    return (
        f"these weights were trained with batch={before}, and the network has batch={now}: they "
        f"would go on at iteration {header.iteration(now):,} instead of "
        f"{header.iteration(before):,}"
    )


def check_same_batch(cfg: Cfg, settings: RunSettings) -> None:
    """Refuse to go on with a run whose cfg somebody gave another batch.

    Raises UsageError (`another-batch`).
    """
    now = effective_batch(cfg)
    if settings.batch not in (0, now):
        raise UsageError(
            f"this run began with batch={settings.batch} and its cfg has batch={now} now: what was "
            "trained would count as other iterations",
            code="another-batch",
            hint=f"Set batch={settings.batch} again; subdivisions may change.",
            path=cfg.path,
        )


def _find_batch(header: WeightsHeader) -> int:
    """Return the images of an iteration when a file was written; 0 where nothing tells."""
    if numbered := _NUMBERED.search(header.path.name):
        batch, rest = divmod(header.seen, int(numbered[1]) or 1)
        return batch if rest == 0 and batch <= _LARGEST_BATCH else 0
    run = RunFolder(Path(header.path).absolute().parent.parent)
    try:
        return effective_batch(read_cfg(run.cfg)) if run.cfg.exists() else 0
    except CfgError:
        return 0
