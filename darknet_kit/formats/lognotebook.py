"""Logs inside notebooks (.ipynb): what the cells printed, in their order."""

import json
from collections.abc import Iterator
from typing import Any


def is_notebook(head: bytes) -> bool:
    """Tell by the beginning of a file."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return text.startswith(b"{") and (b'"cells"' in head or b'"nbformat"' in head)


def read_notebook(content: bytes) -> bytes:
    """Return the printed text. Raises ValueError where the JSON is damaged."""
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("this JSON is nested too deep") from error
    cells = _list(document, "cells")
    printed = [
        text for cell in cells for output in _list(cell, "outputs") for text in _text(output)
    ]
    return "\n".join(printed).encode("utf-8", "replace")


def _text(output: Any) -> Iterator[str]:
    if isinstance(output, dict):
        data = output.get("data")
        text = output.get("text") or (data.get("text/plain") if isinstance(data, dict) else None)
        if isinstance(text, list):
            yield "".join(map(str, text))
        elif isinstance(text, str):
            yield text


def _list(of: Any, name: str) -> list[Any]:
    found = of.get(name) if isinstance(of, dict) else None
    return found if isinstance(found, list) else []
