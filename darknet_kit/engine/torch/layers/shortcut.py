"""`[shortcut]`."""

import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Shortcut(TorchLayer):
    """The sum of the layer before and of all in `from`, then an activation.

    Channels that another layer lacks count as 0, those that it has too many do not count
    (AlexeyAB `src/blas.c`, `shortcut_multilayer_cpu`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.activate = find_activation(site, "linear", fresh=True)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        x = previous
        for other in others:
            x = x + match_channels(other, previous)
        return self.activate(x)


def match_channels(x: Tensor, like: Tensor) -> Tensor:
    """Return x [B, C, H, W] with as many channels as `like`: zeros are added or channels cut."""
    missing = like.shape[1] - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x
