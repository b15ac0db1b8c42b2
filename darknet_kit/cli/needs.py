"""What a training will need, in words."""

from typing import Any

from darknet_kit.cli.gpuchoice import GpuChoice
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.estimate import estimate_hours, estimate_needs

_HOURS_A_DAY = 24
_MANY_DAYS = 3
_MOST_OF_A_YEAR = 240  # days


def describe_needs(cfg: Cfg, card: GpuChoice | None, gpus: int) -> list[str]:
    """Return lines on memory, time and disk space of a training."""
    needs = estimate_needs(cfg)
    lines = [
        f"  needs about {format_size(needs.memory)} of GPU memory; of disk, for weights up to "
        f"{format_size(needs.weights_disk)}, for AlexeyAB's log {format_size(needs.log_disk)}"
    ]
    if card is None or card.model is None:
        return [*lines, "  how long: say the card, --gpu 'RTX 3090'"]
    hours = estimate_hours(cfg, card.model) / gpus
    many = f"{gpus} x {card.model.name}" if gpus > 1 else f"one {card.model.name}"
    return [*lines, f"  takes about {_duration(hours)} on {many}, give or take a half"]


def list_needs(cfg: Cfg, card: GpuChoice | None, gpus: int) -> dict[str, Any]:
    """Return the same as numbers: bytes, and hours where the card is known."""
    needs = estimate_needs(cfg)
    known = card is not None and card.model is not None
    return {
        "gpu": card.name if card else None,
        "gpu_memory": needs.memory,
        "weights_disk": needs.weights_disk,
        "log_disk": needs.log_disk,
        "hours": round(estimate_hours(cfg, card.model) / gpus, 2)
        if known and card and card.model
        else None,
    }


def _duration(hours: float) -> str:
    days = hours / _HOURS_A_DAY
    if days > _MOST_OF_A_YEAR:
        return f"{days:,.0f} days, most of a year" if days < 365 else f"{days / 365:.1f} YEARS"
    if days > _MANY_DAYS:
        return f"{days:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(2, round(60 * hours))} minutes"


def format_size(count: int) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
