"""`[activation]`."""

from torch import Tensor

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class ActivationLayer(TorchLayer):
    """An activation alone."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.activate = find_activation(site, "linear")

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        return self.activate(previous)
