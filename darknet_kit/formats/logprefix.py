"""What other programs put before each line of a program that they run or keep the log of.

`ts`, syslog and journalctl, docker and docker compose, kubectl, containerd, srun --label,
mpirun --tag-output, and the services that build and test.
"""

import json
import re

_SGR = rb"(?:\x1b\[[\d;]*m)?"
_STAMP = (
    rb"\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    rb"|\d\d:\d\d:\d\d(?:[.,]\d+)?|\d{10}\.\d{3,9}"
    rb"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)\]?"
    rb"(?: std(?:out|err) [FP]| [\w.-]{1,80} [\w./-]{1,80}\[\d+\]:)?"
)
_LABEL = rb"(?:[\w.-]{1,60} {0,40}\||\[pod/[^]\n]{1,200}\]|\[\d+,\d+\]<std(?:out|err)>:)" + _SGR
_END = rb"(?:[ \t]|(?=\r?$))"
# A task's number (srun --label) looks like that of an iteration, but for what follows it.
_TASK = rb" {0,4}\d{1,5}: (?=[ A-Z\x1b]|v3 |class_id|total_bbox|\d+(?:, \d+\.\d+)?: |\r?$)"
_PREFIX = re.compile(
    rb"(?m)^%(sgr)b(?:%(label)b%(end)b(?:%(stamp)b%(end)b)?|%(stamp)b%(end)b(?:%(label)b%(end)b)?"
    rb"|%(task)b)"
    % {b"sgr": _SGR, b"label": _LABEL, b"stamp": _STAMP, b"end": _END, b"task": _TASK}
)
_DOCKER = re.compile(rb'(?m)^\{"log":".*\}\r?$')
_BEGINNING = 2000  # bytes in which the first lines of a block are looked at


def strip_prefixes(text: bytes | bytearray, size: int) -> bytes | None:
    """Return the first `size` bytes without the prefixes of lines; None where there are none."""
    beginning = min(size, _BEGINNING)
    if _PREFIX.search(text, 0, beginning):
        return _PREFIX.sub(b"", text[:size])
    if text.startswith(b'{"log":"'):
        return _DOCKER.sub(_read_record, text[:size]).replace(b"\n\n", b"\n")
    return None


def _read_record(found: re.Match[bytes]) -> bytes:
    """Return the line in a record of docker's json-file log."""
    try:
        line = json.loads(found[0])["log"]
    except (ValueError, KeyError, TypeError):
        return found[0]
    return str(line).encode("utf-8", "replace")
