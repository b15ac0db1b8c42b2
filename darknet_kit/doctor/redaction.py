"""What is private taken out of a text that is to be published."""

import getpass
import os
import re
import socket
from pathlib import Path

_UUID = re.compile(r"\b(?:GPU-|MIG-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.I)
_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", re.I)
_HOME = re.compile(r"(/home/|/Users/|/mnt/c/Users/)[^/\s,;:()'\"]+")
_SERIAL = re.compile(r"\b(serial(?: number)?[:= ]+)\S+", re.I)
_SHORTEST = 3  # a user called `a` cannot be told from the letter


def redact(text: str) -> str:
    """Return a text without UUIDs, serial numbers, hardware addresses, home folders, this user's
    and this host's name."""
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?=/|\W|$)", "~", text)
    text = _HOME.sub(r"\1USER", text)
    for pattern, instead in ((_UUID, "UUID"), (_MAC, "MAC"), (_SERIAL, r"\1SERIAL")):
        text = pattern.sub(instead, text)
    host = socket.gethostname()
    names = ((_find_user(), "USER"), (host, "HOST"), (host.partition(".")[0], "HOST"))
    for name, instead in names:
        if len(name) >= _SHORTEST and name not in ("root", "localhost"):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", instead, text)
    return text


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return os.environ.get("USER", "")
