"""Numbers of `[net]` that must lie within bounds."""

import math

from darknet_kit.engine.torch.site import error_at
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg


def read_number(cfg: Cfg, key: str, default: float, *, below: float = math.inf) -> float:
    """Return a number from 0 on that is less than `below`. Raises CfgError (`bad-value`)."""
    value = cfg.net.number(key, default)
    if not 0.0 <= value < below:
        upper = "" if math.isinf(below) else f" and less than {below:g}"
        raise bad_value(cfg, key, f"It must be 0 or more{upper}.")
    return value


def bad_value(cfg: Cfg, key: str, hint: str) -> CfgError:
    """Return the error that a value of `[net]` cannot be used, at its line."""
    what = f"nothing can be trained with {key}={cfg.net.text(key)}"
    return error_at(cfg, cfg.net, what, "bad-value", key=key, hint=hint)
