"""Paths as people give, read and paste them."""

import os
import shlex
from typing import Any

import click

from darknet_kit.errors import AnyPath


class GivenPath(click.Path):
    """A path on the command line; an empty one (`--out "$UNSET"`) is refused.

    It would mean the current folder, where nobody asked for anything.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value).strip():
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


def shown(path: AnyPath) -> str:
    """Return a path relative to the current folder where that is shorter, quoted for a shell."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return shlex.quote(relative if len(relative) < len(absolute) else absolute)
