"""What a training does when nobody is there, and what it keeps; `--resume` takes it anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from darknet_kit.network.estimate import KEEP
from darknet_kit.train.runs.record import LOWER_RATE, STOP, RunSettings

_Command = TypeVar("_Command", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--telemetry-seconds",
        type=click.FloatRange(0, 3600),
        help="Time between two samples of the machine; 0: none.  [default: 5]",
    ),
    click.option(
        "--keep",
        type=click.IntRange(min=0),
        help=f"How many of the numbered weights stay; 0: all.  [default: {KEEP}]",
    ),
    click.option(
        "--full-log/--compact-log",
        default=None,
        help="Keep the lines of every head and mini-batch, or one for an iteration.  "
        "[default: compact]",
    ),
    click.option(
        "--retries",
        type=click.IntRange(0, 1000),
        help="Attempts after a failed one, counted since the last progress.  [default: 3]",
    ),
    click.option(
        "--on-nan",
        type=click.Choice([LOWER_RATE, STOP]),
        help="When the loss is lost: back to good weights at half the rate, or stop.  "
        f"[default: {LOWER_RATE}]",
    ),
    click.option(
        "--stall-minutes",
        type=click.FloatRange(0, min_open=True),
        help="Without a word for so long an engine hangs.  [default: 20 iterations, 10 at least]",
    ),
)


def supervision_options(command: _Command) -> _Command:
    """Give a command these options; each is None where it was not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_supervision(settings: RunSettings, **asked: Any) -> RunSettings:
    """Return settings with what was asked for, by the names of the options; the rest stays."""
    given = {name: value for name, value in asked.items() if value is not None}
    return replace(settings, **given)
