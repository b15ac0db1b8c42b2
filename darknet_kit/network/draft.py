"""A network in the making, and the blocks that all families are built from.

A `Draft` collects sections; each function that adds one returns its layer number, so that an
architecture can be written with names instead of counted offsets.
"""

from collections.abc import Sequence


class Draft:
    """Sections in the order of the layers. Routes are written as offsets, as people read them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._count = 0

    def title(self, text: str) -> None:
        """Put a heading comment above the layers that follow."""
        self._parts.append(f"\n# ---- {text}\n")

    def note(self, text: str) -> None:
        """Put a comment above the layer that follows."""
        self._parts.append(f"\n# {text}")

    def add(self, kind: str, **values: object) -> int:
        """Append a section and return its layer number."""
        lines = "".join(f"{key}={value}\n" for key, value in values.items())
        self._parts.append(f"\n[{kind}]\n{lines}")
        self._count += 1
        return self.last

    @property
    def last(self) -> int:
        """The number of the layer that was added last."""
        return self._count - 1

    def offset(self, layer: int) -> int:
        """Return where a layer stands, seen from the one that comes next: -1 is the last."""
        return layer - self._count

    def text(self) -> str:
        """Return all sections as cfg text."""
        return "".join(self._parts)


def conv(
    draft: Draft, filters: int, size: int, *, stride: int = 1, activation: str = "leaky"
) -> int:
    """Add a convolution with batch normalization; its input is padded to keep the size."""
    return draft.add(
        "convolutional",
        batch_normalize=1,
        filters=filters,
        size=size,
        stride=stride,
        pad=1,
        activation=activation,
    )


def alternate(draft: Draft, narrow: int, count: int) -> int:
    """Add convolutions in turn: 1x1 to `narrow` channels, 3x3 to twice as many."""
    last = -1
    for number in range(count):
        last = conv(draft, narrow, 1) if number % 2 == 0 else conv(draft, 2 * narrow, 3)
    return last


def residual(draft: Draft, narrow: int, wide: int, activation: str) -> int:
    """Add a residual block: squeeze, convolve, and add what came in."""
    conv(draft, narrow, 1, activation=activation)
    conv(draft, wide, 3, activation=activation)
    return draft.add("shortcut", **{"from": -3}, activation="linear")


def maxpool(draft: Draft, size: int, stride: int) -> int:
    """Add a max pooling; with a stride of 1 the size of the image stays."""
    return draft.add("maxpool", size=size, stride=stride)


def upsample(draft: Draft) -> int:
    """Double width and height by repeating each value."""
    return draft.add("upsample", stride=2)


def route(draft: Draft, *layers: int) -> int:
    """Read the outputs of earlier layers, stacked by channel in the order given."""
    return draft.add("route", layers=",".join(str(draft.offset(layer)) for layer in layers))


def pool_pyramid(draft: Draft) -> tuple[int, int, int]:
    """Add the maxima over windows of 5, 9 and 13 cells of the last layer; return their numbers."""
    entry = draft.last
    small = maxpool(draft, 5, 1)
    route(draft, entry)
    medium = maxpool(draft, 9, 1)
    route(draft, entry)
    return small, medium, maxpool(draft, 13, 1)


def predict(draft: Draft, filters: int, activation: str = "linear") -> int:
    """Add the convolution that a head reads: no normalization, and `linear` is no activation."""
    return draft.add(
        "convolutional", filters=filters, size=1, stride=1, pad=1, activation=activation
    )


def format_anchors(anchors: Sequence[tuple[float, float]]) -> str:
    """Return anchors as `w,h,  w,h`."""
    return ",  ".join(f"{width},{height}" for width, height in anchors)
