"""NVIDIA's driver, compiler and libraries on this machine."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine.answer import ask
from darknet_kit.engine.cuda import (
    Gpu,
    capabilities_of,
    parse_gpu_archs,
    parse_nvcc_version,
    parse_nvidia_smi,
    show_capability,
)

# What darknet includes and links with, by the library's name. The driver's header comes with
# cudart's.
_HEADERS = {
    "cudart": "cuda_runtime.h",
    "cublas": "cublas_v2.h",
    "curand": "curand.h",
    "cuda": None,
    "cudnn": "cudnn.h",
}
_INCLUDES = ("usr/include", "usr/include/x86_64-linux-gnu", "usr/include/aarch64-linux-gnu")
_FOLDERS = (
    *("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"),
    "usr/lib/wsl/lib",
)
_SLOW = 60.0  # seconds: nvidia-smi wakes a sleeping GPU first


@dataclass(frozen=True, slots=True)
class Driver:
    """What nvidia-smi tells. `cuda` is the newest CUDA that the driver can run, like 12.4."""

    gpus: tuple[Gpu, ...]
    evidence: str
    version: str = ""
    cuda: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """A library of NVIDIA's to compile and link with; None is what was not found.

    `file` may have a numbered name only, like libcublas.so.13, which the linker does not find.
    """

    name: str
    header: Path | None
    file: Path | None
    version: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Name the files that were not found."""
        header = _HEADERS[self.name]
        no_header = (header,) if header and self.header is None else ()
        return (*no_header, f"lib{self.name}.so") if self.file is None else no_header

    @property
    def evidence(self) -> str:
        if self.missing:
            return f"{' and '.join(self.missing)} not found"
        return " and ".join(str(path) for path in (self.header, self.file) if path)

    def __bool__(self) -> bool:
        return not self.missing


@dataclass(frozen=True, slots=True)
class Cuda:
    """A CUDA toolkit. `newest_gcc` is the newest host compiler it accepts, 0 when not told."""

    nvcc: Path
    version: str
    capabilities: tuple[int, ...]
    includes: tuple[Path, ...]
    folders: tuple[Path, ...]
    newest_gcc: int = 0

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def evidence(self) -> str:
        known = " ".join(show_capability(one) for one in self.capabilities)
        return f"{self.nvcc}, CUDA {self.version}, compiles for {known or 'nothing it tells'}"


def find_driver() -> Driver:
    """Ask nvidia-smi for the GPUs."""
    if shutil.which("nvidia-smi") is None:
        return Driver((), "`nvidia-smi` is not on PATH")
    gpus: tuple[Gpu, ...] = ()
    # Drivers before 510 do not know compute_cap; the power state holds its place.
    for capability in ("compute_cap", "pstate"):
        query = f"--query-gpu=name,{capability},driver_version,memory.total"
        answer = ask(["nvidia-smi", query, "--format=csv,noheader"], timeout=_SLOW)
        gpus = parse_nvidia_smi(answer.stdout) if answer.ok else ()
        if gpus:
            break
    else:
        told = " ".join((answer.text or answer.error).split()) or "nothing"
        return Driver((), f"nvidia-smi shows no GPU; it says: {told[:200]}")
    cuda = re.search(r"CUDA Version: (\d+\.\d+)", ask(["nvidia-smi"], timeout=_SLOW).stdout)
    named = "; ".join(
        f"{gpu.name}, compute capability "
        f"{show_capability(gpu.capability) if gpu.capability else 'not told'}"
        for gpu in gpus
    )
    return Driver(gpus, f"nvidia-smi shows {named}", gpus[0].driver, cuda[1] if cuda else "")


def find_cuda(root: Path = Path("/")) -> Cuda | None:
    """Find nvcc and what belongs to it: by $CUDA_HOME, on PATH, below /usr/local."""
    for nvcc in _iter_nvcc(root):
        version = parse_nvcc_version(ask([nvcc, "--version"]).stdout)
        if not version:
            continue
        archs = ask([nvcc, "--list-gpu-arch"])
        includes, folders = _parse_dry_run(ask([nvcc, "--dryrun", "-c", "none.cu"]).text)
        home = nvcc.resolve().parent.parent
        includes = includes or (home / "include",)
        folders = folders or (home / "lib64", home / "lib64/stubs")
        return Cuda(
            nvcc=nvcc,
            version=version,
            capabilities=parse_gpu_archs(archs.stdout) or capabilities_of(version),
            includes=tuple(path for path in includes if path.is_dir()),
            folders=tuple(path for path in folders if path.is_dir()),
            newest_gcc=_find_newest_gcc(includes),
        )
    return None


def find_libraries(cuda: Cuda, root: Path = Path("/")) -> tuple[Library, ...]:
    """Find cudart, cublas, curand, the driver's and cuDNN's headers and shared objects.

    Looks where the compiler would ($CPATH, $LIBRARY_PATH, the toolkit, the system), in
    $CUDNN_HOME, /usr/local/cudnn, and in NVIDIA's packages of this Python.
    """
    return tuple(_find_library(name, cuda, root) for name in _HEADERS)


def _iter_nvcc(root: Path) -> Iterator[Path]:
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    places = [Path(home) / "bin/nvcc" for home in homes if home]
    on_path = shutil.which("nvcc")
    places += [Path(on_path)] if on_path else []
    places += [root / "usr/local/cuda/bin/nvcc"]
    versioned = (root / "usr/local").glob("cuda-*/bin/nvcc")
    places += sorted(versioned, key=_numbers, reverse=True)
    yield from (place for place in places if os.access(place, os.X_OK))


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path), re.ASCII)]


def _parse_dry_run(text: str) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return where nvcc takes headers and libraries from, in the words of its `--dryrun`."""

    def paths(variable: str, option: str) -> tuple[Path, ...]:
        line = re.search(rf"^#\$ {variable}=(.*)$", text, re.M)
        found = re.findall(rf'"{option}([^"]+)"', line[1]) if line else []
        return tuple(Path(os.path.normpath(path)) for path in found)

    return paths("INCLUDES", "-I"), paths("LIBRARIES", "-L")


def _find_newest_gcc(includes: Sequence[Path]) -> int:
    for folder in includes:
        match = re.search(
            r"gcc versions later than (\d+)", _read(folder / "crt/host_config.h"), re.ASCII
        )
        if match:
            return int(match[1])
    return 0


def _find_library(name: str, cuda: Cuda, root: Path) -> Library:
    wanted = _HEADERS[name]
    headers = (folder / wanted for folder in _iter_includes(cuda, root)) if wanted else iter(())
    header = next((path for path in headers if path.is_file()), None)
    files = (_find_shared_object(folder, name) for folder in _iter_folders(cuda, root))
    file = next((path for path in files if path), None)
    version = _read_cudnn_version(header.parent) if name == "cudnn" and header else ""
    return Library(name, header, file, version)


def _iter_includes(cuda: Cuda, root: Path) -> Iterator[Path]:
    yield from _iter_variable("CPATH")
    yield from cuda.includes
    yield from _iter_variable("CUDNN_HOME", "include")
    yield root / "usr/local/cudnn/include"
    yield from (root / folder for folder in _INCLUDES)
    yield from _iter_wheels(cuda, "include")


def _iter_folders(cuda: Cuda, root: Path) -> Iterator[Path]:
    yield from _iter_variable("LIBRARY_PATH")
    yield from cuda.folders
    yield from _iter_variable("CUDNN_HOME", "lib64", "lib")
    yield root / "usr/local/cudnn/lib64"
    yield from (root / folder for folder in _FOLDERS)
    yield from _iter_wheels(cuda, "lib")


def _iter_variable(name: str, *below: str) -> Iterator[Path]:
    for entry in os.environ.get(name, "").split(os.pathsep):
        for folder in below or ("",):
            if entry:
                yield Path(entry).absolute() / folder


def _iter_wheels(cuda: Cuda, kind: str) -> Iterator[Path]:
    """Yield the folders of NVIDIA's packages from PyPI that go with this toolkit.

    Those for CUDA 13 and later share a folder cu13; those before have one each.
    """
    names = (f"cu{cuda.major}", "cudnn") if cuda.major >= 13 else ("cublas", "curand", "cudnn")
    for entry in sys.path:
        for name in names:
            folder = Path(entry) / "nvidia" / name / kind
            if folder.is_dir():
                yield folder


def _find_shared_object(folder: Path, name: str) -> Path | None:
    plain = folder / f"lib{name}.so"
    if plain.is_file():
        return plain
    numbered = sorted(folder.glob(f"lib{name}.so.*"), key=_numbers)
    return numbered[-1] if numbered else None


def _read_cudnn_version(folder: Path) -> str:
    text = _read(folder / "cudnn_version.h") or _read(folder / "cudnn.h")
    found = (
        re.search(rf"#define CUDNN_{part} (\d+)", text, re.ASCII)
        for part in ("MAJOR", "MINOR", "PATCHLEVEL")
    )
    return ".".join(match[1] for match in found if match)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
