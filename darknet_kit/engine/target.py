"""Decide whether to build for a GPU, and for which, and say why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import wheels
from darknet_kit.engine.cuda import Arch, choose_arch, first_cuda, last_cuda
from darknet_kit.engine.driver import Fit, find_needed_driver, judge_driver
from darknet_kit.engine.libraries import OF_TOOLKIT, Library
from darknet_kit.engine.nvidia import Driver
from darknet_kit.engine.toolchain import Toolchain, Toolkit
from darknet_kit.engine.toolkit import Cuda
from darknet_kit.engine.version import version_numbers
from darknet_kit.errors import ToolchainError, UsageError

OLDEST_CMAKE = (3, 24)
_NO_ARCH = Arch("", ())


@dataclass(frozen=True, slots=True)
class Target:
    """Whether to build for a GPU, for which, with what, and why; `notes` are for the user."""

    gpu: bool
    reason: str
    arch: Arch = _NO_ARCH
    notes: tuple[str, ...] = ()
    toolkit: Toolkit | None = None


def refuse_without_tools(
    toolchain: Toolchain, flavor: Flavor, without: Collection[str] = ()
) -> None:
    """Refuse to start without the programs that a flavour's build runs.

    Raises ToolchainError (`no-compiler`, `no-cmake`, `no-opencv`), UsageError where one of them is
    to be left out (`hank-without-opencv`).
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
    if version_numbers(toolchain.cmake.version) < OLDEST_CMAKE:
        raise ToolchainError(
            f"hank-ai's Darknet needs CMake 3.24 or newer: {toolchain.cmake.evidence}",
            code="no-cmake",
            hint="`apt-get install cmake`, or `pip install cmake` where that is older.",
        )
    if "opencv" in without:
        raise UsageError(
            "hank-ai's Darknet cannot be built without OpenCV",
            code="hank-without-opencv",
            hint="Leave --without opencv out, or build --flavor alexeyab.",
        )
    if not toolchain.opencv:
        raise ToolchainError(
            f"hank-ai's Darknet needs OpenCV: {toolchain.opencv.evidence}",
            code="no-opencv",
            hint="`apt-get install pkg-config libopencv-dev`, or build --flavor alexeyab.",
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
                hint="`dkit doctor` says why. To build for another machine's GPU, name its compute "
                "capability: --arch 8.6.",
            )
        told = toolchain.driver.evidence
        note = f"for the CPU: {told}; where this machine has one, `dkit doctor` says why"
        return Target(False, told, notes=(note,))
    reason = "named with --arch" if arch else toolchain.driver.evidence
    try:
        return replace(_take_toolkit(toolchain, arch), reason=reason)
    except ToolchainError as error:
        if gpu or arch:
            raise
        note = f"there is a GPU, and this build does not use it: {error.message}. {error.hint}"
        return Target(False, error.message, notes=(note,))


def _take_toolkit(toolchain: Toolchain, arch: Sequence[int]) -> Target:
    """Take the first toolkit that will do. Raises the first one's ToolchainError if none does."""
    errors: list[ToolchainError] = []
    for toolkit in toolchain.toolkits:
        try:
            found = _choose_arch(toolchain, toolkit, arch)
        except ToolchainError as error:
            errors.append(error)
            continue
        passed = [
            f"{other.cuda.nvcc} was passed over: {error.message}"
            for other, error in zip(toolchain.toolkits, errors, strict=False)
        ]
        return Target(True, "", found, (*passed, *found.notes), toolkit)
    if errors:
        raise errors[0]
    raise ToolchainError(
        "there is no nvcc, CUDA's compiler, on PATH, by CUDA_HOME, below /usr/local or from pip",
        code="no-nvcc",
        hint=f"Install {_name_cuda(toolchain, arch)} from NVIDIA, or name its folder with --cuda"
        f"{_offer_wheels(toolchain, arch)}.",
    )


def _name_cuda(toolchain: Toolchain, arch: Sequence[int]) -> str:
    """Name the CUDAs that compile for these GPUs."""
    wanted = _list_wanted(toolchain, arch)
    if last := min(filter(None, map(last_cuda, wanted)), key=version_numbers, default=""):
        return f"CUDA {last} or older"
    first = max(filter(None, map(first_cuda, wanted)), key=version_numbers, default="")
    return f"CUDA {first} or newer" if first else "a CUDA toolkit"


def _offer_wheels(toolchain: Toolchain, arch: Sequence[int]) -> str:
    """Offer pip's packages where they suit GPUs and driver; they begin with CUDA 13."""
    driver = toolchain.driver
    too_old = any(last_cuda(one) for one in _list_wanted(toolchain, arch))
    if too_old or judge_driver(wheels.FIRST_CUDA, driver.version, driver.cuda) is Fit.TOO_OLD:
        return ""
    return f"; without root: {wheels.install_line()} and --cuda pip"


def _list_wanted(toolchain: Toolchain, arch: Sequence[int]) -> Sequence[int]:
    return arch or [gpu.capability for gpu in toolchain.driver.gpus if gpu.capability]


def _choose_arch(toolchain: Toolchain, toolkit: Toolkit, arch: Sequence[int]) -> Arch:
    """Return what to compile for. Raises ToolchainError naming the first thing that is wrong, those
    first that no package cures."""
    cuda = toolkit.cuda
    if arch:
        chosen = choose_arch(arch, cuda.capabilities, cuda.version)
    else:
        chosen = _choose_own_arch(toolchain.driver, cuda)
    _refuse_incomplete(toolkit, _offer_wheels(toolchain, arch))
    newest = cuda.newest_gcc
    if newest and toolchain.gcc.major > newest and not toolkit.host_compiler:
        raise ToolchainError(
            f"CUDA {cuda.version} accepts gcc up to {newest}, and this machine has "
            f"{toolchain.gcc.version}",
            code="host-compiler-too-new",
            hint=f"`apt-get install g++-{newest}`; dkit then finds it by itself.",
        )
    return chosen


def list_lacking(toolkit: Toolkit) -> list[Library]:
    """Return the libraries that every build for a GPU needs and a toolkit lacks.

    For the driver's own, the linker makes do with a stub.
    """
    return [one for one in toolkit.libraries if one.name in OF_TOOLKIT and not one]


def _refuse_incomplete(toolkit: Toolkit, offer: str) -> None:
    """Refuse a toolkit that lacks a part that every build needs."""
    cuda, lacking = toolkit.cuda, list_lacking(toolkit)
    files = [file for one in lacking for file in one.missing]
    parts = [one.name for one in lacking]
    if cuda.wheels:
        broken = wheels.find_missing_parts(cuda.nvcc.resolve().parent.parent)
        files += [wheels.NEEDED_FILES[one] for one in broken]
        parts += broken
    if not files:
        return
    if cuda.wheels:
        hint = f"{wheels.install_line(parts, cuda.wheels, cuda.version)} brings them."
    else:
        package = f"cuda-libraries-dev-{cuda.version.replace('.', '-')}"
        hint = (
            f"`apt-get install {package}` from NVIDIA's repository, or name their folders with "
            f"CPATH and LIBRARY_PATH{offer}."
        )
    raise ToolchainError(
        f"CUDA {cuda.version} ({cuda.nvcc}) is incomplete: {', '.join(files)} not found",
        code="cuda-incomplete",
        hint=hint,
    )


def _choose_own_arch(driver: Driver, cuda: Cuda) -> Arch:
    if judge_driver(cuda.version, driver.version, driver.cuda) is Fit.TOO_OLD:
        oldest = find_needed_driver(cuda.version).oldest
        raise ToolchainError(
            f"the driver {driver.version} runs programs up to CUDA {driver.cuda or '?'}, and nvcc "
            f"is CUDA {cuda.version}",
            code="driver-too-old",
            hint=f"Update the driver{f' to {oldest} or newer' if oldest else ''}, or install an "
            "older CUDA, where dkit finds it or --cuda names it.",
        )
    own = [gpu.capability for gpu in driver.gpus if gpu.capability]
    if not own:
        raise ToolchainError(
            "this driver is too old to tell its GPU's compute capability",
            code="unknown-gpu",
            hint="Look it up on developer.nvidia.com/cuda-gpus and name it: --arch 6.1.",
        )
    return choose_arch(own, cuda.capabilities, cuda.version)
