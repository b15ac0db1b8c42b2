"""`dkit show`: images of a data set with their boxes, as a contact sheet or a page."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.shownetwork import refuse_options_of_data, show_network
from darknet_kit.cli.showrequest import ON_PAGE, ON_SHEET, ShowRequest, first_split, is_page
from darknet_kit.cli.writing import write_files
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import iter_problems
from darknet_kit.core.records import SPLITS, Split
from darknet_kit.core.wording import counted
from darknet_kit.dataset.classes import all_classes, choose_classes
from darknet_kit.dataset.output import paths_for
from darknet_kit.dataset.reading import Dataset, read_dataset, read_wnids
from darknet_kit.dataset.sample import (
    ORDERS,
    Candidate,
    Order,
    Sample,
    Wanted,
    draw_sample,
    iter_candidates,
)
from darknet_kit.dataset.trace import attach_problems, find_problem_images
from darknet_kit.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from darknet_kit.report.rendered import Rendered

_SHEET_PX, _PAGE_PX, _COLUMNS = 280, 480, 4
_INSIDE = 60  # so many pictures can be part of a page itself


@dkit_command(
    examples=[
        "dkit show voc/voc.data",
        "dkit show voc/voc.data --split valid --class dog --count 40 -o dogs.png",
        "dkit show voc/voc.data --split all --count 1000 -o voc.html",
        "dkit show voc/voc.data --problem clipped-box",
        "dkit show yolov4-20.cfg -o yolov4.svg",
    ]
)
@click.argument("data", type=GivenPath())
@click.option(
    "-o",
    "--output",
    type=GivenPath(),
    help="NAME.png, a contact sheet, or NAME.html, a page.  [default: a sheet, named as DATA]",
)
@click.option(
    "--split",
    type=click.Choice([*SPLITS, "all"]),
    help="[default: train; the next that has images where that is empty]",
)
@click.option(
    "--class", "classes", multiple=True, help="Only images that show this class, by name or wnid."
)
@click.option("--negatives", is_flag=True, help="Only images without any box.")
@click.option(
    "--problem",
    "codes",
    metavar="CODE",
    multiple=True,
    help="Images of which problems.csv says this, listed or left out.",
)
@click.option("--problems", type=GivenPath(), help="Such a file.  [default: the one beside DATA]")
@click.option(
    "--sort",
    "order",
    type=click.Choice(ORDERS),
    help="Those with most boxes, or the smallest ones, instead of a random sample.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    help=f"Images.  [default: {ON_SHEET} on a sheet, {ON_PAGE} on a page]",
)
@click.option("--columns", type=click.IntRange(1, 20), help="Of a sheet.  [default: 4]")
@click.option(
    "--tile",
    type=click.IntRange(64, 1024),
    help=f"px.  [default: {_SHEET_PX} on a sheet, {_PAGE_PX} on a page]",
)
@click.option("--seed", default=0, show_default=True, help="Draws the sample.")
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="Look for labels as this Darknet does.  [default: as converted, else alexeyab]",
)
@click.option("--overwrite", is_flag=True, help="Replace the picture or page.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def show(
    data: str,
    output: str | None,
    split: Split | str | None,
    classes: Sequence[str],
    negatives: bool,
    codes: Sequence[str],
    problems: str | None,
    order: Order | None,
    count: int | None,
    columns: int | None,
    tile: int | None,
    seed: int,
    flavor: str | None,
    overwrite: bool,
    workers: int | None,
) -> Outcome:
    """Draw images with their boxes: a contact sheet, or a page.

    Labels are read where, and as, the engine would read them. A page opens in any browser,
    without a network; of many images, their small copies lie in a folder beside it. A .cfg in
    place of DATA is drawn as a diagram, and its layers are listed.
    """
    if data.endswith(".cfg"):
        refuse_options_of_data(click.get_current_context())
        return show_network(data, output, overwrite)
    if classes and negatives:
        raise _contradiction("--class", "--negatives")
    of_problems = bool(codes or problems)
    if split and of_problems:
        raise _contradiction("--split", "--problem")
    page = is_page(output)
    if page and columns:
        raise _contradiction("--columns", "-o NAME.html")
    dataset = read_dataset(data, Flavor(flavor) if flavor else None)
    name = "problems" if of_problems else split or first_split(dataset)
    request = ShowRequest(
        dataset,
        path=output or f"{dataset.data.path.stem}_{name}.png",
        what=name,
        is_page=page,
        problems=problems or paths_for(str(dataset.data.path.parent), "").problems,
        workers=workers,
    )
    wanted = Wanted(_class_ids(dataset, classes), negatives, order)
    sample = _draw(request, codes, wanted, request.limit(count), seed)
    rendered = _render(request, sample, columns or _COLUMNS, tile)
    write_files(rendered.files, overwrite)
    return _tell(request, sample, rendered)


def _draw(
    request: ShowRequest, codes: Sequence[str], wanted: Wanted, count: int, seed: int
) -> Sample:
    """Choose the images. Raises DatasetError (`no-images`), UsageError."""
    dataset = request.dataset
    candidates: Iterable[Candidate] = iter_candidates(dataset, request.splits)
    if request.of_problems:
        candidates = find_problem_images(dataset, request.problems, codes)
    with progress_bar("look", "images") as progress:
        sample = draw_sample(
            candidates,
            dataset.flavor,
            count,
            wanted,
            seed=seed,
            workers=request.workers,
            progress=progress,
        )
    if not sample.images:
        raise _nothing_to_draw(request, wanted)
    if request.is_page and not request.of_problems and os.path.exists(request.problems):
        sample.images = attach_problems(sample.images, iter_problems(request.problems))
    return sample


def _nothing_to_draw(request: ShowRequest, wanted: Wanted) -> DatasetError:
    lists = "any list" if request.what == "all" else f"the {request.what} list"
    image = "no image of these problems" if request.of_problems else f"no image in {lists}"
    names = [repr(request.dataset.names[class_id]) for class_id in sorted(wanted.class_ids)]
    message = f"there is {image}"
    if names:
        message = f"{image} shows {' or '.join(names)}"
    elif wanted.negatives:
        message = f"{image} is without a box"
    return DatasetError(
        message,
        code="no-images",
        hint="Choose another --split, --class or --problem.",
        path=request.dataset.data.path,
    )


def _render(request: ShowRequest, sample: Sample, columns: int, tile: int | None) -> "Rendered":
    from darknet_kit.report.gallery import draw_gallery
    from darknet_kit.report.sheet import draw_sheet
    from darknet_kit.report.tiles import make_tiles

    size = tile or (_PAGE_PX if request.is_page else _SHEET_PX)
    names, count = request.dataset.names, len(sample.images)
    with progress_bar("draw", "images") as progress:
        tiles = make_tiles(sample.images, names, size, workers=request.workers, progress=progress)
        if request.is_page:
            title = f"{request.dataset.data.path.name}: {count:,} of {sample.of:,} {request.kind}"
            return draw_gallery(tiles, request.path, title=title, inside=count <= _INSIDE)
        return draw_sheet(tiles, request.path, columns=min(columns, count), tile_px=size)


def _tell(request: ShowRequest, sample: Sample, rendered: "Rendered") -> Outcome:
    without_label = sum(drawn.lacks_label for drawn in sample.images)
    boxes = sum(len(drawn.labels or ()) for drawn in sample.images)
    data = shown(request.dataset.data.path)
    wrong = bool(without_label or rendered.unreadable)
    return Outcome(
        summary=[
            _describe(request, sample, boxes),
            f"  {'page   ' if request.is_page else 'picture'} {shown(request.path)}",
            *_oddities(request, rendered, without_label),
        ],
        data={
            "page" if request.is_page else "picture": os.path.abspath(request.path),
            "images": len(sample.images),
            "of": sample.of,
            "boxes": boxes,
            "unreadable": rendered.unreadable,
            "without_label": without_label,
        },
        next_command=f"dkit check {data}"
        if wrong or request.of_problems
        else f"dkit make-cfg --data {data}",
        # Whoever asks for problems is not surprised by them.
        exit_code=1 if wrong and not request.of_problems else 0,
    )


def _describe(request: ShowRequest, sample: Sample, boxes: int) -> str:
    text = (
        f"Drew {len(sample.images):,} of {sample.of:,} {request.kind} with {counted(boxes, 'box')}"
    )
    if len(sample.images) < sample.looked_at < sample.of:
        text += f"; looked at {sample.looked_at:,} of them"
    return text


def _oddities(request: ShowRequest, rendered: "Rendered", without_label: int) -> list[str]:
    lines = []
    if len(rendered.files) > 1:
        folder = next(iter(rendered.files)).parent
        lines.append(f"          {shown(folder)} holds its pictures: keep the two together")
    if rendered.unreadable:
        fault = "not there, or no images" if request.of_problems else "CANNOT BE READ"
        lines.append(f"  {fault}: {rendered.unreadable:,} of them")
    if without_label:
        flavor = request.dataset.flavor.value
        lines.append(f"  NO LABEL FILE where {flavor} darknet looks: {without_label:,} of them")
    if rendered.undrawn:
        names = counted(len(rendered.undrawn), "class name")
        cure = "install fonts-noto-core and fonts-noto-cjk, or take a page (-o NAME.html)"
        lines.append(f"  drawn as numbers, for want of a font: {names}; {cure}")
    return lines


def _class_ids(dataset: Dataset, wanted: Sequence[str]) -> frozenset[int]:
    """Return the class_ids of names or wnids. Raises UsageError."""
    classes = all_classes(dataset.names, read_wnids(dataset))
    where = os.fspath(dataset.data.names)
    return frozenset(choose_classes(classes, wanted, where).new_ids if wanted else ())


def _contradiction(one: str, other: str) -> UsageError:
    return UsageError(
        f"{one} and {other} exclude each other",
        code="contradiction",
        hint=f"Leave {other} or {one} out.",
    )


command = show
