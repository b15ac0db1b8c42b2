"""Numbers as C prints them, since programs read the logs of Darknet."""

import math


def format_c(value: float, digits: int = 6) -> str:
    """Return a number as C's `%f` prints it: NaN and infinity with their signs."""
    if math.isnan(value):
        return "-nan" if math.copysign(1.0, value) < 0 else "nan"
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    return f"{value:.{digits}f}"


def format_average(total: float, count: float) -> str:
    """Return `total / count` as C's `%f` prints it; nothing over nothing is `-nan` on x86."""
    return format_c(total / count if count else -math.nan)
