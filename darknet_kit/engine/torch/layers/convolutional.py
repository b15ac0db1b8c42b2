"""`[convolutional]`."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor, nn

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.blur import blur
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.norm import (
    fold_factors,
    make_norm,
    statistics,
)
from darknet_kit.engine.torch.site import Site


class Convolutional(TorchLayer):
    """Convolution, batch normalization or bias, activation and, on request, a blur.

    `weight` is [filters, channels / groups, size, size]. With batch normalization its beta is the
    bias, so `bias` is then None (AlexeyAB `src/convolutional_layer.c`).
    """

    norm: nn.BatchNorm2d | None
    bias: nn.Parameter | None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        section, channels = site.section, site.layer.input.channels
        filters, size = site.layer.output.channels, section.integer("size", 1)
        stride = section.integer("stride", 1)
        self.stride = tuple(_positive(section.integer(f"stride_{axis}"), stride) for axis in "yx")
        self.dilation = max(1, section.integer("dilation", 1)) if size > 1 else 1
        pad = size // 2 if section.integer("pad") else section.integer("padding")
        self.padding = pad * self.dilation
        self.groups = _read_groups(site, channels, filters)
        self.blur_size = {0: 0, 2: 2}.get(max(0, section.integer("antialiasing")), 3)
        self.share_index = _read_share_index(site)
        name = section.text("activation", "logistic")
        self.activate = find_activation(site, "logistic", fresh=True)
        normalized = section.integer("batch_normalize") or section.integer("cbn")
        # What another layer lends needs a shape and no memory.
        with torch.device("cpu" if self.share_index is None else "meta"):
            self.weight = nn.Parameter(
                _draw_weight((filters, channels // self.groups, size, size), name)
            )
            self.norm = make_norm(filters) if normalized else None
            self.bias = None if normalized else nn.Parameter(torch.zeros(filters))
        if self.dilation > 1 and 2 * self.padding != self.dilation * (size - 1):
            raise site.error(
                f"has dilation={self.dilation}, which needs pad=1 and an odd size",
                "unsupported-key",
                key="dilation",
            )

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        stride = (1, 1) if self.blur_size else self.stride
        x = F.conv2d(
            previous, self.weight, self.bias, stride, self.padding, self.dilation, self.groups
        )
        if self.norm is not None:
            x = self.norm(x)
        x = self.activate(x)
        return blur(x, self.blur_size, self.stride) if self.blur_size else x

    def share(self, source: "Convolutional") -> bool:
        """Learn together with `source`; return False where its weights have another shape."""
        if source.weight.shape != self.weight.shape or (self.norm is None) != (source.norm is None):
            return False
        self.weight, self.bias, self.norm = source.weight, source.bias, source.norm
        return True

    def fold(self) -> None:
        """Put the batch normalization into weight and bias; from now on it is for inference."""
        if self.norm is not None:
            factor, summand = fold_factors(self.norm)
            folded = self.weight.detach().double() * factor[:, None, None, None]
            self.weight = nn.Parameter(folded.to(self.weight.dtype))
            self.bias = nn.Parameter(summand.to(self.weight.dtype))
            self.norm = None

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        if self.share_index is not None:
            return
        if self.bias is not None:
            yield self.bias
        if self.norm is not None:
            yield self.norm.bias
            if scales:
                yield from (self.norm.weight, *statistics(self.norm))
        yield self.weight

    def decayed(self) -> Iterator[nn.Parameter]:
        if self.share_index is None:
            yield self.weight


def _positive(value: int, default: int) -> int:
    return value if value > 0 else default


def _read_groups(site: Site, channels: int, filters: int) -> int:
    groups = max(1, site.section.integer("groups", 1))
    if channels % groups or filters % groups:
        raise site.error(
            f"has groups={groups}, which divides not both {channels} channels and {filters} "
            "filters",
            "impossible-shape",
            key="groups",
        )
    return groups


def _read_share_index(site: Site) -> int | None:
    """Return the number of the layer whose weights these are. Negative numbers count back."""
    if site.section.find("share_index") is None:
        return None
    number = site.section.integer("share_index")
    source = number if number >= 0 else site.layer.index + number
    if not 0 <= source < site.layer.index:
        raise site.error(
            f"shares layer {number}, which does not come before it", "bad-source", key="share_index"
        )
    return source


def _draw_weight(shape: tuple[int, int, int, int], activation: str) -> Tensor:
    """Draw as Darknet does: evenly within +-sqrt(2 / inputs of a filter); 1 for shares."""
    if activation.startswith("normalize_channels"):
        return torch.ones(shape)
    bound = math.sqrt(2.0 / (shape[1] * shape[2] * shape[3]))
    return torch.empty(shape).uniform_(-bound, bound)
