"""NVIDIA's driver and the GPUs that it shows, as far as a build or a plan needs to know them."""

from dataclasses import dataclass

from darknet_kit.core.pending import Pending
from darknet_kit.engine.cuda import Gpu, show_capability
from darknet_kit.engine.nvml import NvmlFacts, read_nvml_facts

_SLOW = 60.0  # seconds: sleeping GPUs are woken first


@dataclass(frozen=True, slots=True)
class Driver:
    """What the driver tells. `cuda` is the newest CUDA that it can run, like 12.4."""

    gpus: tuple[Gpu, ...]
    evidence: str
    version: str = ""
    cuda: str = ""


def find_driver() -> Driver:
    """Ask the driver for its GPUs; one that does not answer in time shows none."""
    silent = NvmlFacts(error="timeout", message=f"no answer in {_SLOW:.0f} seconds")
    return summarize_nvml(Pending(read_nvml_facts, _SLOW).result_or(silent))


def summarize_nvml(facts: NvmlFacts) -> Driver:
    """Return the GPUs that work, and the sentence that says so."""
    works = [gpu for gpu in facts.gpus if not gpu.error]
    if not works:
        broken = ", ".join(f"GPU {gpu.index}: {gpu.error}" for gpu in facts.gpus)
        told = facts.message or facts.error or broken
        evidence = f"NVIDIA's driver shows no GPU{f' ({told})' if told else ''}"
        return Driver((), evidence, facts.driver, facts.cuda)
    gpus = tuple(Gpu(gpu.name, gpu.capability, (gpu.memory or 0) >> 20) for gpu in works)
    named = "; ".join(
        f"{gpu.name}, compute capability "
        f"{show_capability(gpu.capability) if gpu.capability else 'not told'}"
        for gpu in gpus
    )
    return Driver(gpus, f"NVIDIA's driver shows {named}", facts.driver, facts.cuda)
