"""Darknet's `.weights`: a small header, then nothing but floats.

| bytes | what |
|---|---|
| 0 to 11 | major, minor, revision: three int32, little-endian |
| 12 to 19 | seen: images trained on, uint64; where major * 10 + minor < 2, uint32 in 12 to 15 |
| then | float32 to the end; no names, no sizes, no checksum |

The oldest files have learning rate, momentum and decay, three float32, where the version is, seen
is an uint32, and the weights of `[connected]` layers lie transposed.

The engines load any file without complaint, so its length is the one thing that can be checked
(AlexeyAB `src/parser.c`, `load_weights_upto`).
"""

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_kit.errors import AnyPath, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = struct.Struct("<iii")
_SEEN_64 = struct.Struct("<Q")
_SEEN_32 = struct.Struct("<I")
_RATES = struct.Struct("<fff")
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]+")
FLOAT_BYTES = 4
# What AlexeyAB's fork writes, and with it everybody reads.
_WRITTEN_VERSION = (0, 2, 5)
# Every writer known puts 0.1.0, 0.2.0 or 0.2.5; a network of 2018 trained on 2**53 images is a lie.
_MAX_VERSION = 1000
_MAX_SEEN = 1 << 53


@dataclass(frozen=True, slots=True)
class WeightsHeader:
    """What a weights file says about itself, and how much it holds.

    `seen` counts training images; `floats` is the number of float32 values after the header.
    `transposed` says that the weights of `[connected]` layers are [inputs, outputs].
    """

    path: Path
    major: int
    minor: int
    revision: int
    seen: int
    header_bytes: int
    floats: int
    transposed: bool = False

    def iteration(self, batch: int) -> int:
        """Return the iteration at which a network of this batch would go on: seen / batch.

        The batch is the cfg's own, so another batch moves the schedule.
        """
        return self.seen // max(1, batch)


def read_weights_header(path: AnyPath) -> WeightsHeader:
    """Read the header of a weights file and count its floats. Raises WeightsError."""
    # A pipe would be waited for; its size is unknown, as is a device's.
    if os.path.exists(path) and not os.path.isfile(path):
        raise WeightsError(
            "cannot read these weights: no regular file", code="cannot-read", path=path
        )
    try:
        with open(path, "rb") as stream:
            start = stream.read(_VERSION.size + _SEEN_64.size)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError as error:
        raise WeightsError(
            "no such file; expected Darknet weights here",
            code="missing-file",
            hint="Check the path; relative paths start at the current folder.",
            path=path,
        ) from error
    except OSError as error:
        raise WeightsError(
            f"cannot read these weights: {error.strerror}",
            code="cannot-read",
            hint="Check that it is a file and that you may read it.",
            path=path,
        ) from error
    return _parse_header(start, size, Path(path))


def map_floats(header: WeightsHeader) -> "NDArray[np.float32]":
    """Return the values of a file, mapped and not loaded: [floats] of float32."""
    import numpy as np

    if not header.floats:
        return np.empty(0, "<f4")
    return np.memmap(header.path, "<f4", "r", header.header_bytes, (header.floats,))


def format_weights_header(seen: int) -> bytes:
    """Return the header of a weights file as today's engines write it."""
    return _VERSION.pack(*_WRITTEN_VERSION) + _SEEN_64.pack(seen)


def expected_bytes(floats: int) -> int:
    """Return the size of a weights file as today's engines write it: 20 bytes and the floats."""
    return _VERSION.size + _SEEN_64.size + FLOAT_BYTES * floats


def _parse_header(start: bytes, size: int, path: Path) -> WeightsHeader:
    if start.lstrip()[:1] == b"<":
        raise _not_weights("this is a web page (HTML), not Darknet weights", path)
    if _TEXT.fullmatch(start):
        raise _not_weights("this is text, not Darknet weights", path)
    if len(start) < _VERSION.size + _SEEN_32.size:
        raise _not_weights(f"a file of {size} bytes is too short to be Darknet weights", path)
    major, minor, revision = _VERSION.unpack_from(start)
    transposed = _has_rates(start)
    wide = not transposed and major * 10 + minor >= 2
    seen_format = _SEEN_64 if wide else _SEEN_32
    if len(start) < _VERSION.size + seen_format.size:
        raise _not_weights(f"a file of {size} bytes is too short to be Darknet weights", path)
    (seen,) = seen_format.unpack_from(start, _VERSION.size)
    known = transposed or (0 <= major < _MAX_VERSION and 0 <= minor < _MAX_VERSION)
    if not known or seen > _MAX_SEEN:
        raise _not_weights(
            f"this is no Darknet weights file: its header says version {major}.{minor} "
            f"and {seen:,} images",
            path,
        )
    header_bytes = _VERSION.size + seen_format.size
    floats, rest = divmod(size - header_bytes, FLOAT_BYTES)
    if rest:
        raise WeightsError(
            f"the file ends in the middle of a number ({size:,} bytes)",
            code="truncated-weights",
            hint="The download or copy broke off. Fetch the file again.",
            path=path,
        )
    return WeightsHeader(path, major, minor, revision, seen, header_bytes, floats, transposed)


def _has_rates(start: bytes) -> bool:
    """Tell whether a header begins with a learning rate, a momentum and a decay."""
    rate, momentum, decay = _RATES.unpack_from(start)
    return bool(1e-8 < rate < 1 and 0.1 < momentum < 1 and 1e-8 < decay < 0.1)


def _not_weights(message: str, path: Path) -> WeightsError:
    return WeightsError(
        message,
        code="not-weights",
        hint="A download may have gone wrong. The engine would load it without a word.",
        path=path,
    )
