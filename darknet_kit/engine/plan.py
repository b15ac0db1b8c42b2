"""Decide how darknet is built on a machine, each setting with its reason."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.cmakefile import plan_cmake
from darknet_kit.engine.libraries import OF_TOOLKIT
from darknet_kit.engine.makefile import plan_make
from darknet_kit.engine.setting import Setting, is_numbered, used_libraries
from darknet_kit.engine.target import Target, choose_target, refuse_without_tools
from darknet_kit.engine.toolchain import Toolchain, Toolkit
from darknet_kit.engine.version import version_numbers
from darknet_kit.engine.wheels import is_from_pip
from darknet_kit.errors import UsageError

OPTIONAL = ("cudnn", "cudnn-half", "opencv", "openmp", "avx")


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How darknet is built: what `dkit build --dry-run` shows.

    `elsewhere` says that it is for another machine's GPU. `targets` are the capabilities to compile
    for, `own_gpus` those of this machine's, in their order on the bus. `links` are libraries that
    exist under a numbered name only: they get a plain one in LINKS_FOLDER before the build starts,
    and so does a stub of the driver's library where there is none, made from the header `stub`.
    """

    flavor: Flavor
    gpu: bool
    elsewhere: bool
    settings: tuple[Setting, ...]
    jobs: int
    targets: tuple[int, ...] = ()
    own_gpus: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    links: tuple[Path, ...] = ()
    stub: Path | None = None
    versions: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The settings as the build tool takes them."""
        prefix = "-D" if self.flavor is Flavor.HANK_AI else ""
        escape = "$" if self.flavor is Flavor.HANK_AI else "$$"  # make reads $ as a variable
        return [f"{prefix}{one.name}={one.value.replace('$', escape)}" for one in self.settings]

    def value(self, name: str) -> str:
        """Return the value of a setting, or nothing."""
        return next((one.value for one in self.settings if one.name == name), "")


def plan_build(
    toolchain: Toolchain,
    *,
    flavor: Flavor = Flavor.ALEXEYAB,
    gpu: bool | None = None,
    arch: Sequence[int] = (),
    without: Collection[str] = (),
    jobs: int = 0,
) -> BuildPlan:
    """Decide how to build on this machine.

    `gpu` None takes an NVIDIA GPU when all that it needs is there. `arch` are capabilities (90 for
    9.0) to compile for instead of this machine's. `without` leaves out some of OPTIONAL. `jobs` 0
    is one per core. Raises ToolchainError for what is missing, UsageError for what contradicts.
    """
    if gpu is False and arch:
        raise UsageError(
            "--arch names a GPU and --cpu builds without one",
            code="cpu-with-arch",
            hint="Leave one of them out.",
        )
    refuse_without_tools(toolchain, flavor, without)
    target = choose_target(toolchain, gpu, arch)
    if target.toolkit:
        toolchain = replace(toolchain, toolkits=(target.toolkit,))
    planned = plan_cmake if flavor is Flavor.HANK_AI else plan_make
    settings = planned(toolchain, target, without)
    use_cudnn = any(one.name == "CUDNN" and one.value == "1" for one in settings)
    warnings = _iter_warnings(toolchain, target, settings, flavor, elsewhere=bool(arch))
    return BuildPlan(
        flavor=flavor,
        gpu=target.gpu,
        elsewhere=bool(arch),
        settings=settings,
        jobs=jobs or toolchain.cores,
        targets=target.arch.targets,
        own_gpus=tuple(gpu.capability for gpu in toolchain.driver.gpus),
        notes=(*target.notes, *warnings),
        links=_find_links(toolchain, flavor, use_cudnn) if target.gpu else (),
        stub=_find_stub(toolchain) if target.gpu else None,
        versions=_list_versions(toolchain, target.gpu, without, flavor),
    )


def _iter_warnings(
    toolchain: Toolchain,
    target: Target,
    settings: Sequence[Setting],
    flavor: Flavor,
    *,
    elsewhere: bool,
) -> Iterator[str]:
    """Yield what is known to go wrong later with such a build."""
    if flavor is Flavor.HANK_AI:
        yield from _warn_of_hank(target)
    else:
        yield from _warn_of_alexeyab(toolchain, settings)
    with_avx = any("AVX" in one.name and one.value in ("1", "ON") for one in settings)
    if elsewhere and with_avx:
        yield "it uses AVX2: a machine without it needs a build --without avx"
    if not target.gpu and with_avx:
        # Upstream's AVX maxpool of stride 1 mixes up its first columns (AlexeyAB #5793, #6528).
        yield (
            "with AVX, its CPU detections by networks with spatial pyramid pooling (yolov4, "
            "yolov3-spp) are off; --without avx they are right, and slower"
        )
    if target.toolkit:
        yield from _tell_mixture(target.toolkit)


def _tell_mixture(toolkit: Toolkit) -> Iterator[str]:
    """Say which libraries a toolkit of another origin gets from pip's packages."""
    files = {one.name: one.file for one in toolkit.libraries if one.name in OF_TOOLKIT}
    theirs = [name for name, file in files.items() if file and is_from_pip(file)]
    if theirs and not toolkit.cuda.wheels:
        yield (
            f"{toolkit.cuda.nvcc} comes without {' and '.join(theirs)}: those that pip brought "
            f"for CUDA {toolkit.cuda.major} are used"
        )


def _find_links(toolchain: Toolchain, flavor: Flavor, use_cudnn: bool) -> tuple[Path, ...]:
    """List the libraries that make's linker would miss; CMake is told of whole paths."""
    if flavor is Flavor.HANK_AI:
        return ()
    used = used_libraries(toolchain.libraries, use_cudnn)
    return tuple(one.file for one in used if one.file and is_numbered(one))


def _find_stub(toolchain: Toolchain) -> Path | None:
    """Return the header to make the driver's stub from, or None where the library is there."""
    driver = toolchain.find_library("cuda")
    return None if driver.file else driver.header


def _warn_of_alexeyab(toolchain: Toolchain, settings: Sequence[Setting]) -> list[str]:
    """Say what is known to go wrong later with such a build (its issues, and measured here)."""
    values = {one.name: one.value for one in settings}
    notes = []
    if values["GPU"] == "0":
        notes.append(
            "on a CPU this darknet trains networks with [route] or [upsample] "
            "layers wrongly: their gradients pile up. Debian's `darknet` does not have that fault"
        )
    version = toolchain.find_library("cudnn").version
    if values["CUDNN"] == "1" and version_numbers(version) >= (8, 5):
        notes.append(
            f"with cuDNN {version}, training with mAP may stop at the first mAP; where it does, "
            "build --without cudnn, or make subdivisions equal to batch"
        )
    return notes


def _warn_of_hank(target: Target) -> list[str]:
    notes = ["this darknet starts training from complete .weights files only, not from .conv.N"]
    if not target.gpu:
        notes.append("on a CPU it trains slowly and, with [route] or [upsample] layers, wrongly")
    return notes


def _list_versions(
    toolchain: Toolchain, gpu: bool, without: Collection[str], flavor: Flavor
) -> tuple[str, ...]:
    """Name what the build is made with, and of what version."""
    parts = [toolchain.gcc, toolchain.gxx]
    parts += [toolchain.cmake] if flavor is Flavor.HANK_AI else []
    versions = [f"{part.name} {part.version}" for part in parts if part]
    if gpu and toolchain.cuda:
        versions.append(f"CUDA {toolchain.cuda.version}")
        cudnn = toolchain.find_library("cudnn")
        versions += [f"cuDNN {cudnn.version}"] if cudnn and "cudnn" not in without else []
    opencv = toolchain.opencv and "opencv" not in without
    return (*versions, f"OpenCV {toolchain.opencv.version}") if opencv else tuple(versions)
