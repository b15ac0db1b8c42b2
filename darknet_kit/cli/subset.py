"""`dkit subset`: some classes of a data set as a data set of their own."""

import os

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.noticed import exit_code, noticed
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.subset import Subset, counts_of
from darknet_kit.dataset.subset import subset as make_subset
from darknet_kit.formats.datafile import read_names


@dkit_command(
    examples=[
        "dkit subset imagenet/ilsvrc.data --classes n02084071,tench --out fish",
        "dkit subset voc/voc.data --top 5 --out voc5",
    ]
)
@click.argument("data", type=GivenPath())
@click.option("--out", type=GivenPath(), required=True, help="Folder for the new data set.")
@click.option("--classes", help="Names or wnids, with commas between; or a file, one a line.")
@click.option("--top", type=click.IntRange(1), help="The N classes with most boxes.")
@click.option("--name", help="Name of the new .data and .names files.  [default: that of --out]")
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="The Darknet that DATA's labels lie right for.  [default: as converted, else alexeyab]",
)
@click.option("--dry-run", is_flag=True, help="Count and report; write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def subset(
    data: str,
    out: str,
    classes: str | None,
    top: int | None,
    name: str | None,
    flavor: str | None,
    dry_run: bool,
    overwrite: bool,
    workers: int | None,
) -> Outcome:
    """Make a complete data set of some of the classes.

    Class ids count from 0 again; images are links to the originals; images that show none of the
    classes are left out.
    """
    with progress_bar("subset", "images") as progress:
        result = make_subset(
            data,
            out,
            classes=_split_names(classes),
            top=top or 0,
            name=name,
            flavor=Flavor(flavor) if flavor else None,
            overwrite=overwrite,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
    return Outcome(
        summary=_summary(result, dry_run),
        data={
            "data": result.paths.data,
            "names": result.paths.names,
            "classes": result.names,
            "problems_file": result.paths.problems,
            "dry_run": dry_run,
            "labels_written": result.written,
            **counts_of(result),
        },
        next_command="" if dry_run else f"dkit make-cfg --data {shown(result.paths.data)}",
        exit_code=exit_code(result.problems),
    )


def _split_names(classes: str | None) -> list[str]:
    if not classes:
        return []
    if os.path.isfile(classes):
        return read_names(classes)
    return [name.strip() for name in classes.split(",") if name.strip()]


def _summary(result: Subset, dry_run: bool) -> list[str]:
    lines = [f"{'Would take' if dry_run else 'Took'} {len(result.names)} classes"]
    for split, images in result.images.items():
        if images:
            boxes = result.boxes[split].total()
            lines.append(f"  {split:<8}{images:>9,} images {boxes:>10,} boxes")
    for class_id, name in enumerate(result.names):
        boxes = sum(counts[class_id] for counts in result.boxes.values())
        lines.append(f"  {class_id:>5}  {name}: {boxes:,} boxes")
    lines.append(f"  {result.dropped:,} images show none of them and are left out")
    if result.difficult:
        lines.append(f"  {result.difficult:,} difficult objects have labels apart, for mAP")
    lines.extend(noticed(result.problems))
    if dry_run:
        return [*lines, "  Nothing was written."]
    right = sum(result.images.values()) - result.written
    lines.append(f"  labels  {result.written:,} written, {right:,} right already")
    lines.append(f"  files   {shown(result.paths.data)}")
    if result.problems:
        lines.append(f"          {shown(result.paths.problems)} lists every problem")
    return lines


command = subset
