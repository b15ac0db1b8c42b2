"""What a row of the table of codes says."""

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """Where a check belongs, in the order in which they are shown."""

    SYSTEM = "System"
    VIRTUAL = "Virtual machine"
    GPU = "GPU"
    COMPILER = "Compiler"
    CUDA = "CUDA/cuDNN"
    OPENCV = "OpenCV"
    DARKNET = "Darknet"
    PYTHON = "Python"
    DISK = "Disk"


class Verdict(StrEnum):
    """What a finding means for a training."""

    OK = "ok"
    NOTE = "note"  # good to know
    WARNING = "warning"  # something will be slow, or is missing that some need
    PROBLEM = "problem"  # something that is there does not work, or a run would fail
    UNKNOWN = "unknown"  # it could not be looked at


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. What it means is said of no machine in particular."""

    group: Group
    verdict: Verdict
    meaning: str
    cure: str = ""
