"""Whether a training can start from these weights, and where."""

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.weights import read_weights_header
from darknet_kit.train.checkpoint import effective_batch


def check_start(cfg: Cfg, weights: str, *, clear: bool = False) -> str:
    """Return what a person should know of a start from these weights; empty where all is well.

    `clear` starts their count of images anew. Raises CfgError, WeightsError, UsageError
    (`nothing-to-train`).
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
    if fit.is_backbone:
        layers = f"{fit.layers} of {fit.of} layers"
        return f"{weights} fills the first {layers}; the rest starts at random"
    return ""
