"""Do these weights belong to this network? Darknet takes any file into any network.

Two things tell. The length: a file that belongs to a network ends where one of its layers ends.
And the values: read into the wrong layers, a kernel's numbers come to stand where variances are
expected, and some of them are below zero.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.formats.weights import WeightsHeader, map_floats
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layer import Layer
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.parameters import Parameters, list_parameters

Floats = NDArray[np.float32]

_LARGEST = 1e10
"""No network that computes anything has larger values; text or a picture read as floats has."""

_SMALLEST_VARIANCE = -1e-5
"""The engines add 1e-5 before they take the root. Dead channels of real networks have -7e-44."""


@dataclass(frozen=True, slots=True)
class LayerValues:
    """What a file holds for one layer.

    `start` counts the floats before it, `held` how many of its own are in the file. `deviation`
    is the standard deviation of its kernel. `flaw` says why these cannot be its values; it is
    empty where they can.
    """

    layer: Layer
    start: int
    held: int
    deviation: float
    flaw: str

    @property
    def is_whole(self) -> bool:
        return self.held == self.layer.weight_floats


@dataclass(frozen=True, slots=True)
class Fit:
    """How far a file fits: its first `layers` of `of` layers hold what can be theirs.

    `surplus` counts floats beyond what the network takes. `reason` says why the file as it is does
    not fit, and is empty where it fits whole or ends where layer `layers` - 1 ends.
    """

    values: tuple[LayerValues, ...]
    layers: int
    of: int
    surplus: int
    reason: str

    @property
    def is_whole(self) -> bool:
        return not self.reason and self.layers == self.of

    @property
    def is_backbone(self) -> bool:
        return not self.reason and self.layers < self.of


def judge_weights(cfg: Cfg, header: WeightsHeader) -> Fit:
    """Read a weights file as a network would. Raises CfgError, WeightsError.

    Reads every value once; memory does not grow with the file.
    """
    layers = infer_layers(cfg)
    values = tuple(_iter_values(cfg, layers, header))
    total = sum(layer.weight_floats for layer in layers)
    surplus = max(0, header.floats - total)
    bad = next((one for one in values if one.flaw), None)
    cut = next((one for one in values if not one.is_whole and one.held), None)
    absent = next((one for one in values if one.layer.weight_floats and not one.held), None)
    stop = bad or cut or absent
    fitting = len(layers) if stop is None else stop.layer.index
    if bad is not None:
        reason = _describe(bad, bad.flaw)
    elif cut is not None:
        short = cut.layer.weight_floats - cut.held
        reason = _describe(cut, f"the file ends {short:,} values too early")
    elif surplus:
        reason = f"the file holds {surplus:,} values more than the network takes"
    else:
        reason = "" if header.floats else "the file holds no values"
    return Fit(values, fitting, len(layers), surplus, reason)


def require_fit(cfg: Cfg, header: WeightsHeader) -> Fit:
    """Return how weights fit, whole or as a backbone. Raises CfgError, WeightsError
    (`weights-do-not-fit`) where they do not."""
    fit = judge_weights(cfg, header)
    if fit.reason:
        raise WeightsError(
            f"these weights do not fit the network: {fit.reason}",
            code="weights-do-not-fit",
            hint="The engine would load them all the same. See `dkit weights info WEIGHTS CFG`.",
            path=header.path,
        )
    return fit


def suggest_cut(cfg: Cfg, fit: Fit) -> int:
    """Return how many first layers of a file that does not fit could still serve; 0 for none.

    What lies before the first head's own convolution does not depend on the classes, so it is the
    same in networks that differ in these alone. A file that fails before is of another network.
    """
    heads = find_heads(cfg)
    common = heads[0].index - 1 if heads else 0
    return common if fit.reason and 0 < common <= fit.layers else 0


def _describe(values: LayerValues, what: str) -> str:
    return f"layer {values.layer.index} [{values.layer.kind}], line {values.layer.line}: {what}"


def _iter_values(cfg: Cfg, layers: Sequence[Layer], header: WeightsHeader) -> Iterator[LayerValues]:
    floats = map_floats(header)
    ends = itertools.accumulate(layer.weight_floats for layer in layers)
    for section, layer, end in zip(cfg.layers, layers, ends, strict=True):
        start = end - layer.weight_floats
        own = floats[start:end]
        flaw, deviation = _look_at(own, list_parameters(section, layer))
        yield LayerValues(layer, start, len(own), deviation, flaw)


def _look_at(own: Floats, parameters: Sequence[Parameters]) -> tuple[str, float]:
    """Return why these cannot be a layer's values, or an empty string, and the kernel's spread."""
    flaw, deviation, start = "", 0.0, 0
    for kind in parameters:
        part = own[start : start + kind.count]
        start += kind.count
        if not len(part):
            continue
        flaw = flaw or _find_flaw(kind.name, part)
        if kind.name == "kernel" and not flaw:
            deviation = float(part.std(dtype=np.float64))
    return flaw, deviation


def _find_flaw(name: str, part: Floats) -> str:
    smallest, largest = float(part.min()), float(part.max())
    noun = "values of the kernel" if name == "kernel" else name
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        wrong = int(np.count_nonzero(~np.isfinite(part)))
        return f"{wrong:,} of {len(part):,} {noun} are nan or infinite"
    if max(-smallest, largest) > _LARGEST:
        return f"{noun} of up to {max(-smallest, largest):.1g} are no weights"
    if name == "variances" and smallest < _SMALLEST_VARIANCE:
        wrong = int(np.count_nonzero(part < _SMALLEST_VARIANCE))
        return f"{wrong:,} of {len(part):,} variances are below zero"
    if name == "kernel" and len(part) > 1 and smallest == largest == 0:
        return f"all {len(part):,} values of its kernel are zero"
    return ""
