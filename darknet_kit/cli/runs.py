"""`dkit runs`: what became of every training, and one of them in detail."""

from dataclasses import asdict
from typing import Any

import click

from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.errors import UsageError
from darknet_kit.report.runtable import ORDERS, format_run_table, summarize_runs
from darknet_kit.train.runlist import RunSummary, iter_runs

_HOME = "runs"


@dkit_command(
    examples=[
        "dkit runs",
        "dkit runs /data/runs --sort map",
        "dkit runs show runs/yolov4-tiny-20",
        "dkit runs stop runs/yolov4-tiny-20",
    ]
)
@click.argument("words", nargs=-1, type=GivenPath(), metavar="[DIR] | show RUN | stop RUN")
@click.option(
    "--sort",
    "order",
    type=click.Choice(list(ORDERS)),
    default="when",
    show_default=True,
    help="Latest first, by name, by state, most iterations, lowest loss, highest mAP, longest.",
)
def runs(words: tuple[str, ...], order: str) -> Outcome:
    """List runs: how far each came and what became of it; show or stop one."""
    return _list_runs(words[0] if words else _HOME, order)


def _list_runs(root: str, order: str) -> Outcome:
    found = sorted(iter_runs(root), key=ORDERS[order])
    if not found:
        raise UsageError(
            "there is no run in this folder",
            code="no-run",
            hint="Start one: dkit train DATA CFG, or name another folder: dkit runs DIR",
            path=root,
        )
    return Outcome(
        summary=[*format_run_table(found), summarize_runs(found)],
        data={"runs": [list_facts(run) for run in found]},
        next_command=f"dkit runs show {shown(found[0].path)}",
    )


def list_facts(run: RunSummary) -> dict[str, Any]:
    """Return a run as JSON can hold it."""
    return {"name": run.name, **asdict(run), "path": str(run.path)}


command = runs
