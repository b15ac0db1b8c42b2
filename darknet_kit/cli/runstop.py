"""`dkit runs stop`: let a run end after its next checkpoint, or at once."""

import time
from dataclasses import asdict

from darknet_kit.cli.outcome import Outcome
from darknet_kit.cli.paths import shown
from darknet_kit.core.wording import format_duration
from darknet_kit.train.runs.folder import RunFolder, find_run
from darknet_kit.train.runs.lock import is_held
from darknet_kit.train.runs.status import Stopping, recall_status
from darknet_kit.train.runs.stopping import stop_run as ask_to_stop

_PATIENCE_SECONDS = 5.0


def stop_run(name: str, *, now: bool) -> Outcome:
    """Ask a run to end, and tell what it said to that.

    Raises UsageError (`no-run`, `not-running`, `other-machine`), DkitError (`no-permission`).
    """
    run = RunFolder(find_run(name))
    asked = ask_to_stop(run, now=now)
    who = "its engine, which had outlived dkit," if asked.is_orphan else "the training"
    lines = [f"{shown(run.path)}: asked {who} to end (process {asked.pid})"]
    answer = None if asked.is_orphan or now else _await_answer(run)
    if answer:
        about = f", in about {format_duration(answer.seconds)}" if answer.seconds else ""
        at = f"at iteration {answer.iteration:,}"
        lines.append(f"  It ends after its next checkpoint, {at}{about}.")
        lines.append(f"  At once instead: dkit runs stop {shown(run.path)} --now")
    elif not asked.is_orphan and not is_held(run):
        lines.append("  It has ended.")
    stopping = asdict(answer) if answer else None
    return Outcome(
        lines,
        {"run": str(run.path), "pid": asked.pid, "orphan": asked.is_orphan, "stopping": stopping},
        f"dkit runs show {shown(run.path)}",
    )


def _await_answer(run: RunFolder) -> Stopping | None:
    """Return what the run says of its end, None where it is gone or silent."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and is_held(run):
        if stopping := recall_status(run).stopping:
            return stopping
        time.sleep(0.1)
    return None
