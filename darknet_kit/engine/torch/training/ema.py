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
            averages, values = self._pairs()
            torch._foreach_mul_(averages, plan.alpha)
            torch._foreach_add_(averages, values, alpha=1.0 - plan.alpha)
            return f"{said} ema_update(), ema_alpha = {plan.alpha:f} \n"
        if before < plan.end:
            averages, values = self._pairs()
            torch._foreach_copy_(values, averages)
            return f"{said} ema_apply() \n"
        return said

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let the network have the average for as long as the block runs, to save or test it."""
        averages, values = self._pairs()
        kept = [value.clone() for value in values]
        torch._foreach_copy_(values, averages)
        try:
            yield
        finally:
            torch._foreach_copy_(values, kept)

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        names = list(self._averages)
        return (
            [self._averages[name] for name in names],
            [self._parameters[name].detach() for name in names],
        )

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
