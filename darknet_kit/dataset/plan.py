"""What is decided before the first label is written: classes, folder, splits and places.

So whatever stands against a conversion is known while nothing is changed.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from darknet_kit.core.boxes import BoxConvention
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.pool import Workers
from darknet_kit.core.wording import counted
from darknet_kit.dataset.classes import Classes, all_classes, choose_classes, merge_classes
from darknet_kit.dataset.found import Found, negatives
from darknet_kit.dataset.labels import LEFT_OUT, ObjectRules
from darknet_kit.dataset.output import Target, paths_for
from darknet_kit.dataset.parts import Part
from darknet_kit.dataset.place import Layout, Placement, check_view, place_items
from darknet_kit.dataset.shard import ShardRules
from darknet_kit.dataset.splits import assign_splits
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.strangers import no_images
from darknet_kit.formats.yolo import is_safe


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What a person may choose. `out` makes a view of links there; without it labels lie beside
    the images and the lists in the source folder. `convention` None is the format's own.
    `classes` and `maps` are as `choose_classes` and `merge_classes` take them, `maps` first. Of a
    `shard` labels are written, and no lists."""

    out: str | None = None
    name: str | None = None
    flavor: Flavor = Flavor.ALEXEYAB
    convention: BoxConvention | None = None
    objects: ObjectRules = field(default_factory=ObjectRules)
    names_file: str | None = None
    classes: Sequence[str] = ()
    maps: Sequence[str] = ()
    valid_fraction: float = 0.1
    seed: int = 0
    verify_images: bool = False
    keep_unlabelled: bool = False
    overwrite: bool = False
    dry_run: bool = False
    workers: Workers = None
    shard: Part | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion will make: of which classes, where, of which images, by which rules.

    `notes` are what people should know of it.
    """

    classes: Classes
    target: Target
    placement: Placement
    rules: ShardRules
    notes: list[str]


def plan_conversion(found: Found, options: ConvertOptions) -> Plan:
    """Decide everything, and make sure that the folder may be written into; writes nothing.

    Raises DatasetError, UsageError, WriteError.
    """
    classes = _choose(found, options)
    target = _target(found, classes, options)
    folder = target.paths.folder
    notes = [*found.notes, *classes.notes, *_check_folder(found, options, folder), *target.notes()]
    target.claim()
    placement = _place(found, options, target.paths.lists)
    notes.extend(_place_notes(placement, options.flavor))
    notes.extend(() if options.out else _link_notes(found, placement.folders))
    return Plan(classes, target, placement, _rules(found, classes, options, folder), notes)


def _choose(found: Found, options: ConvertOptions) -> Classes:
    """Return the classes of the result. Raises UsageError, DatasetError."""
    classes = all_classes(found.names, found.keys if found.format == "ilsvrc" else ())
    where = "The .names file of a conversion without --classes"
    if options.maps:
        classes = merge_classes(classes, options.maps, where)
    return choose_classes(classes, options.classes, where) if options.classes else classes


def _target(found: Found, classes: Classes, options: ConvertOptions) -> Target:
    if not found.items:
        raise _nothing_found(found)
    folder = os.path.abspath(options.out) if options.out else found.root
    name = options.name or ("ilsvrc" if found.format == "ilsvrc" else os.path.basename(found.root))
    return Target(
        paths_for(folder, name),
        _settings(found, classes, options),
        own=options.out is not None,
        overwrite=options.overwrite,
        dry_run=options.dry_run,
    )


def _nothing_found(found: Found) -> DatasetError:
    without = sum(problem.code == "missing-image" for problem in found.problems)
    if without or not found.problems:
        return no_images(found.root, without, found.images)
    first = found.problems[0]
    return DatasetError(
        f"none of the annotations can be given its image: {first.message}",
        code=first.code,
        hint="Give a folder in which each image is there once.",
        path=first.path,
    )


def _check_folder(found: Found, options: ConvertOptions, folder: str) -> Iterator[str]:
    """Yield what people should know of the folder that is written into. Raises UsageError."""
    if not options.out:
        if not is_safe(folder):
            raise UsageError(
                "the path of this folder would end up in a shell, or break an image list",
                code="unsafe-path",
                hint="Rename it, or make a view of it elsewhere with --out DIR.",
                path=folder,
            )
        return
    if os.path.realpath(folder) in map(os.path.realpath, (found.root, found.images or found.root)):
        raise UsageError(
            "this is the folder of the images; a view of links needs one of its own",
            code="out-is-source",
            hint="Leave --out away to write the labels where the images are.",
            path=folder,
        )
    yield from check_view(folder, options.flavor)


def _settings(found: Found, classes: Classes, options: ConvertOptions) -> dict[str, Any]:
    return {
        "format": found.format,
        "source": found.source.encode("utf-8", "backslashreplace").decode(),
        "images": found.images.encode("utf-8", "backslashreplace").decode(),
        "view": options.out is not None,
        "flavor": options.flavor.value,
        "box_convention": found.convention.value,
        **asdict(options.objects),
        "keep_unlabelled": options.keep_unlabelled,
        "verify_images": options.verify_images,
        "valid_fraction": options.valid_fraction,
        "seed": options.seed,
        "classes": list(classes.names),
        "chosen": bool(options.classes),
        "map": classes.renamed(found.names),
    }


def _place(found: Found, options: ConvertOptions, lists: frozenset[str]) -> Placement:
    """Give each image its split and its place. Raises DatasetError (`cannot-read`)."""
    extra = negatives(found) if options.keep_unlabelled else ()
    items = assign_splits([*found.items, *extra], options.valid_fraction, options.seed)
    view = os.path.abspath(options.out) if options.out else None
    return place_items(items, Layout(options.flavor, view), lists)


def _place_notes(placement: Placement, flavor: Flavor) -> Iterator[str]:
    if placement.elsewhere:
        yield (
            f"{placement.elsewhere:,} labels do not lie beside their images, because "
            f"{flavor.value} darknet looks elsewhere: {placement.example}. "
            "--out DIR makes a view that every darknet reads the same way."
        )


def _link_notes(found: Found, folders: Iterable[str]) -> Iterator[str]:
    """Yield where labels go that nobody named: people link a folder of images into a set."""
    roots = filter(None, (found.root, found.images))
    named = [os.path.join(os.path.realpath(root), "") for root in roots]
    real = {os.path.join(folder, "") for folder in _iter_real(folders)}
    outside = sorted(folder for folder in real if not folder.startswith(tuple(named)))
    if outside:
        more = f" and {counted(len(outside) - 1, 'more folder')}" if len(outside) > 1 else ""
        yield (
            f"labels go beside their images into {outside[0]}{more}, where links lead out of "
            "SOURCE. With --out DIR nothing is written there."
        )


def _iter_real(folders: Iterable[str]) -> Iterator[str]:
    """Yield `os.path.realpath` of each, which alone would look at all above it each time."""
    above = {folder: os.path.realpath(folder) for folder in set(map(os.path.dirname, folders))}
    for folder in folders:
        parent, name = os.path.split(folder)
        linked = os.path.islink(folder)
        yield os.path.realpath(folder) if linked else os.path.join(above[parent], name)


def _rules(found: Found, classes: Classes, options: ConvertOptions, folder: str) -> ShardRules:
    return ShardRules(
        folder=folder,
        layout=Layout(options.flavor, os.path.abspath(options.out) if options.out else None),
        class_ids={key: classes.new_ids.get(old, LEFT_OUT) for old, key in enumerate(found.keys)},
        drop_negatives=bool(options.classes) and not options.keep_unlabelled,
        convention=found.convention,
        objects=options.objects,
        verify_images=options.verify_images,
        replace_labels=options.overwrite,
        write=not options.dry_run,
    )
