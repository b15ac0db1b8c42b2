"""GPUs, compute capabilities and what nvcc can compile for.

A capability is a whole number here, 90 for 9.0, as nvcc writes it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from darknet_kit.errors import ToolchainError, UsageError

TENSOR_CORES = 70  # the first capability with them: below it half precision gains nothing

# The last CUDA that still compiles for a capability, where a newer one has dropped it.
_LAST_CUDA = ((30, "8.0"), (35, "10.2"), (50, "11.8"), (75, "12.9"))
# What nvcc compiles for, where it is too old to be asked: from which CUDA on, lowest, highest.
_OLD_RANGES = (((11, 0), 35, 80), ((10, 0), 30, 75), ((9, 2), 30, 72), ((9, 0), 30, 70))
_OLD_CAPABILITIES = (30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver describes it. `capability` is 0 where the driver does not tell."""

    name: str
    capability: int
    driver: str = ""
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class Arch:
    """What nvcc is told to compile for: its words, and what was decided on the way."""

    words: str
    targets: tuple[int, ...]
    notes: tuple[str, ...] = ()


def show_capability(capability: int) -> str:
    """Return a capability as people write it: 9.0 for 90."""
    return f"{capability // 10}.{capability % 10}"


def parse_capabilities(text: str) -> tuple[int, ...]:
    """Read `9.0` or `8.6,9.0` as typed after `--arch`. Raises UsageError (`bad-arch`)."""
    found = []
    for word in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(?:sm_|compute_)?(\d{1,2})\.?(\d)", word, re.ASCII)
        if not match:
            raise UsageError(
                f"{word!r} is no compute capability",
                code="bad-arch",
                hint="Write it like 9.0 (H100), 8.9 (RTX 40), 8.6 (RTX 30), 7.5 (RTX 20); several "
                "with commas. `nvidia-smi --query-gpu=compute_cap --format=csv` shows yours.",
            )
        found.append(int(match[1]) * 10 + int(match[2]))
    return tuple(dict.fromkeys(found))


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """Read `nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total` as CSV.

    Lines that are not of that form (its error messages go to stdout) are left out.
    """
    gpus = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.rsplit(",", 3)]
        if len(cells) != 4 or not cells[0]:
            continue
        capability = re.fullmatch(r"(\d+)\.(\d)", cells[1], re.ASCII)
        memory = re.match(r"(\d+) MiB", cells[3], re.ASCII)
        gpus.append(
            Gpu(
                name=cells[0],
                capability=int(capability[1]) * 10 + int(capability[2]) if capability else 0,
                driver=cells[2],
                memory_mib=int(memory[1]) if memory else 0,
            )
        )
    return tuple(gpus)


def parse_nvcc_version(text: str) -> str:
    """Return the release in `nvcc --version`, like 13.0, or nothing."""
    match = re.search(r"release (\d+\.\d+)", text, re.ASCII)
    return match[1] if match else ""


def parse_gpu_archs(text: str) -> tuple[int, ...]:
    """Return the capabilities in `nvcc --list-gpu-arch`, lowest first."""
    return tuple(sorted({int(word) for word in re.findall(r"compute_(\d+)$", text, re.M | re.A)}))


def capabilities_of(version: str) -> tuple[int, ...]:
    """Return what a CUDA before 11.1 compiles for, as its manual says; newer ones are asked."""
    number = tuple(int(part) for part in version.split(".")) if version else (0,)
    for since, lowest, highest in _OLD_RANGES:
        if number >= since:
            return tuple(one for one in _OLD_CAPABILITIES if lowest <= one <= highest)
    return ()


def choose_arch(
    capabilities: Iterable[int], supported: Sequence[int], cuda_version: str = ""
) -> Arch:
    """Return nvcc's words for these GPUs, given what this nvcc compiles for.

    A GPU that nvcc does not know gets the nearest lower code: of the same generation it runs as it
    is, of an older one the driver translates it at the first start. A GPU older than all that nvcc
    knows is left out; when none is left, raises ToolchainError (`gpu-too-old-for-cuda`).
    """
    targets: dict[int, str] = {}
    notes = []
    wanted = sorted(set(capabilities))
    for capability in wanted:
        below = [one for one in supported if one <= capability]
        if not below:
            notes.append(_explain_too_old(capability, supported, cuda_version))
            continue
        nearest = max(below)
        code = f"[sm_{nearest},compute_{nearest}]"
        if nearest // 10 != capability // 10:
            code = f"compute_{nearest}"
            notes.append(
                f"CUDA {cuda_version} does not know {show_capability(capability)}: the driver "
                f"translates code for {show_capability(nearest)} at the first start"
            )
        targets.setdefault(nearest, f"-gencode arch=compute_{nearest},code={code}")
    if not targets:
        raise ToolchainError(
            notes[0] if notes else "no GPU to compile for",
            code="gpu-too-old-for-cuda",
            hint="Install the older CUDA beside this one and name it with CUDA_HOME, or build "
            "for the CPU with --cpu.",
        )
    return Arch(" ".join(targets.values()), tuple(targets), tuple(notes))


def _explain_too_old(capability: int, supported: Sequence[int], cuda_version: str) -> str:
    last = next((cuda for below, cuda in _LAST_CUDA if capability < below), "an older one")
    lowest = show_capability(min(supported)) if supported else "?"
    return (
        f"CUDA {cuda_version} compiles for {lowest} and newer; a GPU of compute capability "
        f"{show_capability(capability)} needs CUDA {last} or older"
    )
