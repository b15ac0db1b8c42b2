"""Decoded images in memory that all worker processes share."""

import mmap
import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing import reduction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darknet_kit.engine.torch.data.picture import Pixels

_FIELDS = 4  # offset + 1, height, width, channels
_LARGEST_SHARE = 4  # of the memory that is free now, the fourth part at most


class SharedBytes:
    """Memory that comes along to worker processes when it is among their arguments.

    It is a memfd, not a file in /dev/shm, which containers keep so small that writing there kills.
    Pages that nobody writes to cost nothing; the last process that leaves frees it.
    """

    def __init__(self, size: int, fd: int | None = None) -> None:
        self.size = size
        self._fd = os.memfd_create("darknet-kit") if fd is None else fd
        if fd is None:
            os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)

    @property
    def array(self) -> NDArray[np.uint8]:
        """The memory as [size] bytes."""
        return np.frombuffer(self._map, np.uint8)

    def __del__(self) -> None:
        os.close(self._fd)

    def __reduce__(self) -> tuple[Callable[..., "SharedBytes"], tuple[Any, int]]:
        return _attach, (reduction.DupFd(self._fd), self.size)


def _attach(handle: Any, size: int) -> SharedBytes:
    return SharedBytes(size, handle.detach())


class PictureCache:
    """Keeps images as they were decoded, until its memory is full; then no more are taken in.

    Nothing is thrown out: images are drawn at random, so none is asked for sooner than another.
    """

    def __init__(self, count: int, limit: int, lock: AbstractContextManager[Any]) -> None:
        """Make room for `count` images and at most `limit` bytes."""
        self._lock = lock
        self._limit = min(limit, _free_memory() // _LARGEST_SHARE)
        self._pixels = SharedBytes(max(1, self._limit))
        # One row more than images: what the first field of the last one says is used already.
        self._table = SharedBytes((count + 1) * _FIELDS * 8)

    def find(self, index: int) -> Pixels | None:
        """Return an image, not to be written to, or None."""
        with self._lock:
            start, height, width, channels = self._rows[index].tolist()
        if not start:
            return None
        stored = self._pixels.array[start - 1 : start - 1 + height * width * channels]
        image: Pixels = stored.reshape(height, width, channels)
        image.flags.writeable = False
        return image

    def keep(self, index: int, image: Pixels) -> None:
        """Keep an image where there is room and it is not there yet."""
        with self._lock:
            rows = self._rows
            used = int(rows[-1, 0])
            if rows[index, 0] or used + image.size > self._limit:
                return
            self._pixels.array[used : used + image.size] = image.reshape(-1)
            rows[-1, 0] = used + image.size
            rows[index] = (used + 1, *image.shape)

    @property
    def _rows(self) -> NDArray[np.int64]:
        return self._table.array.view(np.int64).reshape(-1, _FIELDS)


def make_lock() -> AbstractContextManager[Any]:
    """Return a lock that worker processes can be given as they start."""
    return multiprocessing.get_context("forkserver").Lock()


def _free_memory() -> int:
    """Return the bytes that can be taken without swapping, by Linux's own estimate."""
    with open("/proc/meminfo", encoding="ascii") as stream:
        for line in stream:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0
