"""Batch normalization as AlexeyAB's cuDNN build does it."""

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
    running_variance(norm).zero_()
    return norm


def running_mean(norm: nn.BatchNorm2d) -> Tensor:
    """Return the running mean, which PyTorch's types call optional."""
    assert norm.running_mean is not None
    return norm.running_mean


def running_variance(norm: nn.BatchNorm2d) -> Tensor:
    """Return the running variance, which PyTorch's types call optional."""
    assert norm.running_var is not None
    return norm.running_var


def fold_factors(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return factor and summand [channels] that do in inference what `norm` does.

    AlexeyAB `src/network.c`, `fuse_conv_batchnorm`.
    """
    factor = norm.weight.detach().double() / (running_variance(norm).double() + EPSILON).sqrt()
    summand = norm.bias.detach().double() - running_mean(norm).double() * factor
    return factor, summand
