"""`[local_avgpool]`."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.pool import Windows, read_strides
from darknet_kit.engine.torch.site import Site


class LocalAvgpool(TorchLayer):
    """The mean of what each window has inside the edge.

    The gradient is the derivative; those of Darknet's CPU and GPU differ from it and from each
    other (AlexeyAB `src/maxpool_layer.c`, `forward_local_avgpool_layer`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.windows = Windows(site, read_strides(site))

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        size, strides = self.windows.size, self.windows.strides
        pads = self.windows.pads(*previous.shape[2:])
        if not any(pads):
            return F.avg_pool2d(previous, size, strides)
        inside = F.pad(torch.ones_like(previous[:1, :1]), pads)
        total = F.avg_pool2d(F.pad(previous, pads), size, strides)
        return total / F.avg_pool2d(inside, size, strides)
