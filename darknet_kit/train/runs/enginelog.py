"""The log of an attempt: what the engine prints, the detail of each iteration summed up."""

from pathlib import Path

from darknet_kit.core.files import open_append
from darknet_kit.formats.logdetail import REMARK, ends_detail, is_complaint, is_detail, sum_up

_MOST_COMPLAINTS = 10_000  # lines
_MOST_PENDING = 20_000  # lines; no iteration prints so many


class EngineLog:
    """Keeps lines in the order in which they come, but that of an iteration's detail stands before
    the line of its loss. `full` keeps every byte instead."""

    def __init__(self, path: Path, *, full: bool = False) -> None:
        """Raises WriteError."""
        self._stream = open_append(path, binary=True)
        self._full = full
        self._pending: list[bytes] = []
        self._complaints = 0
        if not full:
            self._stream.write(REMARK)

    def keep(self, line: bytes) -> None:
        """Append a line of the engine's output."""
        if self._full:
            self._stream.write(line)
        elif is_detail(line) and len(self._pending) < _MOST_PENDING:
            self._pending.append(line)
        else:
            self._keep_other(line)

    def _keep_other(self, line: bytes) -> None:
        if self._pending and ends_detail(line):
            self._stream.writelines(sum_up(self._pending))
            self._pending.clear()
        if is_complaint(line):
            self._complaints += 1
            if self._complaints > _MOST_COMPLAINTS:
                return
        self._stream.write(_last_count(line) if line.count(b"\r") > 1 else line)

    def flush(self) -> None:
        """Let others read what was kept; the detail of an unfinished iteration waits."""
        self._stream.flush()

    def close(self) -> None:
        """Close the file; the detail of an iteration that never ended is kept line by line."""
        with self._stream:
            self._stream.writelines(self._pending)
            self._pending.clear()
            if (left_out := self._complaints - _MOST_COMPLAINTS) > 0:
                self._stream.write(b"# dkit: %d more complaints of images and labels\n" % left_out)


def _last_count(line: bytes) -> bytes:
    """Return a line without the counters that it went through, of images or ranks of a mAP."""
    text = line.rstrip(b"\r\n")
    return text[text.rfind(b"\r") + 1 :] + line[len(text) :]
