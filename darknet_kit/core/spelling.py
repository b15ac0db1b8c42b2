"""Words that are nearly spelled right."""

import difflib
from collections.abc import Iterable


def find_near(
    word: str, known: Iterable[str], *, most: int = 1, likeness: float = 0.6
) -> list[str]:
    """Return at most `most` known words that are spelled like one, the likest first.

    Case counts for nothing; `likeness` is difflib's ratio, from 0 to 1 for the word itself.
    """
    lowered = {name.lower(): name for name in sorted(known)}
    alike = difflib.get_close_matches(word.lower(), lowered, n=most, cutoff=likeness)
    return [lowered[name] for name in alike]
