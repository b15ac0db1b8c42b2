"""How an attempt ended, judged by its files.

Exit codes of darknet lie in both directions: 0 for a missing file, a crash after a finished
training. What counts is a finite loss at the last iteration and whole, finite weights of it in the
run; so too for the embedded engine, whose exit codes are true, but which a kernel may kill like
any other.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from darknet_kit.core.moments import format_moment
from darknet_kit.engine.find import Engine
from darknet_kit.engine.kernellog import read_kernel_log
from darknet_kit.engine.xid import FALLEN, Xid, find_xids, name_xid
from darknet_kit.train.health.causes import Cause, Death, find_cause, find_said
from darknet_kit.train.health.deaths import count_oom_kills, find_crash, find_oom_kill
from darknet_kit.train.health.pulse import Pulse
from darknet_kit.train.health.witness import Witness
from darknet_kit.train.process import describe_end
from darknet_kit.train.telemetry.bottleneck import Bottleneck
from darknet_kit.train.telemetry.gpu import GpuTrouble
from darknet_kit.train.weights.checkpoint import Checkpoint

_TAIL_LINES = 20
_REFUSED = (1, 2, 4)  # the embedded engine's exit codes for what another start would meet again
_PAUSE_MATTERS = 900.0
_MEMORY_KEPT = (
    "NVIDIA's driver keeps the GPU's memory over a suspend only where "
    "NVreg_PreserveVideoMemoryAllocations=1 is set."
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: finished, stopped (on request) or failed.

    `iteration` is the last one reported, or that of the weights where none was. `checkpoint` are
    the furthest good weights, `best` those of the best mAP. `code` and `message` name the cause
    where it failed, `cure` what to do, `evidence` what shows it, `tail` is the log's end.
    `sound_until` is the last iteration with a sane loss, `warned` counts the engine's warnings,
    `bottleneck` is what it waited for, where telemetry says, `given_up` why no attempt follows.
    """

    state: str
    iteration: int
    checkpoint: Checkpoint | None
    best: Path | None
    code: str = ""
    message: str = ""
    cure: str = ""
    tail: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    sound_until: int | None = None
    warned: tuple[tuple[str, int], ...] = ()
    bottleneck: Bottleneck | None = None
    given_up: str = ""


def explain(witness: Witness, returncode: int, pid: int, engine: Engine) -> Cause:
    """Return why an engine ended that was not asked to by a person."""
    if witness.trouble is not None:
        return witness.trouble
    lines = [error.message for error in witness.errors] + list(witness.tail())
    if engine.embedded and witness.errors:
        return _explain_embedded(witness, returncode, lines)
    kernel = read_kernel_log(witness.since)
    known: Sequence[str] = kernel or ()
    before, after = witness.oom_kills, count_oom_kills()
    cause = find_cause(
        Death(
            returncode,
            lines,
            find_xids(known) or _read_troubles(witness.troubles),
            find_oom_kill(known, pid, engine.path.name),
            after - before if before is not None and after is not None else 0,
            find_crash(known, pid),
        )
    )
    if kernel is None and cause.code in ("cuda-error", "killed", "gpu-lost"):
        unread = "the kernel log cannot be read here; `sudo dmesg` may say more"
        cause = replace(cause, evidence=(*cause.evidence, unread))
    return _add_pause(cause, witness.pulse)


def _read_troubles(troubles: Sequence[GpuTrouble]) -> list[Xid]:
    """Return what GPUs said of themselves by NVML, which needs no right to read the kernel log."""
    return [
        name_xid(FALLEN if one.xid is None else one.xid, f"GPU {one.gpu}: {one.error or one.code}")
        for one in troubles
    ]


def _explain_embedded(witness: Witness, returncode: int, lines: Sequence[str]) -> Cause:
    """Keep the embedded engine's own sentence and cure; it knows best what it met."""
    first = witness.errors[0]
    said = find_said(lines)
    code = said.code if said else first.code
    if not said and returncode in _REFUSED:
        code = "engine-refused"
    return Cause(code, first.message, witness.cure)


def _add_pause(cause: Cause, pulse: Pulse) -> Cause:
    """Name a suspend shortly before the end: GPUs and network disks rarely outlive one."""
    if not pulse.paused or pulse.since_pause > _PAUSE_MATTERS:
        return cause
    told = (
        f"the machine stood still for {pulse.paused:,.0f} s (suspended, or its virtual machine "
        f"paused), {pulse.since_pause:,.0f} s before the engine ended"
    )
    cure = (
        f"{_MEMORY_KEPT} {cause.cure}" if cause.code in ("cuda-error", "gpu-lost") else cause.cure
    )
    return replace(cause, cure=cure.strip(), evidence=(*cause.evidence, told))


def end(
    state: str,
    witness: Witness,
    checkpoint: Checkpoint | None,
    best: Path | None,
    cause: Cause | None = None,
) -> Ended:
    """Put together how an attempt ended."""
    last = witness.last
    return Ended(
        state=state,
        iteration=last.iteration if last else checkpoint.iteration if checkpoint else 0,
        checkpoint=checkpoint,
        best=best,
        code=cause.code if cause else "",
        message=cause.message if cause else "",
        cure=cause.cure if cause else "",
        tail=witness.tail(_TAIL_LINES),
        evidence=cause.evidence if cause else (),
        sound_until=witness.loss.sound_until,
        warned=tuple(sorted(witness.warned.items())),
    )


def tell_end(ended: Ended) -> dict[str, Any]:
    """Return what status.json and events.jsonl say of the end."""
    facts: dict[str, Any] = {"code": ended.code, "message": ended.message}
    if ended.evidence:
        facts["evidence"] = list(ended.evidence)
    if ended.bottleneck:
        facts["bottleneck"] = str(ended.bottleneck)
    return facts


def format_exit(ended: Ended, returncode: int, began: float) -> str:
    """Return exit.json of an attempt that began at an epoch second and ends now."""
    document = {**asdict(ended), "returncode": returncode, "how": describe_end(returncode)}
    document |= {"began": format_moment(began), "ended": format_moment()}
    return json.dumps(document | {"warned": dict(ended.warned)}, indent=2, default=str) + "\n"
