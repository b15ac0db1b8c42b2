"""Other people's annotations to a Darknet data set: ILSVRC, PASCAL VOC, COCO.

Three functions find what there is, each in its own layout; one does the work on it.
"""

import functools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from darknet_kit.core.boxes import BoxConvention
from darknet_kit.core.files import make_folder
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import map_shards, shards
from darknet_kit.core.problems import Problem, Severity, write_problems
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.core.records import SPLITS, Annotation, Item, Split
from darknet_kit.dataset.labels import ObjectRules
from darknet_kit.dataset.output import (
    DatasetFiles,
    OutputPaths,
    begin_record,
    claim_folder,
    write_files,
    write_record,
)
from darknet_kit.dataset.place import Placement, place_items
from darknet_kit.dataset.shard import Job, ShardResult, ShardRules, collect_names, convert_shard
from darknet_kit.dataset.splits import assign_splits
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.cocotree import find_coco
from darknet_kit.formats.datafile import read_names
from darknet_kit.formats.ilsvrc import display_names, find_ilsvrc
from darknet_kit.formats.voc import find_class_list, find_voc


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What a person may choose. `out` makes a view of links there; without it labels lie beside
    the images and the lists in the source folder. `convention` None is the format's own."""

    out: str | None = None
    name: str | None = None
    flavor: Flavor = Flavor.ALEXEYAB
    convention: BoxConvention | None = None
    objects: ObjectRules = field(default_factory=ObjectRules)
    names_file: str | None = None
    valid_fraction: float = 0.1
    seed: int = 0
    verify_images: bool = False
    keep_unlabelled: bool = False
    overwrite: bool = False
    dry_run: bool = False
    workers: int | None = None


@dataclass(slots=True)
class Found:
    """A data set as some layout presents it, before any label is made.

    `annotations` runs parallel to `items` where they do not come from files of their own.
    `keys` are the class names as the annotations spell them, `names` as people read them.
    """

    format: str
    root: str
    items: Sequence[Item]
    keys: Sequence[str]
    names: Sequence[str]
    convention: BoxConvention
    unlabelled: Sequence[Item] = ()
    annotations: Sequence[Annotation] | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SplitCounts:
    """Counts of one split; classes by class_id."""

    images: int = 0
    negatives: int = 0
    boxes: Counter[int] = field(default_factory=Counter)
    images_with: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Conversion:
    """What a conversion did, or with dry_run would do."""

    paths: OutputPaths
    format: str
    source: str
    names: Sequence[str]
    splits: dict[Split, SplitCounts] = field(default_factory=dict)
    unlabelled: int = 0
    written: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def boxes(self) -> int:
        return sum(counts.boxes.total() for counts in self.splits.values())


def convert_ilsvrc(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    mapping: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert an ILSVRC tree. Boxes are edges from 0 unless options say otherwise.

    Raises DatasetError, UsageError, WriteError.
    """
    tree = find_ilsvrc(source, mapping)
    found = Found(
        format="ilsvrc",
        root=tree.pairs.root,
        items=tree.pairs.items,
        keys=[synset.wnid for synset in tree.synsets],
        names=display_names(tree.synsets),
        convention=BoxConvention.PLAIN,
        unlabelled=tree.pairs.unlabelled,
        problems=tree.pairs.problems,
    )
    if not tree.mapping:
        found.notes.append("no LOC_synset_mapping.txt: classes are named by wnid")
    return _convert(found, options, progress)


def convert_voc(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert a VOC devkit, or any folder of images and Pascal XML.

    Boxes are pixel numbers from 1, both ends inclusive, unless options say otherwise. Raises
    DatasetError, UsageError, WriteError.
    """
    found = _find_pascal(source, "voc", BoxConvention.INCLUSIVE, options)
    return _convert(found, options, progress)


def convert_coco(
    source: AnyPath,
    options: ConvertOptions = ConvertOptions(),
    *,
    images: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert COCO instances JSON, or COCO that some tool exported as Pascal XML.

    Raises DatasetError, UsageError, WriteError.
    """
    coco = find_coco(source, images)
    if coco is None:
        return _convert(
            _find_pascal(source, "coco", BoxConvention.PLAIN, options), options, progress
        )
    names = read_names(options.names_file) if options.names_file else coco.names
    found = Found(
        format="coco",
        root=coco.root,
        items=coco.items,
        keys=names,
        names=names,
        convention=BoxConvention.PLAIN,
        unlabelled=coco.unlabelled,
        annotations=coco.annotations,
        problems=coco.problems,
    )
    return _convert(found, options, progress)


def _find_pascal(
    source: AnyPath, format_name: str, convention: BoxConvention, options: ConvertOptions
) -> Found:
    pairs = find_voc(source)
    if options.names_file:
        names = read_names(options.names_file)
    else:
        used: Counter[str] = Counter()
        for counted in map_shards(collect_names, shards(pairs.items), workers=options.workers):
            used.update(counted)
        names = find_class_list(pairs.root, used)
    return Found(
        format=format_name,
        root=pairs.root,
        items=pairs.items,
        keys=names,
        names=names,
        convention=convention,
        unlabelled=pairs.unlabelled,
        problems=pairs.problems,
    )


def _convert(found: Found, options: ConvertOptions, progress: Progress) -> Conversion:
    if not found.items:
        raise DatasetError(
            f"none of the annotations has its image here ({len(found.problems)} are without)",
            code="no-images",
            hint="Unpack the images into the same tree as the annotations.",
            path=found.root,
        )
    paths = _output_paths(found, options)
    record = _record(found, options)
    replace_labels = claim_folder(
        paths, record, own=options.out is not None, again=options.overwrite
    )
    jobs_of, placements = _plan_jobs(found, options, paths.folder)
    if not options.dry_run:
        begin_record(paths, record)
        _make_folders(placements)
    rules = ShardRules(
        class_ids={key: class_id for class_id, key in enumerate(found.keys)},
        convention=options.convention or found.convention,
        objects=options.objects,
        verify_images=options.verify_images,
        replace_labels=replace_labels,
        write=not options.dry_run,
    )
    conversion = Conversion(
        paths, found.format, found.root, found.names, unlabelled=len(found.unlabelled)
    )
    conversion.notes = [*found.notes, *_place_notes(placements, options)]
    problems = [*found.problems]
    for placement in placements.values():
        problems.extend(placement.problems)
    files = DatasetFiles(found.names, found.keys if found.format == "ilsvrc" else ())
    total = sum(map(len, jobs_of.values()))
    for split, jobs in jobs_of.items():
        counts = conversion.splits[split] = SplitCounts()
        kept = files.lists[split] = []
        for result in map_shards(
            functools.partial(convert_shard, rules=rules), shards(jobs), workers=options.workers
        ):
            _add(conversion, counts, result)
            kept.extend(result.kept)
            problems.extend(result.problems)
            progress(sum(len(done) for done in files.lists.values()), total)
        kept.sort()
    _count_problems(conversion, problems, found, options)
    if not options.dry_run:
        write_problems(paths.problems, _with_unlabelled(problems, found, options))
        write_files(paths, files)
        write_record(paths, {**record, "counts": counts_of(conversion), "finished": True})
    return conversion


def _output_paths(found: Found, options: ConvertOptions) -> OutputPaths:
    folder = os.path.abspath(options.out) if options.out else found.root
    name = options.name or ("ilsvrc" if found.format == "ilsvrc" else os.path.basename(found.root))
    # A blank in the name would end up inside a .data value, which Darknet mangles.
    return OutputPaths(folder, re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "dataset")


def _record(found: Found, options: ConvertOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "format": found.format,
        "source": found.root.encode("utf-8", "backslashreplace").decode(),
        "view": options.out is not None,
        "flavor": options.flavor.value,
        "box_convention": (options.convention or found.convention).value,
        **asdict(options.objects),
        "keep_unlabelled": options.keep_unlabelled,
        "verify_images": options.verify_images,
        "valid_fraction": options.valid_fraction,
        "seed": options.seed,
        "classes": list(found.names),
    }
    return {"settings": settings}


def _plan_jobs(
    found: Found, options: ConvertOptions, folder: str
) -> tuple[dict[Split, list[Job]], dict[Split, Placement]]:
    """Give each image its split, its place and, for JSON formats, its annotation."""
    extra = [item for item in found.unlabelled if item.split != "test"]
    items = assign_splits(
        [*found.items, *(extra if options.keep_unlabelled else ())],
        options.valid_fraction,
        options.seed,
    )
    parsed = (
        {item.image: known for item, known in zip(found.items, found.annotations, strict=True)}
        if found.annotations is not None
        else {}
    )
    view = folder if options.out else None
    jobs: dict[Split, list[Job]] = {}
    placements: dict[Split, Placement] = {}
    for split in SPLITS:
        chosen = [item for item in items if item.split == split]
        if chosen:
            placements[split] = place_items(chosen, options.flavor, view)
            jobs[split] = [
                Job(placed, parsed.get(placed.item.image)) for placed in placements[split].placed
            ]
    return jobs, placements


def _make_folders(placements: dict[Split, Placement]) -> None:
    folders = {
        os.path.dirname(path)
        for placement in placements.values()
        for placed in placement.placed
        for path in (placed.label, placed.listed)
    }
    for folder in sorted(folders):
        make_folder(folder)


def _place_notes(placements: dict[Split, Placement], options: ConvertOptions) -> Iterator[str]:
    elsewhere = sum(placement.elsewhere for placement in placements.values())
    if elsewhere:
        example = next(
            placed
            for placement in placements.values()
            for placed in placement.placed
            if os.path.dirname(placed.label) != os.path.dirname(placed.listed)
            or os.path.splitext(placed.label)[0] != os.path.splitext(placed.listed)[0]
        )
        yield (
            f"{elsewhere:,} labels do not lie beside their images, because {options.flavor.value} "
            f"darknet looks elsewhere: {example.label}. "
            "--out DIR makes a view that every darknet reads the same way."
        )


def _add(conversion: Conversion, counts: SplitCounts, result: ShardResult) -> None:
    counts.images += len(result.kept)
    counts.negatives += result.negatives
    counts.boxes.update(result.boxes)
    counts.images_with.update(result.images_with)
    conversion.written += result.written
    conversion.excluded.update(result.excluded)


def _count_problems(
    conversion: Conversion, problems: Sequence[Problem], found: Found, options: ConvertOptions
) -> None:
    conversion.problems.update(problem.code for problem in problems)
    conversion.skipped = sum(problem.severity is Severity.SKIPPED for problem in problems)
    if not options.keep_unlabelled and found.unlabelled:
        conversion.problems["no-annotation"] = len(found.unlabelled)


def _with_unlabelled(
    problems: list[Problem], found: Found, options: ConvertOptions
) -> Iterable[Problem]:
    yield from sorted(problems, key=lambda problem: (problem.path, problem.line, problem.code))
    if not options.keep_unlabelled:
        for item in found.unlabelled:
            yield Problem("no-annotation", item.image, "no annotation belongs to this image")


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
        "unlabelled": conversion.unlabelled,
        "excluded": dict(sorted(conversion.excluded.items())),
        "problems": dict(sorted(conversion.problems.items())),
    }
