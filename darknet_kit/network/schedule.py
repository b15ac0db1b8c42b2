"""The training schedule: how long, at which learning rate, and why. Its rules live here alone.

They are the ones that AlexeyAB's README recommends; its `src/network.c`, `get_current_rate` shows
what the engine makes of them.
"""

from dataclasses import dataclass

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg

_PER_CLASS = 2000
_LEAST = 6000
_BURN_IN = 1000
_STEP_PERCENTS = (80, 90)
# Fewer and the steps fall together.
_SHORTEST = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """One `key=value` of a cfg that was computed, and the reason in words."""

    key: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a network trains at which rate. All but the rates are counted in iterations."""

    max_batches: int
    steps: tuple[int, int]
    scales: tuple[float, float]
    burn_in: int
    learning_rate: float
    settings: tuple[Setting, ...]


def effective_batch(cfg: Cfg) -> int:
    """Return the images of one iteration: the engine works in whole mini-batches."""
    batch = max(1, cfg.net.integer("batch", 1))
    subdivisions = max(1, cfg.net.integer("subdivisions", 1))
    return max(1, batch // subdivisions) * subdivisions


def plan_schedule(
    classes: int,
    usual_rate: float,
    *,
    train_images: int | None = None,
    max_batches: int | None = None,
    learning_rate: float | None = None,
    gpus: int = 1,
) -> Schedule:
    """Compute the schedule of a training run, each value with its reason.

    `usual_rate` is the network's learning rate on one GPU. `max_batches` and `learning_rate`
    replace what the rules would say, where they are given. Raises UsageError.
    """
    if gpus < 1:
        raise UsageError(f"{gpus} GPUs train nothing", code="bad-gpus", hint="Count them from 1.")
    length = _length(classes, train_images, max_batches)
    total = int(length.value)
    first, last = (total * percent // 100 for percent in _STEP_PERCENTS)
    burn_in, burn_in_reason = _burn_in(total, first, gpus)
    rate, rate_reason = _rate(usual_rate, learning_rate, gpus)
    settings = (
        length,
        Setting("steps", f"{first},{last}", "80 % and 90 % of max_batches"),
        Setting("scales", ".1,.1", "a tenth of the learning rate at each step"),
        Setting("burn_in", str(burn_in), burn_in_reason),
        Setting("learning_rate", format_number(rate), rate_reason),
    )
    return Schedule(total, (first, last), (0.1, 0.1), burn_in, rate, settings)


def _length(classes: int, train_images: int | None, asked: int | None) -> Setting:
    if asked is not None:
        if asked < _SHORTEST:
            raise UsageError(
                f"max_batches={asked} is too short for a schedule",
                code="bad-max-batches",
                hint=f"Ask for at least {_SHORTEST} iterations; thousands are usual.",
            )
        return Setting("max_batches", str(asked), "as asked for")
    images = train_images or 0
    total = max(_PER_CLASS * classes, _LEAST, images)
    if total == images:
        reason = f"one iteration for each of the {images:,} training images"
    elif total == _PER_CLASS * classes:
        reason = f"{_PER_CLASS} for each of {classes} classes"
    else:
        reason = f"the least: {_PER_CLASS} x {classes} classes would be too few"
    return Setting("max_batches", str(total), reason)


def _rate(usual: float, asked: float | None, gpus: int) -> tuple[float, str]:
    single = usual if asked is None else asked
    if not 0 < single < 10:
        raise UsageError(
            f"a learning rate of {single} teaches nothing",
            code="bad-learning-rate",
            hint=f"This network's usual rate is {format_number(usual)}.",
        )
    if gpus > 1:
        reason = f"{format_number(single)} / {gpus} GPUs, since Darknet multiplies it"
        return single / gpus, reason
    return single, "this network's usual rate" if asked is None else "as asked for"


def _burn_in(max_batches: int, first_step: int, gpus: int) -> tuple[int, str]:
    """Return the iterations of warm-up and the reason.

    The cap only matters to eight GPUs or more: a warm-up must end before the first step.
    """
    tenth = max_batches // 10
    single = min(_BURN_IN, tenth)
    reason = "the usual warm-up" if single == _BURN_IN else "a tenth of max_batches"
    if gpus == 1:
        return single, reason
    burn_in = min(single * gpus, first_step // 2)
    if burn_in < single * gpus:
        return burn_in, f"half of the way to the first step ({gpus} GPUs)"
    return burn_in, f"{single} x {gpus} GPUs"


def format_number(value: float) -> str:
    """Write a number for a cfg: no exponent, which hank-ai's parser refuses, and no idle zeros."""
    text = f"{value:.10f}".rstrip("0")
    return text.removesuffix(".")
