"""The variables of AlexeyAB's Makefile: which are set, to what, and why."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from darknet_kit.engine.cuda import TENSOR_CORES
from darknet_kit.engine.libraries import Library
from darknet_kit.engine.setting import (
    LINKS_FOLDER,
    Setting,
    is_numbered,
    outside_standard,
    used_libraries,
)
from darknet_kit.engine.target import Target
from darknet_kit.engine.toolchain import Part, Toolchain


def plan_make(
    toolchain: Toolchain, target: Target, without: Collection[str]
) -> tuple[Setting, ...]:
    """Set what the Makefile leaves to the user. `without` names what is left out."""
    cudnn = toolchain.find_library("cudnn")
    settings = [
        Setting("GPU", "1" if target.gpu else "0", target.reason),
        _switch("CUDNN", "cudnn", _for_gpu(target, cudnn), without),
        _switch("CUDNN_HALF", "cudnn-half", _plan_half(target, cudnn, without), without),
        _switch("OPENCV", "opencv", toolchain.opencv, without),
        _switch("OPENMP", "openmp", toolchain.openmp, without),
        _switch("AVX", "avx", toolchain.avx, without),
    ]
    opencv = toolchain.opencv.folders if settings[3].value == "1" else ()
    if target.gpu:
        settings.append(
            Setting("ARCH", target.arch.words, f"{target.reason}; replaces the Makefile's list")
        )
        use_cudnn = settings[1].value == "1"
        settings += _plan_compilers(
            toolchain, used_libraries(toolchain.libraries, use_cudnn), opencv
        )
    elif outside_standard(opencv):
        words = shlex.join(["g++", *_run_path(opencv)])
        settings.append(Setting("CPP", words, "where OpenCV's libraries are found at the start"))
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


def _plan_compilers(
    toolchain: Toolchain, libraries: Sequence[Library], opencv: Sequence[Path]
) -> list[Setting]:
    """Tell the compilers of places that the Makefile does not name, without touching it."""
    assert toolchain.cuda is not None
    headers = [library.header.parent for library in libraries if library.header]
    includes = [f"-I{folder}" for folder in outside_standard(headers)]
    files = [one.file for one in libraries if one.file]
    folders = [file.parent for file in files if file.suffix == ".so"]
    # The driver's library is found by the system at run time; its stub must not be.
    run_folders = [one.file.parent for one in libraries if one.file and one.name != "cuda"]
    links = [f"-L{folder}" for folder in outside_standard(folders)]
    links += _run_path((*run_folders, *opencv))
    if len(files) < len(libraries) or any(map(is_numbered, libraries)):
        links.insert(0, f"-L../{LINKS_FOLDER}")
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


def _run_path(folders: Sequence[Path]) -> list[str]:
    return [f"-Wl,-rpath,{folder}" for folder in outside_standard(folders)]
