"""The run folder: one folder, one goal, readable with nothing but a text editor.

runs/NAME/run.toml            what was asked for, with which engine, on which data
          project.cfg .data .names, train.txt, valid.txt, difficult.txt
          weights/            under Darknet's own names
          attempts/0001/      one engine process: its command, its log, how it ended; backup/, where
                              it writes weights
          metrics.csv map.csv telemetry.csv events.jsonl status.json chart.png
"""

import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from darknet_kit import __version__
from darknet_kit.core.contents import digest
from darknet_kit.core.files import link, make_folder, replacing, write_text
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.moments import format_moment
from darknet_kit.dataset.reading import Dataset
from darknet_kit.engine.find import Engine
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.formats.cfg import Cfg, write_cfg
from darknet_kit.formats.datafile import format_data, format_lines, iter_image_list, locate
from darknet_kit.network.estimate import KEEP

BASE = "project"
BACKUP = "backup"
"""The folder of an attempt, where the engine runs, into which it writes weights."""
# AlexeyAB's adds a line each time that it reads an image without a label, or a label that is wrong.
_ENDLESS = ("bad.list", "bad_label.list")
LOWER_RATE, STOP = "lower-rate", "stop"
"""What a loss that is lost leads to."""
_ABOVE = "../.."  # from an attempt's folder, where the engine runs, to the run's


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

    def new_attempt(self) -> Path:
        """Make and return the folder of the next attempt."""
        number = len(self.attempts()) + 1
        folder = make_folder(self.path / "attempts" / f"{number:04d}")
        for name in _ENDLESS:
            link(os.devnull, folder / name)
        return folder


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run was asked to do, as run.toml holds it.

    `keep` is how many numbered weights stay, 0 for all; `full_log` keeps every line of the engine.
    `telemetry_seconds` lie between two samples of the machine; 0 for none.
    `retries` are those without progress; `stall_minutes` 0 is a limit that follows the pace.
    `batch` is how many images an iteration has, 0 where a run of before does not say.
    """

    data: str
    cfg: str
    weights: str = ""
    map: bool = True
    clear: bool = False
    gpus: tuple[int, ...] = ()
    keep: int = KEEP
    full_log: bool = False
    telemetry_seconds: float = 5.0
    retries: int = 3
    on_nan: str = LOWER_RATE
    stall_minutes: float = 0.0
    batch: int = 0


def is_run(path: AnyPath) -> bool:
    """Tell whether a path is a run folder in which something was logged."""
    run = RunFolder(Path(path))
    return run.record.is_file() and bool(run.logs())


def free_name(root: AnyPath, wanted: str) -> str:
    """Return `wanted`, or `wanted-2`, `wanted-3`, … where a run of that name exists."""
    name, number = wanted, 1
    while os.path.exists(os.path.join(root, name)):
        number += 1
        name = f"{wanted}-{number}"
    return name


def create_run(
    path: AnyPath, dataset: Dataset, cfg: Cfg, settings: RunSettings, engine: Engine
) -> RunFolder:
    """Make a run folder that holds all that the engine will read but images and labels.

    Raises UsageError (`run-exists`), WriteError.
    """
    run = RunFolder(Path(path).absolute())
    make_folder(run.path)
    if any(run.path.iterdir()) or not _claim(run.weights):
        raise UsageError(
            "this run exists already",
            code="run-exists",
            hint=f"Go on with it: dkit train --resume {run.path}   or choose another --name.",
            path=run.path,
        )
    write_cfg(run.cfg, cfg)
    write_text(run.names, format_lines(dataset.names))
    lists = _lists(dataset, settings.map, engine)
    _write_lists(run, lists)
    write_text(run.data, format_data(_data_options(dataset, settings.map, lists)))
    write_text(run.record, tomli_w.dumps(_record(dataset, cfg, settings, engine)))
    return run


def _claim(folder: Path) -> bool:
    """Make a folder; tell whether it was this process, of several at the same time, that did."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError:
        make_folder(folder)  # says what is wrong
    return True


def _lists(dataset: Dataset, with_map: bool, engine: Engine) -> dict[str, Path]:
    """Return the lists that this engine will read, by their names in the run.

    AlexeyAB's and the embedded engine know of difficult objects; hank-ai's would warn of the key.
    """
    data = dataset.data
    lists = {"train.txt": data.train, "valid.txt": data.valid}
    if with_map and engine.flavor is Flavor.ALEXEYAB and "difficult" in data.options:
        lists["difficult.txt"] = locate(data.options["difficult"], data.path)
    return {name: path for name, path in lists.items() if path is not None and path.exists()}


def _write_lists(run: RunFolder, lists: Mapping[str, Path]) -> None:
    """Put the image lists into the run: as links, or rewritten where their paths are relative."""
    for name, source in lists.items():
        if all(map(os.path.isabs, iter_image_list(source))):
            link(source, run.path / name)
        else:
            with replacing(run.path / name) as stream:
                stream.writelines(f"{os.path.abspath(p)}\n" for p in iter_image_list(source))


def _data_options(dataset: Dataset, with_map: bool, lists: Mapping[str, Path]) -> dict[str, object]:
    # Relative, because Darknet mangles blanks in values and overflows on very long paths.
    valid = "valid.txt" if with_map else "train.txt"
    options: dict[str, object] = {
        "classes": len(dataset.names),
        "train": f"{_ABOVE}/train.txt",
        "valid": f"{_ABOVE}/{valid}",
        "names": f"{_ABOVE}/{BASE}.names",
        "backup": BACKUP,
    }
    if "difficult.txt" in lists:
        options["difficult"] = f"{_ABOVE}/difficult.txt"
    return options


def _record(
    dataset: Dataset, cfg: Cfg, settings: RunSettings, engine: Engine
) -> dict[str, dict[str, Any]]:
    return {
        "run": {"made": format_moment(), "dkit": __version__},
        "settings": _settings_record(settings),
        "engine": {
            "path": os.fspath(engine.path),
            "flavor": engine.flavor.value,
            "version": engine.version,
            "commit": engine.commit,
            "features": str(engine.features),
        },
        "digests": {
            "cfg": digest(cfg.path) if cfg.path else "",
            "names": digest(dataset.data.names),
            "train": digest(dataset.data.require_train()),
            **({"weights": digest(settings.weights)} if settings.weights else {}),
        },
        "host": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count() or 0,
        },
    }


def _settings_record(settings: RunSettings) -> dict[str, Any]:
    return {**asdict(settings), "gpus": list(settings.gpus)}


def keep_settings(run: RunFolder, settings: RunSettings) -> None:
    """Keep what a run was asked anew, so that it holds for later attempts too. Raises WriteError.

    The record was read before, by `open_run`.
    """
    record = tomllib.loads(run.record.read_text(encoding="utf-8"))
    record["settings"] |= _settings_record(settings)
    write_text(run.record, tomli_w.dumps(record))


def open_run(path: AnyPath) -> tuple[RunFolder, RunSettings, str]:
    """Open an existing run; return its folder, its settings and its engine for `find_engine`.

    Raises UsageError (`no-run`).
    """
    run = RunFolder(Path(path).absolute())
    try:
        record = tomllib.loads(run.record.read_text(encoding="utf-8"))
        settings = record["settings"]
        return (
            run,
            RunSettings(
                data=settings["data"],
                cfg=settings["cfg"],
                weights=settings["weights"],
                map=settings["map"],
                clear=settings["clear"],
                gpus=tuple(settings["gpus"]),
                keep=settings.get("keep", 0),  # of before there was a choice
                full_log=settings.get("full_log", False),
                telemetry_seconds=settings.get("telemetry_seconds", 5.0),
                retries=settings.get("retries", 3),
                on_nan=settings.get("on_nan", LOWER_RATE),
                stall_minutes=settings.get("stall_minutes", 0.0),
                batch=settings.get("batch", 0),
            ),
            record["engine"]["path"],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "this is no run folder: it has no readable run.toml",
            code="no-run",
            hint="Give a folder that `dkit train` made, such as runs/NAME.",
            path=run.path,
        ) from error


def find_latest_run(root: AnyPath) -> Path | None:
    """Return the run below `root` that was last written to."""
    records = [path.parent for path in Path(root).glob("*/run.toml")]
    return max(records, key=_last_written, default=None)


def _last_written(run: Path) -> float:
    status = run / "status.json"
    return (status if status.exists() else run / "run.toml").stat().st_mtime
