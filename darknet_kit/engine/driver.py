"""Which of NVIDIA's drivers runs what was built with which CUDA.

From CUDA 11 on, a driver of the same generation runs all toolkits of it, if their code is compiled
for the very GPU (docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility); before,
each toolkit needs the driver that came with it. The second table is that of the toolkit's release
notes (CUDA Toolkit and Corresponding Driver Versions, Linux x86_64, first release of each).
"""

from dataclasses import dataclass
from enum import Enum

from darknet_kit.engine.version import version_numbers

_GENERATIONS = {13: "580", 12: "525", 11: "450.80.02"}
_SHIPPED = {
    "13.2": "595.45.04",
    "13.1": "590.44.01",
    "13.0": "580.65.06",
    "12.9": "575.51.03",
    "12.8": "570.26",
    "12.6": "560.28.03",
    "12.5": "555.42.02",
    "12.4": "550.54.14",
    "12.3": "545.23.06",
    "12.2": "535.54.03",
    "12.1": "530.30.02",
    "12.0": "525.60.13",
    "11.8": "520.61.05",
    "11.7": "515.43.04",
    "11.6": "510.39.01",
    "11.5": "495.29.05",
    "11.4": "470.42.01",
    "11.3": "465.19.01",
    "11.2": "460.27.03",
    "11.1": "455.23",
    "11.0": "450.36.06",
    "10.2": "440.33",
    "10.1": "418.39",
    "10.0": "410.48",
    "9.2": "396.26",
    "9.1": "390.46",
    "9.0": "384.81",
    "8.0": "375.26",
}


class Fit(Enum):
    """How a driver suits a CUDA. One that is OLDER runs what was compiled for the very GPU."""

    WELL = "well"
    OLDER = "older"
    TOO_OLD = "too old"


@dataclass(frozen=True, slots=True)
class NeededDriver:
    """The oldest driver on which programs of a CUDA start, and the one that came with it.

    Either is empty where the tables do not know this CUDA.
    """

    oldest: str
    shipped: str


def find_needed_driver(cuda: str) -> NeededDriver:
    """Return what a toolkit like 12.4 needs."""
    version = ".".join(cuda.split(".")[:2])
    shipped = _SHIPPED.get(version, "")
    major = int(version.partition(".")[0]) if version[:1].isdigit() else 0
    return NeededDriver(_GENERATIONS.get(major, shipped), shipped)


def judge_driver(cuda: str, version: str, runs: str) -> Fit:
    """Compare a toolkit with a driver of this version, which says that it runs CUDA `runs`.

    What it says counts: NVIDIA's package cuda-compat lets it run more than its version tells.
    """
    needed = find_needed_driver(cuda)
    theirs, ours = version_numbers(cuda)[:2], version_numbers(runs)[:2]
    if not ours:
        if _is_older(version, needed.oldest):
            return Fit.TOO_OLD
        return Fit.OLDER if _is_older(version, needed.shipped) else Fit.WELL
    if ours >= theirs:
        return Fit.WELL
    return Fit.OLDER if ours[0] == theirs[0] and theirs[0] in _GENERATIONS else Fit.TOO_OLD


def _is_older(version: str, than: str) -> bool:
    """Compare versions like 525.60.13 number by number; an unknown one is not older."""
    ours, theirs = version_numbers(version), version_numbers(than)
    return bool(ours and theirs) and ours < theirs
