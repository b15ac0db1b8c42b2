"""Decide how darknet is built on a machine, each setting with its reason."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.cuda import TENSOR_CORES
from darknet_kit.engine.nvidia import Library
from darknet_kit.engine.target import Target, choose_target, refuse_without_tools
from darknet_kit.engine.toolchain import Part, Toolchain
from darknet_kit.errors import UsageError

OPTIONAL = ("cudnn", "cudnn-half", "opencv", "openmp", "avx")
LINKS_FOLDER = "dkit-lib"  # below the source tree: plain names of libraries that lack them

# The compiler looks here by itself; naming these would change the order of its search.
_STANDARD_FOLDERS = ("/usr/include", "/usr/local/include", "/usr/lib", "/lib", "/usr/lib64")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable on the build tool's command line, and why it has this value."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How darknet is built: what `dkit build --dry-run` shows.

    `elsewhere` says that it is for another machine's GPU. `links` are libraries that exist under a
    numbered name only: they get a plain one in LINKS_FOLDER before the build starts.
    """

    flavor: Flavor
    gpu: bool
    elsewhere: bool
    settings: tuple[Setting, ...]
    jobs: int
    notes: tuple[str, ...] = ()
    links: tuple[Path, ...] = ()
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
    refuse_without_tools(toolchain, flavor)
    target = choose_target(toolchain, gpu, arch)
    if flavor is Flavor.HANK_AI:
        settings = _plan_cmake(toolchain, target, without)
        warnings = _warn_of_hank(target)
    else:
        settings = _plan_make(toolchain, target, without)
        warnings = _warn_of_alexeyab(toolchain, settings)
    if arch and any("AVX" in one.name and one.value in ("1", "ON") for one in settings):
        warnings.append("it uses AVX2: a machine without it needs a build --without avx")
    if not target.gpu and any("AVX" in one.name and one.value in ("1", "ON") for one in settings):
        # Upstream's AVX maxpool of stride 1 mixes up its first columns (AlexeyAB #5793, #6528).
        warnings.append(
            "with AVX, its CPU detections by networks with spatial pyramid pooling (yolov4, "
            "yolov3-spp) are off; --without avx they are right, and slower"
        )
    return BuildPlan(
        flavor=flavor,
        gpu=target.gpu,
        elsewhere=bool(arch),
        settings=settings,
        jobs=jobs or toolchain.cores,
        notes=(*target.notes, *warnings),
        links=_find_links(toolchain, settings),
        versions=_list_versions(toolchain, target.gpu),
    )


def _plan_make(
    toolchain: Toolchain, target: Target, without: Collection[str]
) -> tuple[Setting, ...]:
    cudnn = toolchain.find_library("cudnn")
    settings = [
        Setting("GPU", "1" if target.gpu else "0", target.reason),
        _switch("CUDNN", "cudnn", _for_gpu(target, cudnn), without),
        _switch("CUDNN_HALF", "cudnn-half", _plan_half(target, cudnn, without), without),
        _switch("OPENCV", "opencv", toolchain.opencv, without),
        _switch("OPENMP", "openmp", toolchain.openmp, without),
        _switch("AVX", "avx", toolchain.avx, without),
    ]
    if target.gpu:
        settings.append(
            Setting("ARCH", target.arch.words, f"{target.reason}; replaces the Makefile's list")
        )
        settings += _plan_compilers(toolchain, settings)
    return tuple(settings)


def _switch(name: str, option: str, part: Part, without: Collection[str]) -> Setting:
    if option in without:
        return Setting(name, "0", f"--without {option}")
    return Setting(name, "1" if part else "0", part.evidence)


def _for_gpu(target: Target, library: Library) -> Part:
    if not target.gpu:
        return Part(library.name, False, "only with a GPU")
    version = f" {library.version}" if library.version else ""
    return Part(library.name, bool(library), f"{library.name}{version}: {library.evidence}")


def _plan_half(target: Target, cudnn: Library, without: Collection[str]) -> Part:
    if not target.gpu or not cudnn or "cudnn" in without:
        return Part("half", False, "only with cuDNN")
    if max(target.arch.targets) < TENSOR_CORES:
        return Part("half", False, "tensor cores came with compute capability 7.0")
    return Part("half", True, "the GPU has tensor cores")


def _plan_compilers(toolchain: Toolchain, settings: Sequence[Setting]) -> list[Setting]:
    """Tell the compilers of places that the Makefile does not name, without touching it."""
    assert toolchain.cuda is not None
    libraries = _used_libraries(toolchain, settings)
    headers = [library.header.parent for library in libraries if library.header]
    includes = [f"-I{folder}" for folder in _outside_standard(headers)]
    folders = [one.file.parent for one in libraries if one.file and one.file.suffix == ".so"]
    # The driver's library is found by the system at run time; its stub must not be.
    run_folders = [one.file.parent for one in libraries if one.file and one.name != "cuda"]
    links = [f"-L{folder}" for folder in _outside_standard(folders)]
    links += [f"-Wl,-rpath,{folder}" for folder in _outside_standard(run_folders)]
    if any(one.file and one.file.suffix != ".so" for one in libraries):
        links.insert(0, f"-L{LINKS_FOLDER}")
    host = ["-ccbin", toolchain.host_compiler] if toolchain.host_compiler else []
    # gcc 14 made an error of a pointer conversion that the source leaves to the compiler.
    cc = ["gcc", "-Wno-error=incompatible-pointer-types", *includes]
    where = "headers and libraries where this machine has them"
    return [
        Setting("CC", shlex.join(cc), f"{where}; gcc 14 refuses what older ones warn of"),
        Setting("CPP", shlex.join(["g++", *includes, *links]), where),
        Setting(
            "NVCC",
            shlex.join([str(toolchain.cuda.nvcc), *host, *includes]),
            toolchain.cuda.evidence,
        ),
    ]


def _used_libraries(toolchain: Toolchain, settings: Sequence[Setting]) -> list[Library]:
    use_cudnn = any(one.name == "CUDNN" and one.value == "1" for one in settings)
    return [one for one in toolchain.libraries if one and (one.name != "cudnn" or use_cudnn)]


def _outside_standard(folders: Sequence[Path]) -> list[Path]:
    standard = tuple(Path(folder) for folder in _STANDARD_FOLDERS)
    unique = dict.fromkeys(folders)
    return [one for one in unique if one not in standard and one.parent not in standard]


def _find_links(toolchain: Toolchain, settings: Sequence[Setting]) -> tuple[Path, ...]:
    if not any(one.name == "NVCC" for one in settings):
        return ()
    files = [one.file for one in _used_libraries(toolchain, settings)]
    return tuple(file for file in files if file and file.suffix != ".so")


def _plan_cmake(
    toolchain: Toolchain, target: Target, without: Collection[str]
) -> tuple[Setting, ...]:
    def on(value: bool) -> str:
        return "ON" if value else "OFF"

    avx = bool(toolchain.avx) and "avx" not in without
    settings = [
        Setting("CMAKE_BUILD_TYPE", "Release", "optimised"),
        Setting("DARKNET_TRY_CUDA", on(target.gpu), target.reason),
        Setting("DARKNET_TRY_ROCM", "OFF", "not tested with dkit"),
        Setting("DARKNET_TRY_ONNX", "OFF", "`dkit export` does this without it"),
        Setting("ENABLE_SSE_AND_AVX", on(avx), toolchain.avx.evidence),
    ]
    if target.gpu and toolchain.cuda:
        targets = ";".join(str(one) for one in target.arch.targets)
        settings += [
            Setting("DARKNET_CUDA_ARCHITECTURES", targets, target.reason),
            Setting("CMAKE_CUDA_COMPILER", str(toolchain.cuda.nvcc), toolchain.cuda.evidence),
        ]
    return tuple(settings)


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
    if values["CUDNN"] == "1" and tuple(int(n) for n in version.split(".")[:2] if n) >= (8, 5):
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


def _list_versions(toolchain: Toolchain, gpu: bool) -> tuple[str, ...]:
    parts = [toolchain.gcc, toolchain.gxx, toolchain.opencv]
    versions = [f"{part.name} {part.version}" for part in parts if part]
    if gpu and toolchain.cuda:
        versions.append(f"CUDA {toolchain.cuda.version}")
        cudnn = toolchain.find_library("cudnn")
        versions += [f"cuDNN {cudnn.version}"] if cudnn else []
    return tuple(versions)
