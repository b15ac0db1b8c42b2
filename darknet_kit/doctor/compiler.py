"""Compiler: what `dkit build` compiles with."""

from collections.abc import Iterator

from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.target import OLDEST_CMAKE
from darknet_kit.engine.toolchain import Toolchain


def check_compiler(toolchain: Toolchain) -> Iterator[Check]:
    """Look at gcc, g++, make, git, CMake and OpenMP, and at whether nvcc accepts this gcc."""
    parts = (toolchain.gcc, toolchain.gxx, toolchain.make, toolchain.git)
    missing = [part for part in parts if not part.version]
    if missing:
        told = (part.evidence if not part else f"{part.name} does not answer" for part in missing)
        yield found("no-compiler", "; ".join(told))
    else:
        yield found("compiler", ", ".join(f"{part.name} {part.version}" for part in parts))
    cmake = toolchain.cmake
    if _is_new_enough(cmake.version):
        yield found("cmake", cmake.evidence)
    else:
        yield found("no-cmake", cmake.evidence)
    if toolchain.gcc and not toolchain.openmp:
        yield found("no-openmp", toolchain.openmp.evidence)
    yield from _check_gcc(toolchain)


def _is_new_enough(version: str) -> bool:
    return tuple(int(number) for number in version.split(".")[:2] if number) >= OLDEST_CMAKE


def _check_gcc(toolchain: Toolchain) -> Iterator[Check]:
    cuda, gcc = toolchain.cuda, toolchain.gcc
    if cuda is None or not cuda.newest_gcc or toolchain.host_compiler:
        return
    if gcc.major > cuda.newest_gcc:
        yield found(
            "gcc-too-new",
            f"CUDA {cuda.version} accepts gcc up to {cuda.newest_gcc}, this is {gcc.version}",
            f"`apt-get install g++-{cuda.newest_gcc}`; dkit then finds it by itself.",
        )
