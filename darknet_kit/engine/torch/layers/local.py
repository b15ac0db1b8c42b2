"""`[local]`: a convolution that has other weights in every place."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor, nn

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Local(TorchLayer):
    """`weight` is [places, filters, channels size size], `bias` [filters, places].

    `pad` is the padding itself, in pixels. Darknet of this fork never trains these layers, and
    begins with zeros in all places but the first; here they learn, from weights that are drawn in
    all (AlexeyAB `src/local_layer.c`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        section, shape, output = site.section, site.layer.input, site.layer.output
        self.size, self.stride = section.integer("size", 1), section.integer("stride", 1)
        self.padding = section.integer("pad")
        for given, made in ((shape.width, output.width), (shape.height, output.height)):
            if (given + 2 * self.padding - self.size) // self.stride + 1 != made:
                raise site.error(
                    f"has pad={self.padding} and size={self.size}, which Darknet counts wrong",
                    "impossible-shape",
                    key="pad",
                    hint="Take pad=1 with size=3, or no pad.",
                )
        inputs, places = shape.channels * self.size**2, output.width * output.height
        bound = math.sqrt(2.0 / inputs)
        drawn = torch.empty(places, output.channels, inputs).uniform_(-bound, bound)
        self.weight = nn.Parameter(drawn)
        self.bias = nn.Parameter(torch.zeros(output.channels, places))
        self.activate = find_activation(site, "logistic", fresh=True)
        self.shape = (output.channels, output.height, output.width)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        seen = F.unfold(previous, self.size, padding=self.padding, stride=self.stride)
        x = torch.einsum("bip,pfi->bfp", seen, self.weight) + self.bias
        return self.activate(x.reshape(-1, *self.shape))

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        yield from (self.bias, self.weight)

    def decayed(self) -> Iterator[nn.Parameter]:
        yield self.weight
