"""Memory that worker processes share: plain bytes, and lists of paths in them."""

import itertools
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import reduction
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


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


class PathList(Sequence[str]):
    """A list of paths that costs each further process nothing, however long it is."""

    def __init__(self, paths: Iterable[str]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        ends = np.fromiter(itertools.accumulate(map(len, encoded)), np.int64, len(encoded))
        self._text = _share(np.frombuffer(b"".join(encoded), np.uint8))
        self._ends = _share(ends.view(np.uint8))
        self._count = len(encoded)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = range(self._count)[index]  # refuses what is out of range
        ends = self._ends.array.view(np.int64)
        start = int(ends[place - 1]) if place else 0
        return os.fsdecode(self._text.array[start : int(ends[place])].tobytes())


def _share(data: NDArray[np.uint8]) -> SharedBytes:
    # A mapping of no bytes does not exist; eight are a multiple of every field's size.
    shared = SharedBytes(max(8, data.size))
    shared.array[: data.size] = data
    return shared
