"""Darknet's activations by their names, with Darknet's constants (AlexeyAB `src/activations.h`)."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - the name the world knows it by
from torch import Tensor

from darknet_kit.engine.torch.site import Site

Activation = Callable[[Tensor], Tensor]


def find_activation(site: Site, default: str, *, fresh: bool = False) -> Activation:
    """Return what `activation=` of a section asks for; `keys` has refused unknown names before.

    `fresh` says that nobody else reads the tensor that it will be given: some activations then
    write over it, which saves memory.
    """
    name = site.section.text("activation", default)
    return IN_PLACE[name] if fresh and name in IN_PLACE else ACTIVATE[name]


def _linear(x: Tensor) -> Tensor:
    return x


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _relie(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.01)


def _ramp(x: Tensor) -> Tensor:
    return F.relu(x) + 0.1 * x


def _loggy(x: Tensor) -> Tensor:
    return 2.0 * torch.sigmoid(x) - 1.0


def _selu(x: Tensor) -> Tensor:
    return 1.0507 * torch.where(x >= 0, x, 1.6732 * torch.expm1(x.clamp(max=0)))


def _hard_mish(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.where(x > -2, x * x / 2 + x, 0.0))


def _plse(x: Tensor) -> Tensor:
    tails = torch.where(x < 0, 0.01 * (x + 4), 0.01 * (x - 4) + 1)
    return torch.where(x.abs() > 4, tails, 0.125 * x + 0.5)


def _stair(x: Tensor) -> Tensor:
    """Climb with slope 1 between an odd whole number and the next, be flat between the others."""
    step = torch.floor(x)
    rise = torch.where(step.remainder(2) == 0, 0.0, x - step)
    return rise + torch.floor(x.detach() / 2)


def _lhtan(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x))


class _Gelu(torch.autograd.Function):
    """The tanh form; its slope is taken at the output instead of the input, as Darknet does."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        y = 0.5 * x * (1 + torch.tanh(0.797885 * x + 0.035677 * x**3))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors  # type: ignore[attr-defined]
        inner = 0.0356774 * y**3 + 0.797885 * y
        slope = (0.0535161 * y**3 + 0.398942 * y) / torch.cosh(inner.clamp(-40, 40)) ** 2
        result: Tensor = grads[0] * (0.5 * torch.tanh(inner) + slope + 0.5)
        return result


class _Normalize(torch.autograd.Function):
    """Shares of a pixel's channels; `kind` is "relu", "softmax" or "maxval".

    The gradient is not the derivative but what Darknet's GPU code takes: the share p where it is
    not 0, and 1 elsewhere, for "relu"; p (1 - p) for the others (AlexeyAB
    `src/activation_kernels.cu`, `gradient_array_normalize_channels_kernel`; its CPU code takes
    the square of delta).
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, kind: str) -> Tensor:
        if kind == "relu":
            parts = x.clamp(min=0)
        else:
            parts = torch.exp(x - x.amax(1, keepdim=True) if kind == "maxval" else x)
        y = parts / (parts.sum(1, keepdim=True) + 1e-4)
        slope = torch.where(y > 0, y, 1.0) if kind == "relu" else y * (1 - y)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] * slope, None


def _gelu(x: Tensor) -> Tensor:
    return _Gelu.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def _normalize_as(kind: str) -> Activation:
    def normalize(x: Tensor) -> Tensor:
        return _Normalize.apply(x, kind)  # type: ignore[no-any-return, no-untyped-call]

    return normalize


ACTIVATE: Mapping[str, Activation] = {
    "linear": _linear,
    "leaky": _leaky,
    "mish": F.mish,
    "swish": F.silu,
    "logistic": torch.sigmoid,
    "relu": F.relu,
    "relu6": F.relu6,
    "tanh": torch.tanh,
    "hard_mish": _hard_mish,
    "elu": F.elu,
    "selu": _selu,
    "gelu": _gelu,
    "ramp": _ramp,
    "relie": _relie,
    "loggy": _loggy,
    "plse": _plse,
    "stair": _stair,
    "hardtan": F.hardtanh,
    "lhtan": _lhtan,
    "revleaky": _leaky,
    "normalize_channels": _normalize_as("relu"),
    "normalize_channels_softmax": _normalize_as("softmax"),
    "normalize_channels_softmax_maxval": _normalize_as("maxval"),
}

# Only those whose slope can be read from the output.
IN_PLACE: Mapping[str, Activation] = {
    "leaky": lambda x: F.leaky_relu(x, 0.1, inplace=True),
    "relu": lambda x: F.relu(x, inplace=True),
}
