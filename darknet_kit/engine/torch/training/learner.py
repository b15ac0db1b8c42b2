"""One iteration of training: forward, compare, backward, update.

Darknet computes no loss whose derivative it follows: its heads write down, for each output, in
which direction it shall move (`delta`). That is what is put in here as the gradient, with its sign
turned and divided by the images of the iteration, which makes `torch.optim` do Darknet's update
(AlexeyAB `src/convolutional_layer.c`, `update_convolutional_layer`).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from darknet_kit.engine.torch.data.devicecolour import tint
from darknet_kit.engine.torch.data.loader import Batch
from darknet_kit.engine.torch.device import Arithmetic, naming_memory_errors
from darknet_kit.engine.torch.distributed import Team
from darknet_kit.engine.torch.heads.head import Assessment
from darknet_kit.engine.torch.network import Network
from darknet_kit.engine.torch.training.loglines import format_boxes
from darknet_kit.errors import UsageError

# Where a row of numbers holds what: the cost, four parts, then the head's own.
_PARTS = range(1, 5)
_STATS = 5

Body = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one iteration told.

    `loss` is the number that Darknet prints. `parts` holds, head by head, the squared delta of
    box, objectness, no-object and class, an image. `lines` are the heads' lines of the log.
    """

    loss: float
    parts: tuple[tuple[float, ...], ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What the heads told of an iteration: one assessment a mini-batch and head, on the device."""

    assessments: list[list[Assessment]]
    images: int


class Learner:
    """A network and how it computes. The optimizer is stepped by who knows the schedule."""

    def __init__(
        self,
        network: Network,
        arithmetic: Arithmetic,
        team: Team,
        *,
        subdivisions: int = 1,
        compile_mode: str | None = None,
    ) -> None:
        self.network = network
        self.subdivisions = subdivisions
        self._arithmetic = arithmetic
        self._boxes = self._rewritten = 0.0
        network.to(arithmetic.device)
        # PyTorch's own types leave this form of `to` out.
        network.to(memory_format=arithmetic.memory_format)  # type: ignore[call-overload]
        self._shared = _share(network, arithmetic, team)
        body: nn.Module = self._shared or network
        self._body: Body = _compile(body, compile_mode) if compile_mode else body

    def learn(self, batches: Iterable[Batch], seen: int) -> "Told":
        """Set the gradient of one iteration: `subdivisions` mini-batches.

        `seen` counts the images before them. What the heads tell stays on the device until `read`
        asks for it.
        Raises TrainError (`out-of-memory`).
        """
        self.network.zero_grad(set_to_none=True)
        told: list[list[Assessment]] = []
        images = 0
        for number, batch in enumerate(batches, start=1):
            images += len(batch.images)
            size = (batch.images.shape[3], batch.images.shape[2])
            with naming_memory_errors(len(batch.images), self.subdivisions, size):
                last = number == self.subdivisions
                told.append(self._backward(batch, seen + images, last=last))
        return Told(told, images)

    def _backward(self, batch: Batch, seen: int, *, last: bool) -> list[Assessment]:
        images = self.load(batch)
        size = (images.shape[3], images.shape[2])
        truths = batch.truths.to(self._arithmetic.device, non_blocking=True)
        with self._sharing(last=last):
            with self._arithmetic.autocast():
                raws = self._body(images)
            told = self.network.assess(raws, truths, size, seen)
            share = -1.0 / (len(images) * self.subdivisions)
            learnt = [
                (raw, one.delta * share)
                for raw, one in zip(raws, told, strict=True)
                if raw.requires_grad
            ]
            if learnt:
                torch.autograd.backward([raw for raw, _ in learnt], [d for _, d in learnt])
        return told

    def load(self, batch: Batch) -> Tensor:
        """Bring pixels to the device, coloured and as fractions of white."""
        device = self._arithmetic.device
        moved = batch.images.to(device, non_blocking=True)
        if batch.patches is not None:
            moved = tint(moved, batch.patches.to(device, non_blocking=True))
        return moved.float().div_(255.0).to(memory_format=self._arithmetic.memory_format)

    def _sharing(self, *, last: bool) -> contextlib.AbstractContextManager[object]:
        """Exchange gradients between processes once an iteration, with the last mini-batch."""
        if self._shared is None or last:
            return contextlib.nullcontext()
        return self._shared.no_sync()

    def read(self, told: "Told") -> Lesson:
        """Bring all numbers of an iteration from the device in one go, and put them in words."""
        heads = self.network.heads
        rows = [
            torch.cat([one.cost.reshape(1), one.parts, one.stats.reshape(-1)]).float()
            for batch in told.assessments
            for one in batch
        ]
        flat = iter(torch.cat(rows).tolist())
        values = [[next(flat) for _ in range(len(row))] for row in rows]
        parts = tuple(
            tuple(
                sum(row[part] for row in values[index :: len(heads)]) / told.images
                for part in _PARTS
            )
            for index in range(len(heads))
        )
        cost = sum(row[0] for row in values) / len(heads)
        return Lesson(cost / told.images, parts, tuple(self._iter_lines(values)))

    def _iter_lines(self, values: Sequence[Sequence[float]]) -> Iterator[str]:
        """Yield what the heads print of each mini-batch, and the boxes of all of them so far."""
        heads = self.network.heads
        for index, row in enumerate(values):
            head, stats = heads[index % len(heads)], row[_STATS:]
            yield head.format_line(stats)
            learnt, rewritten = head.count_boxes(stats)
            self._boxes += learnt
            self._rewritten += rewritten
            if head is heads[-1] and self._boxes:
                yield format_boxes(self._boxes, self._rewritten)


def _compile(body: nn.Module, mode: str) -> Body:
    try:
        return torch.compile(body, mode=mode)
    except RuntimeError as error:
        raise UsageError(
            f"there is no -compile {mode}: {error}",
            code="no-such-mode",
            hint="`-compile default` is the plain one.",
        ) from error


def _share(network: Network, arithmetic: Arithmetic, team: Team) -> DistributedDataParallel | None:
    """Let processes average their gradients. Running statistics stay each process's own.

    As in Darknet, those of the first process are the ones that are saved.
    """
    if team.world == 1:
        return None
    return DistributedDataParallel(
        network,
        device_ids=[arithmetic.device] if arithmetic.device.type == "cuda" else None,
        broadcast_buffers=False,
        find_unused_parameters=network.frozen > 0,
    )
