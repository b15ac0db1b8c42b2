"""Numbers and durations as Darknet's engines print them into their logs."""

import math
import re

# Finite numbers, and the ways in which C libraries spell the others: nan, -nan, -nan(ind), inf,
# and 1.#IND of old Microsoft ones. Lengths are bounded so that damaged input stays cheap.
NUMBER = (
    rb"([-+]?(?:\d{1,60}(?:\.\d{1,60})?(?:e[-+]?\d{1,3})?"
    rb"|(?:nan|NaN|NAN)(?:\(\w{1,20}\))?|(?:inf|INF)(?:inity)?|1\.#\w{1,9}))"
)
COUNT = rb"(\d{1,12})"  # fits into 64 bits

_DURATION = re.compile(rb"\s*(\d+(?:\.\d+)?) ?([a-z]+?)s?\s*$")
_SECONDS = {
    b"nanosecond": 1e-9,
    b"microsecond": 1e-6,
    b"millisecond": 1e-3,
    b"second": 1.0,
    b"minute": 60.0,
    b"hour": 3600.0,
    b"day": 86400.0,
    b"week": 604800.0,
}


def parse_number(text: bytes) -> float:
    """Return the value of a number matched by NUMBER, nan and inf in all their spellings."""
    try:
        return float(text)
    except ValueError:
        sign = -1.0 if text.startswith(b"-") else 1.0
        return sign * math.inf if b"INF" in text.upper() else math.nan


def parse_seconds(text: bytes) -> float:
    """Return seconds of a duration as hank-ai prints it (`12.5 minutes`); nan for `unknown`.

    Units as in hank-ai `src-lib/darknet.cpp`, `format_duration_string`.
    """
    found = _DURATION.match(text)
    if found is None or found[2] not in _SECONDS:
        return math.nan
    return float(found[1]) * _SECONDS[found[2]]


def clean_text(raw: bytes) -> str:
    """Return text that can be shown: decoded whatever the bytes are, without blank ends."""
    return raw.decode("utf-8", "replace").strip()
