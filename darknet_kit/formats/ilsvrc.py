"""The layout of ILSVRC's localization data, as Kaggle and image-net.org give it out.

    ILSVRC/Annotations/CLS-LOC/{train/<wnid>,val}/*.xml
    ILSVRC/Data/CLS-LOC/{train/<wnid>,val,test}/*.JPEG
    ILSVRC/ImageSets/CLS-LOC/*.txt
    LOC_synset_mapping.txt

`train` is nested by class, `val` is flat; more than half of the train images have no XML. Box
coordinates start at 0; objects are named by wnid.
"""

import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import one_line, read_text
from darknet_kit.formats.pairs import Pairs, find_pairs

_MAPPING = "LOC_synset_mapping.txt"
# "n01440764 tench, Tinca tinca" and "n01440764 : tench, Tinca tinca" both circulate.
_MAPPING_LINE = re.compile(r"(n\d{8})\s*(?::\s*|\s)(\S.*)")
_TRAIN_CLASS = re.compile(r"Annotations/CLS-LOC/train/(n\d{8})")


@dataclass(frozen=True, slots=True)
class Synset:
    """A class of ImageNet: its WordNet id and its names, the commonest first."""

    wnid: str
    names: tuple[str, ...]


def parse_mapping(text: str, path: AnyPath) -> list[Synset]:
    """Return the synsets of a LOC_synset_mapping.txt in its order. Raises DatasetError."""
    synsets: dict[str, Synset] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        match = _MAPPING_LINE.fullmatch(line.strip())
        if match is None:
            message = f"expected `n01440764 tench, Tinca tinca`, found {line.strip()!r:.60}"
            raise _bad_mapping(message, path, number)
        wnid, listed = match.groups()
        if wnid in synsets:
            raise _bad_mapping(f"{wnid} is there twice", path, number)
        names = tuple(filter(None, map(one_line, listed.split(","))))
        synsets[wnid] = Synset(wnid, names or (wnid,))
    if not synsets:
        raise _bad_mapping("there is no class in this file", path, None)
    return list(synsets.values())


def _bad_mapping(message: str, path: AnyPath, line: int | None) -> DatasetError:
    return DatasetError(
        message,
        code="bad-mapping",
        hint=f"Give the genuine {_MAPPING} with --mapping.",
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


@dataclass(frozen=True, slots=True)
class Ilsvrc:
    """A tree found: `pairs`, and its classes in class_id order."""

    pairs: Pairs
    synsets: list[Synset]
    mapping: str


def find_ilsvrc(
    source: AnyPath, mapping: AnyPath | None = None, progress: Progress = no_progress
) -> Ilsvrc:
    """Find the images, annotations and classes of an ILSVRC tree.

    `source` is the folder that holds `Annotations` and `Data`, or the one above it. Without a
    mapping file the classes are the folders of `train`, sorted, which is the same order. Raises
    DatasetError.
    """
    root = _find_root(source)
    pairs = find_pairs(root, progress)
    found = os.fspath(mapping) if mapping else _find_mapping(root)
    if found:
        return Ilsvrc(pairs, parse_mapping(read_text(found, "the synset mapping"), found), found)
    wnids = sorted(match[1] for match in map(_TRAIN_CLASS.fullmatch, pairs.folders) if match)
    if not wnids:
        raise DatasetError(
            f"there is neither a {_MAPPING} nor a train folder with classes",
            code="no-classes",
            hint=f"Give the mapping: --mapping PATH/{_MAPPING}",
            path=root,
        )
    return Ilsvrc(pairs, [Synset(wnid, (wnid,)) for wnid in wnids], "")


def _find_root(source: AnyPath) -> str:
    top = os.path.abspath(source)
    if not os.path.isdir(top):
        raise DatasetError(
            "this is no folder" if os.path.exists(top) else "there is no such folder",
            code="missing-folder",
            hint="Give the folder ILSVRC, or the one that it was unpacked in.",
            path=top,
        )
    for root in (top, os.path.join(top, "ILSVRC")):
        if all(os.path.isdir(os.path.join(root, kind, "CLS-LOC")) for kind in _KINDS):
            return root
    raise DatasetError(
        "this is no ILSVRC tree: expected Annotations/CLS-LOC and Data/CLS-LOC in it",
        code="wrong-layout",
        hint=f"For any other tree of XML: dkit convert voc {shlex.quote(top)}",
        path=top,
    )


_KINDS = ("Annotations", "Data")


def _find_mapping(root: str) -> str:
    for folder in (root, os.path.dirname(root), os.path.join(root, "ImageSets", "CLS-LOC")):
        path = os.path.join(folder, _MAPPING)
        if os.path.isfile(path):
            return path
    return ""
