"""A chart that is drawn anew while its log grows."""

import time
from collections.abc import Callable
from pathlib import Path

from darknet_kit.cli.streams import echo
from darknet_kit.cli.writing import write_files
from darknet_kit.formats.logfollow import LogFollower
from darknet_kit.formats.logresult import Log
from darknet_kit.report.summary import describe_reach, format_loss


def follow_log(
    logs: list[str], every: float, overwrite: bool, render: Callable[[Log], dict[Path, bytes]]
) -> tuple[Log, dict[Path, str]]:
    """Write what `render` makes of logs whenever the last has grown, until its training ends.

    Looks every so many seconds. Files that were there before are replaced when `overwrite` says
    so, later its own. Raises LogError, and UsageError as `write_files`.
    """
    follower, done = LogFollower(logs[-1], logs[:-1]), dict[Path, str]()
    while True:
        grown = follower.update()
        log = follower.log
        if grown and log.metrics:
            done = write_files(render(log), overwrite or bool(done))
            loss = format_loss(log.metrics.avg_loss[-1])
            echo(f"{describe_reach(log)}, average loss {loss}", err=True)
        if done and log.ending.code != "stopped":
            return log, done
        time.sleep(every)
