"""The graphics card that a network is made for: named, found, or only its memory known."""

from dataclasses import dataclass

from darknet_kit.engine.nvidia import find_driver
from darknet_kit.errors import UsageError
from darknet_kit.network.gpus import GIB, GpuModel, find_gpu, require_gpu

_RESERVED = 0.04  # of a card's memory: what its driver and a screen keep


@dataclass(frozen=True, slots=True)
class GpuChoice:
    """A card: its name for people, the bytes it can give away, and its speed where it is known."""

    name: str
    memory: int
    model: GpuModel | None


def choose_gpu(name: str | None, memory_gb: float | None) -> GpuChoice | None:
    """Return the card that was named, or the smallest of this machine; None where there is none.

    Raises UsageError.
    """
    if memory_gb is not None and not 1 <= memory_gb <= 1000:
        raise UsageError(
            f"{memory_gb:g} GB is no memory of a GPU",
            code="bad-memory",
            hint="Say it in GB: --gpu-memory 8.",
        )
    named = require_gpu(name) if name is not None else None
    if memory_gb is not None:
        shown = named.name if named else f"a GPU of {memory_gb:g} GB"
        return GpuChoice(shown, _usable(memory_gb * GIB), named)
    if named is not None:
        return GpuChoice(named.name, _usable(named.memory_gib * GIB), named)
    found = [gpu for gpu in find_driver().gpus if gpu.memory_mib]
    if not found:
        return None
    least = min(found, key=lambda gpu: gpu.memory_mib)
    return GpuChoice(least.name, _usable(least.memory_mib / 1024 * GIB), find_gpu(least.name))


def _usable(memory: float) -> int:
    return round(memory * (1 - _RESERVED))
