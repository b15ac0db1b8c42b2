"""The update of the weights: Darknet's, or AdamW.

Darknet keeps one buffer u, gradient and momentum at once, of sums over the n images of an
iteration: u <- u - decay * n * w, w <- w + rate / n * u, u <- momentum * u. With means over the
images as gradients that is `torch.optim.SGD`. `adam=1` divides no sum by n, which makes its epsilon
one n-th for means. Borrowed from AlexeyAB `src/convolutional_kernels.cu`,
`update_convolutional_layer_gpu`, `src/blas_kernels.cu`, `adam_update_gpu` and
`gradient_centralization_gpu`, and `src/shortcut_layer.c`, `update_shortcut_layer_gpu`.

What differs, on purpose: layers that Darknet forgets to train (`[connected]`, `[local]`,
`[implicit]`) are trained; the gradients of a layer that waits (`dont_update`, `burnin_update`) are
dropped, where Darknet adds them up and applies them all at once; Adam corrects its bias by the
number of its own updates, where Darknet counts those of the weights file too; a gradient that is
no number is not taken for 0; `loss_scale`, which cancels out but for Adam, is not used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.training.bounds import bad_value, read_number
from darknet_kit.engine.torch.training.learning import Learning, plan_learning
from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import Cfg

OptimizerState = dict[str, dict[str, Tensor]]

_WARP = 32  # Darknet centers filters of no other lengths than multiples of this
_KINDS = ("sgd", "adam", "adamw")
_ADAM_STATE = {"step", "exp_avg", "exp_avg_sq"}
_SGD_STATE = {"momentum_buffer"}


def build_optimizer(network: Network, cfg: Cfg) -> "DarknetOptimizer":
    """Return the optimizer that `[net]` asks for: Darknet's SGD, `adam=1`, `dkit_optimizer=adamw`.

    The network must be on its device and in its memory format already. Raises CfgError
    (`bad-value`).
    """
    names = {parameter: name for name, parameter in network.named_parameters()}
    return DarknetOptimizer(plan_learning(network), names, cfg)


class DarknetOptimizer:
    """Updates parameters from their gradients, and keeps momentum for each of them.

    `momentum` and `decay` are those of `[net]`.
    """

    def __init__(
        self, learning: Sequence[Learning], names: Mapping[nn.Parameter, str], cfg: Cfg
    ) -> None:
        self._learning = learning
        self._names = names
        self._epsilon = read_number(cfg, "eps", 0.000001)
        self.momentum = read_number(cfg, "momentum", 0.9, below=1.0)
        self.decay = read_number(cfg, "decay", 0.0001)
        self._grad_clip = read_number(cfg, "dkit_grad_clip", 0.0)
        self._optimizers = _make_optimizers(learning, cfg, self.momentum, self.decay)

    def step(self, learning_rate: float, *, images: int, batch_number: int) -> None:
        """Apply one update.

        Gradients are means over the `images` of the iteration, and may be changed here.
        `batch_number` is 1 for the first update, as in `schedule.learning_rate`. A parameter
        without gradient still decays and goes on with its momentum.
        """
        awake = self._wake(batch_number)
        if self._grad_clip:
            updated = [parameter for layer in awake for parameter in layer.parameters]
            nn.utils.clip_grad_norm_(updated, self._grad_clip)
        for layer in awake:
            self._prepare(layer, images)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["rate"]
                if group["sums"]:
                    group["eps"] = self._epsilon / images
            optimizer.step()
        for layer in awake:
            if layer.clip:
                for weight in layer.decayed:
                    weight.detach().clamp_(-layer.clip, layer.clip)

    def _wake(self, batch_number: int) -> list[Learning]:
        """List the layers that this update is for; give them a gradient, and others none."""
        for layer in self._learning:
            for parameter in layer.parameters:
                if layer.first > batch_number:
                    parameter.grad = None
                elif parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                elif parameter.grad.stride() != parameter.stride():
                    # Fused kernels take the memory as it lies, without a word.
                    parameter.grad = _lay_out(parameter.grad, parameter)
        return [layer for layer in self._learning if layer.first <= batch_number]

    def _prepare(self, layer: Learning, images: int) -> None:
        """Change the gradient where Darknet changes the sum of gradient and momentum."""
        for weight in layer.decayed if layer.is_centered else ():
            if weight[0].numel() % _WARP == 0:
                for updates in (weight.grad, self._momentum_of(weight)):
                    if updates is not None:
                        updates -= updates.mean((1, 2, 3), keepdim=True)
        for parameter in layer.parameters if layer.kind == "shortcut" else ():
            kept, gradient = self._momentum_of(parameter), parameter.grad
            if kept is not None and gradient is not None:
                kept = kept * self.momentum
                gradient.add_(kept).clamp_(-1.0 / images, 1.0 / images).sub_(kept)

    def _momentum_of(self, parameter: nn.Parameter) -> Tensor | None:
        for optimizer in self._optimizers:
            if parameter in optimizer.state:
                momentum: Tensor | None = optimizer.state[parameter].get("momentum_buffer")
                return momentum
        return None

    def state(self) -> OptimizerState:
        """Return what must be kept to go on exactly, by the names of the parameters."""
        return {
            self._names[parameter]: dict(optimizer.state.get(parameter, {}))
            for optimizer, parameter in self._members()
        }

    def restore(self, state: OptimizerState) -> None:
        """Go on from a state. Raises WeightsError (`foreign-state`), then nothing is changed."""
        members = list(self._members())
        if state.keys() != {self._names[parameter] for _, parameter in members}:
            raise _foreign("it has other layers")
        for optimizer, parameter in members:
            _check_fit(optimizer, parameter, state[self._names[parameter]])
        for optimizer, parameter in members:
            kept = state[self._names[parameter]]
            if kept:
                optimizer.state[parameter] = {
                    name: _lay_out(value, parameter) for name, value in kept.items()
                }

    def _members(self) -> Iterator[tuple[torch.optim.Optimizer, nn.Parameter]]:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield optimizer, parameter


def _make_optimizers(
    learning: Sequence[Learning], cfg: Cfg, momentum: float, decay: float
) -> list[torch.optim.Optimizer]:
    """Make one optimizer of each type that is needed. Fused ones write each parameter once."""
    kind = _read_kind(cfg)
    betas = (read_number(cfg, "B1", 0.9, below=1.0), read_number(cfg, "B2", 0.999, below=1.0))
    if kind == "adamw":
        decay = read_number(cfg, "dkit_weight_decay", decay)
        return _make(torch.optim.AdamW, _group(learning, decay), betas=betas)
    by_adam = [one for one in learning if kind == "adam" and one.kind == "convolutional"]
    by_sgd = [one for one in learning if kind == "sgd" or one.kind != "convolutional"]
    made = _make(torch.optim.SGD, _group(by_sgd, decay), momentum=momentum)
    for layer in by_sgd:
        for parameter in layer.parameters:
            # Fused SGD wants all buffers or none, and layers may start at different times.
            made[0].state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    adam_groups = _group(by_adam, decay, others_too=True, sums=True)
    return made + _make(torch.optim.Adam, adam_groups, betas=betas)


def _make(
    kind: Callable[..., torch.optim.Optimizer], groups: list[dict[str, Any]], **settings: object
) -> list[torch.optim.Optimizer]:
    return [kind(groups, fused=True, **settings)] if groups else []


def _group(
    learning: Sequence[Learning], decay: float, *, others_too: bool = False, sums: bool = False
) -> list[dict[str, Any]]:
    """Gather parameters that are updated alike; `sums` marks those whose epsilon is for sums."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for layer in learning:
        groups.setdefault((layer.rate, decay), []).extend(layer.decayed)
        groups.setdefault((layer.rate, decay if others_too else 0.0), []).extend(layer.others)
    return [
        {"params": params, "rate": rate, "weight_decay": weight_decay, "sums": sums}
        for (rate, weight_decay), params in groups.items()
        if params
    ]


def _read_kind(cfg: Cfg) -> str:
    kind = cfg.net.text("dkit_optimizer", "adam" if cfg.net.integer("adam") else "sgd")
    if kind not in _KINDS:
        raise bad_value(cfg, "dkit_optimizer", f"Take one of {', '.join(_KINDS)}.")
    return kind


def _check_fit(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, kept: dict[str, Tensor]
) -> None:
    names = _SGD_STATE if isinstance(optimizer, torch.optim.SGD) else _ADAM_STATE
    if kept.keys() not in (names, set()):
        raise _foreign("it is that of another optimizer")
    for name, value in kept.items():
        if value.shape != (torch.Size() if name == "step" else parameter.shape):
            raise _foreign("its layers have other shapes")


def _lay_out(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """Bring a value to the parameter's device, and into its memory format: fused kernels ask."""
    like = parameter if value.dim() else torch.zeros((), device=parameter.device)
    return torch.empty_like(like, requires_grad=False).copy_(value)


def _foreign(why: str) -> WeightsError:
    return WeightsError(
        f"the state of the optimizer does not fit this network: {why}", code="foreign-state"
    )
