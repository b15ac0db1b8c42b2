"""Pictures and pages that are ready to be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a sheet or a page, by path, the main one last; how many of its images could
    not be read; the class names whose letters no font of this machine has."""

    files: Mapping[Path, bytes]
    unreadable: int
    undrawn: Sequence[str] = ()
