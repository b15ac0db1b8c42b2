"""Where two weights files of one network differ: what a training moved, and what it left."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.weights import WeightsHeader, map_floats
from darknet_kit.network.layer import Layer
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.pairing import pair_weights


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer with values: how many differ, by how much, and how large they were.

    `rms` is the root of the mean square of the differences, `size` that of the values before.
    """

    layer: Layer
    changed: int
    rms: float
    size: float


def compare_weights(cfg: Cfg, before: WeightsHeader, after: WeightsHeader) -> list[LayerChange]:
    """Compare two files layer by layer, as far as both reach.

    Raises CfgError, and WeightsError where one of them does not fit the network.
    """
    layers = infer_layers(cfg)
    for header in (before, after):
        pair_weights(layers, header)
    return list(_iter_changes(layers, before, after))


def _iter_changes(
    layers: tuple[Layer, ...], before: WeightsHeader, after: WeightsHeader
) -> Iterator[LayerChange]:
    old, new = map_floats(before), map_floats(after)
    start = 0
    for layer in layers:
        end = start + layer.weight_floats
        if start < end <= min(len(old), len(new)):
            one, other = old[start:end], new[start:end]
            # As bits: a nan equals itself, and where both have it nothing has changed.
            changed = int(np.count_nonzero(one.view("<u4") != other.view("<u4")))
            moved = other.astype(np.float64) - one
            yield LayerChange(layer, changed, _rms(moved), _rms(one.astype(np.float64)))
        start = end


def _rms(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    return float(np.sqrt(np.mean(np.square(values))))
