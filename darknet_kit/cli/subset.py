"""`dkit subset`: some classes of a data set as a data set of their own."""

from collections.abc import Iterator
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.classchoice import classes_option, map_option
from darknet_kit.cli.noticed import describe_split, exit_code, lacking, noticed, written
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.wording import counted
from darknet_kit.dataset.selection import SubsetOptions
from darknet_kit.dataset.subset import Subset, counts_of
from darknet_kit.dataset.subset import subset as make_subset
from darknet_kit.report.classtable import align_columns, cut_name

_SCREENFUL = 40  # classes
_COLUMNS = ("boxes", "images")


@dkit_command(
    examples=[
        "dkit subset imagenet/ilsvrc.data --classes n02084071,tench --out fish",
        "dkit subset voc/voc.data --top 5 --per-class 500 --out voc5",
        "dkit subset voc/voc.data --map cat=pet --map dog=pet --classes pet,person --out pets",
    ]
)
@click.argument("data", type=GivenPath())
@click.option("--out", type=GivenPath(), required=True, help="Folder for the new data set.")
@classes_option
@map_option
@click.option("--top", type=click.IntRange(1), help="The N classes with most boxes to train on.")
@click.option(
    "--min-images",
    type=click.IntRange(1),
    help="Classes that at least N training images show.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    help="Draw training images until each class has N, or all that show it; the rarest class "
    "first, and an image counts for all that it shows.",
)
@click.option("--seed", default=0, show_default=True, help="Draws those images.")
@click.option(
    "--keep-unlabelled", is_flag=True, help="Keep images that show no class as negatives."
)
@click.option("--name", help="Name of the new .data and .names files.  [default: that of --out]")
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="The Darknet that DATA's labels lie right for.  [default: as converted, else alexeyab]",
)
@click.option("--dry-run", is_flag=True, help="Count and report; write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def subset(data: str, out: str, flavor: str | None, **chosen: Any) -> Outcome:
    """Make a complete data set of some of the classes.

    Class ids count from 0 again; images are links to the originals; images that show none of the
    classes are left out. --map comes before the choice of classes, and that before --per-class,
    which leaves the images to validate on alone.
    """
    given = {option: value for option, value in chosen.items() if value is not None}
    options = SubsetOptions(flavor=Flavor(flavor) if flavor else None, **given)
    with progress_bar("subset", "images") as progress:
        result = make_subset(data, out, options, progress=progress)
    return Outcome(
        summary=_summary(result, options),
        data={
            "data": result.paths.data,
            "names": result.paths.names,
            "classes": result.names,
            "problems_file": result.paths.problems,
            "dry_run": options.dry_run,
            "labels_written": result.written,
            "notes": result.notes,
            **counts_of(result),
        },
        next_command="" if options.dry_run else f"dkit make-cfg --data {shown(result.paths.data)}",
        exit_code=exit_code(result.problems),
    )


def _summary(result: Subset, options: SubsetOptions) -> list[str]:
    verb = "Would take" if options.dry_run else "Took"
    lines = [f"{verb} {counted(len(result.names), 'class')}"]
    for split, counts in result.splits.items():
        if counts.images:
            boxes, lack = counts.boxes.total(), "any of the classes"
            lines.append(describe_split(split, counts.images, boxes, counts.negatives, lack))
    lines.extend(
        lacking({split: (one.images, one.boxes.total()) for split, one in result.splits.items()})
    )
    lines.extend(_class_table(result))
    if result.left_out:
        left_out = counted(result.left_out, "image")
        lines.append(f"  not chosen: {left_out} without any of the classes")
    if result.surplus:
        surplus = counted(result.surplus, "image")
        lines.append(f"  not drawn: {surplus} beyond {options.per_class:,} a class")
    if result.difficult:
        difficult = counted(result.difficult, "difficult object")
        lines.append(f"  labels apart, for mAP: {difficult}")
    lines.extend(noticed(result.problems))
    lines.extend(f"  note: {note}" for note in result.notes)
    kept = sum(counts.images for counts in result.splits.values())
    return [*lines, *written(result, kept, dry_run=options.dry_run)]


def _class_table(result: Subset) -> Iterator[str]:
    """Yield a line for each class: in each split, its boxes, and the images that show it."""
    splits = {split: counts for split, counts in result.splits.items() if counts.images}
    table = [["id", "class", *(f"{split} {what}" for split in splits for what in _COLUMNS)]]
    for class_id, name in enumerate(result.names[:_SCREENFUL]):
        counts = [(one.boxes[class_id], one.shown[class_id]) for one in splits.values()]
        cells = [f"{count:,}" for pair in counts for count in pair]
        table.append([str(class_id), cut_name(name), *cells])
    yield from align_columns(table, left=(1,))
    if len(result.names) > _SCREENFUL:
        more = len(result.names) - _SCREENFUL
        yield f"         and {more:,} more, all with --json and in conversion.json"


command = subset
