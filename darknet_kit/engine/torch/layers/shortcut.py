"""`[shortcut]`."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor, nn

from darknet_kit.engine.torch.activations import find_activation
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.site import Site

_NORMALIZATIONS = {"none": "", "relu": "relu", "avg_relu": "relu", "softmax": "softmax"}
_WEIGHTS_TYPES = ("none", "per_feature", "per_layer", "per_channel")
# Less than this no layer counts in Darknet's kernel, whatever its weight.
_LEAST = 1e-3


class Shortcut(TorchLayer):
    """The sum of the layer before and of all in `from`, then an activation.

    Channels that another layer lacks count as 0, those that it has too many do not count
    (AlexeyAB `src/blas.c`, `shortcut_multilayer_cpu`). With `weights_type`, `weight` is
    [1 + layers, 1 or channels], and `weights_normalization` makes shares of it.
    """

    weight: nn.Parameter | None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.activate = find_activation(site, "linear", fresh=True)
        self.normalization = _read_normalization(site)
        count = 1 + len(self.sources)
        self.weight = (
            nn.Parameter(torch.ones(count, site.layer.weight_floats // count))
            if site.layer.weight_floats
            else None
        )

    def forward(self, previous: Tensor, *others: Tensor) -> Tensor:
        added = [match_channels(other, previous) for other in others]
        if self.weight is not None:
            return self.activate(self._weigh([previous, *added], self.weight))
        x = previous + added[0]
        for other in added[1:]:
            x = x + other
        return self.activate(x)

    def _weigh(self, parts: Sequence[Tensor], weight: nn.Parameter) -> Tensor:
        shares = share(weight, self.normalization) if self.normalization else weight
        x = parts[0] * shares[0][:, None, None]
        for part, one in zip(parts[1:], shares[1:], strict=True):
            x = x + part * one[:, None, None]
        return x

    def stored(self, *, scales: bool = True) -> Iterator[Tensor]:
        if self.weight is not None:
            yield self.weight


def match_channels(x: Tensor, like: Tensor) -> Tensor:
    """Return x [B, C, H, W] with as many channels as `like`: zeros are added or channels cut."""
    missing = like.shape[1] - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x


def share(weight: Tensor, kind: str) -> Tensor:
    """Return shares of 1 (nearly) along the first axis; `kind` is "relu" or "softmax".

    Their gradient is not the derivative but what Darknet takes: the share p itself for "relu",
    p (1 - p) for "softmax" (AlexeyAB `src/blas_kernels.cu`,
    `backward_shortcut_multilayer_kernel`; its CPU code takes 1).
    """
    return _Share.apply(weight, kind)  # type: ignore[no-any-return, no-untyped-call]


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, weight: Tensor, kind: str) -> Tensor:
        if kind == "softmax":
            parts = torch.exp(weight - weight.amax(0, keepdim=True))
        else:
            parts = weight.clamp(min=_LEAST)
        shares = parts / (parts.sum(0, keepdim=True) + 1e-4)
        ctx.save_for_backward(shares * (1 - shares) if kind == "softmax" else shares)
        return shares

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] * slope, None


def _read_normalization(site: Site) -> str:
    weights = site.section.text("weights_type", "none")
    normalization = site.section.text("weights_normalization", "none")
    for key, word, words in (
        ("weights_type", weights, _WEIGHTS_TYPES),
        ("weights_normalization", normalization, tuple(_NORMALIZATIONS)),
    ):
        if word not in words:
            raise site.error(
                f"has {key}={word}, which is none of {', '.join(words)}", "bad-value", key=key
            )
    return _NORMALIZATIONS[normalization] if weights != "none" else ""
