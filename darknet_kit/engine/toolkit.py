"""CUDA toolkits: where they are, of which version, what they compile for."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.contents import read_small
from darknet_kit.engine import wheels
from darknet_kit.engine.answer import ask
from darknet_kit.engine.cuda import (
    capabilities_of,
    parse_gpu_archs,
    parse_nvcc_version,
    show_capability,
)
from darknet_kit.engine.version import version_numbers
from darknet_kit.errors import ToolchainError

AUTO, PIP = "auto", "pip"


@dataclass(frozen=True, slots=True)
class Cuda:
    """A CUDA toolkit. `newest_gcc` is the newest host compiler it accepts, 0 when not told.

    `wheels` is the folder `nvidia` of a Python environment where pip brought it, else None.
    """

    nvcc: Path
    version: str
    capabilities: tuple[int, ...]
    includes: tuple[Path, ...]
    folders: tuple[Path, ...]
    newest_gcc: int = 0
    wheels: Path | None = None

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def evidence(self) -> str:
        known = " ".join(show_capability(one) for one in self.capabilities)
        return f"{self.nvcc}, CUDA {self.version}, compiles for {known or 'nothing it tells'}"


def find_cudas(choice: str = AUTO, root: Path = Path("/")) -> tuple[Cuda, ...]:
    """Find CUDA toolkits, the one to prefer first.

    `auto` looks at $CUDA_HOME, nvcc on PATH, below /usr/local and at what pip brought into this
    Python; `pip` only at the latter. Anything else is a path: of a toolkit, of its nvcc, or of a
    Python environment. Raises ToolchainError (`no-nvcc`) where a named one is not there.
    """
    found: dict[tuple[str, tuple[Path, ...]], Cuda] = {}
    for nvcc in _iter_nvcc(choice, root):
        cuda = _ask_nvcc(nvcc) if os.access(nvcc, os.X_OK) else None
        if cuda:
            # One toolkit has several names: links, and scripts on PATH that start it.
            found.setdefault((cuda.version, cuda.includes), cuda)
    if found or choice == AUTO:
        return tuple(found.values())
    if choice == PIP:
        raise ToolchainError(
            wheels.describe_old() or "pip brought no nvcc, CUDA's compiler, into this Python",
            code="no-nvcc",
            hint=f"{wheels.install_line()} brings CUDA 13, for drivers from 580 on and GPUs from "
            "compute capability 7.5 on.",
        )
    raise ToolchainError(
        "there is no nvcc, CUDA's compiler, in this place",
        code="no-nvcc",
        hint="Name the folder that holds bin/nvcc, such as /usr/local/cuda-12.9.",
        path=choice,
    )


def _iter_nvcc(choice: str, root: Path) -> Iterator[Path]:
    if choice == PIP:
        yield from wheels.iter_nvcc()
        return
    if choice != AUTO:
        named = Path(choice).expanduser().absolute()
        yield from (named, named / "bin/nvcc") if named.name == "nvcc" else (named / "bin/nvcc",)
        yield from wheels.iter_nvcc([named, *named.glob("lib/python3*/site-packages")])
        return
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    yield from (Path(home) / "bin/nvcc" for home in homes if home)
    on_path = shutil.which("nvcc")
    if on_path:
        yield Path(on_path)
    yield root / "usr/local/cuda/bin/nvcc"
    versioned = (root / "usr/local").glob("cuda-*/bin/nvcc")
    yield from sorted(versioned, key=lambda path: version_numbers(str(path)), reverse=True)
    yield from wheels.iter_nvcc()


def _ask_nvcc(nvcc: Path) -> Cuda | None:
    version = parse_nvcc_version(ask([nvcc, "--version"]).stdout)
    if not version:
        return None
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
        wheels=home.parent if home.parent.name == wheels.FOLDER else None,
    )


def _parse_dry_run(text: str) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return where nvcc takes headers and libraries from, in the words of its `--dryrun`."""

    def paths(variable: str, option: str) -> tuple[Path, ...]:
        line = re.search(rf"^#\$ {variable}=(.*)$", text, re.M)
        found = re.findall(rf'"{option}([^"]+)"', line[1]) if line else []
        return tuple(Path(os.path.normpath(path)) for path in found)

    return paths("INCLUDES", "-I"), paths("LIBRARIES", "-L")


def _find_newest_gcc(includes: Sequence[Path]) -> int:
    for folder in includes:
        text = read_header(folder / "crt/host_config.h")
        match = re.search(r"gcc versions later than (\d+)", text, re.ASCII)
        if match:
            return int(match[1])
    return 0


def read_header(path: Path) -> str:
    """Return the text of a header, or nothing where it cannot be read."""
    try:
        return read_small(path).decode(errors="replace")
    except OSError:
        return ""
