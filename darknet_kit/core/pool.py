"""A pool of worker processes behind the standard executor interface.

A unit of work is a picklable pure function over one shard (a short list). Any other executor,
such as the one a Dask client offers, can take the same functions.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SHARD = 256  # items; small enough for a lively progress bar, large enough to hide pickling


def shards(items: Sequence[T], size: int = _SHARD) -> list[Sequence[T]]:
    """Cut a sequence into pieces of `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def map_shards(
    function: Callable[[Sequence[T]], R],
    pieces: Sequence[Sequence[T]],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> Iterator[R]:
    """Yield `function(piece)` in the order of the pieces.

    Runs in this process when one worker is enough; an exception of `function` comes through and
    the pieces not yet started are dropped.
    """
    count = min(workers or os.cpu_count() or 1, len(pieces))
    if executor is not None:
        yield from _in_order(executor, function, pieces)
    elif count < 2:
        yield from map(function, pieces)
    else:
        # Not "fork": the parent may run threads (a progress bar's), which a fork cannot copy.
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_leave_ctrl_c_to_parent)
        try:
            yield from _in_order(pool, function, pieces)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    executor: Executor, function: Callable[[Sequence[T]], R], pieces: Iterable[Sequence[T]]
) -> Iterator[R]:
    futures: list[Future[R]] = [executor.submit(function, piece) for piece in pieces]
    futures.reverse()
    try:
        while futures:
            yield futures.pop().result()
    finally:
        for future in futures:
            future.cancel()


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
