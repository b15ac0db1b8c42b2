"""`[softmax]`."""

import torch
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Softmax(TorchLayer):
    """Probabilities of equal `groups` of all values, or with `spatial=1` of a pixel's channels."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        section = site.section
        self.groups = max(1, section.integer("groups", 1))
        self.temperature = section.number("temperature", 1.0)
        self.spatial = bool(section.number("spatial"))
        if site.layer.input.elements % self.groups or self.temperature <= 0:
            raise site.error("needs groups that divide its input, temperature > 0", "bad-value")

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        if self.spatial:
            return torch.softmax(previous, 1)
        grouped = previous.reshape(len(previous), self.groups, -1) / self.temperature
        return torch.softmax(grouped, 2).reshape(previous.shape)
