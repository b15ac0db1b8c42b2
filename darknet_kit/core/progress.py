"""How lower floors tell that they are moving, without knowing whether there is a screen."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done, total); total is 0 where it is not known."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""
