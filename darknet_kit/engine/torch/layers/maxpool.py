"""`[maxpool]`."""

import math

import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.layers.blur import blur
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.pool import Windows, read_strides
from darknet_kit.engine.torch.site import Site


class Maxpool(TorchLayer):
    """The greatest of each window; what lies beyond the edge never is."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.strides = read_strides(site)
        self.blur_size = {0: 0, 2: 2}.get(max(0, site.section.integer("antialiasing")), 3)
        self.windows = Windows(site, (1, 1) if self.blur_size else self.strides)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        windows = self.windows
        left, right, top, bottom = windows.pads(*previous.shape[2:])
        if left == right == top == bottom:
            x = F.max_pool2d(previous, windows.size, windows.strides, left)
        else:
            padded = F.pad(previous, (left, right, top, bottom), value=-math.inf)
            x = F.max_pool2d(padded, windows.size, windows.strides)
        return blur(x, self.blur_size, self.strides) if self.blur_size else x


class MaxpoolDepth(TorchLayer):
    """`maxpool_depth=1`: the greatest of every `out_channels`-th channel.

    Output channel g is the greatest of channels g, g + out_channels, ... (AlexeyAB
    `src/maxpool_layer.c`, `forward_maxpool_layer`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.out_channels = site.layer.output.channels
        if self.out_channels > site.layer.input.channels:
            raise site.error("has more out_channels than it gets", "impossible-shape")

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        missing = -previous.shape[1] % self.out_channels
        padded = F.pad(previous, (0, 0, 0, 0, 0, missing), value=-math.inf)
        groups = padded.reshape(len(padded), -1, self.out_channels, *padded.shape[2:])
        return groups.amax(1)


def build_maxpool(site: Site) -> TorchLayer:
    """Return the layer of a `[maxpool]` section. Raises CfgError, naming its line."""
    return (MaxpoolDepth if site.section.integer("maxpool_depth") else Maxpool)(site)
