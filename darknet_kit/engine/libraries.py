"""NVIDIA's libraries that darknet is compiled and linked with: headers and shared objects."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine import wheels
from darknet_kit.engine.toolkit import Cuda, read_header
from darknet_kit.engine.version import version_numbers

# What darknet includes and links with, by the library's name.
_HEADERS = {
    "cudart": "cuda_runtime.h",
    "cublas": "cublas_v2.h",
    "curand": "curand.h",
    "cuda": "cuda.h",
    "cudnn": "cudnn.h",
}
_INCLUDES = ("usr/include", "usr/include/x86_64-linux-gnu", "usr/include/aarch64-linux-gnu")
_FOLDERS = (
    *("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"),
    "usr/lib/wsl/lib",
)
OF_TOOLKIT = ("cudart", "cublas", "curand")
"""What every build for a GPU needs, made for one version of CUDA."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library of NVIDIA's to compile and link with; None is what was not found.

    `file` may have a numbered name only, like libcublas.so.13, which the linker does not find.
    `version` is that of the header; `conflict` says that the shared object is of another.
    """

    name: str
    header: Path | None
    file: Path | None
    version: str = ""
    conflict: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Name the files that were not found."""
        no_header = (_HEADERS[self.name],) if self.header is None else ()
        return (*no_header, f"lib{self.name}.so") if self.file is None else no_header

    @property
    def evidence(self) -> str:
        if self.missing:
            return f"{' and '.join(self.missing)} not found"
        found = " and ".join(str(path) for path in (self.header, self.file) if path)
        return f"{self.conflict}: {found}" if self.conflict else found

    def __bool__(self) -> bool:
        """Tell whether it can be compiled and linked with."""
        return not self.missing and not self.conflict


def find_libraries(cuda: Cuda, root: Path = Path("/")) -> tuple[Library, ...]:
    """Find cudart, cublas, curand, the driver's and cuDNN's headers and shared objects.

    Looks where the compiler would ($CPATH, $LIBRARY_PATH, the toolkit, the system), in
    $CUDNN_HOME, /usr/local/cudnn, and in NVIDIA's packages of this Python. A toolkit that pip
    brought takes what goes with it from pip, too.
    """
    return tuple(_find_library(name, cuda, root) for name in _HEADERS)


def _find_library(name: str, cuda: Cuda, root: Path) -> Library:
    own = cuda.wheels is not None and name in OF_TOOLKIT
    includes = iter(cuda.includes) if own else _iter_includes(cuda, root)
    header = next((path for one in includes if (path := one / _HEADERS[name]).is_file()), None)
    folders = iter(cuda.folders) if own else _iter_folders(cuda, root)
    files = (_find_shared_object(folder, name) for folder in folders)
    file = next((path for path in files if path), None)
    version = _read_cudnn_version(header.parent) if name == "cudnn" and header else ""
    return Library(name, header, file, version, find_conflict(version, file))


def find_conflict(version: str, file: Path | None) -> str:
    """Say that a header and a shared object are of different versions, as far as the latter's name
    tells (`.so.9`, `.so.8.9.7`); patches of one version go together."""
    held = file.resolve().name.partition(".so.")[2] if file else ""
    pairs = zip(version_numbers(version)[:2], version_numbers(held)[:2], strict=False)
    if all(ours == theirs for ours, theirs in pairs):
        return ""
    return f"the header is of version {version} and the library of {held}"


def _iter_includes(cuda: Cuda, root: Path) -> Iterator[Path]:
    yield from _iter_variable("CPATH")
    yield from cuda.includes
    if cuda.wheels:
        yield from wheels.iter_folders(cuda.wheels, cuda.major, "include")
    yield from _iter_variable("CUDNN_HOME", "include")
    yield root / "usr/local/cudnn/include"
    yield from (root / folder for folder in _INCLUDES)
    yield from wheels.iter_folders(None, cuda.major, "include")


def _iter_folders(cuda: Cuda, root: Path) -> Iterator[Path]:
    yield from _iter_variable("LIBRARY_PATH")
    yield from cuda.folders
    if cuda.wheels:
        yield from wheels.iter_folders(cuda.wheels, cuda.major, "lib")
    yield from _iter_variable("CUDNN_HOME", "lib64", "lib")
    yield root / "usr/local/cudnn/lib64"
    yield from (root / folder for folder in _FOLDERS)
    yield from wheels.iter_folders(None, cuda.major, "lib")


def _iter_variable(name: str, *below: str) -> Iterator[Path]:
    for entry in os.environ.get(name, "").split(os.pathsep):
        for folder in below or ("",):
            if entry:
                yield Path(entry).absolute() / folder


def _find_shared_object(folder: Path, name: str) -> Path | None:
    plain = folder / f"lib{name}.so"
    if plain.is_file():
        return plain
    numbered = folder.glob(f"lib{name}.so.*")
    return max(numbered, key=lambda path: version_numbers(path.name), default=None)


def _read_cudnn_version(folder: Path) -> str:
    text = read_header(folder / "cudnn_version.h") or read_header(folder / "cudnn.h")
    found = (
        re.search(rf"#define CUDNN_{part} (\d+)", text, re.ASCII)
        for part in ("MAJOR", "MINOR", "PATCHLEVEL")
    )
    return ".".join(match[1] for match in found if match)
