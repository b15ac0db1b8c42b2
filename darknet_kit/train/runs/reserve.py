"""Room that a run keeps back on its disk, so that its end can be told where nothing else fits.

Without it `status.json` of a run that ended for want of room would say `running` for ever.
"""

import contextlib
import os

from darknet_kit.train.runs.folder import RunFolder

_NAME = ".reserve"
_BYTES = 1 << 18  # exit.json, status.json, the last events, and what telemetry adds meanwhile


def take_reserve(run: RunFolder) -> None:
    """Take up the room; where there is none, or the file system cannot, go without."""
    with contextlib.suppress(OSError):
        stream = os.open(run.path / _NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.posix_fallocate(stream, 0, _BYTES)
        finally:
            os.close(stream)


def give_reserve(run: RunFolder) -> None:
    """Give the room up, to be written into or because the attempt has ended."""
    with contextlib.suppress(OSError):
        os.unlink(run.path / _NAME)
