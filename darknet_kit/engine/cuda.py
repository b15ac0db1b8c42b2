"""GPUs, compute capabilities and what nvcc can compile for.

A capability is a whole number here, 90 for 9.0, as nvcc writes it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from darknet_kit.engine.version import version_numbers
from darknet_kit.errors import ToolchainError, UsageError

TENSOR_CORES = 70  # the first capability with them: below it half precision gains nothing

Version = tuple[int, int]
# Each capability with the first and the last CUDA whose nvcc compiles for it, None where the
# newest does: NVIDIA's release notes, and what `nvcc --list-gpu-arch` prints.
_SPANS: dict[int, tuple[Version, Version | None]] = {
    **dict.fromkeys((20, 21), ((3, 0), (8, 0))),
    **dict.fromkeys((30, 32), ((6, 0), (10, 2))),
    **dict.fromkeys((35, 37), ((6, 5), (11, 8))),
    **dict.fromkeys((50, 52, 53), ((7, 0), (12, 9))),
    **dict.fromkeys((60, 61, 62), ((8, 0), (12, 9))),
    70: ((9, 0), (12, 9)),
    72: ((9, 2), (12, 9)),
    75: ((10, 0), None),
    80: ((11, 0), None),
    86: ((11, 1), None),
    87: ((11, 4), None),
    **dict.fromkeys((89, 90), ((11, 8), None)),
    **dict.fromkeys((100, 120), ((12, 8), None)),
    101: ((12, 8), (12, 9)),  # CUDA 13 calls it 110
    **dict.fromkeys((103, 121), ((12, 9), None)),
    **dict.fromkeys((88, 110), ((13, 0), None)),
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver describes it. `capability` is 0 where the driver does not tell."""

    name: str
    capability: int
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class Arch:
    """What nvcc is told to compile for: its words, and what was decided on the way.

    Of `targets`, those `translated` are compiled to PTX alone.
    """

    words: str
    targets: tuple[int, ...]
    notes: tuple[str, ...] = ()
    translated: tuple[int, ...] = ()

    @property
    def cmake(self) -> str:
        """The same in CMake's words."""
        return ";".join(
            f"{one}-virtual" * (one in self.translated) or str(one) for one in self.targets
        )


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


def parse_nvcc_version(text: str) -> str:
    """Return the release in `nvcc --version`, like 13.0, or nothing."""
    match = re.search(r"release (\d+\.\d+)", text, re.ASCII)
    return match[1] if match else ""


def parse_gpu_archs(text: str) -> tuple[int, ...]:
    """Return the capabilities in `nvcc --list-gpu-arch`, lowest first."""
    return tuple(sorted({int(word) for word in re.findall(r"compute_(\d+)$", text, re.M | re.A)}))


def capabilities_of(version: str) -> tuple[int, ...]:
    """Return what a CUDA like 12.4 compiles for. Its own nvcc knows best, from 11.1 on."""
    number = version_numbers(version)[:2]
    return tuple(
        sorted(one for one, (first, last) in _SPANS.items() if first <= number <= (last or number))
    )


def first_cuda(capability: int) -> str:
    """Return the first CUDA that compiles for a capability, like 12.8, or nothing if unknown."""
    span = _SPANS.get(capability)
    return _show_version(span[0]) if span else ""


def last_cuda(capability: int) -> str:
    """Return the last CUDA that compiles for a capability; nothing where the newest does, or for
    one that is not known."""
    span = _SPANS.get(capability)
    return _show_version(span[1]) if span and span[1] else ""


def _show_version(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


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
    translated = []
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
            translated.append(nearest)
            notes.append(_explain_too_new(capability, nearest, cuda_version))
        targets.setdefault(nearest, f"-gencode arch=compute_{nearest},code={code}")
    if not targets:
        raise ToolchainError(
            notes[0] if notes else "no GPU to compile for",
            code="gpu-too-old-for-cuda",
            hint="Install the older CUDA beside this one, where dkit finds it or --cuda names it, "
            "or build for the CPU with --cpu.",
        )
    return Arch(" ".join(targets.values()), tuple(targets), tuple(notes), tuple(translated))


def _explain_too_new(capability: int, nearest: int, cuda_version: str) -> str:
    newer = f" (CUDA {first} does)" if (first := first_cuda(capability)) else ""
    return (
        f"CUDA {cuda_version} does not know {show_capability(capability)}{newer}: the driver "
        f"translates code for {show_capability(nearest)} at the first start"
    )


def _explain_too_old(capability: int, supported: Sequence[int], cuda_version: str) -> str:
    last = last_cuda(max((one for one in _SPANS if one <= capability), default=20))
    lowest = show_capability(min(supported)) if supported else "?"
    return (
        f"CUDA {cuda_version} compiles for {lowest} and newer; a GPU of compute capability "
        f"{show_capability(capability)} needs CUDA {last} or older"
    )
