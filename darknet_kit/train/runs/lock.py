"""One dkit at a time in a run: a lock that ends with its process, and says whose it is.

The kernel lets go of it whenever the process is gone, kill -9 included. Over a network (NFS) it
holds between machines too; where a file system has no locks, the heartbeat must do.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

import msgspec

from darknet_kit.core.files import open_append
from darknet_kit.errors import UsageError
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.identity import Identity, identify

_NAME = ".lock"
_PATIENCE_SECONDS = 1.0  # `is_held` takes the lock for a moment
_LONGEST = 4096  # bytes


@contextlib.contextmanager
def only_writer(run: RunFolder) -> Iterator[None]:
    """Hold the run for this process.

    Raises UsageError (`run-busy`) where another one has it, WriteError.
    """
    with open_append(run.path / _NAME, binary=True) as stream:
        if not _take(stream.fileno(), fcntl.LOCK_EX, _PATIENCE_SECONDS):
            raise _busy(run)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            stream.truncate(0)
            stream.write(msgspec.json.encode(identify()) + b"\n")
            stream.flush()
        yield


def is_held(run: RunFolder) -> bool:
    """Tell whether a process is at work in the run, as far as its file system has locks."""
    try:
        stream = os.open(run.path / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _take(stream, fcntl.LOCK_SH, 0)
    finally:
        os.close(stream)


def read_holder(run: RunFolder) -> Identity | None:
    """Return the process that has, or last had, the run; None where that is not known."""
    try:
        with open(run.path / _NAME, "rb") as stream:
            return msgspec.json.decode(stream.read(_LONGEST), type=Identity)
    except (OSError, ValueError):
        return None


def _take(stream: int, how: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        except OSError:  # a file system without locks
            return True
        else:
            return True


def _busy(run: RunFolder) -> UsageError:
    holder = read_holder(run)
    who = f" (process {holder.pid} on {holder.host})" if holder else ""
    return UsageError(
        f"another dkit is training in this run{who}",
        code="run-busy",
        hint="Wait for it, stop it, or start a run of another name.",
        path=run.path,
    )
