"""`dkit show`: a contact sheet of a data set."""

import os

import click

from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import shown
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.dataset.reading import iter_images, read_dataset
from darknet_kit.errors import DatasetError, UsageError


@dkit_command(
    examples=[
        "dkit show voc/voc.data",
        "dkit show voc/voc.data --split valid --class dog --count 40 -o dogs.png",
    ]
)
@click.argument("data", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="PNG to write.  [default: NAME_SPLIT.png]")
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
    from darknet_kit.report.sheet import draw_sheet, sample

    dataset = read_dataset(data, Flavor(flavor) if flavor else None)
    images = list(iter_images(dataset, split))
    if class_name is not None:
        if class_name not in dataset.names:
            raise UsageError(
                f"there is no class {class_name!r} in this data set",
                code="unknown-class",
                hint=f"{dataset.data.names} lists the classes.",
                path=data,
            )
        class_id = dataset.names.index(class_name)
        images = [
            image
            for image in images
            if any(label.class_id == class_id for label in image.labels or ())
        ]
    if not images:
        raise DatasetError(
            f"there is no such image in the {split} list",
            code="no-images",
            hint="Choose another --split or --class.",
            path=dataset.image_list(split) or data,
        )
    path = output or f"{dataset.data.path.stem}_{split}.png"
    if os.path.exists(path) and not overwrite:
        raise UsageError(
            "this file is there already",
            code="file-exists",
            hint="Name another one with -o, or add --overwrite.",
            path=path,
        )
    chosen = sample(images, count, seed)
    draw_sheet(chosen, dataset.names, path, columns=min(columns, len(chosen)), tile_px=tile)
    without = sum(image.labels is None for image in images)
    boxes = sum(len(image.labels or ()) for image in chosen)
    summary = [
        f"Drew {len(chosen)} of {len(images):,} {split} images with {boxes:,} boxes",
        f"  picture {shown(path)}",
    ]
    if without:
        summary.append(f"  {without:,} of {len(images):,} images have NO label file where")
        summary.append(f"  {dataset.flavor.value} darknet looks")
    return Outcome(
        summary=summary,
        data={"picture": os.path.abspath(path), "images": len(chosen), "without_label": without},
        next_command=f"dkit make-cfg --data {shown(data)}",
        exit_code=1 if without else 0,
    )


command = show
