"""status.json, the heartbeat of a run: what whoever trains says of it, every second.

It says what was so when it was written: `running` for ever after a kill. `state` judges it.
"""

from dataclasses import dataclass, replace

import msgspec

from darknet_kit.core.files import write_text
from darknet_kit.core.moments import format_moment
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.identity import Identity


@dataclass(frozen=True, slots=True)
class Stopping:
    """The engine will end once it has saved at `iteration`, in about so many seconds."""

    iteration: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """The file. `state` is running, finished, stopped or failed, empty where nothing was written;
    `engine` is the process of the last attempt; the loss and mAP (0 to 1) are None where there are
    none; `code`, `message` and `evidence` are of a failure."""

    state: str = ""
    attempt: str = ""
    engine: Identity | None = None
    iteration: int = 0
    max_batches: int = 0
    avg_loss: float | None = None
    map50: float | None = None
    best_map50: float | None = None
    stopping: Stopping | None = None
    code: str = ""
    message: str = ""
    evidence: tuple[str, ...] = ()
    bottleneck: str = ""
    updated: str = ""


def write_status(run: RunFolder, status: Status) -> None:
    """Replace the file, as written now. Raises WriteError."""
    document = msgspec.json.encode(replace(status, updated=format_moment()))
    write_text(run.status, f"{msgspec.json.format(document, indent=2).decode()}\n")


def read_status(run: RunFolder) -> Status:
    """Return what was written. Raises OSError, ValueError where that is not what dkit writes."""
    return msgspec.json.decode(run.status.read_bytes(), type=Status)


def recall_status(run: RunFolder) -> Status:
    """Return what was written, an empty status where that cannot be read."""
    try:
        return read_status(run)
    except (OSError, ValueError):
        return Status()
