"""CUDA and cuDNN as pip installs them: NVIDIA's packages on PyPI, which need no root.

Those for CUDA 13 and later share one folder, `nvidia/cu13`, and hold nvcc. Those for CUDA 12 have
a folder each (`nvidia/cublas`, `nvidia/cuda_runtime`) and hold ptxas, but no nvcc. Of libraries
they have numbered names only, and none has the driver's.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from darknet_kit.core.contents import read_small

FOLDER = "nvidia"
FIRST_CUDA = "13.0"
"""The first CUDA of which pip has the compiler."""
_PACKAGES = {
    "nvcc": "nvidia-cuda-nvcc",
    "cicc": "nvidia-nvvm",
    "crt": "nvidia-cuda-crt",
    "cudart": "nvidia-cuda-runtime",
    "cublas": "nvidia-cublas",
    "curand": "nvidia-curand",
    "cudnn": "nvidia-cudnn-cu{major}",
}
_NEEDED = ("nvcc", "cublas", "curand", "cudnn")  # the others come with nvcc
# Parts of the compiler, whose versions must be one.
_COMPILER = ("nvcc", "cicc", "crt", "cudart")
# What nvcc cannot work without, in packages of their own.
NEEDED_FILES = {"cicc": "nvvm/bin/cicc", "crt": "include/crt/host_config.h"}


def iter_nvcc(places: Iterable[Path] | None = None) -> Iterator[Path]:
    """Yield every nvcc in these folders of packages, or in those of this Python; newest first."""
    for place in _own_places() if places is None else places:
        homes = (place / FOLDER).glob("cu[0-9]*")
        yield from sorted((home / "bin/nvcc" for home in homes), key=str, reverse=True)


def iter_folders(site: Path | None, major: int, kind: str) -> Iterator[Path]:
    """Yield the folders `include` or `lib` of the packages for a CUDA of this major version.

    `site` is their folder `nvidia`; None stands for those of this Python.
    """
    names = (f"cu{major}", "cudnn") if major >= 13 else ("cublas", "curand", "cudnn")
    for place in [site] if site else [one / FOLDER for one in _own_places()]:
        yield from (place / name / kind for name in names if (place / name / kind).is_dir())


def is_from_pip(file: Path) -> bool:
    """Tell whether pip brought a library: SITE/nvidia/cu13/lib/NAME."""
    return len(file.parents) > 2 and file.parents[2].name == FOLDER


def find_missing_parts(home: Path) -> tuple[str, ...]:
    """Name what nvcc cannot work without and pip did not bring: `cicc`, `crt`."""
    return tuple(part for part, file in NEEDED_FILES.items() if not (home / file).is_file())


def install_line(parts: Sequence[str] = _NEEDED, site: Path | None = None, cuda: str = "") -> str:
    """Return the command that installs parts (`nvcc`, `cublas`, ...) into a Python environment.

    `site` is its folder `nvidia`, None this Python's; `cuda` the version of the parts that are
    there, to which the compiler's others have to be equal.
    """
    version = cuda or _runtime_version(site)
    major = version.partition(".")[0] or "13"
    words = []
    for part in dict.fromkeys(parts):
        package = _PACKAGES[part].format(major=major)
        words.append(f"'{package}=={version}.*'" if version and part in _COMPILER else package)
    return f"`{_find_python(site)} -m pip install {' '.join(words)}`"


def describe_old() -> str:
    """Say what pip brought of a CUDA that has no nvcc on PyPI; empty where it brought none."""
    for place in _own_places():
        if (place / FOLDER / "cuda_runtime").is_dir():
            return "pip brought CUDA 12 or older, whose packages hold no nvcc"
    return ""


def _own_places() -> list[Path]:
    return [Path(entry) for entry in sys.path if entry]


def _find_python(site: Path | None) -> Path:
    """Return the Python of the environment ENV/lib/python3.N/site-packages/nvidia."""
    theirs = site.parents[3] / "bin/python" if site and len(site.parents) > 3 else None
    return theirs if theirs and theirs.exists() else Path(sys.executable)


def _runtime_version(site: Path | None) -> str:
    """Return the version of the runtime that pip brought, like 13.5, or nothing."""
    for folder in iter_folders(site, 13, "include"):
        try:
            text = read_small(folder / "cuda_runtime_api.h").decode(errors="replace")
        except OSError:
            continue
        match = re.search(r"#define CUDART_VERSION +(\d+)(\d\d)\d\b", text, re.ASCII)
        if match:
            return f"{int(match[1])}.{int(match[2])}"
    return ""
