"""`[dropout]`."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site


class Dropout(TorchLayer):
    """In training some values become 0 and the others as much greater.

    Darknet works on the output of the layer before, so that whoever reads that one reads this
    (AlexeyAB `src/dropout_layer.c`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.probability = _read_probability(site)

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        return F.dropout(previous, self.probability, self.training)


class Dropblock(TorchLayer):
    """`dropblock=1`: in training a square of some channels becomes 0, the rest of an image greater.

    Probability and size of the squares grow with `progress`, which goes from 0 to 1 with the
    iterations up to 85 % of max_batches. A channel loses one square at most (AlexeyAB
    `src/dropout_layer_kernels.cu`, `forward_dropout_layer_gpu`).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.probability = _read_probability(site)
        self.relative = site.section.number("dropblock_size_rel")
        self.absolute = int(site.section.number("dropblock_size_abs"))
        if not self.relative and not self.absolute:
            self.absolute = 7
        self.progress = 1.0

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        if not self.training:
            return previous
        batch, channels, height, width = previous.shape
        size = self._size(height, width)
        chance = min(1.0, self.probability * self.progress / size**2)
        hit = torch.rand(batch, channels, 1, 1, device=previous.device) < (
            1 - (1 - chance) ** (height * width)
        )
        dropped = hit & _squares(previous, size)
        kept = previous.masked_fill(dropped, 0.0)
        share = hit.sum((1, 2, 3), keepdim=True) * (size**2 / (channels * height * width))
        return kept / (1 - share).clamp(min=1e-6).to(kept.dtype)

    def _size(self, height: int, width: int) -> int:
        if self.absolute:
            sides = (self.absolute * self.progress,) * 2
        else:
            sides = (self.relative * width * self.progress, self.relative * height * self.progress)
        return max(1, min(int(sides[0]), int(sides[1]), width, height))


def _squares(like: Tensor, size: int) -> Tensor:
    """Mark one square in each channel; what begins too far right or down moves inside."""
    batch, channels, height, width = like.shape
    marked = []
    for length, view in ((height, (1, 1, -1, 1)), (width, (1, 1, 1, -1))):
        room = length - size
        start = torch.randint(0, length, (batch, channels, 1, 1), device=like.device)
        start = torch.where(start > room, start - room, start).clamp(max=room)
        place = torch.arange(length, device=like.device).view(view)
        marked.append((place >= start) & (place < start + size))
    return marked[0] & marked[1]


def _read_probability(site: Site) -> float:
    probability = site.section.number("probability", 0.2)
    if not 0 <= probability < 1:
        raise site.error(
            f"has probability={probability}; it must lie from 0 to below 1",
            "bad-value",
            key="probability",
        )
    return probability


def build_dropout(site: Site) -> TorchLayer:
    """Return the layer of a `[dropout]` section. Raises CfgError, naming its line."""
    return (Dropblock if site.section.integer("dropblock") else Dropout)(site)
