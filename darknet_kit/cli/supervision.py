"""`--retries`, `--on-nan` and `--stall-minutes`: what a training does when nobody is there."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import click

from darknet_kit.train.runfolder import LOWER_RATE, STOP, RunSettings

_Command = TypeVar("_Command", bound=Callable[..., object])

_OPTIONS = (
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
    """Give a command the three options; each is None where it was not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_supervision(
    settings: RunSettings,
    retries: int | None,
    on_nan: str | None,
    stall_minutes: float | None,
) -> RunSettings:
    """Return settings with what was asked for; the rest stays as it is."""
    if retries is not None:
        settings = replace(settings, retries=retries)
    if on_nan is not None:
        settings = replace(settings, on_nan=on_nan)
    if stall_minutes is not None:
        settings = replace(settings, stall_minutes=stall_minutes)
    return settings
