"""`[normalization]`: local response normalization."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Normalization(TorchLayer):
    """Each value divided by a power of kappa plus alpha times the squares of nearby channels.

    Nearby are (size - 1) / 2 channels before and size / 2 after. As Darknet counts, channel
    number size / 2 is missing in every sum and taken off where it was never added; and the
    divisor counts as a constant in the gradient (AlexeyAB `src/normalization_layer.c`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        section = site.section
        self.alpha = section.number("alpha", 0.0001)
        self.beta = section.number("beta", 0.75)
        self.kappa = section.number("kappa", 1.0)
        self.size = section.integer("size", 5)
        if not 0 < self.size <= 2 * site.layer.input.channels - 1:
            raise site.error(
                f"has size={self.size} for {site.layer.input.channels} channels",
                "impossible-shape",
                key="size",
            )

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        squares = previous.detach().square()
        padded = F.pad(squares, (0, 0, 0, 0, (self.size - 1) // 2, self.size // 2))
        count = previous.shape[1]
        sums = torch.stack([padded[:, k : k + count] for k in range(self.size)]).sum(0)
        missing = squares[:, self.size // 2, None]
        divisor = self.kappa + self.alpha * (sums - missing)
        return previous * divisor**-self.beta
