"""In which state a run is, from what lies in its folder and who is alive.

What a run wrote last cannot tell: after `kill -9` of dkit it says `running` for ever. The lock says
whether a dkit is at work; where nobody is, what was written before tells how it ended, and a run
that did not come to write that is lost.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

from darknet_kit.core.wording import format_duration
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.identity import Identity
from darknet_kit.train.runs.lock import is_held, read_holder
from darknet_kit.train.runs.status import Status

SILENCE_SECONDS = 180.0  # the heartbeat comes every few seconds; clocks of machines differ


class State(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    FINISHED = "finished"
    DIVERGED = "diverged"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a run, and in a clause what tells it. `orphan` is the process id of an engine
    that outlived its dkit."""

    state: State
    reason: str
    orphan: int | None = None


def judge_state(
    run: RunFolder, status: Status, heartbeat: float | None, now: float | None = None
) -> Verdict:
    """Return the state of a run that wrote this status.json, last at `heartbeat` (epoch seconds).

    A status of another machine, whose locks may not reach here, counts as alive for
    SILENCE_SECONDS.
    """
    if not run.path.is_dir():
        return Verdict(State.LOST, "its folder is gone")
    silence = None if heartbeat is None else (time.time() if now is None else now) - heartbeat
    holder = read_holder(run)
    if is_held(run):
        return _running(holder, silence)
    if status.state == "running":
        return _abandoned(holder or status.engine, status.engine, silence)
    return _ended(status, has_begun=bool(status.state) or bool(run.attempts()))


def _running(holder: Identity | None, silence: float | None) -> Verdict:
    who = f"process {holder.pid}" if holder else "a process"
    if holder and not holder.is_here:
        who += f" on {holder.host}"
    if silence is not None and silence > SILENCE_SECONDS:
        return Verdict(
            State.RUNNING, f"{who} has it, without a heartbeat for {format_duration(silence)}"
        )
    return Verdict(State.RUNNING, who)


def _abandoned(holder: Identity | None, engine: Identity | None, silence: float | None) -> Verdict:
    """Judge a run whose status says `running` while nobody holds it."""
    if holder and holder.was_restarted:
        return Verdict(State.LOST, "the machine was started anew while it ran")
    if holder and not (holder.is_here or holder.shares_kernel):
        if silence is not None and silence <= SILENCE_SECONDS:
            return Verdict(State.RUNNING, f"on {holder.host}, {max(0, silence):.0f} s ago")
        heard = "ever" if silence is None else f"for {format_duration(silence)}"
        return Verdict(State.LOST, f"no sign of life from {holder.host} {heard}")
    if engine and engine.is_alive:
        still = f"dkit is gone; its engine still runs, as process {engine.pid}"
        return Verdict(State.LOST, still, engine.pid)
    return Verdict(State.LOST, "dkit and its engine are gone without a word")


def _ended(status: Status, *, has_begun: bool) -> Verdict:
    if not has_begun:
        return Verdict(State.INTERRUPTED, "no engine was started yet")
    if status.state == "finished":
        return Verdict(State.FINISHED, "")
    if status.state == "stopped":
        return Verdict(State.INTERRUPTED, status.message or "stopped on request")
    if status.state == "failed":
        is_diverged = status.code == "diverged"
        return Verdict(State.DIVERGED if is_diverged else State.CRASHED, status.message)
    return Verdict(State.LOST, "nothing says how it ended")
