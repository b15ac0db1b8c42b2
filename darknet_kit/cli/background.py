"""`dkit train --detach`: a run that goes on without the terminal that began it."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from darknet_kit.cli.handover import resume_command
from darknet_kit.cli.outcome import Outcome, say
from darknet_kit.cli.paths import shown
from darknet_kit.train.process import Detached, start_detached
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.lock import is_held, read_holder

_OUTPUT = "output.log"
_PATIENCE_SECONDS = 120.0
_LAST_LINES = 6


def detach_run(run: RunFolder, options: Sequence[str]) -> Outcome:
    """Start a run in the background; return once its engine runs, or how it ended before that.

    Raises ToolchainError, WriteError.
    """
    output = run.path / _OUTPUT
    attempts = len(run.attempts())
    process = start_detached(resume_command(run, options), output)
    exit_code = _await_start(run, process, attempts)
    facts = {"run": str(run.path), "pid": process.pid, "output": str(output)}
    if exit_code is not None:
        for line in _tail(output):
            say(f"  | {line}")
        said = "It ended at once" if exit_code else "It was finished already"
        return Outcome(
            [f"{said}: {shown(output)}"], facts, f"dkit runs show {shown(run.path)}", exit_code
        )
    return Outcome(
        [
            f"{shown(run.path)} trains in the background, as process {process.pid}",
            f"  watch   dkit watch {shown(run.path)}",
            f"  output  {shown(output)}",
            f"  stop    dkit runs stop {shown(run.path)}",
        ],
        facts,
        f"dkit runs show {shown(run.path)}",
    )


def _await_start(run: RunFolder, process: Detached, attempts: int) -> int | None:
    """Wait until the run has its engine; return the exit code where it ended first."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (exit_code := process.poll()) is not None:
            return exit_code
        holder = read_holder(run)
        has_it = holder is not None and holder.pid == process.pid and is_held(run)
        if has_it and len(run.attempts()) > attempts:
            return None
        time.sleep(0.1)
    return None


def _tail(output: Path) -> list[str]:
    with open(output, "rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
        return stream.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
