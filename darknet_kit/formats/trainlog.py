"""A training log as a whole, from one file or several."""

import re
from typing import BinaryIO

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath, LogError
from darknet_kit.formats.logcolumns import Metrics
from darknet_kit.formats.loggather import LogGatherer
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.logresult import Cut, Log
from darknet_kit.formats.logsource import LogSource
from darknet_kit.formats.logstranger import LOG_HINT, recognise
from darknet_kit.formats.logstream import iter_log, iter_told

__all__ = ["Cut", "Log", "LogGatherer", "LogReader", "Metrics", "iter_log", "read_log"]

_REGION_LINE = re.compile(rb"(?m)^(?:v3 \(?\w+ loss, |Region \d+ Avg )")


def read_log(
    *sources: AnyPath | BinaryIO, progress: Progress = no_progress, parts: bool = False
) -> Log:
    """Read the log of a run, or its several logs in the order in which they were written.

    Each is a path, also of a packed file or a notebook, `-` for standard input, or a binary
    stream. `parts` asks for the parts of the loss out of AlexeyAB's lines per head and mini-batch,
    which takes several times as long; the embedded engine's, and those in dkit's own logs, are read
    anyway.

    Raises LogError, with code not-a-log or no-iterations where there is nothing to draw.
    """
    gatherer, reader = LogGatherer(), LogReader()
    opened = [LogSource(source) for source in sources]
    for source in opened:
        gatherer.start(source.name)
        for line, told in iter_told(source, progress, reader, parts=parts):
            gatherer.add_told(line, told)
    log = gatherer.log(reader)
    if not log.metrics:
        raise _no_iterations(opened[-1], log, bool(gatherer.events))
    return log


def _no_iterations(source: LogSource, log: Log, has_events: bool) -> LogError:
    head = source.head
    code, hint = "no-iterations", LOG_HINT
    if not head.strip():
        code, message = "not-a-log", "this file is empty"
    elif log.maps:
        message = (
            f"this is the output of a mAP calculation ({log.maps[-1].map50:.2%}); "
            "it has no iterations of a training"
        )
    elif stranger := recognise(head, source.name):
        return stranger
    elif log.ending.code == "finished":
        message = "the engine found nothing to do: its weights had reached max_batches already"
        hint = "Start from those weights with -clear, or raise max_batches."
    elif log.errors:
        message = f"the engine stopped before its first iteration: {log.ending.message}"
        hint = "Cure that first; there is nothing to draw yet."
    elif _REGION_LINE.search(head):
        message = "this holds the engine's lines per head, but none of its iteration lines"
        hint = "Those go to standard output: run `darknet … > train.log 2>&1`, and give that file."
    elif has_events:
        message = "this training ended before its first iteration"
    else:
        code, message = "not-a-log", "this is no log of a Darknet training"
    return LogError(message, code=code, hint=hint, path=source.name)
