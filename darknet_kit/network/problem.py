"""A mistake in a cfg, and what the checks of a cfg look at."""

from dataclasses import dataclass
from enum import StrEnum

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.heads import Head
from darknet_kit.network.layer import Layer


class CfgSeverity(StrEnum):
    """How bad a problem of a cfg is."""

    ERROR = "error"  # no run could give what the cfg says
    WARNING = "warning"  # a run is likely to disappoint


@dataclass(frozen=True, slots=True)
class CfgProblem:
    """One mistake: a stable code, the 1-based line (0 for the whole file), and its cure."""

    code: str
    line: int
    message: str
    cure: str
    severity: CfgSeverity = CfgSeverity.ERROR

    @property
    def is_error(self) -> bool:
        """Whether it forbids a run."""
        return self.severity is CfgSeverity.ERROR


def warning(code: str, line: int, message: str, cure: str) -> CfgProblem:
    """Return a problem that forbids nothing."""
    return CfgProblem(code, line, message, cure, CfgSeverity.WARNING)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the checks look at. `layers` is empty where the network cannot be built."""

    cfg: Cfg
    layers: tuple[Layer, ...]
    failure: CfgError | None
    heads: tuple[Head, ...]
    classes: int | None
    train_images: int | None

    def line(self, key: str) -> int:
        """Return the line of a `[net]` key, or of `[net]` itself where it is missing."""
        entry = self.cfg.net.find(key)
        return entry.line if entry else self.cfg.net.line
