"""Versions, compared number by number."""

import re


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in a version or a file's name: 12.4 and libcublas.so.12.4 are (12, 4)."""
    return tuple(int(number) for number in re.findall(r"\d+", text, re.ASCII))
