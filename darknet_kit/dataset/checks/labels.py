"""What is wrong with one label file, as an engine would read it.

All three read `%d %f %f %f %f` again and again until it fails (AlexeyAB `src/data.c`,
`read_boxes`): line ends mean nothing, a surplus token shifts all that follows.
"""

import os
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from darknet_kit.core.boxes import box_from_cxcywh_norm, clip, is_finite, overhang
from darknet_kit.core.findings import Finding, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.yolo import Label

_MAX_BYTES = 8 << 20
_COLUMNS = 5
# Longer digit strings are nonsense; the limits keep a hostile file from making Python slow.
_INTEGER = re.compile(rb"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(
    rb"[+-]?(([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?|(?i:nan|inf|infinity))"
)
# pjreddie's data.c, fill_truth_detection: drops what is below; AlexeyAB's, below one pixel of the
# network's input.
_SMALL = 0.001
_EDGE_PX = 1.0
# A label of six decimals may be half of the last one off, which no engine notices.
_ROUNDING = 1e-6
_UNKNOWN_SIZE = (1000, 1000)
MAX_BOXES = {Flavor.ALEXEYAB: 200, Flavor.HANK_AI: 200, Flavor.ORIGINAL: 90}
"""How many boxes of a training image a head takes unless its `max=` says otherwise (`src/parser.c`,
parse_yolo)."""


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What labels are held against. `classes` is None where the class list is not known;
    `max_boxes` is what a head takes, 0 for its default."""

    flavor: Flavor
    classes: int | None
    max_boxes: int = 0

    @property
    def most_boxes(self) -> int:
        return self.max_boxes or MAX_BOXES[self.flavor]


@dataclass(slots=True)
class LabelCheck:
    """What a label file holds: boxes up to the first token that stops an engine."""

    boxes: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _First:
    """The first finding of each code, and how many more of it a file has."""

    found: dict[str, tuple[int, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, line: int, message: str) -> None:
        self.counts[code] += 1
        self.found.setdefault(code, (line, message))

    def findings(self, path: str, flavor: Flavor) -> Iterator[Finding]:
        for code, (line, message) in self.found.items():
            more = self.counts[code] - 1
            tail = f" (and {more:,} more in this file)" if more else ""
            yield fault(code, flavor, path, message + tail, line)


def check_label_file(
    path: str, rules: LabelRules, size: tuple[int, int] | None = None
) -> LabelCheck | None:
    """Look at a label file; None where there is none.

    `size` is that of the image in pixels, where it is known.
    """
    try:
        if not os.path.lexists(path):
            return None
        if not os.path.isfile(path):  # a pipe would be waited for
            return _unreadable(path, rules, "this is no file, or a link to none")
        with open(path, "rb", buffering=0) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(path, rules, error.strerror or str(error))
    if len(content) > _MAX_BYTES:
        message = f"has {os.path.getsize(path):,} bytes; it was not read"
        return LabelCheck(0, [fault("large-label", rules.flavor, path, message)])
    return check_label(content, path, rules, size)


def check_label(
    content: bytes, path: str, rules: LabelRules, size: tuple[int, int] | None = None
) -> LabelCheck:
    """Look at what stands in a label file. One finding of each code, however often it occurs."""
    first, boxes = _First(), 0
    if content.startswith(BOM_UTF8):
        first.add("byte-order-mark", 1, "starts with a byte order mark: no box of it is read")
        content = content.removeprefix(BOM_UTF8)
    seen: dict[tuple[float, ...], set[int]] = {}
    for number, label in _iter_labels(content, first):
        boxes += 1
        _check_box(label, number, rules, size or _UNKNOWN_SIZE, first)
        classes = seen.setdefault((label.cx, label.cy, label.width, label.height), set())
        if label.class_id in classes:
            first.add("duplicate-box", number, f"class {label.class_id} has this very box before")
        elif classes:
            message = f"class {label.class_id} has the box of class {min(classes)}"
            first.add("two-classes", number, message)
        classes.add(label.class_id)
    if boxes > rules.most_boxes:
        first.add("many-boxes", 0, f"has {boxes:,} boxes; {rules.most_boxes} are taken")
    return LabelCheck(boxes, list(first.findings(path, rules.flavor)))


def _unreadable(path: str, rules: LabelRules, reason: str) -> LabelCheck:
    return LabelCheck(0, [fault("cannot-read", rules.flavor, path, reason)])


def _iter_labels(content: bytes, first: _First) -> Iterator[tuple[int, Label]]:
    """Yield line and label until the first mistake that shifts or stops an engine's reading."""
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        tokens = line.split()
        if len(tokens) % _COLUMNS:
            across = _across_lines(lines, number)
            if not across:
                _add_odd_line(tokens, number, first)
            yield from across
            return
        for start in range(0, len(tokens), _COLUMNS):
            five = tokens[start : start + _COLUMNS]
            wrong = _wrong_token(five)
            if wrong:
                first.add("label-number", number, wrong)
                return
            yield number, _label(five)


def _across_lines(lines: list[bytes], first: int) -> list[tuple[int, Label]]:
    """Return the labels from line `first` on as one row of tokens, which engines take them for.

    Empty where there is a mistake in it: a number too many or too few makes a class_id of what is
    none.
    """
    after = enumerate(lines[first - 1 :], first)
    rest = [(number, token) for number, line in after for token in line.split()]
    fives = [rest[start : start + _COLUMNS] for start in range(0, len(rest), _COLUMNS)]
    tokens = [[token for _, token in five] for five in fives]
    if len(rest) % _COLUMNS or any(map(_wrong_token, tokens)):
        return []
    return [(five[0][0], _label(texts)) for five, texts in zip(fives, tokens, strict=True)]


def _add_odd_line(tokens: list[bytes], number: int, first: _First) -> None:
    strange = next((token for token in tokens if not _NUMBER.fullmatch(token)), None)
    if strange is None:
        first.add("label-columns", number, f"has {_columns(len(tokens))}")
    else:
        first.add("label-number", number, f"{_shown(strange)} is no number")


def _label(tokens: list[bytes]) -> Label:
    return Label(int(tokens[0]), *map(float, tokens[1:]))


def _columns(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"


def _wrong_token(tokens: list[bytes]) -> str:
    """Return which of five tokens stops an engine, and how; empty where none does."""
    if not _INTEGER.fullmatch(tokens[0]):
        return f"class_id {_shown(tokens[0])} is no whole number"
    for token in tokens[1:]:
        if not _NUMBER.fullmatch(token):
            return f"{_shown(token)} is no number"
    return ""


def _shown(token: bytes) -> str:
    return repr(token[:40].decode("utf-8", "backslashreplace"))


def _check_box(
    label: Label, line: int, rules: LabelRules, size: tuple[int, int], first: _First
) -> None:
    if rules.classes is not None and not 0 <= label.class_id < rules.classes:
        message = f"class {label.class_id}; there are 0 to {rules.classes - 1}"
        first.add("class-out-of-range", line, message)
    box = box_from_cxcywh_norm(label.cx, label.cy, label.width, label.height, *size)
    if not is_finite(box):
        first.add("bad-coordinate", line, _numbers(label))
        return
    if label.width <= 0 or label.height <= 0:
        first.add("empty-box", line, _numbers(label))
        return
    inside = clip(box, *size)
    # Engines also take a centre of 0, 0 for none (correct_boxes).
    if inside.width <= 0 or inside.height <= 0 or (label.cx == 0 and label.cy == 0):
        first.add("outside-box", line, _numbers(label))
        return
    if label.width < _SMALL or label.height < _SMALL:
        first.add("small-box", line, _numbers(label))
    beyond = overhang(box, *size)
    if beyond > _EDGE_PX + _ROUNDING * max(size):
        first.add("clipped-box", line, f"{_numbers(label)}: {_by_how_much(beyond, size)} beyond")


def _by_how_much(beyond: float, size: tuple[int, int]) -> str:
    if size is _UNKNOWN_SIZE:
        return f"{beyond / _UNKNOWN_SIZE[0]:.3f} of the image"
    return f"{beyond:.0f} px of {size[0]} x {size[1]}"


def _numbers(label: Label) -> str:
    return f"{label.cx:g} {label.cy:g} {label.width:g} {label.height:g}"
