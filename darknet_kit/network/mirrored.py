"""Classes that are each other's mirror image, which flipped training images would mix up."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"left|right", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}


def find_mirrored(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the first names that differ in left and right alone (`turn-left`, `turn-right`)."""
    known = {name.lower(): name for name in names}
    for name in names:
        other = known.get(_WORD.sub(lambda word: _OTHER[word[0].lower()], name).lower())
        if other is not None and other != name:
            return name, other
    return None
