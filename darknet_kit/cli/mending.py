"""`dkit check --fix`: a corrected copy of a cfg, and what is different in it."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.cli.paths import shown
from darknet_kit.cli.writing import write_files
from darknet_kit.formats.cfg import Cfg, encode_cfg, format_cfg
from darknet_kit.network.check import check_cfg
from darknet_kit.network.mend import mend_cfg
from darknet_kit.network.problem import CfgProblem


@dataclass(frozen=True, slots=True)
class Mended:
    """What a correction did: problems that are gone, how many are left, and the changed lines."""

    path: str
    gone: Sequence[CfgProblem]
    left: int
    difference: Sequence[str]


def write_mended(
    cfg: Cfg, classes: int | None, images: int | None, path: str, overwrite: bool
) -> Mended:
    """Write a corrected copy. Raises UsageError, WriteError."""
    better, gone = mend_cfg(cfg, classes, images)
    before, after = format_cfg(cfg), format_cfg(better)
    write_files({Path(path): encode_cfg(better)}, overwrite)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), cfg.path or "before", path, n=0, lineterm=""
    )
    return Mended(path, gone, len(check_cfg(better, classes, images)), list(lines))


def describe_mended(mended: Mended) -> list[str]:
    """Return the difference and a summary, line by line."""
    left = f", {mended.left} need a decision of yours" if mended.left else ""
    count = len(mended.gone)
    return [
        "",
        *mended.difference,
        "",
        f"Corrected {count} problem{'s' * (count != 1)} of the network{left}",
        f"  cfg     {shown(mended.path)}",
    ]
