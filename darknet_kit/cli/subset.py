"""`dkit subset`: some classes of a data set as a data set of their own."""

from collections.abc import Iterator
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.classchoice import classes_option, map_option
from darknet_kit.cli.noticed import exit_code, lacking, noticed
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.selection import SubsetOptions
from darknet_kit.dataset.subset import Subset, counts_of
from darknet_kit.dataset.subset import subset as make_subset

_SCREENFUL = 40  # classes
_LONGEST = 32  # characters of a name


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
    what = "1 class" if len(result.names) == 1 else f"{len(result.names):,} classes"
    lines = [f"{'Would take' if options.dry_run else 'Took'} {what}"]
    for split, counts in result.splits.items():
        if counts.images:
            line = f"  {split:<8}{counts.images:>9,} images {counts.boxes.total():>10,} boxes"
            if counts.negatives:
                line += f"  ({counts.negatives:,} images show none of the classes)"
            lines.append(line)
    lines.extend(
        lacking({split: (one.images, one.boxes.total()) for split, one in result.splits.items()})
    )
    lines.extend(_class_table(result))
    if result.left_out:
        lines.append(f"  not chosen: {result.left_out:,} images that show none of the classes")
    if result.surplus:
        lines.append(f"  not drawn: {result.surplus:,} images beyond {options.per_class:,} a class")
    if result.difficult:
        lines.append(f"  {result.difficult:,} difficult objects have labels apart, for mAP")
    lines.extend(noticed(result.problems))
    lines.extend(f"  note: {note}" for note in result.notes)
    if options.dry_run:
        return [*lines, "  Nothing was written."]
    right = sum(counts.images for counts in result.splits.values()) - result.written
    lines.append(f"  labels  {result.written:,} written, {right:,} right already")
    lines.append(f"  files   {shown(result.paths.data)}")
    if result.problems:
        lines.append(f"          {shown(result.paths.problems)} lists every problem")
    return lines


def _class_table(result: Subset) -> Iterator[str]:
    """Yield a line for each class: in each split, the images that show it, and its boxes."""
    names = [name[:_LONGEST] for name in result.names[:_SCREENFUL]]
    width = max(map(len, names))
    splits = [(split, counts) for split, counts in result.splits.items() if counts.images]
    heads = "".join(f"{split + ' images':>14}{'boxes':>10}" for split, _ in splits)
    yield f"  {'':>5}  {'':<{width}}{heads}"
    for class_id, name in enumerate(names):
        cells = "".join(
            f"{counts.shown[class_id]:>14,}{counts.boxes[class_id]:>10,}" for _, counts in splits
        )
        yield f"  {class_id:>5}  {name:<{width}}{cells}"
    if len(result.names) > _SCREENFUL:
        more = len(result.names) - _SCREENFUL
        yield f"         and {more:,} more, all with --json and in conversion.json"


command = subset
