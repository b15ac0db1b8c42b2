"""Batch normalization as AlexeyAB's cuDNN build does it."""

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn

from darknet_kit.errors import CfgError

# AlexeyAB `src/convolutional_kernels.cu`: the epsilon lies inside the root, the running statistics
# move by a hundredth and take the unbiased variance.
EPSILON = 1e-5
MOMENTUM = 0.01


class Norm(nn.BatchNorm2d):
    """The normalization of [B, channels, H, W].

    Learning from one value a channel raises CfgError (`mini-batch-of-one`): Darknet would turn
    every value into 0 without a word.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        if self.training and input.numel() == input.shape[1]:
            raise CfgError(
                "a mini-batch of one image leaves one value for each batch normalization of a "
                "layer of 1 x 1, which makes 0 of it",
                code="mini-batch-of-one",
                hint="Lower subdivisions: the mini-batch is batch / subdivisions.",
            )
        return super().forward(input)


def make_norm(channels: int) -> Norm:
    """Return a normalization. Its running variance starts at 0.

    So Darknet's does (`make_convolutional_layer`), and a file that it wrote early shows it.
    """
    norm = Norm(channels, eps=EPSILON, momentum=MOMENTUM)
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
