"""Stretches of a network, and what passes from one to the next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.engine.torch.heads.head import Head
from darknet_kit.engine.torch.layers.layer import TorchLayer

INPUT = -1
"""The number under which the images stand among the outputs of the layers."""


@dataclass(frozen=True, slots=True)
class Span:
    """Layers `start` to before `stop`; it reads outputs of layers before and makes `writes`.

    `expires[i]` lists the outputs that nothing reads once layer `start + i` has run.
    """

    start: int
    stop: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    expires: tuple[tuple[int, ...], ...]


def plan_spans(layers: Sequence[TorchLayer | Head], *, split: bool) -> tuple[Span, ...]:
    """Return one span, or with `split` about as many as each has layers.

    Then a backward pass that computes each span anew holds the fewest outputs at a time.
    """
    count = len(layers)
    length = max(1, round(math.sqrt(count))) if split else count
    # Darknet's dropout works on the output of the layer before, so they stay together.
    starts = [index for index in range(0, count, length) if layers[index].kind != "dropout"]
    starts = starts if starts and starts[0] == 0 else [0, *starts]
    last = _find_last_readers(layers)
    return tuple(
        _plan_span(layers, start, stop, last)
        for start, stop in zip(starts, [*starts[1:], count], strict=True)
    )


def _plan_span(
    layers: Sequence[TorchLayer | Head], start: int, stop: int, last: dict[int, int]
) -> Span:
    read = {source for layer in layers[start:stop] for source in layer.sources}
    inside = range(start, stop)
    return Span(
        start=start,
        stop=stop,
        reads=tuple(sorted({start - 1} | {source for source in read if source < start})),
        writes=tuple(index for index in inside if last[index] >= stop),
        expires=tuple(
            tuple(output for output, reader in last.items() if reader == index) for index in inside
        ),
    )


def _find_last_readers(layers: Sequence[TorchLayer | Head]) -> dict[int, int]:
    """Return who reads each output last; what goes to a head is read after all layers."""
    last = {index: index + 1 for index in range(INPUT, len(layers))}
    for layer in layers:
        for source in layer.sources:
            last[source] = max(last[source], layer.index)
    last[len(layers) - 1] = len(layers)
    return last | {layer.index: len(layers) for layer in layers if isinstance(layer, Head)}
