"""Mini-batches for training, made ahead by worker processes."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darknet_kit.core.pool import naming_dead_workers, open_pool, submit
from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.cache import PictureCache, make_lock
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import Pixels, prepare_opencv
from darknet_kit.engine.torch.data.sample import SampleMaker, Size
from darknet_kit.engine.torch.data.shared import PathList, SharedBytes
from darknet_kit.engine.torch.data.worker import Chunk, Told, fill, fill_chunk, start_worker

_CHUNK = 8  # images; enough to hide what a task costs, few enough to spread a mini-batch
_AHEAD = 2  # chunks in flight for each worker
_ROOM = 2.25  # times the bytes asked for first, so that random=1 needs no other memory


class Batch(NamedTuple):
    """A mini-batch: `images` uint8 [B, channels, height, width], channels last in memory.

    `truths` are [B, T, 5] as in `Head`; `patches` [B, P, 7] what `devicecolour.tint` has still to
    do, None where that is nothing.
    """

    images: Tensor
    truths: Tensor
    patches: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The mini-batches that are wanted: size (width, height) in pixels, and number of images."""

    size: Size
    batch: int


class TrainLoader:
    """Makes mini-batches for ever; the same ones whatever the number of workers.

    Image number n of the training (over all ranks) depends on `seed` and n alone; rank r of
    `world` makes the numbers `start` + r, `start` + r + `world`, ...
    """

    def __init__(
        self,
        paths: Sequence[str],
        options: LoaderOptions,
        *,
        seed: int,
        workers: int = 0,
        cache_bytes: int = 0,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        pin: bool = False,
        leave_colour: bool = False,
        note: Callable[[Problem], object] = lambda problem: None,
    ) -> None:
        """Make ready; processes start with the first mini-batch.

        `cache_bytes` of decoded images are kept in memory. `pin` brings mini-batches into
        page-locked memory, from which a GPU copies while it computes. `leave_colour` leaves colour
        to `devicecolour.tint`, unless the cfg wants what comes after it. `note` gets what is wrong
        with image and label files, each once, as they are met.
        """
        lock = make_lock() if workers else contextlib.nullcontext()
        cache = PictureCache(len(paths), cache_bytes, lock) if cache_bytes else None
        self._note = note
        self._noted: set[int] = set()  # hashes: problems themselves could be as many as images
        self._maker = SampleMaker(PathList(paths), options, seed, cache, leave_colour=leave_colour)
        self._channels = options.channels
        self._workers = workers
        self._number: Callable[[int], int] = lambda taken: start + rank + taken * world
        self._pin = pin
        self._taken = 0
        self._order: Order | None = None
        self._running: Iterator[Batch] | None = None
        self._pool: Executor | None = None
        self._memory: SharedBytes | None = None

    def batches(self, size: Size, batch: int) -> Iterator[Batch]:
        """Return the endless mini-batches of `size` (width, height) in pixels.

        With another size the images not yet taken are made anew, in that size. Raises
        DatasetError (`no-image`) where no image can be read, DkitError (`worker-died`).
        """
        order = Order(size, batch)
        if self._running is None or order != self._order:
            self._stop()
            self._order = order
            self._running = self._run(order) if self._workers else self._run_here(order)
        return self._running

    def close(self) -> None:
        """Send the worker processes home."""
        self._stop()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> "TrainLoader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.close()  # type: ignore[attr-defined]  # both are generators

    def _run_here(self, order: Order) -> Iterator[Batch]:
        prepare_opencv()
        while True:
            numbers = self._numbers(self._taken, order.batch)
            shape = (order.batch, order.size[1], order.size[0], self._channels)
            pixels = np.empty(shape, np.uint8)
            told = fill(self._maker, numbers, pixels)
            self._taken += order.batch
            yield self._join(pixels, told)

    def _run(self, order: Order) -> Iterator[Batch]:
        """Keep the workers busy; a mini-batch's memory is used again when it has been copied."""
        length = order.batch * order.size[0] * order.size[1] * self._channels
        slots = max(2, -(-self._workers * _AHEAD * _CHUNK // order.batch))
        pool, memory = self._open(length * slots)
        free = deque(range(0, length * slots, length))
        pending: deque[tuple[int, list[Future[list[Told]]]]] = deque()
        planned = self._taken
        try:
            while True:
                while free:
                    offset = free.popleft()
                    pending.append((offset, self._submit(pool, order, planned, offset)))
                    planned += order.batch
                offset, futures = pending[0]
                with naming_dead_workers("-workers 0"):
                    told = [one for future in futures for one in future.result()]
                numbers = self._numbers(self._taken, order.batch)
                pixels = Chunk(numbers, order.size, self._channels, offset).view(memory)
                batch = self._join(pixels, told)
                free.append(pending.popleft()[0])
                self._taken += order.batch
                yield batch
        finally:
            _settle([future for _, futures in pending for future in futures])

    def _submit(
        self, pool: Executor, order: Order, taken: int, offset: int
    ) -> list[Future[list[Told]]]:
        image = order.size[0] * order.size[1] * self._channels
        numbers = self._numbers(taken, order.batch)
        chunks = [
            Chunk(numbers[at : at + _CHUNK], order.size, self._channels, offset + at * image)
            for at in range(0, order.batch, _CHUNK)
        ]
        with naming_dead_workers("-workers 0"):
            return [submit(pool, fill_chunk, chunk) for chunk in chunks]

    def _open(self, length: int) -> tuple[Executor, SharedBytes]:
        """Return workers that write into at least `length` bytes, those of before if they do."""
        if self._pool is None or self._memory is None or self._memory.size < length:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
            self._memory = SharedBytes(int(length * _ROOM))
            self._pool = open_pool(self._workers, start_worker, (self._maker, self._memory))
        return self._pool, self._memory

    def _numbers(self, taken: int, count: int) -> list[int]:
        return [self._number(taken + place) for place in range(count)]

    def _join(self, pixels: Pixels, told: Sequence[Told]) -> Batch:
        """Copy a mini-batch out of the shared memory, channels last, and name the problems."""
        images = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=self._pin)
        images.copy_(torch.from_numpy(pixels))
        truths, patches, met = zip(*told, strict=True)
        for problems in met:
            for problem in problems:
                if hash(problem) not in self._noted:
                    self._noted.add(hash(problem))
                    self._note(problem)
        return Batch(
            images.permute(0, 3, 1, 2),
            torch.from_numpy(stack(truths)),
            torch.from_numpy(stack(patches)) if any(map(len, patches)) else None,
        )


def stack(tables: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return tables [n, columns] as [B, T, columns], T the largest n but at least 1.

    Unused rows are zero.
    """
    most = max(1, *map(len, tables))
    stacked = np.zeros((len(tables), most, tables[0].shape[1]), np.float32)
    for place, rows in zip(stacked, tables, strict=True):
        place[: len(rows)] = rows
    return stacked


def choose_workers(device: str, trainings: int = 1) -> int:
    """Return how many worker processes suit training on a "cpu" or a "cuda" device here.

    `trainings` is how many processes train together and share the cores. On a CPU the network
    itself needs the cores, and seldom waits for an image.
    """
    cores = len(os.sched_getaffinity(0)) // trainings
    return min(4, cores // 4) if device == "cpu" else max(1, min(8, cores - 1))


def _settle(futures: Sequence[Future[list[Told]]]) -> None:
    """Drop what has not begun and wait for the rest, which still writes into the memory."""
    running = [future for future in futures if not future.cancel()]
    for future in running:
        future.exception()
