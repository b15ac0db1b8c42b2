"""Compiler: what `dkit build` compiles with."""

from collections.abc import Iterator

from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.target import OLDEST_CMAKE
from darknet_kit.engine.toolchain import Toolchain
from darknet_kit.engine.version import version_numbers


def check_compiler(toolchain: Toolchain) -> Iterator[Check]:
    """Look at gcc, g++, make, git, CMake and OpenMP."""
    parts = (toolchain.gcc, toolchain.gxx, toolchain.make, toolchain.git)
    missing = [part for part in parts if not part.version]
    if missing:
        told = (part.evidence if not part else f"{part.name} does not answer" for part in missing)
        yield found("no-compiler", "; ".join(told))
    else:
        yield found("compiler", ", ".join(f"{part.name} {part.version}" for part in parts))
    cmake = toolchain.cmake
    if version_numbers(cmake.version) >= OLDEST_CMAKE:
        yield found("cmake", cmake.evidence)
    else:
        yield found("no-cmake", cmake.evidence)
    if toolchain.gcc and not toolchain.openmp:
        yield found("no-openmp", toolchain.openmp.evidence)
