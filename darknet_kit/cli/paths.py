"""Paths as people read and paste them."""

import os
import shlex

from darknet_kit.errors import AnyPath


def shown(path: AnyPath) -> str:
    """Return a path relative to the current folder where that is shorter, quoted for a shell."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return shlex.quote(relative if len(relative) < len(absolute) else absolute)
