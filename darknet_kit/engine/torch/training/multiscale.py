"""The sizes that a network trains at when its last head says `random=1`.

Borrowed from AlexeyAB `src/detector.c`, `train_detector`.
"""

import random
from dataclasses import dataclass

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, Section
from darknet_kit.network.layer import LARGEST

_EVERY = 10  # updates between two sizes
_AT_END = 100  # iterations at the largest size, so that BN statistics are those of large images
_USUAL_COEFFICIENT = 1.4


@dataclass(frozen=True, slots=True)
class InputSize:
    """Width and height of the network's input in pixels, and images in a mini-batch."""

    width: int
    height: int
    batch: int


class MultiScale:
    """Chooses the input's size as training goes on; `coefficient` is 0 where it never changes."""

    def __init__(self, cfg: Cfg, head: Section, batch: int) -> None:
        net = cfg.net
        self.initial = InputSize(net.integer("width"), net.integer("height"), batch)
        value = head.number("random")
        self.coefficient = _USUAL_COEFFICIENT if value == 1.0 else value
        self.step = max(1, net.integer("resize_step", 32))
        self._max_batches = net.integer("max_batches")
        self._grows_batch = bool(net.integer("dynamic_minibatch"))
        largest = max(
            self.initial, self._fit(self._round(self.coefficient), (0, 0)), key=_count_pixels
        )
        if self.coefficient < 0 or _count_pixels(largest) * net.integer("channels") > LARGEST:
            raise CfgError(
                f"mini-batches of {batch:,} images of {largest.width:,} x {largest.height:,} "
                "pixels are too large to be numbered",
                code="impossible-shape",
                hint="The mini-batch is batch / subdivisions; random= is a factor such as 1.4.",
                path=cfg.path,
                line=net.line,
            )

    def is_due(self, update: int) -> bool:
        """Tell whether a new size is due before an update; they count from 0."""
        return bool(self.coefficient) and update % _EVERY == 0

    def choose(self, update: int, seed: int, *, iteration: int, largest: bool = False) -> InputSize:
        """Return the size for an update: the largest on request and near the end.

        It depends on nothing but the arguments, so that a training that is broken off goes on
        with the sizes that it would have had.
        """
        limit = self._round(self.coefficient)
        if largest or iteration > self._max_batches - _AT_END:
            return self._fit(limit, limit)
        rng = random.Random(f"{seed} {update // _EVERY}")
        scale = rng.uniform(1.0, self.coefficient)
        if rng.random() < 0.5:
            scale = 1.0 / scale
        return self._scaled(scale, limit)

    def _scaled(self, scale: float, limit: tuple[int, int]) -> InputSize:
        width, height = self._round(scale)
        if scale < 1 and (width > self.initial.width or height > self.initial.height):
            width, height = self.initial.width, self.initial.height
        return self._fit((width, height), limit)

    def _round(self, scale: float) -> tuple[int, int]:
        """Scale the initial size and go up to a multiple of the step; halves round up."""
        initial = self.initial
        width, height = (
            int(scale * length / self.step + 1 + 0.5) * self.step
            for length in (initial.width, initial.height)
        )
        return max(width, self.step), max(height, self.step)

    def _fit(self, size: tuple[int, int], largest: tuple[int, int]) -> InputSize:
        batch = self.initial.batch
        if self._grows_batch:
            fitting = max(batch, batch * largest[0] * largest[1] // (size[0] * size[1]))
            batch = int(fitting * 0.8) if int(fitting * 0.8) > batch else fitting
        return InputSize(size[0], size[1], batch)


def _count_pixels(size: InputSize) -> int:
    return size.width * size.height * size.batch
