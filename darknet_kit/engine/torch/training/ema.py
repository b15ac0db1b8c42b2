"""A moving average of a network's weights, saved as `_ema.weights`.

With `ema_alpha=` it does what AlexeyAB's fork does (`src/network.c`, `train_network_waitkey`,
`ema_update`, `ema_apply`): it starts at half of max_batches, and 1,000 iterations before the end
the network goes on from it. With `dkit_ema=` it runs from the first update to the end and leaves
the network alone. Upstream averages `[convolutional]` layers only, which mixes averages and last
values where other layers learn too; this averages all that learns. Neither averages the running
statistics of batch normalization: those of the network are saved.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.training.bounds import read_number
from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import Cfg

_APPLIED_BEFORE_END = 1000  # iterations


@dataclass(frozen=True, slots=True)
class AveragePlan:
    """How much of the average is kept at an update, and from which iteration on.

    At iteration `end` the network takes the average over, and there it stays.
    """

    alpha: float
    start: int
    end: int | None


def plan_average(cfg: Cfg) -> AveragePlan | None:
    """Return what `[net]` asks for, or None. Raises CfgError (`bad-value`)."""
    own = read_number(cfg, "dkit_ema", 0.0, below=1.0)
    if own:
        return AveragePlan(own, 1, None)
    alpha = read_number(cfg, "ema_alpha", 0.0, below=1.0)
    max_batches = cfg.net.integer("max_batches")
    if not alpha:
        return None
    return AveragePlan(alpha, max_batches // 2, max_batches - _APPLIED_BEFORE_END)


class MovingAverage:
    """The average of every parameter of a network; empty until it starts."""

    def __init__(self, network: Network, plan: AveragePlan) -> None:
        self._plan = plan
        self._parameters = dict(network.named_parameters())
        self._averages: dict[str, Tensor] = {}

    def __bool__(self) -> bool:
        return bool(self._averages)

    @torch.no_grad()
    def follow(self, before: int, iteration: int) -> str:
        """Take the network into account after an update; return the line that Darknet prints.

        The update led from iteration `before` to `iteration`.
        """
        plan, said = self._plan, ""
        if iteration < plan.start:
            return ""
        if not self._averages:
            self._averages = {name: one.clone() for name, one in self._parameters.items()}
            said = " EMA initialization \n"
        if plan.end is None or iteration < plan.end:
            for average, value in self._pairs():
                average.mul_(plan.alpha).add_(value, alpha=1.0 - plan.alpha)
            return f"{said} ema_update(), ema_alpha = {plan.alpha:f} \n"
        if before < plan.end:
            self._put_into_network()
            return f"{said} ema_apply() \n"
        return said

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let the network have the average for as long as the block runs, to save or test it."""
        kept = [(value, value.clone()) for _, value in self._pairs()]
        self._put_into_network()
        try:
            yield
        finally:
            for value, before in kept:
                value.copy_(before)

    def _put_into_network(self) -> None:
        for average, value in self._pairs():
            value.copy_(average)

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Return average and value of each parameter."""
        return [(one, self._parameters[name].detach()) for name, one in self._averages.items()]

    def state(self) -> dict[str, Tensor]:
        """Return the average, by the names of the parameters; nothing before it starts."""
        return dict(self._averages)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a state. Raises WeightsError (`foreign-state`), then nothing is changed."""
        if not state:
            return
        shapes = {name: one.shape for name, one in self._parameters.items()}
        if shapes != {name: one.shape for name, one in state.items()}:
            raise WeightsError(
                "the average of the weights is that of another network", code="foreign-state"
            )
        self._averages = {
            name: torch.empty_like(one, requires_grad=False).copy_(state[name])
            for name, one in self._parameters.items()
        }
