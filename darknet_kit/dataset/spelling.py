"""Names that people type: lists of them, files of them, and those that are nearly right."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import UsageError
from darknet_kit.formats.datafile import parse_names, read_text

_FEW = 12  # names that a message can list
_UNKNOWN = 6  # of the unknown ones
_MEANT = 3


def iter_words(
    values: Iterable[str], known: Collection[str], *, separator: str = ","
) -> Iterator[str]:
    """Yield the words of some values of an option.

    A value is `@FILE`, with one word a line, or words with separators between; one that is known
    as it stands is one word, whatever it holds. Raises DatasetError where a file cannot be read.
    """
    for value in map(str.strip, values):
        if value in known:
            yield value
        elif value.startswith("@"):
            path = os.path.expanduser(value[1:])  # a shell leaves the ~ of @~/wanted.txt alone
            yield from filter(None, parse_names(read_text(path, "a list of classes")))
        else:
            words = value.split(separator) if separator else [value]
            yield from filter(None, map(str.strip, words))


def refuse_unknown(
    words: Iterable[str], known: Collection[str], names: Sequence[str], where: str
) -> None:
    """Refuse words that are not known, all at once, each with what was perhaps meant.

    `names` are the known ones as people read them, `where` a place that lists them. Raises
    UsageError (`unknown-class`).
    """
    unknown = [word for word in dict.fromkeys(words) if word not in known]
    if not unknown:
        return
    listed = ", ".join(map(repr, unknown[:_UNKNOWN]))
    more = len(unknown) - _UNKNOWN
    tail = f" and {more:,} more" if more > 0 else ""
    is_are = "is no class" if len(unknown) == 1 else "are no classes"
    raise UsageError(
        f"{listed}{tail} {is_are} of this data set",
        code="unknown-class",
        hint=_cure(unknown, known, names, where),
    )


def _cure(unknown: Sequence[str], known: Collection[str], names: Sequence[str], where: str) -> str:
    near = {word: _find_meant(word, known) for word in unknown[:_UNKNOWN]}
    meant = [
        " or ".join(map(repr, found)) + (f" for {word!r}" if len(unknown) > 1 else "")
        for word, found in near.items()
        if found
    ]
    if meant:
        return f"Did you mean {', '.join(meant)}?"
    files = [word for word in unknown if os.path.isfile(word)]
    if files:
        return f"To read names from a file, one a line: --classes @{files[0]}"
    if len(names) <= _FEW:
        return f"The classes are {', '.join(map(repr, names))}."
    return f"{where} lists the {len(names):,} classes."


def _find_meant(word: str, known: Collection[str]) -> list[str]:
    """Return up to three known names that hold this word whole, or are nearly spelled so."""
    lowered = {name.lower(): name for name in known}
    whole = re.compile(rf"\b{re.escape(word.lower())}\b")
    holding = sorted(filter(whole.search, lowered), key=len)
    named = (lowered[name] for name in holding)
    return list(dict.fromkeys((*named, *find_near(word, known, most=_MEANT))))[:_MEANT]
