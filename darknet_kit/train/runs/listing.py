"""What the folders of runs tell, quickly: some small files of each, and the ends of the long ones.

A run that a kill cut short or a hand damaged is listed with what is left of it, and what is wrong
with it as a sentence.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.moments import parse_moment
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.train.runs.folder import RunFolder, is_run_folder
from darknet_kit.train.runs.record import EngineRecord, RunRecord, read_record
from darknet_kit.train.runs.state import State, judge_state
from darknet_kit.train.runs.status import Status, read_status

_TAIL = 4096  # bytes; a line of metrics.csv has about 80


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One engine process: how it ended and why; `state` is empty where nothing was written.

    `began` and `ended` are epoch seconds.
    """

    number: str
    state: str
    code: str
    message: str
    iteration: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a line. Losses, mAP (0 to 1) and numbers are None where nothing tells them.

    `iteration` is the last that was counted, `seconds` what all attempts took, `written` when
    something was last written (epoch seconds), `orphan` the process id of an engine that outlived
    its dkit, `damage` a sentence for each file that is no more what dkit wrote.
    """

    path: Path
    state: State
    reason: str
    iteration: int
    max_batches: int | None
    avg_loss: float | None
    best_map50: float | None
    best_iteration: int | None
    attempts: tuple[AttemptSummary, ...]
    seconds: float
    engine: str
    written: float
    orphan: int | None
    damage: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name


def iter_runs(root: AnyPath) -> Iterator[RunSummary]:
    """Yield every run directly below `root`, or `root` where it is a run itself.

    Raises UsageError (`no-run`).
    """
    top = Path(root)
    if not top.is_dir():
        raise UsageError(
            "there is no such folder of runs",
            code="no-run",
            hint="Start a run: dkit train DATA CFG, or name the folder: dkit runs DIR",
            path=root,
        )
    if is_run_folder(top):
        yield summarize_run(top)
        return
    with os.scandir(top) as entries:
        folders = sorted(entry.path for entry in entries if entry.is_dir())
    yield from (summarize_run(folder) for folder in folders if is_run_folder(Path(folder)))


def summarize_run(path: AnyPath) -> RunSummary:
    """Return what a run folder tells, whatever is damaged or missing in it."""
    run = RunFolder(Path(path).absolute())
    damage: list[str] = []
    record = _read_record(run, damage)
    status, heartbeat = _read_status(run, damage)
    attempts = tuple(_summarize_attempt(folder) for folder in run.attempts())
    verdict = judge_state(run, status if status.state else _as_status(attempts), heartbeat)
    last = _last_row(run.path / "metrics.csv")
    best = _best_map(run.path / "map.csv")
    return RunSummary(
        path=run.path,
        state=verdict.state,
        reason=verdict.reason,
        iteration=status.iteration or (int(last[0]) if last else 0),
        max_batches=status.max_batches or None,
        avg_loss=last[1] if last else None,
        best_map50=best[1] if best else None,
        best_iteration=int(best[0]) if best else None,
        attempts=attempts,
        seconds=sum(attempt.ended - attempt.began for attempt in attempts),
        engine=_name_engine(record.engine),
        written=heartbeat or _changed(run.record) or _changed(run.path) or 0.0,
        orphan=verdict.orphan,
        damage=tuple(damage),
    )


def _read_record(run: RunFolder, damage: list[str]) -> RunRecord:
    try:
        return read_record(run)
    except FileNotFoundError:
        damage.append("run.toml is gone, without which a run cannot go on")
    except (OSError, ValueError):
        damage.append("run.toml cannot be read, without which a run cannot go on")
    return RunRecord()


def _read_status(run: RunFolder, damage: list[str]) -> tuple[Status, float | None]:
    try:
        status = read_status(run)
    except FileNotFoundError:
        if run.attempts():
            damage.append("status.json is gone: the state is that of the last attempt")
    except (OSError, ValueError):
        damage.append("status.json cannot be read: the state is that of the last attempt")
    else:
        return status, parse_moment(status.updated) or _changed(run.status)
    return Status(), None


def _as_status(attempts: Sequence[AttemptSummary]) -> Status:
    """Return what the last attempt's exit record tells in place of status.json."""
    if not attempts:
        return Status()
    last = attempts[-1]
    return Status(state=last.state, code=last.code, message=last.message)


def _summarize_attempt(folder: Path) -> AttemptSummary:
    try:
        document = json.loads((folder / "exit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    told = document if isinstance(document, dict) else {}
    began = (
        parse_moment(told.get("began"))
        or _changed(folder / "command.txt")
        or _changed(folder)
        or 0.0
    )
    ended = parse_moment(told.get("ended")) or _changed(folder / "log.txt") or began
    return AttemptSummary(
        number=folder.name,
        state=str(told.get("state") or ""),
        code=str(told.get("code") or ""),
        message=str(told.get("message") or ""),
        iteration=_whole(told.get("iteration")) or 0,
        began=began,
        ended=max(began, ended),
    )


def _last_row(table: Path) -> tuple[float, float] | None:
    """Return the first and third column, iteration and avg_loss, of the last whole line."""
    try:
        with open(table, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            lines = stream.read().split(b"\n")[:-1]
    except OSError:
        return None
    for line in reversed(lines):
        fields = line.split(b",")
        if (row := _numbers(fields[0], fields[2] if len(fields) > 2 else b"")) is not None:
            return row
    return None


def _best_map(table: Path) -> tuple[float, float] | None:
    """Return iteration and map50 of the highest map50; of equals the later, as engines do."""
    best: tuple[float, float] | None = None
    try:
        with open(table, "rb") as stream:
            for line in stream:
                iteration, _, rest = line.partition(b",")
                row = _numbers(iteration, rest.partition(b",")[0])
                if row is not None and line.endswith(b"\n") and (not best or row[1] >= best[1]):
                    best = row
    except OSError:
        return None
    return best


def _numbers(first: bytes, second: bytes) -> tuple[float, float] | None:
    try:
        return int(first), float(second)
    except ValueError:
        return None


def _name_engine(engine: EngineRecord) -> str:
    return f"torch {engine.version}".strip() if engine.path == "torch" else engine.flavor


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
