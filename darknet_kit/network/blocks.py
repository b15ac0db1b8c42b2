"""A network as people speak of it: a few dozen blocks instead of hundreds of layers.

A block is a run of layers on one grid, or a head. It ends where the grid changes, and before a
layer that reads from beyond another grid or a head.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.network.heads import HEAD_KINDS
from darknet_kit.network.layer import Layer, Shape


@dataclass(frozen=True, slots=True)
class Block:
    """Layers `first` to `last` (0-based, both included).

    `inputs` are the numbers of the blocks that it reads, `kinds` counts its layers.
    """

    first: int
    last: int
    kinds: Counter[str]
    output: Shape
    stride: tuple[int, int]
    bflops: float
    weight_floats: int
    inputs: tuple[int, ...]

    @property
    def is_head(self) -> bool:
        return any(kind in HEAD_KINDS for kind in self.kinds)


def group_layers(layers: Sequence[Layer]) -> list[Block]:
    """Cut a network into blocks, in its order."""
    starts = [layer.index for layer in layers if _starts_block(layers, layer)]
    ends = [*(start - 1 for start in starts[1:]), len(layers) - 1]
    of_layer = [
        number
        for number, (first, last) in enumerate(zip(starts, ends, strict=True))
        for _ in range(first, last + 1)
    ]
    return [
        _make_block(layers[first : last + 1], of_layer)
        for first, last in zip(starts, ends, strict=True)
    ]


def _starts_block(layers: Sequence[Layer], layer: Layer) -> bool:
    if layer.index == 0:
        return True
    before = layers[layer.index - 1]
    if layer.kind in HEAD_KINDS or before.kind in HEAD_KINDS or layer.stride != before.stride:
        return True
    return layer.kind == "route" and any(
        _crosses_grid(layers, source, layer.index) for source in layer.sources
    )


def _crosses_grid(layers: Sequence[Layer], source: int, reader: int) -> bool:
    """Tell whether another grid, or a head, lies between a layer and the one that reads it."""
    between = layers[source:reader]
    return any(
        layer.stride != layers[source].stride or layer.kind in HEAD_KINDS for layer in between
    )


def _make_block(layers: Sequence[Layer], of_layer: Sequence[int]) -> Block:
    first, last = layers[0], layers[-1]
    own = of_layer[first.index]
    read = {of_layer[source] for layer in layers for source in layer.sources} - {own}
    if first.kind != "route" and first.index:
        read.add(own - 1)
    return Block(
        first=first.index,
        last=last.index,
        kinds=Counter(layer.kind for layer in layers),
        output=last.output,
        stride=last.stride,
        bflops=sum(layer.bflops for layer in layers),
        weight_floats=sum(layer.weight_floats for layer in layers),
        inputs=tuple(sorted(read)),
    )
