"""`dkit runs`: what became of every training; one of them in detail, or stopped."""

import click

from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.runshow import list_facts, show_run
from darknet_kit.cli.runstop import stop_run
from darknet_kit.errors import UsageError
from darknet_kit.report.runtable import ORDERS, format_run_table, summarize_runs
from darknet_kit.train.runs.listing import iter_runs

_HOME = "runs"
_SHOW, _STOP = "show", "stop"


@dkit_command(
    examples=[
        "dkit runs",
        "dkit runs /data/runs --sort map",
        "dkit runs show yolov4-tiny-20",
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
@click.option("--now", is_flag=True, help="stop: at once, not after the next checkpoint.")
def runs(words: tuple[str, ...], order: str, now: bool) -> Outcome:
    """List runs: how far each came and what became of it; show or stop one.

    DIR is a folder of runs, by default runs/; RUN is a run's folder, or its name in runs/. A run is
    running, finished, diverged, crashed, interrupted, or lost: nothing says how it ended, as after
    `kill -9` or a restart of the machine.
    """
    action, rest = (words[0], words[1:]) if words[:1] in ((_SHOW,), (_STOP,)) else ("", words)
    if len(rest) > 1 or (action and not rest) or (now and action != _STOP):
        raise UsageError(
            "`show` and `stop` take one RUN" if action else "one folder of runs, and --now stops",
            code="usage",
            hint=f"dkit runs {action or _STOP} RUN{' --now' if now else ''}",
        )
    if action == _SHOW:
        return show_run(rest[0])
    if action == _STOP:
        return stop_run(rest[0], now=now)
    return _list_runs(rest[0] if rest else _HOME, order)


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


command = runs
