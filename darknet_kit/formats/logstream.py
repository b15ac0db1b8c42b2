"""Training logs as files: read in blocks, never as a whole, and turned into events.

Nearly all of a log tells nothing; `logscan` says which lines do. Of those, iterations are read many
at a time by `logquick`, where they are printed as usual, and the rest line by line by `logline`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath
from darknet_kit.formats.logcolumns import IterationRun
from darknet_kit.formats.logdetail import REMARK
from darknet_kit.formats.logevent import Event
from darknet_kit.formats.logline import LogReader
from darknet_kit.formats.lognumber import clean_text
from darknet_kit.formats.logparts import add_up_parts
from darknet_kit.formats.logquick import Rows
from darknet_kit.formats.logsource import LogSource

if TYPE_CHECKING:
    from darknet_kit.formats.logscan import Block

_LONGEST_TEXT = 120


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A line that was meant to tell something and cannot be read."""

    text: str


Told = Event | IterationRun | DamagedLine


def iter_log(
    source: AnyPath | BinaryIO,
    progress: Progress = no_progress,
    reader: LogReader | None = None,
) -> Iterator[Event]:
    """Yield what a training log tells, in its order. Raises LogError where it cannot be read.

    `source` is a path, also of a packed file or a notebook, `-` for standard input, or a binary
    stream. Pass a `reader` to have its flavour and its count of damaged lines at the end.
    """
    for _, told in iter_told(LogSource(source), progress, reader or LogReader()):
        if isinstance(told, IterationRun):
            yield from map(told.metrics.row, range(len(told.metrics)))
        elif not isinstance(told, DamagedLine):
            yield told


def iter_told(
    source: LogSource, progress: Progress, reader: LogReader, *, parts: bool = False
) -> Iterator[tuple[int, Told]]:
    """Yield the same with the number of the line, iterations as columns, and damaged lines.

    `parts` asks for the parts of the loss in the lines per head and mini-batch; where one line
    stands for those of an iteration, they are read unasked.
    """
    line = 1
    for block in source.blocks(progress):
        wanted = parts or REMARK in source.head
        yield from read_block(reader, block, line, parts=wanted)
        line += block.lines


def read_block(
    reader: LogReader, block: "Block", line: int, *, parts: bool = False
) -> Iterator[tuple[int, Told]]:
    """Yield what a block tells whose first line has the number `line`."""
    text, rows, after = block.text, Rows(reader), 0
    for position, end in block.stretches:
        # The embedded engine tells the parts in a line of its own, beside AlexeyAB's.
        if parts and position > after and not reader.embedded:
            yield from _flush(rows, block, line)
            yield from ((line, told) for told in add_up_parts(text, after, position))
        after = end
        position = rows.skip(text, position, end)
        while position < end:
            if row_end := rows.take(text, position, end):
                position = row_end
                continue
            yield from _flush(rows, block, line)
            stop = text.find(b"\n", position, end)
            yield from _feed(reader, text[position:stop], block, position, line)
            position = rows.skip(text, stop + 1, end)
    yield from _flush(rows, block, line)
    if parts and not reader.embedded:
        yield from ((line, told) for told in add_up_parts(text, after, block.size))
    yield from _feed_cut_off(reader, block, line)


def _flush(rows: Rows, block: "Block", line: int) -> Iterator[tuple[int, Told]]:
    if rows.places:
        lines = [line + place for place in block.lines_of(rows.places)]
        yield lines[0], IterationRun(rows.flush(), lines)


def _feed(
    reader: LogReader, text: bytes | bytearray, block: "Block", position: int, line: int
) -> Iterator[tuple[int, Told]]:
    damaged = reader.damaged
    events = reader.feed(bytes(text))
    if events or reader.damaged > damaged:
        (place,) = block.lines_of([position])
        for event in events:
            yield line + place, event
        if reader.damaged > damaged:
            yield line + place, DamagedLine(clean_text(bytes(text[:_LONGEST_TEXT])))


def _feed_cut_off(reader: LogReader, block: "Block", line: int) -> Iterator[tuple[int, Told]]:
    """Read the last piece of a log, which is not damaged when its line is not whole yet."""
    damaged = reader.damaged
    for event in reader.feed(block.rest):
        yield line + block.lines, event
    reader.damaged = damaged
