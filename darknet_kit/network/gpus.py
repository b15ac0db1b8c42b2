"""Graphics cards people train on: memory and single-precision speed, as NVIDIA publishes them."""

import re
from dataclasses import dataclass

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import UsageError

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class GpuModel:
    """A kind of card: memory in GiB, which the trade calls GB, and billions of operations a ms
    (TFLOPS). Cards that keep error-correcting codes in it have less to give than their name says.
    """

    name: str
    memory_gib: float
    tflops: float


GPUS = (
    GpuModel("Tesla K80", 11.2, 4.1),
    GpuModel("GTX 970", 4, 3.9),
    GpuModel("GTX 1050 Ti", 4, 2.1),
    GpuModel("GTX 1060", 6, 4.4),
    GpuModel("GTX 1070", 8, 6.5),
    GpuModel("GTX 1070 Ti", 8, 8.2),
    GpuModel("GTX 1080 Ti", 11, 11.3),
    GpuModel("GTX 1080", 8, 8.9),
    GpuModel("GTX 1650", 4, 3.0),
    GpuModel("GTX 1660", 6, 5.0),
    GpuModel("Titan Xp", 12, 12.1),
    GpuModel("Tesla P40", 22.4, 11.8),
    GpuModel("Tesla P100", 16, 9.3),
    GpuModel("Tesla T4", 15, 8.1),
    GpuModel("Tesla V100", 16, 15.7),
    GpuModel("Titan RTX", 24, 16.3),
    GpuModel("RTX 2060", 6, 6.5),
    GpuModel("RTX 2070", 8, 7.5),
    GpuModel("RTX 2080 Ti", 11, 13.4),
    GpuModel("RTX 2080", 8, 10.1),
    GpuModel("RTX 3050", 8, 9.1),
    GpuModel("RTX 3060", 12, 12.7),
    GpuModel("RTX 3060 Ti", 8, 16.2),
    GpuModel("RTX 3070", 8, 20.3),
    GpuModel("RTX 3070 Ti", 8, 21.7),
    GpuModel("RTX 3080", 10, 29.8),
    GpuModel("RTX 3080 Ti", 12, 34.1),
    GpuModel("RTX 3090", 24, 35.6),
    GpuModel("RTX 3090 Ti", 24, 40.0),
    GpuModel("RTX 4060", 8, 15.1),
    GpuModel("RTX 4060 Ti", 8, 22.1),
    GpuModel("RTX 4070", 12, 29.1),
    GpuModel("RTX 4070 Ti", 12, 40.1),
    GpuModel("RTX 4080", 16, 48.7),
    GpuModel("RTX 4090", 24, 82.6),
    GpuModel("RTX 5070", 12, 30.9),
    GpuModel("RTX 5070 Ti", 16, 43.9),
    GpuModel("RTX 5080", 16, 56.3),
    GpuModel("RTX 5090", 32, 104.8),
    GpuModel("RTX A4000", 16, 19.2),
    GpuModel("RTX A5000", 24, 27.8),
    GpuModel("RTX A6000", 48, 38.7),
    GpuModel("A10", 22.5, 31.2),
    GpuModel("A100", 40, 19.5),
    GpuModel("A40", 45, 37.4),
    GpuModel("L4", 22.5, 30.3),
    GpuModel("L40", 45, 90.5),
    GpuModel("H100", 80, 66.9),
    GpuModel("H200", 140.4, 66.9),
)


def find_gpu(name: str) -> GpuModel | None:
    """Return the card that a name means (`NVIDIA GeForce RTX 3090`, `3090`); else None.

    The longest name that fits counts, so that a 2080 Ti is no 2080.
    """
    wanted = _key(name)
    fitting = [gpu for gpu in GPUS if _is_named(_key(gpu.name), wanted)]
    return max(fitting, key=lambda gpu: len(_key(gpu.name)), default=None)


def require_gpu(name: str) -> GpuModel:
    """Return the card that a name means. Raises UsageError."""
    gpu = find_gpu(name)
    if gpu is None:
        known = {_key(gpu.name): gpu.name for gpu in GPUS}
        near = find_near(_key(name), known, most=3)
        meant = f"Did you mean {' or '.join(known[key] for key in near)}? " if near else ""
        raise UsageError(
            f"no card called {name!r} is known here",
            code="unknown-gpu",
            hint=f"{meant}Without a name, --gpu-memory GB says what fits; "
            f"{len(GPUS)} cards from {GPUS[0].name} to {GPUS[-1].name} are known.",
        )
    return gpu


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]|nvidia|geforce|tesla|quadro|rtx|gtx", "", name.lower())


def _is_named(known: str, wanted: str) -> bool:
    """Tell whether a name begins with a known one, and no digit follows: an A10 is no A100."""
    rest = wanted.removeprefix(known)
    return wanted.startswith(known) and not rest[:1].isdigit()
