"""Who does the work: processes of this machine, or the workers of a Dask cluster."""

import contextlib
import os
from collections.abc import Iterator

import click

from darknet_kit.cli.outcome import say
from darknet_kit.core.cluster import cluster
from darknet_kit.core.pool import Workers
from darknet_kit.core.wording import counted
from darknet_kit.errors import UsageError

scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Of a Dask cluster, whose workers do the work; they need the data under the same path.",
)


@contextlib.contextmanager
def crew(workers: int | None, scheduler: str | None, source: str) -> Iterator[Workers]:
    """Yield what does the work on the files of `source` while the block runs.

    Raises UsageError (`contradiction`) and as `cluster` does.
    """
    if scheduler is None:
        yield workers
        return
    if workers:
        raise UsageError(
            "--workers and --scheduler exclude each other",
            code="contradiction",
            hint="A cluster has as many workers as `dask worker` started.",
        )
    with cluster(scheduler, source if os.path.isdir(source) else os.path.dirname(source)) as found:
        waits = "" if found.workers else ", and waits until there is one"
        say(f"the cluster at {scheduler} has {counted(found.workers, 'worker')}{waits}")
        yield found
