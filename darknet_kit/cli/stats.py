"""`dkit stats`: classes, counts and box sizes of a data set."""

import dataclasses
import functools
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import SKIPPED_INPUT, Outcome, dkit_command
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

_FEWEST_ROWS = 12
_LINE = 100
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
    network's input, to which Darknet stretches every image. Of classes with wnids it says which are
    close relatives: of one narrow kind, at most two steps above each in WordNet.
    """
    _check_outputs(outputs)
    across, down = parse_size(size)
    require_size(across, down, (1, 1))
    with progress_bar("count", "images") as progress:
        counted = count_stats(
            data,
            size=(across, down),
            flavor=Flavor(flavor) if flavor else None,
            workers=workers,
            progress=progress,
        )
    found = _look(counted, order, few, tree)
    done = write_files(_render(found, outputs), overwrite)
    files = [f"  {what:<10} {shown(path)}" for path, what in done.items()]
    skipped = counted.total.unlabelled or counted.total.beyond
    return Outcome(
        summary=[*_summarize(found, shown(data), show_all, len(files)), *files],
        data={**_list_facts(found), "files": [str(path.absolute()) for path in done]},
        next_command=f"dkit {'check' if skipped else 'show'} {shown(data)}",
        exit_code=SKIPPED_INPUT if skipped else 0,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """All that is to be said; `kin` is None where no tree of synsets is there."""

    counted: Stats
    rows: list[ClassRow]
    kin: list[Kin] | None
    alike: list[tuple[int, ...]]
    advice: list[Advice]

    @property
    def names(self) -> list[str]:
        return self.counted.dataset.names


def _look(counted: Stats, order: str, few: int, tree: str | None) -> _Found:
    wnids = read_wnids(counted.dataset)
    return _Found(
        counted,
        rows=list_classes(counted, wnids, order),
        kin=_find_kin(wnids, tree),
        alike=find_alike(counted.dataset.names),
        advice=advise(counted, few),
    )


def _summarize(found: _Found, data: str, show_all: bool, files: int) -> list[str]:
    """Return all lines but those of the `files`; of the classes, as many as the screen leaves."""
    counted, names = found.counted, found.names
    kin = [_NO_TREE] if found.kin is None else describe_kin(found.kin, names, show_all)
    alike = describe_alike(found.alike, names)
    above = [f"{data}: {describe_stats(counted)}", *summarize_stats(counted), ""]
    below = [*([""] if kin or alike else []), *kin, *alike, *_describe_advice(found.advice)]
    most = len(found.rows) if show_all else _screenful(len(above) + len(below) + files)
    size = counted.total.shapes.size
    table = format_class_table(found.rows, list(counted.splits), size, most)
    return [*above, *table, *below]


def _list_facts(found: _Found) -> dict[str, Any]:
    names = found.names
    return {
        **list_stats(found.counted, found.rows),
        "relatives": None if found.kin is None else list_kin(found.kin, names),
        "names_alike": [[names[class_id] for class_id in group] for group in found.alike],
        "advice": [dataclasses.asdict(one) for one in found.advice],
    }


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
    """Return the close relatives, none for classes without wnids; None where no tree is found.

    Raises UsageError where a tree was named, and it says nothing of these classes.
    """
    if not wnids and tree:
        raise UsageError(
            "--tree knows wnids, and these classes have none",
            code="wrong-option",
            hint="Leave it out; `dkit convert ilsvrc` writes wnids beside the .names file.",
        )
    if not wnids:
        return []
    path = tree or find_word_tree()
    return None if path is None else find_kin(wnids, read_word_tree(path))


def _render(found: _Found, outputs: Sequence[str]) -> dict[Path, bytes]:
    """Return what goes into each file."""
    return {
        Path(path): format_class_csv(found.rows).encode("utf-8", "surrogateescape")
        if kind_of(path) == "csv"
        else _draw(found, kind_of(path))
        for path in outputs
    }


def _draw(found: _Found, kind: str) -> bytes:
    from darknet_kit.report.charts import render_figure
    from darknet_kit.report.statschart import plot_stats

    title = found.counted.dataset.data.path.stem
    return render_figure(plot_stats(found.counted, found.rows, title), kind)


def _describe_advice(advice: Sequence[Advice]) -> list[str]:
    wrap = functools.partial(textwrap.wrap, width=_LINE, subsequent_indent=" " * 8)
    lines = [
        line
        for one in advice
        for text in (f"    {one.finding}", f"      → {one.cure}")
        for line in wrap(text)
    ]
    return ["", "  worth knowing:", *lines] if lines else []


def _screenful(others: int) -> int:
    """Return how many classes fit on the screen beside `others` lines."""
    return max(shutil.get_terminal_size((80, 60)).lines - others - 5, _FEWEST_ROWS)


command = stats
