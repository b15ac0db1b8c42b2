"""A training to look back on: a run folder, or a bare log with its cfg where one is known."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath, CfgError, LogError
from darknet_kit.formats.cfg import Cfg, read_cfg
from darknet_kit.formats.trainlog import Log, read_log
from darknet_kit.train.runs.folder import RunFolder, find_run, is_run_folder
from darknet_kit.train.runs.listing import RunSummary, summarize_run
from darknet_kit.train.runs.record import EngineRecord, recall_record


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a training. `cfg` and `run` are None where there are none.

    `settings` is what run.toml tells of the start, in words: engine, data, images, weights, gpus.
    """

    name: str
    path: Path
    log: Log
    cfg: Cfg | None
    settings: Mapping[str, str]
    run: RunSummary | None


def read_history(
    path: AnyPath, cfg: AnyPath | None = None, progress: Progress = no_progress
) -> History:
    """Read a run folder, or a log; the cfg of a log is `cfg`, else one beside it of the same name.

    Raises LogError, CfgError, UsageError (`no-run`).
    """
    run = find_training(path)
    if run is not None:
        return _read_run(run, cfg, progress)
    place = Path(path).absolute()
    log = read_log(path, progress=progress)
    found = cfg or _beside(place)
    name = name_of_log(place)
    return History(name, place, log, read_cfg(found) if found else None, {}, None)


def find_training(path: AnyPath) -> RunFolder | None:
    """Return the run of this path, or of this name below runs/; None of a log.

    Raises UsageError (`no-run`) for a folder that is no run.
    """
    if os.path.isdir(path) or (not os.path.lexists(path) and is_run_folder(Path("runs") / path)):
        return RunFolder(find_run(path))
    return None


def logs_of(run: RunFolder) -> list[Path]:
    """Return the logs of a run's attempts. Raises LogError where none was begun."""
    logs = run.logs()
    if not logs:
        raise _without_iterations(run)
    return logs


def _without_iterations(run: RunFolder) -> LogError:
    told = summarize_run(run.path)
    return LogError(
        f"this run has no iteration to look at: {told.state}"
        + (f", {told.reason}" if told.reason else ""),
        code="no-iterations",
        hint=f"`dkit runs show {shlex.quote(str(run.path))}` tells of its attempts.",
        path=run.path,
    )


def name_of_log(path: Path) -> str:
    """Return what a log is called: its file name without endings, `train` of `train.log.gz`."""
    is_packed = path.suffix in (".gz", ".zst", ".xz", ".bz2")
    return Path(path.stem).stem if is_packed else path.stem


def _read_run(run: RunFolder, cfg: AnyPath | None, progress: Progress) -> History:
    try:
        log = read_log(*logs_of(run), progress=progress)
    except LogError as error:
        raise _without_iterations(run) from error
    try:
        network = read_cfg(cfg or run.cfg)
    except CfgError:
        if cfg:
            raise
        network = None  # damaged or gone; the log tells the rest
    return History(run.name, run.path, log, network, _read_settings(run), summarize_run(run.path))


def _beside(log: Path) -> Path | None:
    """Return the cfg of a bare log: one of the same name in its folder."""
    cfg = log.with_name(f"{name_of_log(log)}.cfg")
    return cfg if cfg.is_file() else None


def _read_settings(run: RunFolder) -> dict[str, str]:
    record = recall_record(run)
    settings = record.settings
    if settings is None:
        return {}
    images = _count_lines(run.path / "train.txt")
    told = {
        "engine": _name_engine(record.engine),
        "data": os.path.basename(settings.data),
        "training images": f"{images:,}" if images else "",
        "start": os.path.basename(settings.weights) or "random weights",
        "GPUs": ", ".join(map(str, settings.gpus)),
        "GPU": ", ".join(record.host.gpus),
        "host": record.host.processor,
    }
    return {name: value for name, value in told.items() if value}


def _name_engine(engine: EngineRecord) -> str:
    name = "torch" if engine.path == "torch" else engine.flavor
    return " ".join(filter(None, (name, engine.version, engine.commit[:8])))


def _count_lines(path: Path) -> int:
    try:
        with open(path, "rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError:
        return 0
