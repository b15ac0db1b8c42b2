"""Decoded images in memory that all worker processes share."""

import multiprocessing
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darknet_kit.engine.torch.data.picture import Pixels
from darknet_kit.engine.torch.data.shared import SharedBytes

_FIELDS = 4  # offset + 1, height, width, channels
_CGROUP = Path("/sys/fs/cgroup")
_LARGEST_SHARE = 4  # of the memory that is free now, the fourth part at most


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
    """Return the bytes that can be taken without swapping, by Linux's own estimate.

    Inside a container (cgroup v2) its own limit counts as well.
    """
    text = Path("/proc/meminfo").read_text()
    free = int(text.partition("MemAvailable:")[2].split()[0]) * 1024
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return free
    return max(0, min(free, limit - used))
