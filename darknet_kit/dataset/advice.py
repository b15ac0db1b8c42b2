"""What the counts of a data set mean for a training, each with its reason and what to do.

Rules of thumb are AlexeyAB's README's ("How to improve object detection"); what Darknet does is
in its source.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from darknet_kit.core.records import Split
from darknet_kit.dataset.checks.labels import MAX_BOXES
from darknet_kit.dataset.stats import SplitStats, Stats

DESIRED_IMAGES = 2000
"""AlexeyAB's README: "you should preferably have 2000 different images for each class"."""
IMBALANCE = 10
TINY_SHARE = 0.1
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding; `code` is stable, `cure` is what to do about it."""

    code: str
    finding: str
    cure: str


def advise(stats: Stats, few: int) -> list[Advice]:
    """Return what is worth knowing before a training, the worst first.

    A class has few boxes with less than `few` in the training images.
    """
    rules: tuple[Callable[[Stats], Iterator[Advice]], ...] = (
        _advise_on_labels,
        _advise_on_lists,
        _advise_on_missing_classes,
        lambda stats: _advise_on_rare_classes(stats, few),
        _advise_on_imbalance,
        _advise_on_images,
        _advise_on_sizes,
    )
    return [advice for rule in rules for advice in rule(stats)]


def _advise_on_labels(stats: Stats) -> Iterator[Advice]:
    flavor = stats.dataset.flavor.value
    for split, counts in stats.splits.items():
        if counts.unlabelled:
            yield Advice(
                "missing-labels",
                f"{counts.unlabelled:,} of {counts.images:,} {split} images have no label file "
                f"where {flavor} darknet looks; to it they show nothing",
                "dkit check lists them; convert again for this --flavor, or leave them out",
            )
        if counts.beyond:
            yield Advice(
                "class-out-of-range",
                f"{format_count(counts.beyond, f'{split} box is', f'{split} boxes are')} of a "
                "class that .names does not list",
                "labels and .names belong to different conversions: convert again",
            )


def _advise_on_lists(stats: Stats) -> Iterator[Advice]:
    for (one, other), count in stats.shared.items():
        if count:
            yield Advice(
                "shared-images",
                f"{format_count(count, 'image is', 'images are')} in {one} and in {other}: what is "
                "measured there is memory",
                "take them out of one of the lists",
            )
    for split, counts in stats.splits.items():
        if counts.repeated:
            yield Advice(
                "repeated-images",
                f"{format_count(counts.repeated, 'line', 'lines')} of the {split} list stood above "
                "already, and count again",
                "leave each image in it once",
            )
    if "train" not in stats.splits:
        yield Advice(
            "no-train-list",
            "there is no image to train on",
            "convert again; the list that train= names in the .data file is empty",
        )
    if "valid" not in stats.splits:
        yield Advice(
            "no-valid-list",
            "there is no image to validate on; Darknet measures mAP on the training images then",
            "keep a tenth aside: dkit convert … --valid-fraction .1",
        )


def _advise_on_missing_classes(stats: Stats) -> Iterator[Advice]:
    cures: tuple[tuple[Split, str], ...] = (
        ("train", "nothing to learn them from: label some, or leave them out (dkit subset)"),
        ("valid", "each counts as AP 0 in Darknet's mAP: put images of them into the valid list"),
    )
    for split, cure in cures:
        counts = stats.splits.get(split)
        absent = counts and [name for name, boxes in _by_class(stats, counts) if not boxes]
        if absent:
            finding = f"{_classes(len(absent), stats)} no box in {split}: {_list(absent)}"
            yield Advice(f"not-in-{split}", finding, cure)


def _advise_on_rare_classes(stats: Stats, few: int) -> Iterator[Advice]:
    counts = stats.splits.get("train")
    if counts is None:
        return
    rare = [(boxes, name) for name, boxes in _by_class(stats, counts) if 0 < boxes < few]
    if rare:
        shown = _list([f"{name} {boxes}" for boxes, name in sorted(rare)])
        yield Advice(
            "few-boxes",
            f"{_classes(len(rare), stats)} fewer than {few} training boxes: {shown}",
            "label more of them, merge them (--map), or leave them out (dkit subset)",
        )
    below = sum(
        counts.shown[class_id] < DESIRED_IMAGES for class_id in range(len(stats.dataset.names))
    )
    if below:
        yield Advice(
            "few-images",
            f"{_classes(below, stats)} fewer than {DESIRED_IMAGES:,} training images, which "
            "AlexeyAB's README wishes for each",
            "more images help more than more iterations",
        )


def _advise_on_imbalance(stats: Stats) -> Iterator[Advice]:
    ratio = find_imbalance(stats)
    if ratio < IMBALANCE:
        return
    known = [(boxes, name) for name, boxes in _by_class(stats, stats.splits["train"]) if boxes]
    (most, common), (least, rare) = max(known), min(known)
    yield Advice(
        "imbalance",
        f"{common} has {ratio:,.0f} times the training boxes of {rare} ({most:,} to {least:,})",
        "fewer images of the common ones (dkit subset --per-class), or counters_per_class= in the "
        "heads (dkit make-cfg --counters-per-class)",
    )


def find_imbalance(stats: Stats) -> float:
    """Return the training boxes of the commonest class over those of the rarest that has any."""
    train = stats.splits.get("train")
    known = [boxes for boxes in train.boxes.values() if boxes] if train else []
    return max(known) / min(known) if known else 0.0


def _advise_on_images(stats: Stats) -> Iterator[Advice]:
    counts = stats.splits.get("train")
    if counts is None:
        return
    if not counts.negatives and counts.boxes:
        yield Advice(
            "no-negatives",
            "every training image shows an object; AlexeyAB's README wishes for as many that show "
            "none",
            "add images of what is not to be found, with empty label files",
        )
    most = MAX_BOXES[stats.dataset.flavor]
    crowded = sum(images for boxes, images in counts.per_image.items() if boxes > most)
    if crowded:
        yield Advice(
            "crowded-images",
            f"{format_count(crowded, 'training image has', 'training images have')} more than "
            f"{most} boxes, up to {max(counts.per_image):,}; Darknet draws {most} of them",
            f"max={max(counts.per_image)} in each head of the cfg",
        )


def _advise_on_sizes(stats: Stats) -> Iterator[Advice]:
    shapes = stats.total.shapes
    across, down = shapes.size
    if shapes.unseen:
        yield Advice(
            "unseen-boxes",
            f"{format_count(shapes.unseen, 'box is', 'boxes are')} narrower or lower than a pixel "
            f"at {across} x {down}; AlexeyAB's and hank-ai's Darknet leave them out without a word",
            "a larger network, or images cut into tiles",
        )
    tiny = shapes.by_size["tiny"]
    if tiny > TINY_SHARE * shapes.boxes:
        yield Advice(
            "tiny-boxes",
            f"{tiny / shapes.boxes:.0%} of the boxes are smaller than 16 x 16 px at "
            f"{across} x {down}",
            "a larger network, or one with a head of stride 4, as AlexeyAB's README says",
        )


def _by_class(stats: Stats, counts: SplitStats) -> Iterator[tuple[str, int]]:
    """Yield name and boxes of each class."""
    for class_id, name in enumerate(stats.dataset.names):
        yield name, counts.boxes[class_id]


def format_count(count: int, one: str, many: str) -> str:
    """Return a number and what it counts: "1 box", "1,200 boxes"."""
    return f"{count:,} {one if count == 1 else many}"


def _classes(count: int, stats: Stats) -> str:
    """Return how many of the classes have what follows: "1 of 20 classes has"."""
    of = len(stats.dataset.names)
    if count == of > 2:
        return f"all {of:,} classes have"
    if count == of:
        return "both classes have" if of > 1 else "the only class has"
    return f"{count:,} of {of:,} classes {'have' if count > 1 else 'has'}"


def _list(items: Sequence[str]) -> str:
    rest = len(items) - _EXAMPLES
    return ", ".join(items[:_EXAMPLES]) + (f" and {rest:,} more" if rest > 0 else "")
