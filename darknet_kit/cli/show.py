"""`dkit show`: a contact sheet of a data set."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.files import holds, write_bytes
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.progress import Progress
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.dataset.reading import Dataset, LabelledImage, iter_images, read_dataset
from darknet_kit.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from darknet_kit.report.sheet import Sample, Sheet


@dkit_command(
    examples=[
        "dkit show voc/voc.data",
        "dkit show voc/voc.data --split valid --class dog --count 40 -o dogs.png",
    ]
)
@click.argument("data", type=GivenPath())
@click.option("-o", "--output", type=GivenPath(), help="PNG to write.  [default: NAME_SPLIT.png]")
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--class", "class_name", help="Only images that show this class.")
@click.option("--count", type=click.IntRange(1, 400), default=12, show_default=True)
@click.option("--columns", type=click.IntRange(1, 20), default=4, show_default=True)
@click.option("--tile", type=click.IntRange(64, 1024), default=280, show_default=True, help="px")
@click.option("--seed", default=0, show_default=True, help="Draws the sample.")
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="Look for labels as this Darknet does.  [default: as converted, else alexeyab]",
)
@click.option("--overwrite", is_flag=True, help="Replace the picture.")
def show(
    data: str,
    output: str | None,
    split: Split,
    class_name: str | None,
    count: int,
    columns: int,
    tile: int,
    seed: int,
    flavor: str | None,
    overwrite: bool,
) -> Outcome:
    """Draw a contact sheet of images with their boxes.

    Labels are read where, and as, the engine would read them.
    """
    from darknet_kit.report.sheet import draw_sample, draw_sheet

    dataset = read_dataset(data, Flavor(flavor) if flavor else None)
    with progress_bar("look", "images") as progress:
        sample = draw_sample(_chosen(dataset, split, class_name, progress), count, seed)
    if not sample.images:
        raise DatasetError(
            f"there is no such image in the {split} list",
            code="no-images",
            hint="Choose another --split or --class.",
            path=dataset.image_list(split) or data,
        )
    columns = min(columns, len(sample.images))
    sheet = draw_sheet(sample.images, dataset.names, columns=columns, tile_px=tile)
    path = output or f"{dataset.data.path.stem}_{split}.png"
    _write(path, sheet.png, overwrite)
    return Outcome(
        summary=_summary(sample, sheet, dataset, split, path),
        data={
            "picture": os.path.abspath(path),
            "images": len(sample.images),
            "unreadable": sheet.unreadable,
            "without_label": sample.without_label,
        },
        next_command=f"dkit make-cfg --data {shown(data)}",
        exit_code=1 if sample.without_label or sheet.unreadable else 0,
    )


def _summary(
    sample: "Sample", sheet: "Sheet", dataset: Dataset, split: Split, path: str
) -> list[str]:
    boxes = sum(len(image.labels or ()) for image in sample.images)
    lines = [
        f"Drew {len(sample.images)} of {sample.of:,} {split} images with {boxes:,} boxes",
        f"  picture {shown(path)}",
    ]
    if sheet.unreadable:
        lines.append(f"  {sheet.unreadable:,} of them CANNOT BE READ")
    if sample.without_label:
        lines.append(f"  {sample.without_label:,} of {sample.of:,} images have NO label file")
        lines.append(f"  where {dataset.flavor.value} darknet looks")
    return lines


def _chosen(
    dataset: Dataset, split: Split, class_name: str | None, progress: Progress
) -> Iterator[LabelledImage]:
    """Yield the images of a split, or those that show a class. Raises UsageError."""
    if class_name is not None and class_name not in dataset.names:
        raise UsageError(
            f"there is no class {class_name!r} in this data set",
            code="unknown-class",
            hint=f"{dataset.data.names} lists the classes.",
            path=dataset.data.path,
        )
    class_id = None if class_name is None else dataset.names.index(class_name)
    for number, image in enumerate(iter_images(dataset, split), 1):
        progress(number, 0)
        if class_id is None or any(label.class_id == class_id for label in image.labels or ()):
            yield image


def _write(path: str, png: bytes, overwrite: bool) -> None:
    """Write the picture, unless another is in the way. Raises UsageError, WriteError."""
    if not overwrite and os.path.exists(path) and not holds(path, png):
        raise UsageError(
            "this is a folder" if os.path.isdir(path) else "another file is there already",
            code="file-exists",
            hint="Name another one with -o, or add --overwrite.",
            path=path,
        )
    write_bytes(path, png)


command = show
