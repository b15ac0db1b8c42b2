"""The averages in the lines that heads print."""

import math

from darknet_kit.engine.torch.cnumber import format_c


def format_average(total: float, count: float) -> str:
    """Return `total / count` as C's `%f` prints it; nothing over nothing is `-nan` on x86."""
    return format_c(total / count if count else -math.nan)
