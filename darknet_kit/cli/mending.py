"""`dkit check --fix`: a corrected copy of a cfg, and what is different in it."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.cli.paths import shown
from darknet_kit.core.files import holds
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, format_cfg, write_cfg
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
    content = after.encode("utf-8", "surrogateescape")
    if os.path.exists(path) and not overwrite and not holds(path, content):
        raise UsageError(
            "another file of that name is there",
            code="file-exists",
            hint="Name another copy with --fix, or add --overwrite.",
            path=path,
        )
    write_cfg(path, better)
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
