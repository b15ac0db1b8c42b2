"""Lines that fill a training log and tell nothing of its course, for all who skip them.

A line per head and mini-batch, and what stands around it: 36 kB an iteration with 64 subdivisions,
18 GB in half a million iterations.
"""

import re

# How the bulk begins, in eight bytes at most, and the last byte that such a line must have: where
# one was cut off and another line glued to it, it is read with care instead.
BULK = (
    (b"v3 ", b" \r0123456789"),
    (b" total_b", b" \r"),
    (b"total_bb", b"%\r"),
    (b"Region ", b"\r0123456789"),
)
NOISE = (
    b"|".join(re.escape(start) + rb".*+(?<=[%b])" % ends for start, ends in BULK)
    + rb"|Loaded: [\d.]++ seconds\r?+"
    + rb"| (?:\(next mAP|Last accuracy)[^\n\x1b]*+(?<=[ \r])|\r?+"
)
# AlexeyAB's status line clears the screen and rings the bell; it tells max_batches, needed once.
STATUS = rb" (?:\(next mAP|Last accuracy).*+(?<=\x07)\r?+"
PADDING = 8  # bytes after a text: so many are compared at once, wherever a line begins
