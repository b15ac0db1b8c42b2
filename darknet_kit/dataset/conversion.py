"""What a conversion did: its counts, by split and class, and what was noticed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from darknet_kit.core.records import Split
from darknet_kit.dataset.output import OutputPaths
from darknet_kit.dataset.shard import ShardResult


@dataclass(slots=True)
class SplitCounts:
    """Counts of one split; classes by class_id."""

    images: int = 0
    negatives: int = 0
    boxes: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Conversion:
    """What a conversion did, or with dry_run would do.

    `source` is the folder of the data. Of the `found` images in it `unlabelled` have no annotation
    and were left out, `left_out` show none of the classes that were chosen. `difficult` of the
    objects that are left out have label files of their own, for mAP; `from_zero` boxes begin before
    pixel 1.
    """

    paths: OutputPaths
    format: str
    source: str
    names: Sequence[str]
    splits: dict[Split, SplitCounts] = field(default_factory=dict)
    found: int = 0
    unlabelled: int = 0
    left_out: int = 0
    written: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    difficult: int = 0
    from_zero: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def boxes(self) -> int:
        return sum(counts.boxes.total() for counts in self.splits.values())

    @property
    def train_boxes(self) -> Counter[int]:
        return self.splits["train"].boxes if "train" in self.splits else Counter()

    def add(self, split: Split, result: ShardResult) -> None:
        """Count what came of one shard."""
        counts = self.splits[split]
        counts.images += result.images
        counts.negatives += result.negatives
        counts.boxes.update(result.boxes)
        self.left_out += result.left_out
        self.written += result.written
        self.excluded.update(result.excluded)
        self.difficult += result.difficult_boxes
        self.from_zero += result.from_zero


def counts_of(conversion: Conversion) -> dict[str, Any]:
    """Return the counts of a conversion as conversion.json and `--json` hold them."""
    return {
        "splits": {
            split: {
                "images": counts.images,
                "negatives": counts.negatives,
                "boxes": counts.boxes.total(),
                "boxes_by_class": {
                    name: counts.boxes[class_id]
                    for class_id, name in enumerate(conversion.names)
                    if counts.boxes[class_id]
                },
            }
            for split, counts in conversion.splits.items()
        },
        "images_found": conversion.found,
        "unlabelled": conversion.unlabelled,
        "images_left_out": conversion.left_out,
        "excluded": dict(sorted(conversion.excluded.items())),
        "difficult_for_map": conversion.difficult,
        "problems": dict(sorted(conversion.problems.items())),
    }
