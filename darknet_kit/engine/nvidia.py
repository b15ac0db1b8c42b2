"""NVIDIA's driver and the GPUs that it shows."""

import re
import shutil
from dataclasses import dataclass

from darknet_kit.engine.answer import ask
from darknet_kit.engine.cuda import Gpu, parse_nvidia_smi, show_capability

_SLOW = 60.0  # seconds: nvidia-smi wakes a sleeping GPU first


@dataclass(frozen=True, slots=True)
class Driver:
    """What nvidia-smi tells. `cuda` is the newest CUDA that the driver can run, like 12.4."""

    gpus: tuple[Gpu, ...]
    evidence: str
    version: str = ""
    cuda: str = ""


def find_driver() -> Driver:
    """Ask nvidia-smi for the GPUs."""
    if shutil.which("nvidia-smi") is None:
        return Driver((), "`nvidia-smi` is not on PATH")
    gpus: tuple[Gpu, ...] = ()
    # Drivers before 510 do not know compute_cap; the power state holds its place.
    for capability in ("compute_cap", "pstate"):
        query = f"--query-gpu=name,{capability},driver_version,memory.total"
        answer = ask(["nvidia-smi", query, "--format=csv,noheader"], timeout=_SLOW)
        gpus = parse_nvidia_smi(answer.stdout) if answer.ok else ()
        if gpus:
            break
    else:
        told = " ".join((answer.text or answer.error).split()) or "nothing"
        return Driver((), f"nvidia-smi shows no GPU; it says: {told[:200]}")
    cuda = re.search(r"CUDA Version: (\d+\.\d+)", ask(["nvidia-smi"], timeout=_SLOW).stdout)
    named = "; ".join(
        f"{gpu.name}, compute capability "
        f"{show_capability(gpu.capability) if gpu.capability else 'not told'}"
        for gpu in gpus
    )
    return Driver(gpus, f"nvidia-smi shows {named}", gpus[0].driver, cuda[1] if cuda else "")
