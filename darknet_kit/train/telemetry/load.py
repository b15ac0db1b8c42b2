"""A training's telemetry in a few numbers."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from darknet_kit.formats.telemetry import Telemetry

_SWAPPING = 1.0  # MiB per second
_USED_GPU = 10.0  # per cent


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """The GPUs that the engine used: the mean of their use, the worst of the rest.

    `hot`, `capped` and `braked` are the samples in which one slowed down: for its temperature, at
    its power limit, by its hardware or the power supply. None is what could not be read.
    """

    count: int = 0
    use: float | None = None
    hot: float | None = None
    capped: float | None = None
    braked: float | None = None
    c: float | None = None  # the highest
    power_w: float | None = None
    power_limit_w: float | None = None
    sm_mhz: float | None = None
    sm_mhz_most: float | None = None  # seen


@dataclass(frozen=True, slots=True)
class Load:
    """Medians, in per cent where nothing else is said; None is what could not be read."""

    samples: int
    gpu: GpuLoad
    waiting: float | None = None  # for images, of the time of all iterations
    cores: float | None = None
    cpu: float | None = None
    cpu_core: float | None = None  # the busiest
    iowait: float | None = None
    steal: float | None = None
    engine_cpu: float | None = None  # of one core
    core_wait: float | None = None  # of the engine's main thread
    disk_busy: float | None = None
    disk_read: float | None = None  # MiB per second
    swapping: float | None = None  # the samples in which memory was swapped
    swap: float | None = None  # the most, MiB per second

    def numbers(self) -> dict[str, float]:
        """Return what is known, rounded, by name; those of GPUs begin with gpu_."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        del own["gpu"]
        gpu = {f"gpu_{field.name}": getattr(self.gpu, field.name) for field in fields(self.gpu)}
        return {name: round(v, 1) for name, v in (own | gpu).items() if v is not None}


def measure_load(table: Telemetry, gpus: Sequence[int] = ()) -> Load:
    """Sum up the samples from the first iteration on."""
    rows = [row for row, iteration in enumerate(table.column("iteration")) if iteration > 0]

    def column(name: str) -> list[float]:
        values = table.column(name)
        return [values[row] for row in rows if math.isfinite(values[row])]

    swap, waits = column("swap_mib_s"), column("engine_image_wait_percent")
    return Load(
        samples=len(rows),
        gpu=_measure_gpus(table, rows, column, gpus),
        waiting=statistics.fmean(waits) if waits else None,
        cores=_median(column("cpu_cores")),
        cpu=_median(column("cpu_percent")),
        cpu_core=_median(column("cpu_core_percent")),
        iowait=_median(column("cpu_iowait_percent")),
        steal=_median(column("cpu_steal_percent")),
        engine_cpu=_median(column("engine_cpu_percent")),
        core_wait=_median(column("engine_core_wait_percent")),
        disk_busy=_median(column("data_busy_percent")),
        disk_read=_median(column("data_read_mib_s")),
        swapping=_share(rate >= _SWAPPING for rate in swap),
        swap=max(swap, default=None),
    )


def _measure_gpus(
    table: Telemetry,
    rows: Sequence[int],
    column: Callable[[str], list[float]],
    given: Sequence[int],
) -> GpuLoad:
    used = _find_used(table, column, given)
    if not used:
        return GpuLoad()
    per_gpu = [[set(table.throttle[gpu][row].split()) for row in rows] for gpu in used]

    def share(*words: str) -> float | None:
        return _worst(_share(not reasons.isdisjoint(words) for reasons in gpu) for gpu in per_gpu)

    def medians(name: str) -> list[float | None]:
        return [_median(column(f"gpu{gpu}_{name}")) for gpu in used]

    uses = [use for use in medians("use_percent") if use is not None]
    return GpuLoad(
        count=len(used),
        use=statistics.fmean(uses) if uses else None,
        hot=share("thermal", "hardware-thermal"),
        capped=share("power-cap"),
        braked=share("power-brake", "hardware-slowdown"),
        c=_worst(max(column(f"gpu{gpu}_c"), default=None) for gpu in used),
        power_w=_worst(medians("power_w")),
        power_limit_w=_worst(medians("power_limit_w")),
        sm_mhz=min((mhz for mhz in medians("sm_mhz") if mhz is not None), default=None),
        sm_mhz_most=_worst(max(column(f"gpu{gpu}_sm_mhz"), default=None) for gpu in used),
    )


def _find_used(
    table: Telemetry, column: Callable[[str], list[float]], given: Sequence[int]
) -> list[int]:
    """Return the GPUs on which the engine computes; none where it does so on the processor."""
    every = sorted(table.throttle)
    if own := [gpu for gpu in every if (_median(column(f"gpu{gpu}_engine_mib")) or 0) > 0]:
        return own
    busy = [gpu for gpu in every if at_least(_median(column(f"gpu{gpu}_use_percent")), _USED_GPU)]
    return [gpu for gpu in busy if gpu in given] or busy


def at_least(value: float | None, least: float) -> bool:
    """Tell whether a number is known, and so large."""
    return value is not None and value >= least


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _share(flags: Iterable[bool]) -> float | None:
    counted = list(flags)
    return 100 * sum(counted) / len(counted) if counted else None
