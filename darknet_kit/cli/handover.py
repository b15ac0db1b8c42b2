"""`dkit train --write-unit`: a run handed over to systemd or Slurm, and how to start it there."""

import os
import sys
from collections.abc import Sequence

from darknet_kit.cli.outcome import Outcome
from darknet_kit.cli.paths import shown
from darknet_kit.core.files import write_text
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.supervision.unit import (
    CARRIED,
    Handover,
    estimate_patience,
    format_slurm,
    format_systemd,
    name_unit,
)

_FORMATS = {"systemd": format_systemd, "slurm": format_slurm}
UNITS = tuple(_FORMATS)


def resume_command(run: RunFolder, options: Sequence[str]) -> list[str]:
    """Return the command line that goes on with a run, by this Python's dkit."""
    return [sys.executable, "-m", "darknet_kit", "train", "--resume", str(run.path), *options]


def write_unit(run: RunFolder, kind: str, options: Sequence[str]) -> Outcome:
    """Write the unit or job script into the run folder, and tell how to start it.

    Raises UsageError (`unsafe-name`), WriteError.
    """
    patience = estimate_patience(run)
    environment = {name: value for name in CARRIED if (value := os.environ.get(name))}
    handover = Handover(run, resume_command(run, options), environment, patience)
    is_systemd = kind == "systemd"
    path = run.path / (f"{name_unit(run)}.service" if is_systemd else "job.sh")
    write_text(path, _FORMATS[kind](handover))
    waits = f"  It is given {patience / 60:,.0f} minutes to come to a checkpoint when it shall end."
    lines = [f"Written: {shown(path)}", waits, *(_systemd_lines(path.name) if is_systemd else ())]
    start = "systemctl --user enable --now" if is_systemd else "sbatch"
    facts = {"run": str(run.path), "unit": str(path), "patience_seconds": patience}
    return Outcome(lines, facts, f"{start} {shown(path.absolute())}")


def _systemd_lines(name: str) -> list[str]:
    return [
        "  loginctl enable-linger      lets it run when nobody is logged in, and after a restart",
        f"  systemctl --user stop {name}      ends it after its next checkpoint",
        f"  systemctl --user disable {name}      keeps it from starting again",
        f"  journalctl --user -u {name}      shows what it says",
    ]
