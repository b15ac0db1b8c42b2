"""What every section that is no head has in common."""

from collections.abc import Iterator

from torch import Tensor, nn

from darknet_kit.engine.torch.site import Site


class TorchLayer(nn.Module):
    """One section as a module.

    `forward(previous, *others)` gets the output of the layer before it, then those of
    `sources` (absolute layer numbers) in order; each is [batch, channels, height, width].
    """

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.index = site.layer.index
        self.kind = site.layer.kind
        self.sources = site.layer.sources

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        """Yield what a `.weights` file holds of this layer, in its order, as it lies there.

        Without `scales`, what `dontloadscales=1` leaves of it: no scales and no statistics.
        """
        return iter(())

    def decayed(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that `decay=` shrinks; the others are biases and scales."""
        return iter(())
