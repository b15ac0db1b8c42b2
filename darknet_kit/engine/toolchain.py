"""What this machine has for building darknet, each item with the evidence for it."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine.answer import ask
from darknet_kit.engine.nvidia import (
    Cuda,
    Driver,
    Library,
    find_cuda,
    find_driver,
    find_libraries,
)

# Needed by AVX=1 of AlexeyAB's Makefile. It also passes -msse4a, a set that only AMD's CPUs have.
# That is harmless on others: gcc uses those instructions only where a source asks for them by
# name, and darknet's does not (the finished binary holds none).
_AVX_FLAGS = ("avx", "avx2", "pni", "sse4_1", "sse4_2")
_OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
_OLDEST_TRIED_GCC = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A program or library that is there or not, and how that is known."""

    name: str
    present: bool
    evidence: str
    version: str = ""

    def __bool__(self) -> bool:
        return self.present

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0] or 0)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a machine has for building darknet."""

    cores: int
    avx: Part
    gcc: Part
    gxx: Part
    make: Part
    git: Part
    cmake: Part
    openmp: Part
    opencv: Part
    driver: Driver
    cuda: Cuda | None = None
    libraries: tuple[Library, ...] = ()
    host_compiler: str = ""  # the g++ that nvcc has to be told of, where the usual one is too new

    def find_library(self, name: str) -> Library:
        """Return one of NVIDIA's libraries: cudart, cublas, curand, cuda or cudnn."""
        found = (one for one in self.libraries if one.name == name)
        return next(found, Library(name, None, None))


def find_toolchain(root: Path = Path("/")) -> Toolchain:
    """Look at this machine. Programs are those on PATH; files are looked for below `root`."""
    gcc, cuda = _find_program("gcc"), find_cuda(root)
    return Toolchain(
        cores=len(os.sched_getaffinity(0)),
        avx=_find_avx(root),
        gcc=gcc,
        gxx=_find_program("g++"),
        make=_find_program("make"),
        git=_find_program("git"),
        cmake=_find_program("cmake"),
        openmp=_find_openmp(gcc),
        opencv=_find_opencv(),
        driver=find_driver(),
        cuda=cuda,
        libraries=find_libraries(cuda, root) if cuda else (),
        host_compiler=_find_host_compiler(cuda, gcc),
    )


def parse_version(text: str) -> str:
    """Return the first thing in a text that looks like a version number, or nothing."""
    match = re.search(r"\d+(?:\.\d+)+", text, re.ASCII)
    return match[0] if match else ""


def parse_cpu_flags(text: str) -> frozenset[str]:
    """Return what the first CPU of /proc/cpuinfo offers; a VM shows what the guest may use."""
    match = re.search(r"^flags\s*:(.*)$", text, re.M)
    return frozenset(match[1].split() if match else ())


def _find_program(name: str) -> Part:
    path = shutil.which(name)
    if path is None:
        return Part(name, False, f"`{name}` is not on PATH")
    lines = ask([path, "--version"]).stdout.splitlines()
    # "gcc (Debian 12.2.0-14) 12.2.0": what is in brackets is the packager's number.
    version = parse_version(re.sub(r"\([^)]*\)", "", lines[0])) if lines else ""
    return Part(name, True, f"{path} {version}".rstrip(), version)


def _find_avx(root: Path) -> Part:
    try:
        flags = parse_cpu_flags((root / "proc/cpuinfo").read_text(errors="replace"))
    except OSError as error:
        return Part("avx", False, f"/proc/cpuinfo: {error.strerror}")
    missing = [flag for flag in _AVX_FLAGS if flag not in flags]
    if missing:
        return Part("avx", False, f"the CPU does not offer {', '.join(missing)}")
    return Part("avx", True, "the CPU offers AVX2 and SSE4.2")


def _find_openmp(gcc: Part) -> Part:
    if not gcc:
        return Part("openmp", False, gcc.evidence)
    with tempfile.TemporaryDirectory(prefix="dkit-") as folder:
        program = f"{folder}/openmp"
        words = ["gcc", "-fopenmp", "-x", "c", "-", "-o", program, "-lgomp"]
        done = ask(words, stdin=_OPENMP_PROGRAM, timeout=60.0)
        if done.ok and ask([program]).ok:
            return Part("openmp", True, "a test program compiles, links and runs")
    complaint = next((line for line in done.stderr.splitlines() if "error" in line), done.error)
    return Part("openmp", False, f"a test program does not compile: {complaint}")


def _find_opencv() -> Part:
    """Ask pkg-config, as AlexeyAB's Makefile does."""
    pkg_config = shutil.which("pkg-config")
    if pkg_config is None:
        return Part("opencv", False, "`pkg-config` is not on PATH")
    for package in ("opencv4", "opencv"):
        answer = ask([pkg_config, "--modversion", package])
        if answer.ok:
            version = parse_version(answer.stdout)
            return Part("opencv", True, f"pkg-config knows {package} {version}", version)
    return Part("opencv", False, "pkg-config knows neither opencv4 nor opencv")


def _find_host_compiler(cuda: Cuda | None, gcc: Part) -> str:
    """Return another g++ for nvcc where the usual one is too new for it, or nothing."""
    if cuda is None or not cuda.newest_gcc or gcc.major <= cuda.newest_gcc:
        return ""
    versions = range(cuda.newest_gcc, _OLDEST_TRIED_GCC - 1, -1)
    return next((path for one in versions if (path := shutil.which(f"g++-{one}"))), "")
