"""Images that are there twice: in one list, or in lists that must not share any.

By path and by file first. Then by content: only files of one size and one beginning are read
whole, so that a set without copies is not read again.
"""

import array
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from darknet_kit.core.faults import Level
from darknet_kit.core.findings import Finding, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.checks.images import Entries, Entry


@dataclass(frozen=True, slots=True)
class Checked:
    """A list after its entries were looked at; `found` runs parallel to `entries`."""

    split: Split
    listing: str
    entries: Sequence[Entry]
    found: Entries


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image is listed."""

    split: Split
    listing: str
    line: int
    path: str


def find_duplicates(
    lists: Sequence[Checked],
    flavor: Flavor,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[Finding]:
    """Yield what a list has twice, and what train shares with another list."""
    files, contents = array.array("Q"), array.array("Q")
    for one in lists:
        files.extend(one.found.files)
        contents.extend(one.found.contents)
    copies: set[int] = set()
    for group in _groups(range(len(files)), files.__getitem__):
        copies.update(group[1:])
        yield from _report([_place(lists, number) for number in group], flavor)
    alone = (number for number in range(len(files)) if number not in copies)
    alike = list(_groups(alone, contents.__getitem__))
    paths = [_place(lists, number).path for group in alike for number in group]
    digests = _digests(paths, workers, progress)
    for group in alike:
        whole = dict(zip(group, digests, strict=False))
        for same in _groups(group, whole.__getitem__):
            yield from _report([_place(lists, number) for number in same], flavor, copied=True)


def _groups(numbers: Iterable[int], key: Callable[[int], int]) -> Iterator[list[int]]:
    """Yield the numbers that share a key other than 0, in rising order."""
    for value, members in itertools.groupby(sorted(numbers, key=key), key):
        group = list(members)
        if value and len(group) > 1:
            yield group


def _place(lists: Sequence[Checked], number: int) -> _Place:
    """Return where the entry of this number is, counted through all lists."""
    for one in lists:
        if number < len(one.entries):
            line, path = one.entries[number]
            return _Place(one.split, one.listing, line, path)
        number -= len(one.entries)
    raise IndexError(number)


def _digests(paths: Sequence[str], workers: int | None, progress: Progress) -> Iterator[int]:
    done = 0
    for digests in map_shards(_digest_files, shards(paths, 64), workers=workers):
        done += len(digests)
        progress(done, len(paths))
        yield from digests


def _digest_files(paths: Sequence[str]) -> list[int]:
    return list(map(_digest, paths))


def _digest(path: str) -> int:
    """Return a number that stands for a file's content; 0 where it cannot be read any more."""
    try:
        if not os.path.isfile(path):
            return 0
        with open(path, "rb") as stream:
            return int.from_bytes(hashlib.file_digest(stream, "blake2b").digest(), "big")
    except OSError:
        return 0


def _report(places: Sequence[_Place], flavor: Flavor, *, copied: bool = False) -> Iterator[Finding]:
    """Yield a finding for each place but the first of its list, and for each leak out of train."""
    first: dict[Split, _Place] = {}
    for place in places:
        before = first.setdefault(place.split, place)
        trained = first.get("train")
        if before is not place:
            code = "same-content" if copied else "duplicate-image"
            message = _likeness(place, before, copied=copied)
            finding = fault(code, flavor, place.listing, message, place.line)
            ends = flavor is Flavor.HANK_AI and place.split == "valid" and not copied
            # Its mAP refuses a list that names an image twice.
            yield replace(finding, level=Level.ERROR) if ends else finding
        if trained and place.split != "train":
            message = _likeness(place, trained, copied=copied)
            yield fault("leaked-image", flavor, place.listing, message, place.line)


def _likeness(place: _Place, other: _Place, *, copied: bool) -> str:
    where = f"{os.path.basename(other.listing)}:{other.line}"
    if place.path == other.path:
        return f"{place.path} is also in {where}"
    alike = "has the same content as" if copied else "is the same file as"
    return f"{place.path} {alike} {other.path} in {where}"
