"""`[upsample]`."""

import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Upsample(TorchLayer):
    """Each pixel `stride` times in both directions, times `scale`.

    A negative stride shrinks: each pixel is then the sum of the square that it stands for
    (AlexeyAB `src/blas.c`, `upsample_cpu`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.stride = site.section.integer("stride", 2)
        self.scale = site.section.number("scale", 1.0)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        size, scale = abs(self.stride), self.scale
        if self.stride > 0:
            x = F.interpolate(previous, scale_factor=float(size), mode="nearest")
        else:
            x = F.avg_pool2d(previous, size)
            scale *= size * size
        return x if scale == 1 else x * scale
