"""What a subset is made of: the classes that were chosen, and the images to look at for them."""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import Workers
from darknet_kit.core.progress import Progress
from darknet_kit.core.records import SPLITS, Item, Split
from darknet_kit.dataset.choice import draw_images, pick_frequent
from darknet_kit.dataset.classes import Classes, all_classes, choose_classes, merge_classes
from darknet_kit.dataset.counts import ClassCounts, count_classes
from darknet_kit.dataset.difficult import find_difficult
from darknet_kit.dataset.reading import Dataset, iter_listed, read_wnids
from darknet_kit.formats.datafile import read_difficult


@dataclass(frozen=True, slots=True)
class SubsetOptions:
    """What a person may choose.

    `classes` and `maps` are as `choose_classes` and `merge_classes` take them, `maps` first; `top`
    and `min_images` as `pick_frequent`, `per_class` and `seed` as `draw_images`; 0 is no bound.
    `keep_unlabelled` keeps images that show none of the classes, as negatives.
    """

    classes: Sequence[str] = ()
    maps: Sequence[str] = ()
    top: int = 0
    min_images: int = 0
    per_class: int = 0
    seed: int = 0
    keep_unlabelled: bool = False
    name: str | None = None
    flavor: Flavor | None = None
    overwrite: bool = False
    dry_run: bool = False
    workers: Workers = None


@dataclass(slots=True)
class Selection:
    """Classes, and the images that may show them or have something wrong.

    `seen` images were read to choose them. Of those that need no second look, `negatives` show
    none of the classes, and `surplus` were not drawn.
    """

    classes: Classes
    items: list[Item] = field(default_factory=list)
    seen: int = 0
    negatives: int = 0
    surplus: int = 0

    def continue_progress(self, progress: Progress) -> Progress:
        """Return the progress of looking at the items, after that of choosing them."""
        before = self.seen
        return lambda done, total: progress(before + done, before + total)


def select_images(source: Dataset, options: SubsetOptions, progress: Progress) -> Selection:
    """Choose classes and images.

    All labels are read, unless nothing is to be left out: to place an image, and to find out in
    a second look that it shows none of the classes, takes longer. Raises DatasetError, UsageError.
    """
    listed = {split: [*map(os.path.abspath, iter_listed(source, split))] for split in SPLITS}
    selection = Selection(_name_classes(source, options))
    counts: dict[Split, ClassCounts] = {}
    if _leaves_out(selection.classes, source, options):
        total = 2 * sum(map(len, listed.values()))
        for split in SPLITS:
            tell = _after(selection.seen, total, progress)
            counts[split] = count_classes(source, split, workers=options.workers, progress=tell)
            selection.seen += len(listed[split])
    if options.top or options.min_images:
        shown = counts["train"].renumbered(selection.classes.new_ids)
        selection.classes = pick_frequent(
            selection.classes, shown, options.top, options.min_images, source.data.path
        )
    for split, images in listed.items():
        names = _names(images)
        places: Iterable[int] = range(len(images))
        if split in counts:
            drawn = options.per_class if split == "train" else 0
            hard = find_difficult(read_difficult(source.data, images)) if split == "valid" else ()
            places = _find_wanted(counts[split], names, drawn, source, options, selection, hard)
        for place in places:
            folder, file = os.path.split(images[place])
            selection.items.append(Item(folder, file, os.path.dirname(names[place]), split=split))
    return selection


def _leaves_out(classes: Classes, source: Dataset, options: SubsetOptions) -> bool:
    if options.top or options.min_images or options.per_class:
        return True
    return len(classes.new_ids) < len(source.names) and not options.keep_unlabelled


def _after(before: int, total: int, progress: Progress) -> Progress:
    return lambda done, _: progress(before + done, total)


def _name_classes(source: Dataset, options: SubsetOptions) -> Classes:
    classes = all_classes(source.names, read_wnids(source))
    where = str(source.data.names)
    if options.maps:
        classes = merge_classes(classes, options.maps, where)
    return choose_classes(classes, options.classes, where) if options.classes else classes


def _names(images: Sequence[str]) -> list[str]:
    """Return the paths of images below the folder that they share, without suffixes."""
    if not images:
        return []
    above = os.path.commonpath(set(map(os.path.dirname, images)))
    start = len(os.path.join(above, ""))
    return [os.path.splitext(image[start:])[0] for image in images]


def _find_wanted(
    counts: ClassCounts,
    names: Sequence[str],
    per_class: int,
    source: Dataset,
    options: SubsetOptions,
    selection: Selection,
    hard: Container[int],
) -> Iterator[int]:
    """Yield the places of the images to look at again; count the others.

    At those in `hard` there are difficult objects.
    """
    known = frozenset(range(len(source.names)))
    shown = counts.renumbered(selection.classes.new_ids).shown
    drawn: Container[int] = range(len(shown))
    if per_class:
        drawn = draw_images(shown, names, per_class, options.seed)
    for place, (there, chosen) in enumerate(zip(counts.shown, shown, strict=True)):
        if chosen:
            wanted = place in drawn
            selection.surplus += not wanted
        else:  # what has no label, or one of an unknown class, is looked at to be reported
            wanted = there is None or not there <= known or options.keep_unlabelled
            wanted = wanted or place in hard
            selection.negatives += not wanted
        if wanted:
            yield place
