"""run.toml: what a run was asked to do, with which engine, on which data and machine."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import tomli_w

from darknet_kit.core.files import write_text
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.network.estimate import KEEP
from darknet_kit.train.runs.folder import RunFolder, find_run

LOWER_RATE, STOP = "lower-rate", "stop"
"""What a loss that is lost leads to."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run was asked to do, as run.toml holds it.

    `keep` is how many numbered weights stay, 0 for all; `full_log` keeps every line of the engine.
    `telemetry_seconds` lie between two samples of the machine; 0 for none.
    `retries` are those without progress; `stall_minutes` 0 is a limit that follows the pace.
    `batch` is how many images an iteration has.
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


@dataclass(frozen=True, slots=True)
class Made:
    """When a run was made, and by which dkit."""

    made: str = ""
    dkit: str = ""


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """An engine as `Engine` tells it; `path` is `torch` for the embedded one."""

    path: str = ""
    flavor: str = ""
    version: str = ""
    commit: str = ""
    features: str = ""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """The machine on which a run was made; `gpus` are names, where the engine may use them."""

    system: str = ""
    processor: str = ""
    cores: int = 0
    gpus: tuple[str, ...] = ()
    driver: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The file. `settings` is None where they are gone, `digests` name what they are of."""

    run: Made = Made()
    settings: RunSettings | None = None
    engine: EngineRecord = EngineRecord()
    digests: Mapping[str, str] = field(default_factory=dict)
    host: HostRecord = HostRecord()


def write_record(run: RunFolder, record: RunRecord) -> None:
    """Write the file. Raises WriteError."""
    write_text(run.record, tomli_w.dumps(msgspec.to_builtins(record)))


def read_record(run: RunFolder) -> RunRecord:
    """Return what was written. Raises OSError, ValueError where that is not what dkit writes."""
    document = tomllib.loads(run.record.read_text(encoding="utf-8"))
    return msgspec.convert(document, RunRecord)


def recall_record(run: RunFolder) -> RunRecord:
    """Return what was written, an empty record where that cannot be read."""
    try:
        return read_record(run)
    except (OSError, ValueError):
        return RunRecord()


def keep_settings(run: RunFolder, settings: RunSettings) -> None:
    """Keep what a run was asked anew, so that it holds for later attempts too. Raises WriteError.

    The record was read before, by `open_run`.
    """
    write_record(run, replace(read_record(run), settings=settings))


def open_run(name: AnyPath, root: AnyPath = "runs") -> tuple[RunFolder, RunSettings, str]:
    """Open the run of this path, or of this name below `root`; return its folder, its settings and
    its engine for `find_engine`.

    Raises UsageError (`no-run`).
    """
    run = RunFolder(find_run(name, root))
    record = recall_record(run)
    if record.settings is None or not record.engine.path:
        raise UsageError(
            "this run cannot be opened: it has no readable run.toml",
            code="no-run",
            hint="`dkit runs show RUN` tells what is left of it.",
            path=run.path,
        )
    return run, record.settings, record.engine.path
