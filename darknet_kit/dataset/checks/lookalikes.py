"""Images that look like one that is trained on: saved anew, scaled, or the next frame of a film.

Looks (`formats/imagelook`) that differ in few bits share one of four quarters, surely those that
differ in three, so that each image is held against few others; what remains is compared pixel by
pixel.
"""

import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from darknet_kit.core.findings import Finding, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.dataset.checks.duplicates import Checked
from darknet_kit.formats.imagelook import is_lookalike

Numbers = NDArray[np.uint64]

_QUARTERS = (0, 16, 32, 48)
_QUARTER = np.uint64(0xFFFF)
_BITS = np.array([value.bit_count() for value in range(1 << 16)], dtype=np.uint8)
_MOST_BITS = 6
_MOST_NEAR = 10_000  # images with which it may share a quarter: a whole film, or one background
_MOST_PAIRS = 4  # of an image that are compared pixel by pixel
_SHARD = 16  # pairs


def find_lookalikes(
    lists: Sequence[Checked],
    flavor: Flavor,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[Finding]:
    """Yield the images of other lists that look like one of train; copies are found elsewhere.

    Images have looks where they were decoded.
    """
    train = next((one for one in lists if one.split == "train"), None)
    if train is None or not any(train.found.looks):
        return
    for one in lists:
        if one is train:
            continue
        pairs = list(_iter_pairs(one, train, progress))
        paths = [(one.entries[here][1], train.entries[there][1]) for here, there in pairs]
        compared = map_shards(_compare, shards(paths, _SHARD), workers=workers)
        told = -1
        for (here, there), alike in zip(
            pairs, itertools.chain.from_iterable(compared), strict=True
        ):
            if alike and here != told:
                told = here
                yield _report(one, here, train, there, flavor)


def _iter_pairs(other: Checked, train: Checked, progress: Progress) -> Iterator[tuple[int, int]]:
    """Yield the numbers of entries of both lists whose looks are nearly the same, best first."""
    looks = np.array(train.found.looks, dtype=np.uint64)
    quarters = [(looks >> np.uint64(shift)) & _QUARTER for shift in _QUARTERS]
    orders = [np.argsort(quarter, kind="stable") for quarter in quarters]
    ranked = [quarter[order] for quarter, order in zip(quarters, orders, strict=True)]
    copied = {*train.found.files, *train.found.contents}
    for here, look in enumerate(other.found.looks):
        progress(here + 1, len(other.found.looks))
        if not look or {other.found.files[here], other.found.contents[here]} & copied:
            continue
        near = [
            order[slice(*np.searchsorted(keys, [part, part + 1]))][:_MOST_NEAR]
            for shift, keys, order in zip(_QUARTERS, ranked, orders, strict=True)
            for part in [look >> shift & 0xFFFF]
        ]
        found = np.unique(np.concatenate(near))
        found = found[looks[found] != 0]
        apart = _count_bits(looks[found] ^ np.uint64(look))
        for place in np.argsort(apart, kind="stable")[:_MOST_PAIRS]:
            if apart[place] <= _MOST_BITS:
                yield here, int(found[place])


def _count_bits(numbers: Numbers) -> NDArray[np.uint8]:
    parts = [_BITS[(numbers >> np.uint64(shift)) & _QUARTER] for shift in _QUARTERS]
    total: NDArray[np.uint8] = np.sum(parts, axis=0, dtype=np.uint8)
    return total


def _compare(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    return [is_lookalike(one, other) for one, other in pairs]


def _report(other: Checked, here: int, train: Checked, there: int, flavor: Flavor) -> Finding:
    line, path = other.entries[here]
    trained, twin = train.entries[there]
    where = f"{os.path.basename(train.listing)}:{trained}"
    return fault("lookalike", flavor, other.listing, f"{path} looks like {twin} in {where}", line)
