"""Entry point of the console script: from its first line on, Ctrl-C is an exit code.

Imports take a tenth of a second, in which Ctrl-C would show a traceback.
"""

import gc
import sys

_OBJECTS = 50_000
"""So many more than freed ones, before Python looks for garbage: imports make many, and none."""


def run() -> None:
    """Run `dkit` and end this process with its exit code."""
    gc.set_threshold(_OBJECTS)
    try:
        from darknet_kit.cli.main import run as run_main

        run_main()
    except KeyboardInterrupt:
        sys.exit(130)
