"""Parts of the loss out of AlexeyAB's lines per head and mini-batch, which are read on request.

They are nearly all of a log: to add them up takes several times as long as all else together.
"""

import math
import re
from collections.abc import Iterator

from darknet_kit.formats.logevent import LossParts
from darknet_kit.formats.lognumber import COUNT, NUMBER, parse_number

# AlexeyAB `src/yolo_layer.c` and `src/gaussian_yolo_layer.c`, hank-ai `src-lib/yolo_layer.cpp`.
_HEAD = re.compile(
    rb"Region %(c)b (?:[^c\n]++|c(?!lass_loss))*+class_loss(?: =|:) %(n)b, iou_loss(?: =|:) %(n)b,"
    % {b"c": COUNT, b"n": NUMBER}
)


def add_up_parts(text: bytes | bytearray, start: int, end: int) -> Iterator[LossParts]:
    """Yield the sums of the lines between two places of a log, one event per head."""
    sums: dict[bytes, list[float]] = {}
    for head, others, box in _HEAD.findall(text, start, end):
        total = sums.setdefault(head, [0.0, 0.0, 0])
        total[0] += parse_number(box)
        total[1] += parse_number(others)
        total[2] += 1
    for head, (boxes, rest, lines) in sums.items():
        yield LossParts(int(head), boxes, math.nan, math.nan, rest, int(lines))
