"""`dkit stats`: classes, counts and box sizes of a data set."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import PICTURES, kind_of, require_charts, write_files
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.advice import Advice, advise
from darknet_kit.dataset.reading import read_wnids
from darknet_kit.dataset.relatives import Kin, find_alike, find_kin
from darknet_kit.dataset.stats import Stats
from darknet_kit.dataset.stats import stats as count_stats
from darknet_kit.engine.upstream import find_word_tree
from darknet_kit.errors import UsageError
from darknet_kit.formats.wordtree import read_word_tree
from darknet_kit.network.size import parse_size, require_size
from darknet_kit.report.classtable import (
    ORDERS,
    ClassRow,
    format_class_csv,
    format_class_table,
    list_classes,
)
from darknet_kit.report.likeness import describe_alike, describe_kin, list_kin
from darknet_kit.report.overview import describe_stats, list_stats, summarize_stats

_SKIPPED_INPUT = 3
_FEWEST_ROWS = 12
_NO_TREE = (
    "  close relatives among these synsets: not looked for, since there is no data/9k.tree here; "
    "name one with --tree, or: git clone https://github.com/AlexeyAB/darknet "
    "third_party/darknet/alexeyab"
)


@dkit_command(
    examples=[
        "dkit stats voc/voc.data",
        "dkit stats voc/voc.data --size 608 --sort size --all",
        "dkit stats voc/voc.data -o classes.csv -o classes.png",
    ]
)
@click.argument("data", type=GivenPath())
@click.option(
    "-o",
    "--output",
    "outputs",
    type=GivenPath(),
    multiple=True,
    help="Write classes as .csv, a chart as .png, .svg or .pdf; may be repeated.",
)
@click.option(
    "--size", metavar="N|WxH", default="416", show_default=True, help="Network input in pixels."
)
@click.option(
    "--sort",
    "order",
    type=click.Choice(list(ORDERS)),
    default="boxes",
    show_default=True,
    help="Most boxes or images first, smallest boxes first, by name, by class id.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every class, not a screenful.")
@click.option(
    "--few",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Name classes with fewer training boxes.",
)
@click.option(
    "--tree",
    type=GivenPath(),
    help="WordNet as upstream's data/9k.tree, for classes with wnids.  [default: that of a "
    "checkout, or of Debian's package]",
)
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="Look for labels as this Darknet does.  [default: as converted, else alexeyab]",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def stats(
    data: str,
    outputs: tuple[str, ...],
    size: str,
    order: str,
    show_all: bool,
    few: int,
    tree: str | None,
    flavor: str | None,
    workers: int | None,
    overwrite: bool,
) -> Outcome:
    """Count classes, images and boxes; say what is rare, small or alike.

    Labels are read where, and as, the engine would read them. Sizes in pixels are those at the
    network's input, to which Darknet stretches every image.
    """
    _check_outputs(outputs)
    width, height = parse_size(size)
    require_size(width, height, (1, 1))
    with progress_bar("count", "images") as progress:
        counted = count_stats(
            data,
            size=(width, height),
            flavor=Flavor(flavor) if flavor else None,
            workers=workers,
            progress=progress,
        )
    wnids = read_wnids(counted.dataset)
    rows = list_classes(counted, wnids, order)
    advice = advise(counted, few)
    kin = _find_kin(wnids, tree)
    alike = find_alike(counted.dataset.names)
    done = write_files(_render(counted, rows, outputs), overwrite)
    names = counted.dataset.names
    below = [
        *(describe_kin(kin, names, show_all) if kin is not None else [_NO_TREE]),
        *describe_alike(alike, names),
        *_describe_advice(advice),
        *(f"  {what:<10} {shown(path)}" for path, what in done.items()),
    ]
    above = [f"{shown(data)}: {describe_stats(counted)}", *summarize_stats(counted), ""]
    most = len(rows) if show_all else _screenful(len(above) + len(below))
    table = format_class_table(rows, list(counted.splits), (width, height), most)
    return Outcome(
        summary=[*above, *table, *below],
        data={
            **list_stats(counted, rows),
            "relatives": None if kin is None else list_kin(kin, names),
            "names_alike": [[names[class_id] for class_id in group] for group in alike],
            "advice": [
                {"code": one.code, "finding": one.finding, "cure": one.cure} for one in advice
            ],
            "files": [str(path.absolute()) for path in done],
        },
        next_command=f"dkit show {shown(data)}",
        exit_code=_SKIPPED_INPUT if counted.total.unlabelled or counted.total.beyond else 0,
    )


def _check_outputs(outputs: Sequence[str]) -> None:
    """Refuse what could not be written, before anything is counted."""
    for path in outputs:
        if kind_of(path) not in ("csv", *PICTURES):
            raise UsageError(
                "this is no kind of file that can be written",
                code="unknown-picture",
                hint="End the name in .csv for a table, in .png, .svg or .pdf for a chart.",
                path=path,
            )
    if any(kind_of(path) in PICTURES for path in outputs):
        require_charts()


def _find_kin(wnids: Sequence[str], tree: str | None) -> list[Kin] | None:
    """Return the close relatives, none for classes without wnids; None where no tree is found."""
    if not wnids:
        return []
    path = tree or find_word_tree()
    return None if path is None else find_kin(wnids, read_word_tree(path))


def _render(counted: Stats, rows: Sequence[ClassRow], outputs: Sequence[str]) -> dict[Path, bytes]:
    """Return what goes into each file."""
    return {
        Path(path): format_class_csv(rows).encode("utf-8", "surrogateescape")
        if kind_of(path) == "csv"
        else _draw(counted, rows, kind_of(path))
        for path in outputs
    }


def _draw(counted: Stats, rows: Sequence[ClassRow], kind: str) -> bytes:
    from darknet_kit.report.charts import render_figure
    from darknet_kit.report.statschart import plot_stats

    return render_figure(plot_stats(counted, rows, counted.dataset.data.path.stem), kind)


def _describe_advice(advice: Sequence[Advice]) -> list[str]:
    lines = [line for one in advice for line in (f"    {one.finding}", f"      → {one.cure}")]
    return ["", "  worth knowing:", *lines] if lines else []


def _screenful(others: int) -> int:
    """Return how many classes fit on the screen beside `others` lines."""
    return max(shutil.get_terminal_size((80, 60)).lines - others - 5, _FEWEST_ROWS)


command = stats
