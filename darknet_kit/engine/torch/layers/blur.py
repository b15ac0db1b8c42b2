"""`antialiasing`: the blur that takes over the stride of a layer."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor


def blur(x: Tensor, size: int, stride: tuple[int, ...]) -> Tensor:
    """Shrink [B, C, H, W] by `stride` (y, x), each pixel being a weighted mean of `size` x `size`.

    Size 3 weighs 1 2 1 and sees zeros beyond the edge; size 2 weighs evenly and stays inside
    (AlexeyAB `src/convolutional_layer.c`, `make_convolutional_layer`).
    """
    row = torch.tensor([1.0, 2.0, 1.0] if size == 3 else [1.0, 1.0], device=x.device, dtype=x.dtype)
    kernel = torch.outer(row, row) / row.sum() ** 2
    channels = x.shape[1]
    weight = kernel.expand(channels, 1, size, size)
    return F.conv2d(x, weight, None, stride, 1 if size == 3 else 0, 1, channels)
