"""The lines of a log that come once for every head and mini-batch, and one line that stands for
those of an iteration: 64 subdivisions of YOLOv4 print 18 GB of them in half a million iterations.

Forms: AlexeyAB `src/yolo_layer.c`, `src/gaussian_yolo_layer.c`, `src/region_layer.c`,
`src/detection_layer.c`, `src/network.c` (`total_bbox`); pjreddie's are older ones of these.
"""

import re
from collections.abc import Iterable, Sequence

# Stands at the top of a log in which this was done.
REMARK = (
    b"# dkit: one line a head and iteration stands for those of its mini-batches, with the sum of "
    b"count and means of the rest; --full-log keeps all\n"
)
_DETAIL = (b"v3 ", b"Region ", b"Detection Avg ", b" total_bbox", b"total_bbox", b" loss parts ")
# What is said each time a file is read, for as long as the training goes on.
_COMPLAINTS = (
    *(b"Can't open label file", b"Wrong annotation", b"Wrong label", b"Cannot load image"),
    b"Warning: in txt-labels",
)
_CUMULATIVE = b"total_bbox"
_VALUE = re.compile(rb"(?<=[:=] )([-+]?(?:\d+(?:\.\d+)?|nan|inf))")
_LONGEST_COUNT = 12
# Means over the objects that a mini-batch held; all else is one value of the mini-batch.
_PER_OBJECT = (b"IOU", b"Class", b".5R", b".75R", b"Recall", b"Cat", b"Pos Obj")


def is_detail(line: bytes) -> bool:
    """Tell whether a line is one of many that an iteration prints."""
    return line.startswith(_DETAIL)


def is_complaint(line: bytes) -> bool:
    """Tell whether a line is about an image or a label that will be read again."""
    return line.lstrip().startswith(_COMPLAINTS)


def ends_detail(line: bytes) -> bool:
    """Tell whether a line ends an iteration: that of its loss, in any flavour."""
    return b" avg" in line and not line.startswith(_DETAIL)


def sum_up(lines: Iterable[bytes]) -> list[bytes]:
    """Return one line in place of those that differ in their numbers alone, where the first stood.

    `count` is their sum; what is a mean over objects is weighted by it; all other numbers are
    means. Of counters that only rise the last line stays. A line without a like stays as it is.
    """
    alike: dict[bytes, list[list[bytes]]] = {}
    for line in lines:
        parts = _VALUE.split(line)  # text and values in turn
        key = b"\0".join(parts[::2])
        if _CUMULATIVE in line:
            alike[key] = []
        alike.setdefault(key, []).append(parts)
    return [_merge(group) for group in alike.values()]


def _merge(group: Sequence[Sequence[bytes]]) -> bytes:
    first = group[0]
    if len(group) == 1:
        return b"".join(first)
    merged = list(first)
    labels = [text.rpartition(b",")[2].strip(b" :=") for text in first[:-1:2]]
    at = labels.index(b"count") * 2 + 1 if b"count" in labels else 0
    counts = [_count(parts[at]) for parts in group] if at else []
    for index, label in enumerate(labels):
        where = 2 * index + 1
        values = [float(parts[where]) for parts in group]
        if where == at:
            merged[where] = b"%d" % sum(counts)
        elif any(counts) and (label.endswith(_PER_OBJECT) or label == b"Obj"):
            merged[where] = _format(_weighted(values, counts), first[where])
        else:
            merged[where] = _format(sum(values) / len(values), first[where])
    return b"".join(merged)


def _weighted(values: Sequence[float], counts: Sequence[int]) -> float:
    """Return a mean over objects; a mini-batch without one has nan, which counts for nothing."""
    pairs = zip(values, counts, strict=True)
    return sum(value * count for value, count in pairs if count) / sum(counts)


def _count(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= _LONGEST_COUNT else 0


def _format(value: float, like: bytes) -> bytes:
    """Return a number with as many decimals as another one has."""
    whole, _, decimals = like.partition(b".")
    return b"%.*f" % (len(decimals) if whole.lstrip(b"+-").isdigit() else 6, value)
