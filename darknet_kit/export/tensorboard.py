"""A training for TensorBoard: an event file in a folder of its own, by TensorBoard's own writer."""

import os
import time
from pathlib import Path

from darknet_kit.core.files import make_folder
from darknet_kit.errors import AnyPath, ToolchainError, UsageError
from darknet_kit.export.scalars import iter_steps
from darknet_kit.formats.trainlog import Log

_MOST_STEPS = 100_000


def export_tensorboard(log: Log, folder: AnyPath, name: str, ended: float | None = None) -> Path:
    """Write the scalars of a training into `folder`/`name`, for `tensorboard --logdir folder`.

    `ended` is when it ended, in epoch seconds, now where nobody knows; the steps are dated back
    from there by the time that was computed. Raises ToolchainError (`missing-extra`), UsageError
    (`not-empty`), WriteError.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ToolchainError(
            f"this needs {error.name}, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[tensorboard]'",
        ) from error
    place = Path(folder) / name
    if place.is_dir() and os.listdir(place):
        raise UsageError(
            "this folder is not empty, and TensorBoard would mix what is in it",
            code="not-empty",
            hint="Name another folder, or delete it.",
            path=place,
        )
    steps = list(iter_steps(log, _MOST_STEPS))
    start = (time.time() if ended is None else ended) - (steps[-1].seconds if steps else 0.0)
    writer = EventFileWriter(os.fspath(make_folder(place)))
    for step in steps:
        values = [Summary.Value(tag=tag, simple_value=v) for tag, v in step.values.items()]
        event = Event(
            wall_time=start + step.seconds, step=step.iteration, summary=Summary(value=values)
        )
        writer.add_event(event)
    writer.close()
    return place
