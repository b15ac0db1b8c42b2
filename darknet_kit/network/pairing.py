"""Do these weights belong to this network? The C loader takes any file into any network."""

import itertools
from dataclasses import dataclass

from darknet_kit.errors import WeightsError
from darknet_kit.formats.weights import WeightsHeader
from darknet_kit.network.layers import Layer


@dataclass(frozen=True, slots=True)
class Pairing:
    """How far weights fit: `layers` of `of` layers get their values from the file."""

    layers: int
    of: int

    @property
    def is_whole(self) -> bool:
        return self.layers == self.of


def pair_weights(layers: tuple[Layer, ...], header: WeightsHeader) -> Pairing:
    """Match the length of a weights file with a network.

    Whole, or the first N layers as `darknet partial` cuts them. Raises WeightsError
    (`weights-do-not-fit`) where the file ends in the middle of a layer or holds more.
    """
    ends = list(itertools.accumulate(layer.weight_floats for layer in layers))
    if header.floats and header.floats in ends:
        # Layers without weights share an end with the one before: the last of them counts.
        return Pairing(len(ends) - ends[::-1].index(header.floats), len(ends))
    inside = next(
        (layer for layer, end in zip(layers, ends, strict=True) if end > header.floats), None
    )
    what = (
        f"they end inside layer {inside.index} ({inside.kind}), "
        f"{ends[inside.index] - header.floats:,} values too early"
        if inside is not None
        else f"they hold {header.floats - ends[-1]:,} values too many"
    )
    raise WeightsError(
        f"these weights do not fit the network: {what}",
        code="weights-do-not-fit",
        hint="Take the weights that belong to this cfg: the loader would fill in nonsense.",
        path=header.path,
    )
