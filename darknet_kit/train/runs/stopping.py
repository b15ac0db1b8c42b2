"""Stop a run from outside: ask the dkit that has it, or end an engine that outlived its dkit."""

import os
import signal
import time
from dataclasses import dataclass

from darknet_kit.core.moments import parse_moment
from darknet_kit.errors import DkitError, UsageError
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.identity import Identity
from darknet_kit.train.runs.lock import is_held, read_holder
from darknet_kit.train.runs.state import SILENCE_SECONDS
from darknet_kit.train.runs.status import recall_status

AT_ONCE = signal.SIGQUIT
"""What ends a run at once; TERM and Ctrl-C let the engine come to its next checkpoint."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Who was asked to end: the supervisor of a run, or its `orphan`, an engine alone."""

    pid: int
    is_orphan: bool


def stop_run(run: RunFolder, *, now: bool = False) -> Stopped:
    """Ask a run to end; `now` at once, without waiting for a checkpoint.

    Raises UsageError (`not-running`, `other-machine`), DkitError (`no-permission`).
    """
    if is_held(run):
        holder = read_holder(run)
        if holder is None or not holder.is_here:
            raise UsageError(
                f"this run is under way on {holder.host if holder else 'another machine'}",
                code="other-machine",
                hint="Log in there, and stop it with the same command.",
                path=run.path,
            )
        _send(holder.pid, AT_ONCE if now else signal.SIGTERM, run)
        return Stopped(holder.pid, is_orphan=False)
    engine = find_orphan(run)
    if engine is None:
        raise UsageError(
            "nobody trains in this run",
            code="not-running",
            hint="`dkit runs show RUN` tells how it ended.",
            path=run.path,
        )
    # It has a session of its own, with all that it started.
    _send(-engine.pid, signal.SIGKILL if now else signal.SIGTERM, run)
    return Stopped(engine.pid, is_orphan=True)


def find_orphan(run: RunFolder) -> Identity | None:
    """Return the engine that status.json names, where it still runs on this machine."""
    engine = recall_status(run).engine
    return engine if engine is not None and engine.is_alive else None


def refuse_company(run: RunFolder) -> None:
    """Refuse to train, with the lock in hand, where somebody may still be at work in the run.

    Raises UsageError: `engine-still-running` where an engine outlived its dkit, `run-busy` where
    another machine, whose locks may not reach here, wrote a moment ago.
    """
    status = recall_status(run)
    engine = status.engine
    if engine is None or status.state != "running":
        return
    if engine.is_alive:
        raise UsageError(
            f"the engine of an earlier attempt still runs here, as process {engine.pid}",
            code="engine-still-running",
            hint=f"Let it end, or end it: kill {engine.pid}   or: dkit runs stop {run.path}",
            path=run.path,
        )
    is_far = not (engine.shares_kernel or engine.was_restarted)
    silence = time.time() - (parse_moment(status.updated) or 0)
    if is_far and silence < SILENCE_SECONDS:
        raise UsageError(
            f"a dkit on {engine.host} trains in this run: it wrote {max(0, silence):.0f} s ago",
            code="run-busy",
            hint=f"Stop it there; where it is gone, try again in {SILENCE_SECONDS / 60:.0f} min.",
            path=run.path,
        )


def _send(pid: int, number: int, run: RunFolder) -> None:
    try:
        os.kill(pid, number)
    except PermissionError as error:
        raise DkitError(
            f"process {abs(pid)} belongs to somebody else",
            code="no-permission",
            hint=f"As that user, or root: kill {abs(pid)}",
            path=run.path,
        ) from error
    except ProcessLookupError:  # it ended in this moment
        pass
