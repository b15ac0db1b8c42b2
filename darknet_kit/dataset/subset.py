"""Some classes of a data set as a data set of their own: links, new labels, new class ids."""

import functools
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from darknet_kit.core.pool import Workers, map_groups
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Split
from darknet_kit.dataset.classes import Classes, name_unmeasured, name_unshown
from darknet_kit.dataset.difficult import fill_gaps
from darknet_kit.dataset.output import DatasetFiles, OutputPaths, Target, paths_for
from darknet_kit.dataset.place import Layout, Placement, check_view, place_items
from darknet_kit.dataset.reading import Dataset, iter_listed, read_dataset
from darknet_kit.dataset.relabel import RelabelJob, Relabelled, RelabelRules, relabel_shard
from darknet_kit.dataset.selection import Selection, SubsetOptions, select_images
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.formats.datafile import format_lines, read_difficult
from darknet_kit.formats.yolo import label_path


@dataclass(slots=True)
class SubsetCounts:
    """Counts of one split; boxes, and images that show a class, by its new class_id."""

    images: int = 0
    negatives: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    shown: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Subset:
    """What a subset holds.

    `left_out` images show none of the classes; `surplus` ones are beyond the number per class.
    `difficult` objects have label files of their own, for mAP.
    """

    paths: OutputPaths
    names: list[str]
    splits: dict[Split, SubsetCounts] = field(default_factory=dict)
    left_out: int = 0
    surplus: int = 0
    difficult: int = 0
    written: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def boxes(self, split: Split) -> Counter[int]:
        """Return the boxes of a split, by class_id."""
        return self.splits[split].boxes if split in self.splits else Counter()

    def add(self, split: Split, done: Relabelled) -> None:
        """Count what came of one shard."""
        counts = self.splits.setdefault(split, SubsetCounts())
        counts.images += len(done.listed)
        counts.negatives += done.negatives
        counts.boxes.update(done.boxes)
        counts.shown.update(done.shown)
        self.left_out += done.left_out
        self.difficult += done.difficult_boxes
        self.written += done.written


def subset(
    data: AnyPath,
    out: AnyPath,
    options: SubsetOptions,
    *,
    progress: Progress = no_progress,
) -> Subset:
    """Write a complete data set of some classes into `out`, images as links to the originals.

    Raises DatasetError, UsageError (`unknown-class`, `no-choice`), WriteError.
    """
    _refuse_contradictions(options)
    source = read_dataset(data, options.flavor)
    folder = os.path.abspath(out)
    notes = check_view(folder, source.flavor)
    selection = select_images(source, options, progress)
    target = Target(
        paths_for(folder, options.name or os.path.basename(folder)),
        _settings(source, selection.classes, options),
        own=True,
        overwrite=options.overwrite,
        dry_run=options.dry_run,
    )
    target.claim()
    rules = RelabelRules(
        folder,
        selection.classes.new_ids,
        len(source.names),
        Layout(source.flavor, folder),
        keep_negatives=options.keep_unlabelled,
        replace_labels=options.overwrite,
        write=not options.dry_run,
    )
    result = _link_images(source, target, selection, rules, options.workers, progress)
    result.notes.extend(notes)
    return result


def _refuse_contradictions(options: SubsetOptions) -> None:
    """Raises UsageError (`no-choice`)."""
    counted = options.top or options.min_images
    if options.classes and counted:
        raise UsageError(
            "choose the classes either by name or by what the images show, not both",
            code="no-choice",
            hint="Leave out --classes, or --top N and --min-images N.",
        )
    if not (options.classes or counted or options.per_class or options.maps):
        raise UsageError(
            "nothing says which classes or images to take",
            code="no-choice",
            hint="As --classes cat,dog or --top N, --min-images N, --per-class N, --map old=new.",
        )


def _settings(source: Dataset, classes: Classes, options: SubsetOptions) -> dict[str, Any]:
    return {
        "format": "subset",
        "source": str(source.data.path),
        "view": True,
        "flavor": source.flavor.value,
        "classes": list(classes.names),
        "map": classes.renamed(source.names),
        "per_class": options.per_class,
        "seed": options.seed,
        "keep_unlabelled": options.keep_unlabelled,
    }


def _link_images(
    source: Dataset,
    target: Target,
    selection: Selection,
    rules: RelabelRules,
    workers: Workers,
    progress: Progress,
) -> Subset:
    classes = selection.classes
    placement = place_items(selection.items, rules.layout)
    _refuse_source(source, selection, rules.folder, placement.folders)
    with target.begin(placement.folders):
        result = Subset(target.paths, [*classes.names], notes=[*classes.notes, *target.notes()])
        result.left_out, result.surplus = selection.negatives, selection.surplus
        files = DatasetFiles(classes.names, classes.wnids)
        problems = [*placement.problems]
        work = functools.partial(relabel_shard, rules=rules)
        jobs = _jobs(source, placement)
        tell = selection.continue_progress(progress)
        for split, done in map_groups(work, jobs, workers=workers, progress=tell):
            result.add(split, done)
            files.lists.setdefault(split, []).append(format_lines(done.listed))
            if split == "valid":
                files.difficult.extend(done.difficult)
            problems.extend(done.problems)
        files.difficult = fill_gaps(rules.folder, files.difficult, source.flavor, write=rules.write)
        result.problems.update(problem.code for problem in problems)
        result.notes.extend(name_unshown(result.names, result.boxes("train")))
        result.notes.extend(name_unmeasured(result.names, result.boxes("valid")))
        target.finish(files, problems, counts_of(result))
    return result


def _refuse_source(
    source: Dataset, selection: Selection, folder: str, needed: Collection[str]
) -> None:
    """Raises UsageError (`same-folder`) where labels of the source would be replaced."""
    images = {os.path.join(item.folder, "1.jpg") for item in selection.items}
    labels = (label_path(image, source.flavor) or "" for image in images)
    theirs = {os.path.realpath(os.path.dirname(label)) for label in labels}
    is_same = os.path.realpath(folder) == os.path.realpath(source.data.path.parent)
    if is_same or theirs.intersection(map(os.path.realpath, needed)):
        raise UsageError(
            "a subset here would replace the data set that it is made of",
            code="same-folder",
            hint="Name another folder with --out.",
            path=folder,
        )


def _jobs(source: Dataset, placement: Placement) -> dict[Split, list[RelabelJob]]:
    """Raises DatasetError as `read_difficult` does."""
    listed = list(iter_listed(source, "valid"))
    paths = map(os.path.abspath, listed)
    difficult = dict(zip(paths, read_difficult(source.data, listed), strict=False))
    return {
        split: [
            RelabelJob(item, difficult.get(item.image, "") if split == "valid" else "")
            for item in items
        ]
        for split, items in placement.items.items()
    }


def counts_of(result: Subset) -> dict[str, Any]:
    """Return the counts of a subset as conversion.json and `--json` hold them."""
    return {
        "splits": {
            split: {
                "images": counts.images,
                "negatives": counts.negatives,
                "boxes": counts.boxes.total(),
                "boxes_by_class": {
                    name: counts.boxes[class_id] for class_id, name in enumerate(result.names)
                },
                "images_by_class": {
                    name: counts.shown[class_id] for class_id, name in enumerate(result.names)
                },
            }
            for split, counts in result.splits.items()
            if counts.images
        },
        "images_left_out": result.left_out,
        "images_not_drawn": result.surplus,
        "difficult_for_map": result.difficult,
        "problems": dict(sorted(result.problems.items())),
    }
