"""The run folder: one folder, one goal, readable with nothing but a text editor.

runs/NAME/run.toml            what was asked for, with which engine, on which data
          project.cfg .data .names, train.txt, valid.txt, difficult.txt
          weights/            under Darknet's own names
          attempts/0001/      one engine process: its command, its log, how it ended; backup/, where
                              it writes weights
          metrics.csv map.csv telemetry.csv events.jsonl status.json chart.png
"""

import os
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.files import link, make_folder
from darknet_kit.errors import AnyPath, UsageError

BASE = "project"
BACKUP = "backup"
"""The folder of an attempt, where the engine runs, into which it writes weights."""
# AlexeyAB's adds a line each time that it reads an image without a label, or a label that is wrong.
_ENDLESS = ("bad.list", "bad_label.list")

_TRACES = ("run.toml", "status.json", "attempts")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths inside one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def record(self) -> Path:
        return self.path / "run.toml"

    @property
    def cfg(self) -> Path:
        return self.path / f"{BASE}.cfg"

    @property
    def data(self) -> Path:
        return self.path / f"{BASE}.data"

    @property
    def names(self) -> Path:
        return self.path / f"{BASE}.names"

    @property
    def weights(self) -> Path:
        return self.path / "weights"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def chart(self) -> Path:
        return self.path / "chart.png"

    def attempts(self) -> list[Path]:
        """Return the folders of all attempts, oldest first."""
        return sorted(path for path in (self.path / "attempts").glob("[0-9]*") if path.is_dir())

    def logs(self) -> list[Path]:
        """Return the logs of all attempts, oldest first."""
        return [path for folder in self.attempts() if (path := folder / "log.txt").exists()]

    def telemetry(self) -> Path:
        """Return the table of telemetry that was begun last: other GPUs begin a new one."""
        tables = self.path.glob("telemetry*.csv")
        # The shortest name first: telemetry.csv, telemetry-9.csv, telemetry-10.csv.
        first = self.path / "telemetry.csv"
        return max(tables, key=lambda path: (len(path.name), path.name), default=first)

    def new_attempt(self) -> Path:
        """Make and return the folder of the next attempt."""
        number = len(self.attempts()) + 1
        folder = make_folder(self.path / "attempts" / f"{number:04d}")
        for name in _ENDLESS:
            link(os.devnull, folder / name)
        return folder


def is_run_folder(folder: Path) -> bool:
    """Tell whether a folder is, or was, a run."""
    return any((folder / name).exists() for name in _TRACES)


def find_run(name: AnyPath, root: AnyPath = "runs") -> Path:
    """Return the run of this path, or of this name below `root`. Raises UsageError (`no-run`)."""
    for path in (Path(name), Path(root) / name):
        if is_run_folder(path):
            return path.absolute()
    raise UsageError(
        "there is no run here",
        code="no-run",
        hint="`dkit runs` lists those below runs/, `dkit runs DIR` those elsewhere.",
        path=name,
    )


def find_latest_run(root: AnyPath) -> Path | None:
    """Return the run below `root` that was last written to."""
    records = [path.parent for path in Path(root).glob("*/run.toml")]
    return max(records, key=_last_written, default=None)


def _last_written(run: Path) -> float:
    status = run / "status.json"
    return (status if status.exists() else run / "run.toml").stat().st_mtime
