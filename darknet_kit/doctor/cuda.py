"""CUDA/cuDNN: do driver, toolkit, cuDNN and GPU fit together."""

import os
import re
from collections.abc import Iterator

from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.engine.cuda import capabilities_of, choose_arch
from darknet_kit.engine.driver import Fit, find_needed_driver, judge_driver
from darknet_kit.engine.libraries import Library, find_libraries
from darknet_kit.engine.nvml import NvmlFacts
from darknet_kit.engine.target import choose_target, list_lacking
from darknet_kit.engine.toolchain import Toolchain, Toolkit
from darknet_kit.engine.toolkit import Cuda
from darknet_kit.engine.version import version_numbers
from darknet_kit.errors import ToolchainError

_VERSION = re.compile(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"(\d+\.\d+)|CUDA Version (\d+\.\d+)')
# Why there is none to take, by the words of `dkit build`; what else there is, is compared below.
_REFUSED = {
    "no-nvcc": "no-nvcc",
    "cuda-incomplete": "cuda-incomplete",
    "host-compiler-too-new": "gcc-too-new",
}


def check_driver(nvml: NvmlFacts) -> Iterator[Check]:
    """Name the driver and the newest CUDA that it runs."""
    if nvml.driver:
        runs = f", runs CUDA up to {nvml.cuda}" if nvml.cuda else ""
        yield found("driver", f"{nvml.driver}{runs}")


def check_toolchain(toolchain: Toolchain, nvml: NvmlFacts) -> Iterator[Check]:
    """Look at the toolkit that `dkit build` takes for these GPUs, or would if nothing hindered."""
    first = toolchain.toolkits[0] if toolchain.toolkits else None
    if not nvml.gpus:  # nothing is built for one here
        if first:
            lacking = ", ".join(one.name for one in list_lacking(first))
            without = f", without {lacking}" if lacking else ""
            yield found("cuda", f"{first.cuda.version} ({first.cuda.nvcc}){without}")
        return
    try:
        taken = choose_target(toolchain, True, ()).toolkit or first
    except ToolchainError as error:
        taken = first
        if error.code in _REFUSED:
            yield found(_REFUSED[error.code], error.message, error.hint)
    if taken:
        yield from check_toolkit(taken, nvml)
        yield from _name_others(toolchain, taken)


def check_toolkit(toolkit: Toolkit, nvml: NvmlFacts) -> Iterator[Check]:
    """Compare a toolkit with the driver, with the GPUs and with cuDNN."""
    cuda = toolkit.cuda
    yield found("cuda", f"{cuda.version} ({cuda.nvcc})")
    yield from _check_driver_against(cuda, nvml)
    yield from _check_capabilities(cuda, nvml)
    cudnn = [one for one in toolkit.libraries if one.name == "cudnn"]
    yield from _check_cudnn(cudnn[0] if cudnn else None)


def list_toolkits(machine: Machine) -> list[tuple[str, str]]:
    """Return folder and version of each toolkit below /usr/local, as its version file says."""
    toolkits = []
    for name in machine.names("usr/local"):
        folder = f"usr/local/{name}"
        if not re.fullmatch(r"cuda(-[\d.]+)?", name):
            continue
        told = machine.read(f"{folder}/version.json") or machine.read(f"{folder}/version.txt")
        version = _VERSION.search(told)
        if version and not os.path.islink(machine.root / folder):
            toolkits.append((f"/{folder}", version[1] or version[2]))
    return toolkits


def read_recorded(machine: Machine) -> Toolkit | None:
    """Return the newest toolkit by its files, where no nvcc can be asked."""
    toolkits = list_toolkits(machine)
    if not toolkits:
        return None
    place, version = max(toolkits, key=lambda one: version_numbers(one[1]))
    home = machine.root / place[1:]
    capabilities = capabilities_of(version)
    cuda = Cuda(home / "bin/nvcc", version, capabilities, (home / "include",), (home / "lib64",))
    return Toolkit(cuda, find_libraries(cuda, machine.root))


def _name_others(toolchain: Toolchain, taken: Toolkit) -> Iterator[Check]:
    named = {f"{one.cuda.version} ({one.cuda.nvcc})" for one in toolchain.toolkits}
    named -= {f"{taken.cuda.version} ({taken.cuda.nvcc})"}
    if named:
        yield found("other-cuda", ", ".join(sorted(named)))


def _check_driver_against(cuda: Cuda, nvml: NvmlFacts) -> Iterator[Check]:
    needed = find_needed_driver(cuda.version)
    fit = judge_driver(cuda.version, nvml.driver, nvml.cuda)
    if fit is Fit.TOO_OLD:
        yield found(
            "driver-too-old",
            f"CUDA {cuda.version} needs driver {needed.oldest or 'of its time'}, this is "
            f"{nvml.driver}",
        )
    elif fit is Fit.OLDER:
        yield found(
            "driver-older",
            f"CUDA {cuda.version} came with driver {needed.shipped or needed.oldest}, this is "
            f"{nvml.driver}",
        )


def _check_capabilities(cuda: Cuda, nvml: NvmlFacts) -> Iterator[Check]:
    for gpu in nvml.gpus:
        try:
            if gpu.capability and cuda.capabilities:
                choose_arch([gpu.capability], cuda.capabilities, cuda.version)
        except ToolchainError as error:
            yield found("gpu-too-old-for-cuda", f"{gpu.name}: {error.message}")


def _check_cudnn(cudnn: Library | None) -> Iterator[Check]:
    if cudnn is None or cudnn.missing:
        yield found("no-cudnn", cudnn.evidence if cudnn else "not looked for")
        return
    if cudnn.conflict:
        yield found("cudnn-mismatch", cudnn.evidence)
    else:
        yield found("cudnn", f"{cudnn.version or 'of unknown version'}: {cudnn.evidence}")
