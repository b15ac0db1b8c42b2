"""Anchors for a data set: k-means over box sizes with 1 - IoU as the distance.

Centres start as k-means++ draws them, and are the means of their boxes afterwards, every box with
the same weight, as in AlexeyAB's `src/detector.c`, `calc_anchors`. That one starts once, from the
clock; here the best of several seeded starts is taken, so that the same data give the same
anchors, and none that an unlucky start would.
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_groups
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.reading import Dataset, iter_listed, read_image
from darknet_kit.errors import DatasetError

Sizes = NDArray[np.float32]
"""[boxes, 2]: width and height, as fractions of the image or in pixels of a network's input."""

_STARTS = 8
_SAMPLE = 20_000  # boxes from which starts are compared; the best is refined on all of them
_MOST_ROUNDS = 300
_CHUNK = 1 << 18  # boxes at a time; bounds the table of boxes by anchors


def read_box_sizes(
    dataset: Dataset,
    split: Split = "train",
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Sizes:
    """Return the size of every box of a split, as fractions of its image.

    Sizes above 1 count as 1, as engines read them. Raises DatasetError.
    """
    images = list(iter_listed(dataset, split))
    work = functools.partial(_read_shard, flavor=dataset.flavor)
    parts = [
        sizes for _, sizes in map_groups(work, {split: images}, workers=workers, progress=progress)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 2), np.float32)


def _read_shard(images: Sequence[str], *, flavor: Flavor) -> Sizes:
    sizes = [
        (min(label.width, 1.0), min(label.height, 1.0))
        for image in images
        for label in read_image(image, flavor).labels or ()
        if label.width > 0 and label.height > 0
    ]
    return np.array(sizes, np.float32).reshape(-1, 2)


def best_iou(sizes: Sizes, anchors: Sizes) -> NDArray[np.float32]:
    """Return the IoU of each box with the anchor that fits it best, both laid on one centre."""
    return np.concatenate([_overlaps(part, anchors).max(1) for part in _chunks(sizes)])


def compute_anchors(sizes: Sizes, count: int, seed: int = 0) -> Sizes:
    """Return `count` anchors, the smallest area first, in the unit of `sizes`.

    Raises DatasetError (`too-few-boxes`) where there are fewer different boxes than anchors.
    """
    different = len(np.unique(sizes, axis=0))
    if different < count:
        raise DatasetError(
            f"{count} anchors need as many boxes of different size, and there "
            + (f"are {different}" if different != 1 else "is 1"),
            code="too-few-boxes",
            hint="Keep the network's own; pre-trained weights know them.",
        )
    chance = np.random.default_rng(seed)
    sample = sizes
    if len(sizes) > _SAMPLE:
        sample = sizes[np.sort(chance.choice(len(sizes), _SAMPLE, replace=False))]
    starts = [_cluster(sample, _draw_centres(sample, count, chance)) for _ in range(_STARTS)]
    best = max(starts, key=lambda anchors: float(best_iou(sample, anchors).mean()))
    if sample is not sizes:
        best = _cluster(sizes, best)
    ordered: Sizes = best[np.argsort(best.prod(1), kind="stable")]
    return ordered


def _draw_centres(sizes: Sizes, count: int, chance: np.random.Generator) -> Sizes:
    """Draw boxes as first centres, far ones more likely (k-means++: Arthur, Vassilvitskii 2007)."""
    centres: Sizes = sizes[chance.integers(len(sizes))][None]
    while len(centres) < count:
        distance = 1.0 - best_iou(sizes, centres).astype(np.float64)
        weights = np.square(np.maximum(distance, 0))
        if not weights.any():
            weights = np.ones(len(sizes))
        drawn = chance.choice(len(sizes), p=weights / weights.sum())
        centres = np.concatenate([centres, sizes[drawn][None]])
    return centres


def _cluster(sizes: Sizes, centres: Sizes) -> Sizes:
    """Move centres to the means of their boxes until none changes; return the best ever seen.

    With this distance a mean is no minimum, so that a round may also do harm.
    """
    best, highest = centres, -1.0
    before: NDArray[np.intp] | None = None
    for _ in range(_MOST_ROUNDS):
        nearest, mean_iou = _assign(sizes, centres)
        if mean_iou > highest:
            best, highest = centres, mean_iou
        if before is not None and np.array_equal(nearest, before):
            break
        before = nearest
        centres = _means(sizes, nearest, centres)
    return best


def _assign(sizes: Sizes, centres: Sizes) -> tuple[NDArray[np.intp], float]:
    nearest, total = [], 0.0
    for part in _chunks(sizes):
        overlaps = _overlaps(part, centres)
        nearest.append(overlaps.argmax(1))
        total += float(overlaps.max(1).sum(dtype=np.float64))
    return np.concatenate(nearest), total / len(sizes)


def _means(sizes: Sizes, nearest: NDArray[np.intp], centres: Sizes) -> Sizes:
    """Return the mean of each centre's boxes; one without boxes stays."""
    counts = np.bincount(nearest, minlength=len(centres))
    sums = [np.bincount(nearest, sizes[:, side], len(centres)) for side in (0, 1)]
    means = np.stack(sums, 1) / np.maximum(counts, 1)[:, None]
    return np.where(counts[:, None] > 0, means, centres).astype(np.float32)


def _overlaps(sizes: Sizes, anchors: Sizes) -> NDArray[np.float32]:
    """Return the IoU of boxes and anchors on one centre: [boxes, anchors]."""
    shared = np.minimum(sizes[:, None], anchors[None]).prod(2)
    together = sizes.prod(1)[:, None] + anchors.prod(1)[None] - shared
    overlaps: NDArray[np.float32] = shared / together
    return overlaps


def _chunks(sizes: Sizes) -> list[Sizes]:
    return [sizes[start : start + _CHUNK] for start in range(0, max(len(sizes), 1), _CHUNK)]
