"""The learning rate of an iteration, as `[net]` asks for it.

Borrowed from AlexeyAB `src/network.c`, `get_current_rate`, and `src/parser.c`,
`parse_net_options`. Darknet keeps the rate in single precision and computes powers in double;
so does this, and the printed digits agree.
"""

import ctypes
import math
import random
from collections.abc import Callable, Mapping
from typing import NoReturn

from darknet_kit.engine.torch.site import error_at
from darknet_kit.formats.cfg import Cfg, Section

_FOREVER = 1 << 31  # more iterations than Darknet can count


def learning_rate(
    cfg: Cfg, batch_number: int, rng: random.Random | None = None, *, processes: int = 1
) -> float:
    """Return the learning rate of an update.

    `batch_number` is seen / batch, those images included that are being learnt from: 1 for the
    first update. `processes` multiply `learning_rate=`, but not `learning_rate_min=`, as several
    GPUs do in Darknet. `policy=random` draws from `rng`. Raises CfgError for a policy that does
    not exist or cannot work.
    """
    net = cfg.net
    top = _single(_single(net.number("learning_rate", 0.001)) * processes)
    policy = _find_policy(cfg)
    burn_in = net.integer("burn_in")
    if batch_number < burn_in:
        share = _single(batch_number / burn_in)
        return _single(top * _power(share, _exponent(net)))
    return _single(policy(cfg, top, batch_number, rng))


Policy = Callable[[Cfg, float, int, random.Random | None], float]


def _find_policy(cfg: Cfg) -> Policy:
    own = cfg.net.text("dkit_policy")
    if own:
        return _OWN_POLICIES.get(own) or _refuse_word(cfg, "dkit_policy", _OWN_POLICIES)
    word = cfg.net.text("policy", "constant")
    return _POLICIES.get(word) or _refuse_word(cfg, "policy", _POLICIES)


def _constant(_cfg: Cfg, top: float, _batch: int, _rng: random.Random | None) -> float:
    return top


def _step(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    scale = _single(cfg.net.number("scale", 1.0))
    return top * _power(scale, batch // _at_least_one(cfg, "step", 1))


def _steps(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    """Multiply by the scale of every step reached. The first that is not ends the list."""
    steps, scales = cfg.net.integers("steps"), cfg.net.numbers("scales")
    if not steps or len(scales) < len(steps):
        _refuse(
            cfg,
            "steps",
            f"policy=steps has {len(steps)} steps and {len(scales)} scales",
            "Give one scale for each step, such as steps=4800,5400 and scales=.1,.1.",
        )
    rate = top
    for step, scale in zip(steps, scales, strict=False):
        if step > batch:
            break
        rate = _single(rate * _single(scale))
    return rate


def _exp(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    return top * _power(_single(cfg.net.number("gamma", 1.0)), batch)


def _poly(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    done = _single(batch / _at_least_one(cfg, "max_batches", 0))
    return top * _power(_single(1.0 - done), _exponent(cfg.net))


def _random(cfg: Cfg, top: float, _batch: int, rng: random.Random | None) -> float:
    return top * _power((rng or random.Random()).random(), _exponent(cfg.net))


def _sigmoid(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    gamma, step = _single(cfg.net.number("gamma", 1.0)), cfg.net.integer("step", 1)
    return top / (1.0 + _power(math.e, _single(gamma * (batch - step))))


def _sgdr(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    """Fall by half a cosine, start again at the top, each cycle `sgdr_mult` times as long."""
    length = _at_least_one(cfg, "sgdr_cycle", cfg.net.integer("max_batches"))
    factor, start = _at_least_one(cfg, "sgdr_mult", 2), 0
    while start + length < batch:
        # Cycles of one length need no counting.
        start += length * ((batch - start - 1) // length if factor == 1 else 1)
        length *= factor
    return _half_cosine(cfg, top, batch - start, length)


def _cosine(cfg: Cfg, top: float, batch: int, _rng: random.Random | None) -> float:
    """Fall from burn_in to max_batches by one half cosine. Our own; Darknet has `sgdr`."""
    burn_in = max(0, cfg.net.integer("burn_in"))
    length = _at_least_one(cfg, "max_batches", 0) - burn_in
    return _half_cosine(cfg, top, min(batch - burn_in, length), length) if length > 0 else top


def _half_cosine(cfg: Cfg, top: float, position: int, length: int) -> float:
    bottom = _single(cfg.net.number("learning_rate_min", 0.00001))
    angle = _single(position) * 3.14159265 / length
    return bottom + 0.5 * _single(top - bottom) * (1.0 + math.cos(angle))


_POLICIES: Mapping[str, Policy] = {
    "constant": _constant,
    "step": _step,
    "steps": _steps,
    "exp": _exp,
    "poly": _poly,
    "random": _random,
    "sigmoid": _sigmoid,
    "sgdr": _sgdr,
}
_OWN_POLICIES: Mapping[str, Policy] = {"cosine": _cosine}


def _exponent(net: Section) -> float:
    return _single(net.number("power", 4.0))


def _single(value: float) -> float:
    return ctypes.c_float(value).value


def _power(base: float, exponent: float) -> float:
    """Return what C's `pow` does, which raises nothing."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if base == 0.0 else math.nan


def _at_least_one(cfg: Cfg, key: str, default: int) -> int:
    value = cfg.net.integer(key, default)
    if not 1 <= value < _FOREVER:
        _refuse(cfg, key, f"this policy cannot work with {key}={value}", "It must be 1 or more.")
    return value


def _refuse_word(cfg: Cfg, key: str, known: Mapping[str, Policy]) -> NoReturn:
    _refuse(
        cfg,
        key,
        f"there is no {key}={cfg.net.text(key)}",
        f"Take one of {', '.join(known)}. Darknet would train at a constant rate without a word.",
    )


def _refuse(cfg: Cfg, key: str, message: str, hint: str) -> NoReturn:
    raise error_at(cfg, cfg.net, message, "bad-schedule", key=key, hint=hint)
