"""The cache variables of hank-ai's CMake files: which are set, to what, and why."""

import shlex
from collections.abc import Collection, Iterator

from darknet_kit.engine.cuda import TENSOR_CORES
from darknet_kit.engine.libraries import OF_TOOLKIT, Library
from darknet_kit.engine.setting import LINKS_FOLDER, Setting, outside_standard
from darknet_kit.engine.target import Target
from darknet_kit.engine.toolchain import Toolchain

# CMake's own names (FindCUDAToolkit) for what its search misses under a numbered name.
_LIBRARIES = {
    "cudart": ("CUDA_CUDART", "CUDA_cudart_LIBRARY"),
    "cublas": ("CUDA_cublas_LIBRARY",),
    "curand": ("CUDA_curand_LIBRARY",),
    "cuda": ("CUDA_cuda_driver_LIBRARY",),
}


def plan_cmake(
    toolchain: Toolchain, target: Target, without: Collection[str]
) -> tuple[Setting, ...]:
    """Set what CMake would guess or ask the GPU of this machine. `without` names what is left
    out."""
    avx = bool(toolchain.avx) and "avx" not in without
    why = "--without avx" if "avx" in without else toolchain.avx.evidence
    settings = [
        Setting("CMAKE_BUILD_TYPE", "Release", "optimised"),
        Setting("DARKNET_TRY_CUDA", _on(target.gpu), target.reason),
        Setting("DARKNET_TRY_ROCM", "OFF", "not tested with dkit"),
        Setting("DARKNET_TRY_ONNX", "OFF", "`dkit export` does this without it"),
        Setting("ENABLE_SSE_AND_AVX", _on(avx), why),
    ]
    # CMake would end the run path with an empty entry, which the loader takes for the folder that
    # the program is started in.
    settings.append(Setting("CMAKE_NO_BUILTIN_CHRPATH", "ON", "a run path without gaps"))
    if "openmp" in without:
        settings.append(Setting("CMAKE_DISABLE_FIND_PACKAGE_OpenMP", "ON", "--without openmp"))
    if target.gpu:
        settings += _plan_cuda(toolchain, target)
        cudnn = _plan_cudnn(toolchain.find_library("cudnn"), without)
        no_half = _refuse_half(target, without) if len(cudnn) > 1 else ""
        settings += [*cudnn, *_plan_flags(toolchain, no_half)]
    return tuple(settings)


def _plan_cuda(toolchain: Toolchain, target: Target) -> list[Setting]:
    cuda = toolchain.cuda
    assert cuda is not None
    settings = [
        Setting("DARKNET_CUDA_ARCHITECTURES", target.arch.cmake, target.reason),
        Setting("CMAKE_CUDA_COMPILER", str(cuda.nvcc), cuda.evidence),
    ]
    if toolchain.host_compiler:
        why = f"CUDA {cuda.version} accepts g++ up to {cuda.newest_gcc}"
        settings.append(Setting("CMAKE_CUDA_HOST_COMPILER", toolchain.host_compiler, why))
    for library in toolchain.libraries:
        for name in _LIBRARIES.get(library.name, ()):
            file = str(library.file or f"../{LINKS_FOLDER}/lib{library.name}.so")
            why = library.evidence if library.file else "no driver here: a stub to link with"
            # CMake makes a relative path absolute where the type is given.
            settings.append(Setting(f"{name}:FILEPATH", file, why))
    return settings


def _plan_cudnn(cudnn: Library, without: Collection[str]) -> list[Setting]:
    """Name cuDNN, or keep CMake from finding another one."""
    if "cudnn" in without:
        return [Setting("cudnn", "OFF", "--without cudnn")]
    if not cudnn or cudnn.header is None:
        return [Setting("cudnn", "OFF", f"cudnn: {cudnn.evidence}")]
    why = f"cudnn {cudnn.version}: {cudnn.evidence}"
    return [
        Setting("cudnn", str(cudnn.file), why),
        Setting("cudnn_include", str(cudnn.header.parent), why),
    ]


def _refuse_half(target: Target, without: Collection[str]) -> str:
    """Say why half precision, which upstream switches on with cuDNN, is to stay off."""
    if max(target.arch.targets) < TENSOR_CORES:
        return "tensor cores came with compute capability 7.0"
    return "--without cudnn-half" if "cudnn-half" in without else ""


def _plan_flags(toolchain: Toolchain, no_half: str) -> Iterator[Setting]:
    """Tell the compilers what CMake's files do not ask for."""
    assert toolchain.cuda is not None
    # Of -D and -U, the compiler obeys the last.
    flags = {"-UCUDNN_HALF": no_half} if no_half else {}
    headers = [one.header for one in toolchain.libraries if one.header and one.name in OF_TOOLKIT]
    for folder in outside_standard([header.parent for header in headers]):
        if folder not in toolchain.cuda.includes:
            flags[shlex.quote(f"-I{folder}")] = "headers that the toolkit lacks"
    if flags:
        why = "; ".join(dict.fromkeys(flags.values()))
        for name in ("CMAKE_CXX_FLAGS", "CMAKE_CUDA_FLAGS"):
            yield Setting(name, " ".join(flags), why)


def _on(value: bool) -> str:
    return "ON" if value else "OFF"
