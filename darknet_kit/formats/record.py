"""`conversion.json`: what dkit wrote into a folder, from what, and with which settings.

It holds no time, so that the same work gives the same file.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from darknet_kit import __version__
from darknet_kit.core.contents import read_small
from darknet_kit.core.files import write_bytes
from darknet_kit.errors import AnyPath

RECORD = "conversion.json"


def read_record(path: AnyPath) -> dict[str, Any] | None:
    """Read a conversion.json; None where there is none that dkit wrote."""
    try:
        record = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(record, dict) and isinstance(record.get("settings"), dict)
    return record if known else None


def write_record(path: AnyPath, record: Mapping[str, Any]) -> None:
    """Write a conversion.json. Raises WriteError."""
    document = {"tool": "darknet-kit", "version": __version__, **record}
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    # Names may hold bytes that are no UTF-8; a backslash escape is what JSON makes of them too.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def is_view(folder: AnyPath) -> bool:
    """Tell whether dkit filled a folder with links to images that lie elsewhere."""
    record = read_record(os.path.join(folder, RECORD))
    return record is not None and record["settings"].get("view") is True
