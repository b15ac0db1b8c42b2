"""The first layers of a weights file, from which the training of another network starts."""

from darknet_kit.core.files import replacing
from darknet_kit.errors import AnyPath, WeightsError
from darknet_kit.formats.weights import FLOAT_BYTES, WeightsHeader, format_weights_header
from darknet_kit.network.fit import Fit

_BLOCK = 1 << 20


def cut_weights(header: WeightsHeader, fit: Fit, layers: int, path: AnyPath) -> int:
    """Write the values of the first `layers` layers; return how many float32 these are.

    The file is what `darknet partial CFG WEIGHTS PATH N` writes, byte for byte: no images seen.
    Raises WeightsError (`too-many-layers`, `weights-do-not-fit`), WriteError.
    """
    _require_cut(header, fit, layers)
    last = fit.values[layers - 1]
    floats = last.start + last.held
    with open(header.path, "rb") as source, replacing(path, binary=True) as target:
        source.seek(header.header_bytes)
        target.write(format_weights_header(seen=0))
        left = floats * FLOAT_BYTES
        while left and (block := source.read(min(left, _BLOCK))):
            target.write(block)
            left -= len(block)
    return floats


def _require_cut(header: WeightsHeader, fit: Fit, layers: int) -> None:
    if not 1 <= layers <= fit.of:
        raise WeightsError(
            f"the network has {fit.of} layers, so its first {layers} cannot be kept",
            code="too-many-layers",
            hint="`dkit weights info WEIGHTS CFG` lists the layers.",
            path=header.path,
        )
    if layers > fit.layers:
        raise WeightsError(
            f"only the first {fit.layers} layers of the network can be in this file"
            + (f": {fit.reason}" if fit.reason else ""),
            code="weights-do-not-fit",
            hint=f"Cut at {fit.layers} or before, or take the weights of this network.",
            path=header.path,
        )
    if header.transposed:
        raise WeightsError(
            "these weights are of a kind that was given up in 2014: the matrices of [connected] "
            "layers lie transposed",
            code="transposed-weights",
            hint="Load and save them once with a Darknet of that time.",
            path=header.path,
        )
