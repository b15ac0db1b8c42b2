"""How the engine hears that it shall stop."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether somebody has asked for an end: Ctrl-C, `kill`, a closed terminal."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for an end after this iteration; asked again, end at once."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn signals into a request for as long as the block runs."""
    stop = StopRequest()
    before = [signal.signal(number, stop.request) for number in _SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore them for good: once the work is done they could only spoil the exit."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
