"""What an image looks like, in a few numbers: to find it again saved anew, scaled or stretched.

The difference hash of Krawetz, "Kind of Like That" (2013): of a tiny grey copy, which neighbour is
the brighter one.
"""

from typing import TYPE_CHECKING

from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.image import decode_small

if TYPE_CHECKING:
    from PIL import Image

_ROWS = 8  # of so many comparisons each
_SHADES = 16  # of 256; with fewer, comparisons would tell noise from noise
_SIDE = 32  # pixels of the copies that are compared one by one
# Of 140 photographs saved at quality 40, as PNG, at half and twice the size, as squares: on average
# up to 4.3 apart, a pixel up to 39.
_MEAN, _MOST = 5, 64


def look_of(picture: "Image.Image") -> int:
    """Return 64 bits that differ little for pictures that look alike; 0 for one of one shade."""
    small = _grey(picture, _ROWS + 1, _ROWS)
    if max(small) - min(small) < _SHADES:
        return 0
    bits = 0
    for start in range(0, len(small), _ROWS + 1):
        for place in range(start, start + _ROWS):
            bits = bits << 1 | (small[place] < small[place + 1])
    return bits


def is_lookalike(one: AnyPath, other: AnyPath) -> bool:
    """Tell whether two images are one picture, pixel by pixel of small copies."""
    try:
        small, like = (_grey(decode_small(path), _SIDE, _SIDE) for path in (one, other))
    except DatasetError:
        return False
    apart = [abs(first - second) for first, second in zip(small, like, strict=True)]
    return sum(apart) <= _MEAN * len(apart) and max(apart) <= _MOST


def _grey(picture: "Image.Image", width: int, height: int) -> bytes:
    from PIL import Image

    return picture.convert("L").resize((width, height), Image.Resampling.BILINEAR).tobytes()
