"""Moments as the files of a run hold them: local time to the second, with its distance to UTC."""

import time
from datetime import datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S%z"


def format_moment(epoch: float | None = None) -> str:
    """Return epoch seconds, by default those of now, as `2026-03-01T22:10:00+0100`."""
    return time.strftime(_FORMAT, time.localtime(epoch))


def parse_moment(value: object) -> float | None:
    """Return epoch seconds, or None where this is no moment."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None
