"""Lists of ImageNet's classes: LOC_synset_mapping.txt, and the label maps of Caffe's SSD.

n01440764 tench, Tinca tinca        as Kaggle gives it out
n01440764 : tench, Tinca tinca      as it circulates too
item { name: "n02672831" label: 1 display_name: "accordion" }   labelmap_ilsvrc_det.prototxt
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import one_line

MAPPING = "LOC_synset_mapping.txt"
_LINE = re.compile(r"(n\d{8})\s*(?::\s*|\s)(\S.*)")
_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_NAME = re.compile(r"\bname\s*:\s*\"(n\d{8})\"")
_DISPLAY_NAME = re.compile(r"\bdisplay_name\s*:\s*\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Synset:
    """A class of ImageNet: its WordNet id and its names, the commonest first."""

    wnid: str
    names: tuple[str, ...]


def parse_mapping(text: str, path: AnyPath) -> list[Synset]:
    """Return the synsets of a mapping in its order. Raises DatasetError."""
    text = text.removeprefix("\ufeff")
    synsets: dict[str, Synset] = {}
    for number, wnid, listed in _items(text) if _ITEM.search(text) else _lines(text, path):
        if wnid in synsets:
            raise _bad_mapping(f"{wnid} is there twice", path, number)
        names = tuple(filter(None, map(one_line, listed.split(","))))
        synsets[wnid] = Synset(wnid, names or (wnid,))
    if not synsets:
        raise _bad_mapping("there is no class in this file", path, None)
    return list(synsets.values())


def _lines(text: str, path: AnyPath) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            message = f"expected `n01440764 tench, Tinca tinca`, found {line.strip()!r:.60}"
            raise _bad_mapping(message, path, number)
        yield number, match[1], match[2]


def _items(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the items of a label map but its background, which has no wnid."""
    for item in _ITEM.finditer(text):
        wnid, name = _NAME.search(item[1]), _DISPLAY_NAME.search(item[1])
        if wnid:
            line = text.count("\n", 0, item.start()) + 1
            yield line, wnid[1], name[1] if name else wnid[1]


def _bad_mapping(message: str, path: AnyPath, line: int | None) -> DatasetError:
    return DatasetError(
        message,
        code="bad-mapping",
        hint=f"Give the genuine {MAPPING} with --mapping.",
        path=path,
        line=line,
    )


def display_names(synsets: list[Synset]) -> list[str]:
    """Return one readable name a synset; names that occur twice get the wnid behind them.

    ILSVRC has two synsets called crane and two called maillot.
    """
    counts = Counter(synset.names[0] for synset in synsets)
    return [
        synset.names[0] if counts[synset.names[0]] == 1 else f"{synset.names[0]} {synset.wnid}"
        for synset in synsets
    ]
