"""`[implicit]`."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Implicit(TorchLayer):
    """What is learnt without looking: `weight` [filters, atoms, 1] for every image.

    AlexeyAB `src/representation_layer.c`.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        shape = site.layer.output
        mean, spread = site.section.number("mean"), abs(site.section.number("std", 0.2))
        drawn = torch.empty(shape.channels, shape.height, 1).uniform_(mean - spread, mean + spread)
        self.weight = nn.Parameter(drawn)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        return self.weight.expand(len(previous), *self.weight.shape)

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        yield self.weight

    def decayed(self) -> Iterator[nn.Parameter]:
        yield self.weight
