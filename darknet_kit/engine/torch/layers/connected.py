"""`[connected]`."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor, nn

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.norm import fold_factors, make_norm, statistics
from darknet_kit.engine.torch.site import Site


class Connected(TorchLayer):
    """Every output sees every input; then batch normalization or bias, then an activation.

    `weight` is [output, inputs], inputs in the order channel, row, column. Darknet of this fork
    never trains these layers; here they learn (AlexeyAB `src/connected_layer.c`).
    """

    norm: nn.BatchNorm2d | None
    bias: nn.Parameter | None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        outputs, inputs = site.layer.output.elements, site.layer.input.elements
        bound = math.sqrt(2.0 / inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        normalized = site.section.integer("batch_normalize")
        self.norm = make_norm(outputs) if normalized else None
        self.bias = None if normalized else nn.Parameter(torch.zeros(outputs))
        self.activate = find_activation(site, "logistic", fresh=True)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        x = F.linear(previous.flatten(1), self.weight, self.bias)[:, :, None, None]
        return self.activate(x if self.norm is None else self.norm(x))

    def fold(self) -> None:
        """Put the batch normalization into weight and bias; from now on it is for inference."""
        if self.norm is not None:
            factor, summand = fold_factors(self.norm)
            folded = self.weight.detach().double() * factor[:, None]
            self.weight = nn.Parameter(folded.to(self.weight.dtype))
            self.bias = nn.Parameter(summand.to(self.weight.dtype))
            self.norm = None

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        if self.bias is not None:
            yield self.bias
        if self.norm is not None:
            yield self.norm.bias
        yield self.weight
        if self.norm is not None and scales:
            yield from (self.norm.weight, *statistics(self.norm))

    def decayed(self) -> Iterator[nn.Parameter]:
        yield self.weight
