"""What the sections of several heads say in the same way."""

import math
from typing import TypeVar

from darknet_kit.engine.torch.site import Site
from darknet_kit.network.heads import head_filters

_Value = TypeVar("_Value")

# Darknet's anchor where the list under `anchors=` ends too early.
_DEFAULT_ANCHOR = 0.5


def require_channels(site: Site, classes: int, anchors: int) -> None:
    """Raise CfgError where the input has not all channels of so many classes and anchors."""
    expected = head_filters(site.layer.kind, classes, anchors)
    if min(classes, anchors) < 1 or site.layer.input.channels != expected:
        raise site.error(
            f"gets {site.layer.input.channels} channels, not {expected}: "
            f"the values of a box and {classes} classes for each of {anchors} anchors",
            "wrong-filters",
            key="classes",
            hint=f"Set filters={expected} before it, or correct classes, num and mask.",
        )


def read_anchor_sizes(site: Site, num: int) -> tuple[tuple[float, float], ...]:
    """Read `anchors`: width and height of each, those missing 0.5 x 0.5.

    They are in pixels, but in cells for `[region]`. Raises CfgError for one without size.
    """
    numbers = site.section.numbers("anchors")[: 2 * num]
    numbers += (_DEFAULT_ANCHOR,) * (2 * num - len(numbers))
    if min(numbers) <= 0:
        raise site.error("has an anchor that is not above 0", "bad-anchors", key="anchors")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def read_class_weights(
    site: Site, classes: int, max_delta: float = math.inf
) -> tuple[float, ...] | None:
    """Read `counters_per_class`: the largest count over each one, `max_delta` at most.

    None where the key is missing. Raises CfgError where the counts are not one for each class.
    AlexeyAB `src/parser.c`, `get_classes_multipliers`.
    """
    if site.section.find("counters_per_class") is None:
        return None
    counts = [max(1, count) for count in site.section.integers("counters_per_class")]
    if len(counts) != classes:
        raise site.error(
            f"has {len(counts)} counters_per_class and {classes} classes",
            "bad-value",
            key="counters_per_class",
            hint="Give one count for each class, in the order of the names.",
        )
    return tuple(min(max(counts) / count, max_delta) for count in counts)


def choose(site: Site, key: str, default: str, choices: dict[str, _Value]) -> _Value:
    """Return what a word of the section stands for. Raises CfgError for any other word."""
    word = site.section.text(key, default)
    if word not in choices:
        raise site.error(
            f"has {key}={word}, which is none of {', '.join(choices)}",
            "bad-value",
            key=key,
            hint="A comment behind a word belongs to the word; put it on a line of its own.",
        )
    return choices[word]
