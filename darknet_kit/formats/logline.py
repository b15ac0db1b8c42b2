"""Darknet's training log, line by line: any flavour, while it is being written or long after.

The forms are those of AlexeyAB `src/detector.c` (`train_detector`, 2018 to 2025), pjreddie
`examples/detector.c` and hank-ai `src-lib/detector.cpp` (V2 to V5).
"""

import re
from collections.abc import Callable, Iterable

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.logevent import (
    Event,
    Finished,
    Iteration,
    LossParts,
    MiniBatch,
    NewBestMap,
    Resized,
    RunStarted,
    WeightsSaved,
)
from darknet_kit.formats.logmap import MapBlock
from darknet_kit.formats.lognoise import NOISE
from darknet_kit.formats.lognumber import (
    COUNT,
    NUMBER,
    clean_text,
    parse_number,
    parse_seconds,
)
from darknet_kit.formats.logwords import read_sentence, read_words

_PARTS = {b"n": NUMBER, b"c": COUNT}
# `classifier train` prints the epoch after the iteration; older trees have no hours left.
_CLASSIC = re.compile(
    rb"%(c)b(?:, \d{1,9}\.\d{1,9})?: %(n)b, %(n)b avg(?: loss)?, %(n)b rate, %(n)b seconds, "
    rb"(-?\d{1,12}) images(?:, %(n)b hours left)?" % _PARTS
)
_HANK_AI = re.compile(
    rb"%(c)b: loss=%(n)b, avg loss=%(n)b,.*? rate=%(n)b,(?: load \d+=[^,]*, train=| )([^,=]+), "
    rb"(-?\d{1,12}) images, time remaining=(unknown|[\d.]{1,12} [a-z]+)?" % _PARTS
)
_BROKEN_ITERATION = re.compile(rb"\d: (?:loss=\S+, avg loss=|\S+, \S+ avg)")
_NOISE = re.compile(NOISE)
_START = re.compile(rb"Learning Rate: %(n)b, Momentum" % _PARTS)
_SAVED = re.compile(rb"Saving weights to (.+?)\s*$")
_SIZE = re.compile(rb"(\d{1,5}) ?x ?(\d{1,5})\b")
_SQUARE = re.compile(rb"\s*(\d{1,5})\s*$")
_BATCH = re.compile(rb"batch ?= ?%(c)b" % _PARTS)
_MINI_BATCH = re.compile(rb"mini_batch = %(c)b, .* train = 1" % _PARTS)
_LOSS_PARTS = re.compile(
    rb" loss parts %(c)b: box = %(n)b, obj = %(n)b, noobj = %(n)b, class = %(n)b" % _PARTS
)
_STATUS = re.compile(rb"\d/%(c)b: loss=" % _PARTS)
_LIMIT = re.compile(rb"max batch limit of %(c)b" % _PARTS)
# What counts on one line while a mAP is calculated: images, then ranks, thousands of them.
_COUNTERS = re.compile(
    rb"(?:\r(?:processing #\d+ \(\d+%%\) |rank=%(c)b of ranks=%(c)b|%(c)b)(?=[\r\n])"
    rb"| rank = %(c)b of ranks = %(c)b \r)++" % {b"c": rb"\d{1,12}"}
)
# Terminal control: colours and cursor (CSI), window titles (OSC up to BEL or ST), bells and
# backspaces.
_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x07\b]")

# How the embedded engine fails: in one sentence, perhaps behind a line that it left open.
_OWN_ERROR = re.compile(rb"(?:^|[)%] )error: (.+)")


def strip_controls(line: bytes) -> bytes:
    """Return a line without what only steers a terminal: colours, cursor, titles, bells."""
    return _CONTROL.sub(b"", line)


class LogReader:
    """Turns the lines of a log into events, and remembers what later lines need.

    `flavor`, `iteration` and `max_batches` are None until a line has told them. `embedded` is
    whether the embedded engine wrote the log, which has the form of AlexeyAB's. `damaged` counts
    the lines that were meant as an iteration or a class row and cannot be read.
    """

    __slots__ = (
        "_finished",
        "_map",
        "_resizing",
        "damaged",
        "embedded",
        "flavor",
        "iteration",
        "max_batches",
    )

    def __init__(self) -> None:
        self.flavor: Flavor | None = None
        self.embedded = False
        self.iteration: int | None = None
        self.max_batches: int | None = None
        self.damaged = 0
        self._map = MapBlock()
        self._resizing = False
        self._finished = False

    def feed(self, line: bytes | str) -> tuple[Event, ...]:
        """Return what one line tells, mostly nothing. Never raises, whatever the line holds.

        The line may hold carriage returns, terminal control, and pieces of other lines.
        """
        raw = line.encode("utf-8", "replace") if isinstance(line, str) else line
        raw = raw.rstrip(b"\r\n")
        if _NOISE.fullmatch(raw):
            return ()
        if b"\x1b" in raw or b"\x07" in raw or b"\b" in raw:
            if self.max_batches is None and (status := _STATUS.search(raw)):
                self.max_batches = int(status[1])
            raw = strip_controls(raw)
        if b"\r" not in raw:
            return self._read(raw)
        raw = _COUNTERS.sub(b"\r", raw)
        return tuple(event for piece in raw.split(b"\r") for event in self._read(piece))

    def _read(self, line: bytes) -> tuple[Event, ...]:
        events: list[Event] = []
        if b"avg" in line:
            line = self._take_iterations(line, events)
        if _NOISE.fullmatch(line):
            return tuple(events)
        if b"error: " in line and (failure := _OWN_ERROR.search(line)):
            return (*events, read_sentence(failure[1], self.iteration))
        if self._map.columns is not None:
            self._map.read_row(line)
        if self._resizing:
            events += self._read_size(line)
        known = False
        for needle, read in _READERS:
            if needle in line:
                known = True
                events += read(self, line)
        if not known and not line.startswith(b"#"):  # no engine prints a comment; a cfg has them
            events += read_words(line, self.iteration)
        return tuple(events)

    def _take_iterations(self, line: bytes, events: list[Event]) -> bytes:
        """Append the iterations on a line, and return what is glued to the last of them."""
        form = _HANK_AI if b"avg loss=" in line else _CLASSIC
        for found in form.finditer(line):
            events.append(self._read_iteration(found, form is _HANK_AI))
            line = found.string[found.end() :]
        self.damaged += _BROKEN_ITERATION.search(line) is not None
        return line

    def _read_iteration(self, found: re.Match[bytes], is_hank_ai: bool) -> Iteration:
        number, loss, avg_loss, learning_rate, duration, images, left = found.groups()
        if is_hank_ai:
            flavor = Flavor.HANK_AI
            seconds, hours_left = parse_seconds(duration), parse_seconds(left or b"") / 3600
        else:
            is_alexeyab = b" avg loss," in found[0] or found.string.startswith(b" ")
            flavor = Flavor.ALEXEYAB if is_alexeyab else Flavor.ORIGINAL
            seconds, hours_left = parse_number(duration), parse_number(left or b"-1")
        self.reach(int(number), flavor)
        return Iteration(
            int(number),
            parse_number(loss),
            parse_number(avg_loss),
            parse_number(learning_rate),
            seconds,
            int(images),
            hours_left if hours_left >= 0 else None,  # -1 and nan: not known yet
        )

    def reach(self, iteration: int, flavor: Flavor) -> None:
        """Take note that iteration lines were read, here or elsewhere, the last of them this."""
        self.iteration, self.flavor = iteration, flavor
        self._finished = self._resizing = False
        if self._map.classes:
            self._map = MapBlock()  # it was broken off

    def _read_start(self, line: bytes) -> Iterable[Event]:
        if found := _START.search(line):
            self.max_batches = None
            self._finished = False
            yield RunStarted(parse_number(found[1]))

    def _read_mini_batch(self, line: bytes) -> Iterable[Event]:
        if found := _MINI_BATCH.search(line):
            yield MiniBatch(self.iteration, int(found[1]))

    def _read_loss_parts(self, line: bytes) -> Iterable[Event]:
        if found := _LOSS_PARTS.search(line):
            box, objectness, no_object, classes = map(parse_number, found.groups()[1:])
            objectness += no_object
            yield LossParts(int(found[1]), box, objectness, classes, objectness + classes)

    def _read_program(self, _line: bytes) -> Iterable[Event]:
        self.embedded = True
        return ()

    def _read_resizing(self, line: bytes) -> Iterable[Event]:
        if not self._resizing:
            self._resizing = True
            yield from self._read_size(line)

    def _read_size(self, line: bytes) -> Iterable[Event]:
        """Find the new size: on the line that announces it (hank-ai), or alone on the next."""
        if found := _SIZE.search(line) or _SQUARE.match(line):
            self._resizing = False
            width, height = int(found[1]), int(found[found.lastindex or 1])
            batch = _BATCH.search(line)
            yield Resized(self.iteration, width, height, int(batch[1]) if batch else None)
        elif b"esizing" not in line:
            self._resizing = False

    def _read_saved(self, line: bytes) -> Iterable[Event]:
        if found := _SAVED.search(line):
            path = clean_text(found[1])
            yield WeightsSaved(self.iteration, path)
            if path.endswith("_final.weights"):
                yield from self._read_finish(line)

    def _read_finish(self, line: bytes) -> Iterable[Event]:
        if limit := _LIMIT.search(line):
            self.max_batches = int(limit[1])
        if not self._finished:
            self._finished = True
            yield Finished(self.iteration)

    def _read_class(self, line: bytes) -> Iterable[Event]:
        self.damaged += not self._map.read_class(line)
        return ()

    def _read_table_header(self, line: bytes) -> Iterable[Event]:
        self._map.read_header(line)
        return ()

    def _read_threshold(self, line: bytes) -> Iterable[Event]:
        self._map.read_threshold(line)
        return ()

    def _read_map(self, line: bytes) -> Iterable[Event]:
        if result := self._map.read_mean(line, self.iteration):
            self._map = MapBlock()
            yield result

    def _read_best(self, _line: bytes) -> Iterable[Event]:
        yield NewBestMap(self.iteration)


_READERS: tuple[tuple[bytes, Callable[[LogReader, bytes], Iterable[Event]]], ...] = (
    (b"the embedded engine, PyTorch ", LogReader._read_program),
    (b" loss parts ", LogReader._read_loss_parts),
    (b"mini_batch = ", LogReader._read_mini_batch),
    (b"Learning Rate: ", LogReader._read_start),
    (b"esizing", LogReader._read_resizing),
    (b"Saving weights to ", LogReader._read_saved),
    (b", name = ", LogReader._read_class),
    (b" Name ", LogReader._read_table_header),
    (b"thresh", LogReader._read_threshold),
    (b"mean average precision (", LogReader._read_map),
    (b"New best mAP", LogReader._read_best),
    (b"If you want to train from the beginning", LogReader._read_finish),
    (b"max batch limit", LogReader._read_finish),
)
