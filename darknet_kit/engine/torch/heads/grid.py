"""Small tensors about a grid of cells, made on the device without waiting for it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def list_cells(like: Tensor, width: int, height: int) -> Tensor:
    """Return column and row of each cell [N, 2], row by row, in the type of another tensor."""
    number = torch.arange(width * height, device=like.device)
    return torch.stack((number % width, number // width), -1).to(like)


def put(values: Sequence[float], like: Tensor) -> Tensor:
    """Return a few numbers [K] where another tensor is.

    Each is filled in there: a copy from the host would make the host wait for the device.
    """
    return torch.stack([like.new_full((), value) for value in values])
