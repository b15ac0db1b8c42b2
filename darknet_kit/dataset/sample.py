"""A few images out of many: at random, or those that show most, or the smallest things."""

import functools
import heapq
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.reading import Dataset, iter_listed, read_image
from darknet_kit.formats.yolo import Label

Order = Literal["boxes", "smallest"]
ORDERS: tuple[Order, ...] = ("boxes", "smallest")

_SHARD = 1024  # images; the first ones are read in this process, and often suffice


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that could be shown. `split` is empty where no list names it."""

    image: str
    split: Split | Literal[""]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """An image of a sample. `labels` is None where the engine would find no label file."""

    candidate: Candidate
    labels: list[Label] | None

    @property
    def lacks_label(self) -> bool:
        """Tell whether an image that a list names has no label file."""
        return self.labels is None and bool(self.candidate.split)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images: with a box of one of these classes, or without any box; and which first."""

    class_ids: frozenset[int] = frozenset()
    negatives: bool = False
    order: Order | None = None

    @property
    def reads_labels(self) -> bool:
        return bool(self.class_ids or self.negatives or self.order)


@dataclass(slots=True)
class Sample:
    """Some images in the order of their lists, or in the order that was asked for.

    `of` counts all candidates, `looked_at` those whose labels were read to find these.
    """

    images: list[Drawn] = field(default_factory=list)
    of: int = 0
    looked_at: int = 0


def iter_candidates(dataset: Dataset, splits: Sequence[Split]) -> Iterator[Candidate]:
    """Yield each image of some splits; of two that share one list, the first has it.

    Raises DatasetError where a list is missing.
    """
    seen = set()
    for split in splits:
        listing = dataset.image_list(split)
        if listing not in seen:
            seen.add(listing)
            for image in iter_listed(dataset, split):
                yield Candidate(image, split)


def draw_sample(
    candidates: Iterable[Candidate],
    flavor: Flavor,
    count: int,
    wanted: Wanted = Wanted(),
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Sample:
    """Draw `count` images, the same ones for the same seed; a larger count adds to a smaller.

    Where nothing asks for their labels, those of all other images stay unread.
    """
    chance = random.Random(seed)
    sample = Sample()

    def shuffled() -> Iterator[tuple[float, int, Candidate]]:
        for number, candidate in enumerate(candidates):
            sample.of += 1
            yield chance.random(), number, candidate

    if wanted.reads_labels:
        ordered = sorted(shuffled(), key=lambda entry: entry[:2])
    else:
        ordered = heapq.nsmallest(count, shuffled(), key=lambda entry: entry[:2])
    found = _look_at_all(ordered, flavor, wanted, count, workers, progress, sample)
    if wanted.order is None:
        found.sort(key=lambda entry: entry[1])
    sample.images = [drawn for _, _, drawn in found]
    return sample


_Numbered = tuple[float, int, Drawn]


def _look_at_all(
    ordered: Sequence[tuple[float, int, Candidate]],
    flavor: Flavor,
    wanted: Wanted,
    count: int,
    workers: int | None,
    progress: Progress,
    sample: Sample,
) -> list[_Numbered]:
    """Return the first `count` images that fit, or the best ones where an order is asked for."""
    look = functools.partial(_look, flavor=flavor, wanted=wanted)
    pieces = shards(ordered, _SHARD)
    found: list[_Numbered] = []
    first = map(look, pieces[:1])
    for piece, fitting in zip(
        pieces, itertools.chain(first, map_shards(look, pieces[1:], workers=workers)), strict=True
    ):
        sample.looked_at += len(piece)
        progress(sample.looked_at, len(ordered))
        found += fitting
        if wanted.order:
            found = heapq.nsmallest(count, found, key=lambda entry: entry[:2])
        elif len(found) >= count:
            return found[:count]
    return found


def _look(
    piece: Sequence[tuple[float, int, Candidate]], flavor: Flavor, wanted: Wanted
) -> list[_Numbered]:
    found = []
    for _, number, candidate in piece:
        labels = read_image(candidate.image, flavor).labels if candidate.split else None
        if _fits(labels, wanted):
            found.append((_rank(labels or [], wanted), number, Drawn(candidate, labels)))
    return found


def _fits(labels: list[Label] | None, wanted: Wanted) -> bool:
    if wanted.negatives:
        return labels == []
    if wanted.class_ids:
        return any(label.class_id in wanted.class_ids for label in labels or ())
    return wanted.order is None or bool(labels)


def _rank(labels: list[Label], wanted: Wanted) -> float:
    """Return what makes an image come first: most boxes, or the least area of one."""
    if wanted.order == "boxes":
        return -sum(not wanted.class_ids or one.class_id in wanted.class_ids for one in labels)
    if wanted.order == "smallest":
        return min(
            one.width * one.height
            for one in labels
            if not wanted.class_ids or one.class_id in wanted.class_ids
        )
    return 0.0
