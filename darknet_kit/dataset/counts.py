"""How many boxes and images each class of a split has: one pass over its labels, in parallel."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import Workers, map_shards, shards
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.reading import Dataset, iter_listed, read_image


@dataclass(slots=True)
class ClassCounts:
    """What the labels of a list hold; classes by class_id, those beyond the class list too.

    `shown` runs parallel to the list: the classes of each image, None where the engine would
    find no label file. Equal sets are one object, so that half a million images take little.
    """

    boxes: Counter[int] = field(default_factory=Counter)
    shown: list[frozenset[int] | None] = field(default_factory=list)

    @property
    def images(self) -> Counter[int]:
        """How many images show each class."""
        return Counter(class_id for classes in self.shown for class_id in classes or ())

    @property
    def negatives(self) -> int:
        """How many images have a label file without a box."""
        return sum(classes is not None and not classes for classes in self.shown)

    @property
    def missing_labels(self) -> int:
        return sum(classes is None for classes in self.shown)

    def renumbered(self, new_ids: Mapping[int, int]) -> "ClassCounts":
        """Return the same by new class_ids; classes that get none are not counted."""
        result = ClassCounts()
        for old, new in new_ids.items():
            result.boxes[new] += self.boxes[old]
        kinds = {
            classes: classes and frozenset(new_ids[old] for old in classes if old in new_ids)
            for classes in set(self.shown)
        }
        result.shown = [kinds[classes] for classes in self.shown]
        return result


def count_classes(
    dataset: Dataset,
    split: Split,
    *,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> ClassCounts:
    """Read every label of a split. Raises DatasetError where its list is missing."""
    listed = list(iter_listed(dataset, split))
    result = ClassCounts()
    same: dict[frozenset[int] | None, frozenset[int] | None] = {}
    count = functools.partial(_count_shard, flavor=dataset.flavor)
    for counts in map_shards(count, shards(listed), workers=workers):
        result.boxes.update(counts.boxes)
        result.shown.extend(same.setdefault(classes, classes) for classes in counts.shown)
        progress(len(result.shown), len(listed))
    return result


def _count_shard(images: Sequence[str], *, flavor: Flavor) -> ClassCounts:
    counts = ClassCounts()
    for image in images:
        labels = read_image(image, flavor).labels
        class_ids = [label.class_id for label in labels or ()]
        counts.boxes.update(class_ids)
        counts.shown.append(None if labels is None else frozenset(class_ids))
    return counts
