"""Batch normalization as AlexeyAB's cuDNN build does it."""

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn

# AlexeyAB `src/convolutional_kernels.cu`: the epsilon lies inside the root, the running statistics
# move by a hundredth and take the unbiased variance.
EPSILON = 1e-5
MOMENTUM = 0.01


def make_norm(channels: int) -> nn.BatchNorm2d:
    """Return the normalization of [B, channels, H, W]. Its running variance starts at 0.

    So Darknet's does (`make_convolutional_layer`), and a file that it wrote early shows it.
    """
    norm = nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)
    _, variance = statistics(norm)
    variance.zero_()
    return norm


def statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the running mean and variance, which PyTorch's types call optional."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def fold_factors(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return factor and summand [channels], in float64, that do in inference what `norm` does.

    AlexeyAB `src/network.c`, `fuse_conv_batchnorm`.
    """
    mean, variance = statistics(norm)
    factor = norm.weight.detach().double() / (variance.double() + EPSILON).sqrt()
    return factor, norm.bias.detach().double() - mean.double() * factor


@contextlib.contextmanager
def without_memory(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics as they are while something is computed a second time."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm in norms:
            norm.momentum = MOMENTUM
