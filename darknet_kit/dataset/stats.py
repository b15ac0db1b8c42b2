"""What a data set holds: boxes and images of each class, sizes, what is missing or in two lists.

One pass over the labels, in parallel; each image leaves nothing but counts behind.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import Workers, map_groups
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.dataset.boxshapes import BoxShapes
from darknet_kit.dataset.reading import Dataset, iter_listed, read_dataset, read_image
from darknet_kit.errors import AnyPath

DEFAULT_SIZE = (416, 416)


@dataclass(slots=True)
class SplitStats:
    """What the list of one split holds, as one engine reads it; classes by class_id.

    `shown` counts the images that show a class, `per_image` images by their number of boxes;
    `unlabelled` images have no label file where the engine looks. `beyond` are boxes whose class
    is not in the class list, which are in no other count of boxes, `repeated` the entries that
    stand in the list above.
    """

    shapes: BoxShapes
    images: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    shown: Counter[int] = field(default_factory=Counter)
    per_image: Counter[int] = field(default_factory=Counter)
    unlabelled: int = 0
    beyond: int = 0
    repeated: int = 0

    @property
    def negatives(self) -> int:
        """How many images have a label file without a box."""
        return self.per_image[0]

    def update(self, other: "SplitStats") -> None:
        """Add what was counted of other images of the list."""
        self.shapes.update(other.shapes)
        self.images += other.images
        self.boxes.update(other.boxes)
        self.shown.update(other.shown)
        self.per_image.update(other.per_image)
        self.unlabelled += other.unlabelled
        self.beyond += other.beyond
        self.repeated += other.repeated


@dataclass(frozen=True, slots=True)
class Stats:
    """What a data set holds: each split that lists an image, and in `total` all of them.

    `shared` counts the paths that stand in the lists of two splits.
    """

    dataset: Dataset
    splits: dict[Split, SplitStats]
    total: SplitStats
    shared: dict[tuple[Split, Split], int]


def stats(
    data: AnyPath,
    *,
    size: tuple[int, int] = DEFAULT_SIZE,
    flavor: Flavor | None = None,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Stats:
    """Count what the lists of a `.data` file hold, and measure its boxes at a network's input.

    Raises DatasetError where the `.data` file, its names, or a list that it names is missing.
    """
    dataset = read_dataset(data, flavor)
    lists = {split: list(iter_listed(dataset, split)) for split in SPLITS}
    splits = {split: SplitStats(BoxShapes(size)) for split, listed in lists.items() if listed}
    count = functools.partial(
        _count_shard, flavor=dataset.flavor, classes=len(dataset.names), size=size
    )
    for split, counted in map_groups(count, lists, workers=workers, progress=progress):
        splits[split].update(counted)
    total = SplitStats(BoxShapes(size))
    for split, counts in splits.items():
        counts.repeated = len(lists[split]) - len(set(lists[split]))
        total.update(counts)
    return Stats(dataset, splits, total, _count_shared(lists))


def _count_shared(lists: dict[Split, list[str]]) -> dict[tuple[Split, Split], int]:
    pairs = ((one, other) for one, other in combinations(SPLITS, 2) if lists[one] and lists[other])
    return {(one, other): len(set(lists[one]) & set(lists[other])) for one, other in pairs}


def _count_shard(
    images: Sequence[str], *, flavor: Flavor, classes: int, size: tuple[int, int]
) -> SplitStats:
    counts = SplitStats(BoxShapes(size), images=len(images))
    for image in images:
        labels = read_image(image, flavor).labels
        if labels is None:
            counts.unlabelled += 1
            continue
        counts.per_image[len(labels)] += 1
        known = [label for label in labels if 0 <= label.class_id < classes]
        counts.beyond += len(labels) - len(known)
        class_ids = [label.class_id for label in known]
        counts.boxes.update(class_ids)
        counts.shown.update(set(class_ids))
        for label in known:
            counts.shapes.count(label.class_id, label.width, label.height)
    return counts
