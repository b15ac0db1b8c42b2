"""Decide whether to build for a GPU, and for which, and say why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import wheels
from darknet_kit.engine.cuda import Arch, choose_arch
from darknet_kit.engine.nvidia import Driver
from darknet_kit.engine.toolchain import Toolchain, Toolkit
from darknet_kit.engine.toolkit import Cuda
from darknet_kit.errors import ToolchainError, UsageError

# For the driver's own library, the linker makes do with a stub.
_NEEDED_FOR_GPU = ("cudart", "cublas", "curand")
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
    version = tuple(int(number) for number in toolchain.cmake.version.split(".")[:2] if number)
    if version < OLDEST_CMAKE:
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
                hint="To build for another machine's GPU, name its compute capability: --arch 8.6.",
            )
        return Target(False, f"no NVIDIA GPU: {toolchain.driver.evidence}")
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
        "there is no nvcc, CUDA's compiler, on PATH or in /usr/local/cuda",
        code="no-nvcc",
        hint=f"Install NVIDIA's CUDA toolkit, or, without root: {wheels.install_line()}; or name "
        "its folder with --cuda.",
    )


def _choose_arch(toolchain: Toolchain, toolkit: Toolkit, arch: Sequence[int]) -> Arch:
    """Return what to compile for. Raises ToolchainError naming the first thing that is missing."""
    cuda = toolkit.cuda
    _refuse_incomplete(toolkit)
    newest = cuda.newest_gcc
    if newest and toolchain.gcc.major > newest and not toolkit.host_compiler:
        raise ToolchainError(
            f"CUDA {cuda.version} accepts gcc up to {newest}, and this machine has "
            f"{toolchain.gcc.version}",
            code="host-compiler-too-new",
            hint=f"`apt-get install g++-{newest}`; dkit then finds it by itself.",
        )
    if arch:
        return choose_arch(arch, cuda.capabilities, cuda.version)
    return _choose_own_arch(toolchain.driver, cuda)


def _refuse_incomplete(toolkit: Toolkit) -> None:
    """Refuse a toolkit that lacks a part that every build needs."""
    cuda = toolkit.cuda
    lacking = [one for one in toolkit.libraries if one.name in _NEEDED_FOR_GPU and not one]
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
            f"CPATH and LIBRARY_PATH; without root, {wheels.install_line()} and --cuda pip."
        )
    raise ToolchainError(
        f"CUDA {cuda.version} ({cuda.nvcc}) is incomplete: {', '.join(files)} not found",
        code="cuda-incomplete",
        hint=hint,
    )


def _choose_own_arch(driver: Driver, cuda: Cuda) -> Arch:
    if driver.cuda and int(driver.cuda.partition(".")[0]) < cuda.major:
        raise ToolchainError(
            f"the driver {driver.version} runs programs up to CUDA {driver.cuda}, and nvcc is "
            f"CUDA {cuda.version}",
            code="driver-too-old",
            hint="Update the driver, or install an older CUDA and name it with --cuda.",
        )
    own = [gpu.capability for gpu in driver.gpus if gpu.capability]
    if not own:
        raise ToolchainError(
            "this driver is too old to tell its GPU's compute capability",
            code="unknown-gpu",
            hint="Look it up on developer.nvidia.com/cuda-gpus and name it: --arch 6.1.",
        )
    return choose_arch(own, cuda.capabilities, cuda.version)
