"""How charts of trainings look: the options that commands which draw them share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from darknet_kit.report.charts import Look

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--scale",
        type=click.Choice(["auto", "log", "linear", "darknet"]),
        default="auto",
        show_default=True,
        help="Axis of the loss: logarithmic where it spans more than 1 to 30, or always, or never, "
        "or 0 to 20 as in Darknet's own chart.",
    ),
    click.option(
        "--smooth",
        type=click.IntRange(2),
        metavar="N",
        help="Draw the mean loss of N iterations in place of the engine's average.",
    ),
    click.option("--time", "by_time", is_flag=True, help="Hours of computing on the x-axis."),
    click.option(
        "--theme",
        type=click.Choice(["light", "dark"]),
        default="light",
        show_default=True,
        help="For paper, or for a dark screen.",
    ),
)


def look_options(command: Command) -> Command:
    """Add --scale, --smooth, --time and --theme to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_look(title: str, scale: Any, smooth: int | None, by_time: bool, theme: str) -> "Look":
    """Return the look that these options ask for."""
    from darknet_kit.report.charts import Look
    from darknet_kit.report.theme import THEMES

    return Look(title, scale, THEMES[theme], smooth or 0, by_time)
