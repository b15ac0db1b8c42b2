"""What the tests of the heads share: a place in a network, truths, inputs, a distance."""

from collections.abc import Sequence

import torch
from torch import Tensor

from darknet_kit.engine.torch.site import Site
from darknet_kit.formats.cfg import parse_cfg
from darknet_kit.network.layers import infer_layers

Rows = Sequence[Sequence[float]]


def make_site(head: str, filters: int, size: tuple[int, int]) -> Site:
    """Return the place of a head, given as the text of its section, behind a 1x1 convolution."""
    cfg = parse_cfg(
        f"[net]\nwidth={size[0]}\nheight={size[1]}\nchannels=3\n"
        f"[convolutional]\nfilters={filters}\n{head}\n"
    )
    return Site(cfg, cfg.layers[1], infer_layers(cfg)[1])


def make_truths(images: Sequence[Rows]) -> Tensor:
    """Return the truths of each image as [B, T, 5], padded with zeros."""
    longest = max(len(rows) for rows in images)
    return torch.tensor([[*rows, *[[0.0] * 5] * (longest - len(rows))] for rows in images])


def make_raw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the relative L2 distance."""
    return float((found.double() - expected).norm() / expected.norm())
