"""One colour for each class: bright enough for a photograph, and unlike those before it."""

import functools
import itertools

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

_COLORS = 80  # from there on they come again; nobody tells more apart
_LEVELS = (0, 48, 96, 144, 192, 224, 255)


def class_color(class_id: int) -> Color:
    """Return the colour of a class; the first classes of a set get the ones most unlike."""
    return _palette()[class_id % _COLORS]


def text_color(background: Color) -> str:
    """Return black or white, whichever can be read on this background."""
    red, green, blue = background
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "white"


@functools.cache
def _palette() -> list[Color]:
    """Return colours, each as far as can be from those before it, beginning with a red."""
    places = {
        color: place
        for color in itertools.product(_LEVELS, _LEVELS, _LEVELS)
        if 0.58 < (place := _oklab(color))[0] < 0.93 and place[1] ** 2 + place[2] ** 2 > 0.018
    }
    chosen: list[Color] = [(255, 48, 48)]
    nearest = dict.fromkeys(places, 9.0)
    while len(chosen) < min(_COLORS, len(places)):
        last = places[chosen[-1]]
        for color, place in places.items():
            nearest[color] = min(nearest[color], _distance(place, last))
        chosen.append(max(nearest, key=lambda color: nearest[color]))
    return chosen


def _distance(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))


def _oklab(color: Color) -> tuple[float, float, float]:
    """Return lightness and two hues in which distances are as people see them.

    Björn Ottosson, "A perceptual color space for image processing", 2020.
    """
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in color)
    )
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )
