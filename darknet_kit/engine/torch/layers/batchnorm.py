"""`[batchnorm]`."""

from collections.abc import Iterator

from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.norm import make_norm, statistics
from darknet_kit.engine.torch.site import Site


class Batchnorm(TorchLayer):
    """Batch normalization alone."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.norm = make_norm(site.layer.input.channels)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        x: Tensor = self.norm(previous)
        return x

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        # Darknet reads all four, `dontloadscales=1` or not.
        yield from (self.norm.bias, self.norm.weight, *statistics(self.norm))
