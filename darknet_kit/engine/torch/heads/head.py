"""What every head has in common."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darknet_kit.engine.torch.site import Site


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a head makes of one mini-batch in training. All tensors stay on the device.

    `delta` has the shape of the head's input: the direction in which Darknet moves it, minus the
    gradient of the loss, summed over nothing (Darknet's `l.delta`). `cost` (no dimensions) is
    Darknet's `*l.cost`, not yet divided by the batch. `parts` ([4]) are the sums of squared
    delta of box, objectness, no-object and class. `stats` ([k]) is what `format_line` prints.
    """

    delta: Tensor
    cost: Tensor
    parts: Tensor
    stats: Tensor


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a head sees in each image of a batch, before any threshold.

    N is cells times anchors, in Darknet's order. `boxes` [B, N, 4] are cx, cy, w, h in fractions
    of the network's input; `objectness` is [B, N]; `scores` [B, N, classes] are objectness times
    class probability.
    """

    boxes: Tensor
    objectness: Tensor
    scores: Tensor


class Head(nn.Module):
    """A section that compares its input with the truth.

    `truths` is [B, T, 5] float32: cx, cy, w, h (fractions of the network's input) and class_id;
    unused rows are zero and stand at the end. `size` is the network's input (width, height) in
    pixels at this moment. `seen` counts the images of the training, those of this mini-batch too.
    `class_weights` [classes], or None, multiply what is learnt from a truth of each class;
    `counters_per_class` sets them, and who trains may.
    """

    sources: tuple[int, ...] = ()
    class_weights: Tensor | None

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.index = site.layer.index
        self.kind = site.layer.kind
        self.classes = site.section.integer("classes", 20)
        self.register_buffer("class_weights", None, persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Return the input as it is: what is learnt from it, `assess` says."""
        return raw

    def stored(self) -> Iterator[Tensor]:
        """Yield nothing: a head has no weights."""
        return iter(())

    @abstractmethod
    def assess(self, raw: Tensor, truths: Tensor, size: tuple[int, int], seen: int) -> Assessment:
        """Compare the raw input [B, C, H, W], in float32, with the truth. Takes no gradient."""

    @abstractmethod
    def decode(self, raw: Tensor, size: tuple[int, int]) -> Predictions:
        """Read the raw input [B, C, H, W], in float32, as boxes and scores."""

    @abstractmethod
    def format_line(self, stats: Sequence[float]) -> str:
        """Return the line or lines that Darknet prints of a mini-batch, with their line ends."""

    def count_boxes(self, stats: Sequence[float]) -> tuple[float, float]:
        """Return how many boxes were learnt, and how many of them over another truth's."""
        return 0.0, 0.0


def weigh(class_weights: Tensor | None, class_id: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each class in a tensor of any shape: 1 where classes have none."""
    if class_weights is None:
        return torch.ones_like(class_id, dtype=like.dtype)
    return class_weights[class_id]
