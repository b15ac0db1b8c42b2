"""A network's values, out of and into a `.weights` file.

Darknet takes any file into any network without a word. Here a file fits as a whole, or ends where
a layer ends, as `darknet partial` cuts them; everything else is an error before the first value is
read.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_kit.core.files import replacing
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.network import Network
from darknet_kit.errors import AnyPath, TrainError, WeightsError
from darknet_kit.formats.weights import (
    WeightsHeader,
    format_weights_header,
    read_weights_header,
)
from darknet_kit.network.pairing import pair_weights

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What came out of a file: `layers` of `of` layers have their values from it.

    `seen` counts the images of its training. `unread` floats behind a cutoff were left alone.
    """

    seen: int
    layers: int
    of: int
    unread: int

    @property
    def is_whole(self) -> bool:
        return self.layers == self.of


def load_weights(
    network: Network, path: AnyPath, *, cutoff: int | None = None, anew: bool = False
) -> LoadedWeights:
    """Fill a network from a file, or only its layers before number `cutoff`.

    Layers with `dontload=1` are not in the file, nor are the scales and statistics of those with
    `dontloadscales=1` (AlexeyAB `src/parser.c`, `load_weights_upto`). But a file that holds every
    value of the network, as all do that it writes, is read whole; where a training starts `anew`,
    layers with `dontload=1` pass over theirs. Raises WeightsError where the file does not fit; the
    network is then as it was.
    """
    header = read_weights_header(path)
    is_own = header.floats == sum(_count(_stored(network, one.index)) for one in network.plan)
    read_for = _stored if is_own else _read_for
    plan = tuple(
        dataclasses.replace(one, weight_floats=_count(read_for(network, one.index)))
        for one in network.plan[:cutoff]
    )
    wanted = sum(layer.weight_floats for layer in plan)
    unread = max(0, header.floats - wanted) if cutoff is not None else 0
    pairing = pair_weights(plan, dataclasses.replace(header, floats=header.floats - unread))
    try:
        _fill(network, header, [list(read_for(network, at)) for at in range(pairing.layers)], anew)
    except OSError as error:
        raise WeightsError(
            f"cannot read these weights: {error.strerror}", code="cannot-read", path=path
        ) from error
    return LoadedWeights(header.seen, pairing.layers, len(network.built), unread)


def save_weights(network: Network, path: AnyPath, seen: int, *, cutoff: int | None = None) -> None:
    """Write a network, or its layers before number `cutoff`, as AlexeyAB's fork would.

    `seen` counts the images of the training. Raises WriteError, TrainError (`diverged`) where a
    value is NaN or infinite; no half file is left, and what was there stays.
    """
    with replacing(path, binary=True) as stream:
        stream.write(format_weights_header(seen))
        for layer in network.built[:cutoff]:
            for tensor in layer.stored():
                values = tensor.detach().to("cpu", torch.float32).contiguous()
                if not values.isfinite().all():
                    raise _not_finite(layer.index, path)
                stream.write(values.numpy().astype(_FLOAT, copy=False).data)


def _not_finite(layer: int, path: AnyPath) -> TrainError:
    return TrainError(
        f"layer {layer} holds NaN or infinite values; these weights are not written",
        code="diverged",
        hint="Try half the learning_rate; the weights saved before are still good.",
        path=path,
    )


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _stored(network: Network, index: int) -> Iterator[Tensor]:
    layer = network.built[index]
    if isinstance(layer, TorchLayer):
        yield from layer.stored()


def _read_for(network: Network, index: int) -> Iterator[Tensor]:
    layer, section = network.built[index], network.cfg.layers[index]
    if isinstance(layer, TorchLayer) and not section.integer("dontload"):
        yield from layer.stored(scales=not section.integer("dontloadscales"))


@torch.no_grad()
def _fill(
    network: Network, header: WeightsHeader, tensors: Sequence[Sequence[Tensor]], anew: bool
) -> None:
    """Read what the file holds for each layer; where `anew`, `dontload=1` leaves it at that."""
    with open(header.path, "rb") as stream:
        stream.seek(header.header_bytes)
        for index, wanted in enumerate(tensors):
            is_kept = not (anew and network.cfg.layers[index].integer("dontload"))
            for tensor in wanted:
                values = np.fromfile(stream, _FLOAT, tensor.numel())
                if len(values) < tensor.numel():
                    raise WeightsError(
                        "the file became shorter while it was read",
                        code="truncated-weights",
                        path=header.path,
                    )
                if is_kept:
                    tensor.copy_(_shape(values, tensor, header, network.built[index].kind))


def _shape(values: np.ndarray, tensor: Tensor, header: WeightsHeader, kind: str) -> Tensor:
    read = torch.from_numpy(values.astype(np.float32, copy=False))
    if header.transposed and kind == "connected" and tensor.dim() == 2:
        return read.view(tensor.shape[1], tensor.shape[0]).t()
    return read.view(tensor.shape)
