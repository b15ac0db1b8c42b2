"""What a training will need, in words."""

from dataclasses import dataclass
from typing import Any

from darknet_kit.cli.gpuchoice import GpuChoice, choose_gpu
from darknet_kit.engine.find import Engine
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.estimate import estimate_hours, estimate_needs, measure_hours
from darknet_kit.network.gpus import GIB

_HOURS_A_DAY = 24
_MANY_DAYS = 3
_MOST_OF_A_YEAR = 240  # days
_LONGEST_ITERATION = 100_000  # seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """What decides how long a training takes: the card, how many of it, and the seconds of an
    iteration where somebody has measured them."""

    card: GpuChoice | None
    gpus: int = 1
    seconds: float | None = None


def find_pace(gpu: str | None, gpu_memory: float | None, gpus: int, seconds: float | None) -> Pace:
    """Return the pace that was asked for, on this machine's card by default. Raises UsageError."""
    if seconds is not None and not 0 < seconds < _LONGEST_ITERATION:
        raise UsageError(
            f"no iteration takes {seconds:g} seconds",
            code="bad-seconds",
            hint="A line of a Darknet log says: 1200: 1.8, 1.9 avg loss, 0.001 rate, 2.5 seconds.",
        )
    return Pace(choose_gpu(gpu, gpu_memory), gpus, seconds)


def describe_needs(cfg: Cfg, pace: Pace) -> list[str]:
    """Return lines on memory, time and disk space of a training."""
    needs = estimate_needs(cfg)
    unknown = "how long: say the card, --gpu 'RTX 3090', or --seconds of an iteration"
    return [
        f"  needs about {format_memory(needs.memory)} of GPU memory; of disk, for weights up to "
        f"{format_size(needs.weights_disk)}, for AlexeyAB's log {format_size(needs.log_disk)}",
        f"  {_describe_time(cfg, pace) or unknown}",
    ]


def describe_run(cfg: Cfg, engine: Engine, gpus: int) -> list[str]:
    """Return what a training on this machine's GPU will need, memory that it lacks as a warning;
    nothing where there is none. The embedded engine keeps other arrays than those counted here."""
    pace = Pace(None if engine.features.gpu is False else choose_gpu(None, None), gpus)
    if pace.card is None:
        return []
    time = _describe_time(cfg, pace)
    lines = [f"note: {time}"] if time else []
    memory = estimate_needs(cfg).memory
    if not engine.embedded and memory > pace.card.memory:
        lines.append(
            f"warning: about {format_memory(memory)} of GPU memory are needed, and "
            f"{pace.card.name} can give {format_memory(pace.card.memory)}: double the subdivisions "
            "if it runs out"
        )
    return lines


def list_needs(cfg: Cfg, pace: Pace) -> dict[str, Any]:
    """Return the same as numbers: bytes, and hours where they are known."""
    needs, hours = estimate_needs(cfg), _forecast(cfg, pace)
    return {
        "gpu": pace.card.name if pace.card else None,
        "gpu_memory": needs.memory,
        "weights_disk": needs.weights_disk,
        "log_disk": needs.log_disk,
        "hours": None if hours is None else round(hours, 2),
    }


def _describe_time(cfg: Cfg, pace: Pace) -> str:
    """Return how long a training takes; empty where nobody knows."""
    hours = _forecast(cfg, pace)
    if hours is None:
        return ""
    if pace.seconds is not None:
        return f"takes about {_duration(hours)} at {pace.seconds:g} seconds an iteration"
    name = pace.card.model.name if pace.card and pace.card.model else ""
    many = f"{pace.gpus} x {name}" if pace.gpus > 1 else f"one {name}"
    return f"takes about {_duration(hours)} on {many}, give or take a half"


def _forecast(cfg: Cfg, pace: Pace) -> float | None:
    """Return hours: of several GPUs, each takes its share of the iterations."""
    if pace.seconds is not None:
        return measure_hours(cfg, pace.seconds) / pace.gpus
    model = pace.card.model if pace.card else None
    return estimate_hours(cfg, model) / pace.gpus if model else None


def _duration(hours: float) -> str:
    days = hours / _HOURS_A_DAY
    if days > _MOST_OF_A_YEAR:
        return f"{days:,.0f} days, most of a year" if days < 365 else f"{days / 365:.1f} YEARS"
    if days > _MANY_DAYS:
        return f"{days:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(2, round(60 * hours))} minutes"


def format_memory(count: int) -> str:
    """Return bytes of a GPU's memory for people, as its trade counts GB: in powers of 1024."""
    return f"{count / GIB:.1f} GB"


def format_size(count: int) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
