"""What this machine has for building darknet, each item with the evidence for it."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine.answer import ask
from darknet_kit.engine.libraries import Library, find_libraries
from darknet_kit.engine.nvidia import Driver, find_driver
from darknet_kit.engine.toolkit import AUTO, Cuda, find_cudas

# Needed by AVX=1 of AlexeyAB's Makefile. It also passes -msse4a, a set that only AMD's CPUs have.
# That is harmless on others: gcc uses those instructions only where a source asks for them by
# name, and darknet's does not (the finished binary holds none).
_AVX_FLAGS = ("avx", "avx2", "pni", "sse4_1", "sse4_2")
_OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
_OLDEST_TRIED_GCC = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A program or library that is there or not, and how that is known.

    `folders` are where the loader finds a library, if its package names them.
    """

    name: str
    present: bool
    evidence: str
    version: str = ""
    folders: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return self.present

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0] or 0)


@dataclass(frozen=True, slots=True)
class Toolkit:
    """A CUDA toolkit and what goes with it.

    `host_compiler` is the g++ that nvcc has to be told of, where the usual one is too new for it.
    """

    cuda: Cuda
    libraries: tuple[Library, ...] = ()
    host_compiler: str = ""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a machine has for building darknet. Of `toolkits`, the first is the one to take."""

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
    toolkits: tuple[Toolkit, ...] = ()

    @property
    def cuda(self) -> Cuda | None:
        return self.toolkits[0].cuda if self.toolkits else None

    @property
    def libraries(self) -> tuple[Library, ...]:
        return self.toolkits[0].libraries if self.toolkits else ()

    @property
    def host_compiler(self) -> str:
        return self.toolkits[0].host_compiler if self.toolkits else ""

    def find_library(self, name: str) -> Library:
        """Return one of NVIDIA's libraries: cudart, cublas, curand, cuda or cudnn."""
        found = (one for one in self.libraries if one.name == name)
        return next(found, Library(name, None, None))


def find_toolchain(
    root: Path = Path("/"), cuda: str = AUTO, driver: Driver | None = None
) -> Toolchain:
    """Look at this machine. Programs are those on PATH; files are looked for below `root`.

    `cuda` chooses the toolkits, as `find_cudas` takes it. A `driver` that is known already is not
    asked, which may take long. Raises ToolchainError (`no-nvcc`).
    """
    gcc = _find_program("gcc")
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
        driver=driver or find_driver(),
        toolkits=tuple(
            Toolkit(one, find_libraries(one, root), _find_host_compiler(one, gcc))
            for one in find_cudas(cuda, root)
        ),
    )


def parse_version(text: str) -> str:
    """Return the first thing in a text that looks like a version number, or nothing."""
    match = re.search(r"\d+(?:\.\d+)+", text, re.ASCII)
    return match[0] if match else ""


def parse_cpu_flags(text: str) -> frozenset[str]:
    """Return what the first CPU of /proc/cpuinfo offers; a VM shows what the guest may use."""
    match = re.search(r"^flags\s*:(.*)$", text, re.M)
    return frozenset(match[1].split() if match else ())


def parse_cpu_model(text: str) -> str:
    """Return the name of the first CPU of /proc/cpuinfo, "" where it has none, as an ARM's."""
    match = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return match[1] if match else ""


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
            folder = ask([pkg_config, "--variable=libdir", package]).stdout.strip()
            folders = (Path(folder),) if folder else ()
            return Part("opencv", True, f"pkg-config knows {package} {version}", version, folders)
    return Part("opencv", False, "pkg-config knows neither opencv4 nor opencv")


def _find_host_compiler(cuda: Cuda, gcc: Part) -> str:
    """Return another g++ for nvcc where the usual one is too new for it, or nothing."""
    if not cuda.newest_gcc or gcc.major <= cuda.newest_gcc:
        return ""
    versions = range(cuda.newest_gcc, _OLDEST_TRIED_GCC - 1, -1)
    return next((path for one in versions if (path := shutil.which(f"g++-{one}"))), "")
