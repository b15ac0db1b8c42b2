"""`[route]`."""

import torch
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Route(TorchLayer):
    """The channels of other layers one after another; with `groups` one share of each.

    AlexeyAB `src/route_layer.c`, `forward_route_layer`.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.groups = max(1, site.section.integer("groups", 1))
        self.group_id = site.section.integer("group_id")
        if not 0 <= self.group_id < self.groups:
            raise site.error(
                f"has group_id={self.group_id} of {self.groups} groups", "bad-value", key="group_id"
            )

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        parts = [self._share(other) for other in others]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _share(self, x: Tensor) -> Tensor:
        count = x.shape[1] // self.groups
        return x[:, self.group_id * count : (self.group_id + 1) * count] if self.groups > 1 else x
