"""Other people's annotations to a Darknet data set: ILSVRC, PASCAL VOC, COCO.

Three functions find what there is, each in its own layout; one does the work on it.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence

from darknet_kit.core.pool import Workers, map_groups, start_early
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import Item, Split
from darknet_kit.dataset.classes import name_unshown
from darknet_kit.dataset.conversion import Conversion, SplitCounts, counts_of
from darknet_kit.dataset.difficult import fill_gaps
from darknet_kit.dataset.found import Found, look_for_coco, look_for_ilsvrc, look_for_voc
from darknet_kit.dataset.output import DatasetFiles
from darknet_kit.dataset.parts import Kept, convert_part, run_parts
from darknet_kit.dataset.place import Placement
from darknet_kit.dataset.plan import ConvertOptions, Plan, plan_conversion
from darknet_kit.dataset.shard import ShardResult, ShardRules, convert_parsed, convert_shard
from darknet_kit.errors import AnyPath

_WORK = convert_shard.__module__


def convert_ilsvrc(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    mapping: AnyPath | None = None,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert an ILSVRC tree. Boxes are edges from 0 unless options say otherwise.

    `images` is where the images are if not in the tree. Raises DatasetError, UsageError,
    WriteError.
    """
    start_early(_WORK, options.workers)
    how = options.convention, options.workers
    found = look_for_ilsvrc(source, mapping, images, *how, progress)
    return _convert(found, options, progress)


def convert_voc(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert a VOC devkit, or any folder of images and Pascal XML.

    Boxes are pixel numbers from 1, both ends inclusive, unless options say otherwise. `images` is
    where the images are if not there. Raises DatasetError, UsageError, WriteError.
    """
    start_early(_WORK, options.workers)
    how = options.names_file, options.convention, options.workers
    found = look_for_voc(source, images, *how, progress)
    return _convert(found, options, progress)


def convert_coco(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert COCO instances JSON, or COCO that some tool exported as Pascal XML.

    `images` is where the images are if not there. Raises DatasetError, UsageError, WriteError.
    """
    start_early(_WORK, options.workers)
    how = options.names_file, options.convention, options.workers
    found = look_for_coco(source, images, *how, progress)
    return _convert(found, options, progress)


def _convert(found: Found, options: ConvertOptions, progress: Progress) -> Conversion:
    plan = plan_conversion(found, options)
    paths, placement = plan.target.paths, plan.placement
    with plan.target.begin(placement.folders, shared=options.shard is not None):
        conversion = Conversion(
            paths, found.format, found.root, plan.classes.names, notes=[*plan.notes]
        )
        conversion.splits.update(
            (split, SplitCounts()) for split, items in placement.items.items() if items
        )
        kept = Kept(paths.folder, plan.target.settings)
        run = functools.partial(_run, found, rules=plan.rules, workers=options.workers)
        if options.shard:
            return convert_part(options.shard, conversion, placement, kept, run, progress)
        problems = [*found.problems, *placement.problems]
        files = _gather(plan, conversion, problems, run_parts(placement, kept, run, progress))
        unlabelled = () if options.keep_unlabelled else found.unlabelled
        _sum_up(conversion, found, unlabelled, problems)
        if options.classes:
            conversion.notes.extend(name_unshown(plan.classes.names, conversion.train_boxes))
        more = functools.partial(map, _no_annotation, unlabelled)
        plan.target.finish(files, problems, counts_of(conversion), more)
        if plan.rules.write:
            kept.remove()
    return conversion


def _gather(
    plan: Plan,
    conversion: Conversion,
    problems: list[Problem],
    results: Iterable[tuple[Split, ShardResult]],
) -> DatasetFiles:
    """Return the lists of the data set; count what came of each shard. Raises WriteError."""
    files = DatasetFiles(plan.classes.names, plan.classes.wnids)
    files.lists.update((split, []) for split in conversion.splits)
    for split, result in results:
        conversion.add(split, result)
        files.lists[split].append(result.listed)
        files.difficult.extend(result.difficult)
        problems.extend(result.problems)
    rules = plan.rules
    flavor = rules.layout.flavor
    files.difficult = fill_gaps(rules.folder, files.difficult, flavor, write=rules.write)
    return files


def _sum_up(
    conversion: Conversion, found: Found, unlabelled: Sequence[Item], problems: Iterable[Problem]
) -> None:
    conversion.found = len(found.items) + len(found.unlabelled)
    conversion.unlabelled = len(unlabelled)
    if unlabelled:
        conversion.problems["no-annotation"] = len(unlabelled)
    conversion.problems.update(problem.code for problem in problems)
    if conversion.from_zero:
        conversion.notes.append(
            f"{conversion.from_zero:,} boxes begin at 0, and pixel numbers begin at 1: if "
            "labelImg, CVAT, VoTT or Roboflow wrote these files, --box-convention plain is right"
        )


def _run(
    found: Found,
    placement: Placement,
    *,
    rules: ShardRules,
    workers: Workers,
    progress: Progress,
) -> Iterator[tuple[Split, ShardResult]]:
    """Write all labels; yield what came of each shard and its split. Raises WriteError."""
    if found.annotations is None:
        work = functools.partial(convert_shard, rules=rules)
        yield from map_groups(work, placement.items, workers=workers, progress=progress)
        return
    parsed = found.annotations.get
    jobs = {
        split: [(item, parsed(item.image)) for item in items]
        for split, items in placement.items.items()
    }
    work_parsed = functools.partial(convert_parsed, rules=rules)
    yield from map_groups(work_parsed, jobs, workers=workers, progress=progress)


def _no_annotation(item: Item) -> Problem:
    return Problem("no-annotation", item.image, "no annotation belongs to this image")
