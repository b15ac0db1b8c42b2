"""Decide whether to build for a GPU, and for which, and say why."""

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.cuda import Arch, choose_arch
from darknet_kit.engine.nvidia import Cuda, Driver
from darknet_kit.engine.toolchain import Toolchain
from darknet_kit.errors import ToolchainError

_NEEDED_FOR_GPU = ("cudart", "cublas", "curand", "cuda")
_OLDEST_CMAKE = (3, 24)
_NO_ARCH = Arch("", ())


@dataclass(frozen=True, slots=True)
class Target:
    """Whether to build for a GPU, for which, and why; `notes` are for the user to read."""

    gpu: bool
    reason: str
    arch: Arch = _NO_ARCH
    notes: tuple[str, ...] = ()


def refuse_without_tools(toolchain: Toolchain, flavor: Flavor) -> None:
    """Refuse to start without the programs that a flavour's build runs.

    Raises ToolchainError (`no-compiler`, `no-cmake`, `no-opencv`).
    """
    missing = [part for part in (toolchain.gcc, toolchain.gxx, toolchain.make) if not part]
    if missing:
        raise ToolchainError(
            f"no compiler: {'; '.join(part.evidence for part in missing)}",
            code="no-compiler",
            hint="`apt-get install build-essential` brings gcc, g++ and make.",
        )
    if flavor is not Flavor.HANK_AI:
        return
    version = tuple(int(number) for number in toolchain.cmake.version.split(".")[:2] if number)
    if version < _OLDEST_CMAKE:
        raise ToolchainError(
            f"hank-ai's Darknet needs CMake 3.24 or newer: {toolchain.cmake.evidence}",
            code="no-cmake",
            hint="`apt-get install cmake`, or `pip install cmake` where that is older.",
        )
    if not toolchain.opencv:
        raise ToolchainError(
            f"hank-ai's Darknet needs OpenCV: {toolchain.opencv.evidence}",
            code="no-opencv",
            hint="`apt-get install libopencv-dev`, or build --flavor alexeyab.",
        )


def choose_target(toolchain: Toolchain, gpu: bool | None, arch: Sequence[int]) -> Target:
    """Take a GPU where one is wanted and all that it needs is there; `gpu` None wants it softly.

    Raises ToolchainError where a GPU is asked for and something is missing (`no-gpu`, `no-nvcc`,
    `cuda-incomplete`, `host-compiler-too-new`, `driver-too-old`, `gpu-too-old-for-cuda`).
    """
    if gpu is False:
        return Target(False, "--cpu")
    gpus = toolchain.driver.gpus
    if not gpus and not arch:
        if gpu:
            raise ToolchainError(
                f"no NVIDIA GPU to compile for: {toolchain.driver.evidence}",
                code="no-gpu",
                hint="To build for another machine's GPU, name its compute capability: --arch 8.6.",
            )
        return Target(False, f"no NVIDIA GPU: {toolchain.driver.evidence}")
    try:
        found = _choose_arch(toolchain, arch)
    except ToolchainError as error:
        if gpu or arch:
            raise
        note = f"there is a GPU, and this build does not use it: {error.message}. {error.hint}"
        return Target(False, error.message, notes=(note,))
    reason = "named with --arch" if arch else toolchain.driver.evidence
    return Target(True, reason, found, found.notes)


def _choose_arch(toolchain: Toolchain, arch: Sequence[int]) -> Arch:
    """Return what to compile for. Raises ToolchainError naming the first thing that is missing."""
    cuda = toolchain.cuda
    if cuda is None:
        raise ToolchainError(
            "there is no nvcc, CUDA's compiler, on PATH or in /usr/local/cuda",
            code="no-nvcc",
            hint="Install NVIDIA's CUDA toolkit, or name its folder with CUDA_HOME.",
        )
    missing = [name for one in _NEEDED_FOR_GPU for name in toolchain.find_library(one).missing]
    if missing:
        package = f"cuda-libraries-dev-{cuda.version.replace('.', '-')}"
        raise ToolchainError(
            f"CUDA {cuda.version} is incomplete: {', '.join(missing)} not found",
            code="cuda-incomplete",
            hint=f"`apt-get install {package}` (and cuda-driver-dev for libcuda.so) from NVIDIA's "
            "repository, or name their folders with CPATH and LIBRARY_PATH.",
        )
    if cuda.newest_gcc and toolchain.gcc.major > cuda.newest_gcc and not toolchain.host_compiler:
        raise ToolchainError(
            f"CUDA {cuda.version} accepts gcc up to {cuda.newest_gcc}, and this machine has "
            f"{toolchain.gcc.version}",
            code="host-compiler-too-new",
            hint=f"`apt-get install g++-{cuda.newest_gcc}`; dkit then finds it by itself.",
        )
    if arch:
        return choose_arch(arch, cuda.capabilities, cuda.version)
    return _choose_own_arch(toolchain.driver, cuda)


def _choose_own_arch(driver: Driver, cuda: Cuda) -> Arch:
    if driver.cuda and int(driver.cuda.partition(".")[0]) < cuda.major:
        raise ToolchainError(
            f"the driver {driver.version} runs programs up to CUDA {driver.cuda}, and nvcc is "
            f"CUDA {cuda.version}",
            code="driver-too-old",
            hint="Update the driver, or install an older CUDA and name it with CUDA_HOME.",
        )
    own = [gpu.capability for gpu in driver.gpus if gpu.capability]
    if not own:
        raise ToolchainError(
            "this driver is too old to tell its GPU's compute capability",
            code="unknown-gpu",
            hint="Look it up on developer.nvidia.com/cuda-gpus and name it: --arch 6.1.",
        )
    return choose_arch(own, cuda.capabilities, cuda.version)
