"""Python: this one, and the PyTorch in it."""

import platform
import re
import sys
from collections.abc import Iterator

from darknet_kit import __version__
from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.cuda import show_capability
from darknet_kit.engine.gpucode import GpuCode
from darknet_kit.engine.modules import Told, ask_torch, has_module
from darknet_kit.engine.nvml import NvmlFacts

_CHARTS = ("matplotlib", "pandas")


def check_python() -> Iterator[Check]:
    """Name this Python, and say whether charts can be drawn."""
    where = "in a virtual environment" if sys.prefix != sys.base_prefix else "the system's own"
    yield found("python", f"Python {platform.python_version()}, {where}; dkit {__version__}")
    missing = [name for name in _CHARTS if not has_module(name)]
    if missing:
        yield found("no-charts", f"not installed: {', '.join(missing)}")


def check_torch(nvml: NvmlFacts) -> Iterator[Check]:
    """Import PyTorch in a process of its own, and ask what it computes on."""
    if not has_module("torch"):
        yield found("no-torch", "there is no module torch")
        return
    told = ask_torch()
    if told.error:
        yield found("torch-broken", told.error)
        return
    yield from judge_torch(told, nvml)


def judge_torch(told: Told, nvml: NvmlFacts) -> Iterator[Check]:
    """Compare what PyTorch says with the GPUs that the driver shows."""
    build = f"built for CUDA {told.cuda}" if told.cuda else "a build for the CPU"
    said = f"PyTorch {told.version}, {build}"
    capabilities = sorted({gpu.capability for gpu in nvml.gpus if gpu.capability})
    if told.usable:
        lacking = [one for one in capabilities if not _read_code(told).runs_on(one)]
        named = ", ".join(show_capability(one) for one in lacking)
        if lacking and told.architectures:
            knows = " ".join(told.architectures)
            yield found("torch-lacks-gpu", f"{said}: it knows {knows}; the GPU is {named}")
        else:
            yield found("torch", f"{said}, which works")
    elif nvml.gpus:
        yield found("torch-without-cuda", f"{said}{f': {told.remark}' if told.remark else ''}")
    else:
        yield found("torch", f"{said}, computes on the CPU")


def _read_code(told: Told) -> GpuCode:
    """Return PyTorch's list (sm_90, sm_90a, compute_120) as what a program holds."""

    def numbers(kind: str) -> tuple[int, ...]:
        found = (re.fullmatch(rf"{kind}_(\d+)[a-z]?", one) for one in told.architectures)
        return tuple(int(match[1]) for match in found if match)

    return GpuCode(native=numbers("sm"), ptx=numbers("compute"))
