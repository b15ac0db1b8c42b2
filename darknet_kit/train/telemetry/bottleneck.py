"""What a training was waiting for, by its telemetry and its log.

The first rule that holds names it: what slows everything down comes first (memory, the host, heat,
power), then what keeps a GPU waiting, then the processor or GPU itself. docs/telemetry.md lists the
rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.formats.telemetry import Telemetry
from darknet_kit.train.telemetry.load import Load, at_least, measure_load

_FEWEST = 6  # samples, half a minute by default
_OFTEN = 20.0  # per cent of the samples in which memory is swapped
_STEAL = 10.0  # as in Prometheus' rule HostCpuStealNoisyNeighbor
_SLOWED = 10.0  # per cent of the samples in which a GPU slows itself down
_CAPPED, _CLOCK_LOST = 50.0, 0.8  # at its power limit, at so much of the clock it has shown
# AlexeyAB's src/detector.c calls 0.1 s for loading a bottleneck, however long an iteration is.
_WAITS = 20.0
_IDLE_GPU, _FULL_GPU = 60.0, 85.0
_FULL_DISK, _IOWAIT = 80.0, 20.0
_NO_CORE = 20.0
_FULL_CPU, _FULL_CORE = 90.0, 95.0


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What a training waits for: `kind` is memory, host, heat, power, others, disk, loader, gpu,
    cpu or none.

    `evidence` says it with numbers, `advice` what would help; `numbers` are medians and shares in
    per cent of the samples.
    """

    kind: str
    evidence: str
    advice: str
    numbers: dict[str, float]

    def __str__(self) -> str:
        return f"{_NAMES[self.kind]}: {self.evidence}"


_NAMES = {
    "memory": "memory",
    "host": "the host of this virtual machine",
    "heat": "heat",
    "power": "power",
    "others": "other programs",
    "disk": "the disk",
    "loader": "the loading of images",
    "gpu": "the GPU, as it should be",
    "cpu": "the processor",
    "none": "none found",
}


def find_bottleneck(table: Telemetry, gpus: Sequence[int] = ()) -> Bottleneck | None:
    """Name what a training waits for; None where there are too few samples to say.

    `gpus` are those that the engine was given, for where NVML does not tell.
    """
    load = measure_load(table, gpus)
    if load.samples < _FEWEST:
        return None
    numbers = load.numbers()
    for rule in _RULES:
        if found := rule(load):
            return Bottleneck(*found, numbers)
    return Bottleneck("none", _describe(load), "", numbers)


_Found = tuple[str, str, str] | None


def _is_starved(load: Load) -> bool:
    """Tell whether the engine waits for images, or leaves its GPU idle."""
    idle = load.gpu.use is not None and load.gpu.use < _IDLE_GPU
    return at_least(load.waiting, _WAITS) or idle


def _find_swapping(load: Load) -> _Found:
    if not at_least(load.swapping, _OFTEN):
        return None
    return (
        "memory",
        f"the machine was swapping {load.swapping:.0f} % of the time, up to {load.swap:.0f} MiB/s",
        "Give it more memory, end other programs, or let fewer workers load images.",
    )


def _find_steal(load: Load) -> _Found:
    if not at_least(load.steal, _STEAL):
        return None
    return (
        "host",
        f"it takes {load.steal:.0f} % of the processor's time for others",
        "Pin the guest's virtual cores, or move it to a host with fewer guests.",
    )


def _find_heat(load: Load) -> _Found:
    if not at_least(load.gpu.hot, _SLOWED):
        return None
    return (
        "heat",
        f"the GPU slowed down {load.gpu.hot:.0f} % of the time, at up to {load.gpu.c or 0:.0f} °C"
        + _describe_clock(load),
        "Clean and cool it, or lower its power limit: nvidia-smi -pl.",
    )


def _find_power(load: Load) -> _Found:
    if at_least(load.gpu.braked, _SLOWED):
        return (
            "power",
            f"the GPU's hardware, or its supply, held it back {load.gpu.braked:.0f} % of the time",
            "Check its power cables, the power supply and its cooling.",
        )
    slow = (load.gpu.sm_mhz or 0) < _CLOCK_LOST * (load.gpu.sm_mhz_most or 0)
    if not (at_least(load.gpu.capped, _CAPPED) and slow):
        return None
    return (
        "power",
        f"the GPU was at its limit of {load.gpu.power_limit_w or 0:.0f} W {load.gpu.capped:.0f} % "
        f"of the time{_describe_clock(load)}",
        "Raise the limit where the card and its cooling allow it: nvidia-smi -pl.",
    )


def _find_others(load: Load) -> _Found:
    if not (at_least(load.core_wait, _NO_CORE) and at_least(load.cpu, _FULL_CPU)):
        return None
    # More threads of its own than cores let an engine wait as well.
    own = (load.engine_cpu or 0) / (load.cores or 1)
    if own > (load.cpu or 0) / 2 or (load.gpu.use is not None and not _is_starved(load)):
        return None
    return (
        "others",
        f"the engine waited for a core {load.core_wait:.0f} % of the time; of a processor that is "
        f"{load.cpu:.0f} % busy it had {own:.0f} %",
        "End them, or train when they are done.",
    )


def _find_disk(load: Load) -> _Found:
    slow = at_least(load.disk_busy, _FULL_DISK) or at_least(load.iowait, _IOWAIT)
    if not (_is_starved(load) and slow):
        return None
    return (
        "disk",
        _describe(load),
        "Put the images on an SSD of this machine, or make them smaller.",
    )


def _find_loader(load: Load) -> _Found:
    busy = at_least(load.cpu, _FULL_CPU) or at_least(load.cpu_core, _FULL_CORE)
    if not (at_least(load.waiting, _WAITS) or (_is_starved(load) and busy)):
        return None
    return (
        "loader",
        _describe(load),
        "More cores, smaller images, or an engine built with OpenCV load them faster.",
    )


def _find_gpu(load: Load) -> _Found:
    if not at_least(load.gpu.use, _FULL_GPU):
        return None
    return "gpu", _describe(load), ""


def _find_cpu(load: Load) -> _Found:
    if load.gpu.use is not None or load.engine_cpu is None or not load.cores:
        return None
    if load.engine_cpu / load.cores >= _FULL_CPU - 20:
        return "cpu", _describe(load), "A GPU computes this many times faster."
    if load.engine_cpu >= _FULL_CPU:
        cores = f"{load.engine_cpu / 100:.0f} of {load.cores:g} cores"
        return "cpu", f"the engine computes on {cores}", "An engine that uses all cores is faster."
    return None


_RULES = (
    *(_find_swapping, _find_steal, _find_heat, _find_power, _find_others),
    *(_find_disk, _find_loader, _find_gpu, _find_cpu),
)


def _describe(load: Load) -> str:
    parts = []
    if load.gpu.use is not None:
        many = f"{load.gpu.count} GPUs" if load.gpu.count > 1 else "GPU"
        parts.append(f"{many} {load.gpu.use:.0f} % busy")
    if load.waiting is not None:
        parts.append(f"{load.waiting:.0f} % of the time waiting for images")
    if load.cpu is not None and load.cores:
        parts.append(f"processor {load.cpu:.0f} % of {load.cores:g} cores")
    if load.disk_busy is not None:
        parts.append(f"disk {load.disk_busy:.0f} % busy")
    return ", ".join(parts)


def _describe_clock(load: Load) -> str:
    if load.gpu.sm_mhz is None or load.gpu.sm_mhz_most is None:
        return ""
    return f", at {load.gpu.sm_mhz:,.0f} of {load.gpu.sm_mhz_most:,.0f} MHz"
