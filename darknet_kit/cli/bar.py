"""Progress on stderr: a bar on a terminal, elsewhere a line per tenth; short work is silent."""

import contextlib
import sys
import time
from collections.abc import Iterator

from darknet_kit.cli.streams import echo
from darknet_kit.core.progress import Progress

_PATIENCE_SECONDS = 2.0


@contextlib.contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Progress]:
    """Show the progress of one piece of work while the block runs."""
    if sys.stderr.isatty():
        from tqdm import tqdm  # a tenth of a second, which nothing else needs

        with tqdm(desc=label, unit=f" {unit}", delay=_PATIENCE_SECONDS, leave=False) as bar:

            def move(done: int, total: int) -> None:
                bar.total = total or None
                bar.update(done - bar.n)

            yield move
        return
    started, told = time.monotonic(), 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total else 0
        if tenth > told and time.monotonic() - started > _PATIENCE_SECONDS:
            told = tenth
            echo(f"{label}: {10 * tenth}% ({done:,} of {total:,} {unit})", err=True)

    yield tell
