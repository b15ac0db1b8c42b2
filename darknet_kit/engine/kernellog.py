"""The kernel's messages, as far as this user may read them.

Many systems keep them for root; a member of `adm` or `systemd-journal` may ask the journal. A
container has no /dev/kmsg, and `dmesg` may work there all the same: it asks by a system call.
"""

import contextlib
import os
import re
from pathlib import Path

from darknet_kit.engine.answer import ask

_KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # the kernel never returns more of one message
_PROGRAMS = (
    ("dmesg",),
    ("journalctl", "--dmesg", "--quiet", "--no-pager", "--output=short-monotonic"),
)
# The journal puts host and source between time and message, some kernels a thread.
_LINE = re.compile(r"\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? (?:\S+ kernel: )?(.*)")
_PATIENCE = 10.0  # seconds


def read_kernel_log(since: float = 0.0, path: Path = _KMSG) -> list[str] | None:
    """Return this machine's kernel messages from a second after its start on (CLOCK_MONOTONIC);
    None where nobody tells them."""
    try:
        stream = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _ask_programs(since)
    try:
        return read_records(stream, since)
    except PermissionError:
        return _ask_programs(since)
    finally:
        os.close(stream)


def read_records(stream: int, since: float) -> list[str]:
    """Read `priority,number,microseconds,flags;text`, one at a time, as /dev/kmsg gives them."""
    lines: list[str] = []
    while True:
        try:
            record = os.read(stream, _RECORD_BYTES)
        except BlockingIOError:
            return lines
        except BrokenPipeError:  # that message was overwritten meanwhile
            continue
        if not record:
            return lines
        head, _, text = record.decode("utf-8", "replace").partition(";")
        with contextlib.suppress(IndexError, ValueError):
            if int(head.split(",")[2]) / 1e6 >= since:
                lines.append(text.partition("\n")[0])


def parse_kernel_log(text: str, since: float = 0.0) -> list[str]:
    """Return the messages in what `dmesg` or `journalctl --output=short-monotonic` prints."""
    found = filter(None, map(_LINE.match, text.splitlines()))
    return [match[2] for match in found if float(match[1]) >= since]


def _ask_programs(since: float) -> list[str] | None:
    for words in _PROGRAMS:
        answer = ask(words, timeout=_PATIENCE)
        if answer.ok and answer.stdout.strip():
            return parse_kernel_log(answer.stdout, since)
    return None
