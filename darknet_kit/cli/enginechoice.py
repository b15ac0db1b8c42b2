"""`--engine`, as the commands that run one share it."""

import click

from darknet_kit.engine.find import AUTO, DARKNET, EMBEDDED, Engine, find_engine
from darknet_kit.errors import ToolchainError

engine_option = click.option(
    "--engine",
    default=AUTO,
    show_default=True,
    metavar="ENGINE",
    help="`auto`, `torch` (the embedded one), `darknet`, or a darknet's path.",
)


def find_engine_of_run(recorded: str, asked: str) -> Engine:
    """Return the engine that a run began with, unless another one is asked for.

    Raises ToolchainError, as `find_engine` does.
    """
    if asked != AUTO:
        return find_engine(asked)
    try:
        return find_engine(recorded)
    except ToolchainError as error:
        other = DARKNET if recorded == EMBEDDED else EMBEDDED
        cure = error.hint.partition("\n")[0].removesuffix(".")
        raise ToolchainError(
            f"the run began with an engine that is not here any more: {error.message}",
            code=error.code,
            hint=f"{cure}; or go on with another one: --engine {other}",
            path=error.path,
        ) from error
