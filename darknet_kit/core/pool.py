"""A pool of worker processes behind the standard executor interface.

A unit of work is a picklable pure function over one shard (a short list). Any other executor can
take the same functions: `core/cluster` offers that of a Dask cluster.
"""

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeVar

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import DkitError

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")

Workers = int | Executor | None
"""How many processes, one a core where None; or an executor that has workers of its own."""

_SHARD = 256  # items; small enough for a lively progress bar, large enough to hide pickling


def shards(items: Sequence[T], size: int = _SHARD) -> list[Sequence[T]]:
    """Cut a sequence into pieces of `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


class _Process(ForkServerProcess):
    """A worker that does not import the caller's script, which none of our functions needs.

    Else a script that calls us at its top level would begin anew in every worker.
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 (the name is multiprocessing's)
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Context(ForkServerContext):
    """Not "fork": the parent may run threads (a progress bar's), which a fork cannot copy."""

    Process = _Process


def start_early(module: str, workers: Workers = None) -> None:
    """Start the process that workers are copied from; it imports `module` meanwhile.

    For work that begins with something else: the first shards need not wait for imports then.
    Raises DkitError (`no-workers`).
    """
    if not isinstance(workers, Executor) and _count(workers) > 1:
        with _naming_lack():
            resource_tracker.ensure_running()  # before: its start ends the deferring
        with _naming_lack(), _ctrl_c_deferred():
            forkserver.set_forkserver_preload([module])
            forkserver.ensure_running()


def map_shards(
    function: Callable[[Sequence[T]], R],
    pieces: Sequence[Sequence[T]],
    *,
    workers: Workers = None,
) -> Iterator[R]:
    """Yield `function(piece)` in the order of the pieces.

    Runs in this process when one worker is enough; an exception of `function` comes through and
    the pieces not yet started are dropped. Raises DkitError (`no-workers`, `worker-died`).
    """
    with begin_shards(function, pieces, workers=workers) as results:
        yield from results


@contextlib.contextmanager
def begin_shards(
    function: Callable[[T], R], pieces: Sequence[T], *, workers: Workers = None
) -> Iterator[Iterator[R]]:
    """Begin the work of `map_shards`, and do something else in the block before taking results."""
    if isinstance(workers, Executor):
        with _begin(workers, function, pieces) as results:
            yield results
        return
    count = min(_count(workers), len(pieces))
    if count < 2:
        yield map(function, pieces)
        return
    pool = open_pool(count)
    try:
        with (
            naming_dead_workers("--workers 1; what is done already stays done"),
            _begin(pool, functools.partial(_call, pickle.dumps(function)), pieces) as results,
        ):
            yield results
    finally:
        with _ctrl_c_deferred():  # a second one, in whose midst all would wait for ever
            pool.shutdown(wait=True, cancel_futures=True)


def _call(packed: bytes, piece: T) -> Any:
    return _unpack(packed)(piece)


@functools.lru_cache(maxsize=2)
def _unpack(packed: bytes) -> Callable[[Any], Any]:
    """Read a function once in each process: it may hold the names of a thousand classes."""
    function: Callable[[Any], Any] = pickle.loads(packed)
    return function


def _count(workers: int | None) -> int:
    return workers or os.cpu_count() or 1


def open_pool(
    workers: int, prepare: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """Return a pool whose processes leave when this one is gone; each begins with `prepare`.

    Its processes start as work comes: hand it in by `submit`. Raises DkitError (`no-workers`).
    """
    with _naming_lack():
        return ProcessPoolExecutor(
            workers,
            mp_context=_Context(),
            initializer=_prepare_worker,
            initargs=(prepare, arguments),
        )


def submit(pool: Executor, function: Callable[[T], R], item: T) -> Future[R]:
    """Hand one piece of work to a pool; Ctrl-C takes effect afterwards.

    Raises DkitError (`no-workers`).
    """
    with _naming_lack(), _ctrl_c_deferred():
        return pool.submit(function, item)


@contextlib.contextmanager
def _naming_lack() -> Iterator[None]:
    """Turn a failure to start processes into DkitError (`no-workers`)."""
    try:
        yield
    except (OSError, EOFError) as error:  # EOFError: what they are copied from has ended
        reason = error.strerror if isinstance(error, OSError) else "the first of them has ended"
        raise DkitError(
            f"cannot start worker processes: {reason}",
            code="no-workers",
            hint="Look for limits (`ulimit -a`), free memory, space and files in /dev/shm; with "
            "--workers 1 none is needed.",
        ) from error


@contextlib.contextmanager
def naming_dead_workers(retry: str) -> Iterator[None]:
    """Turn a broken pool into DkitError (`worker-died`) that advises to run again with `retry`."""
    try:
        yield
    except BrokenExecutor as error:
        raise DkitError(
            "a worker process was killed from outside, most often for want of memory",
            code="worker-died",
            hint=f"Run it again with {retry}.",
        ) from error


def map_groups(
    function: Callable[[Sequence[T]], R],
    groups: Mapping[K, Sequence[T]],
    *,
    workers: Workers = None,
    progress: Progress = no_progress,
) -> Iterator[tuple[K, R]]:
    """Yield a group's key and `function(piece)` for each piece of each group, in order."""
    pieces = [(key, piece) for key, items in groups.items() for piece in shards(items)]
    results = map_shards(function, [piece for _, piece in pieces], workers=workers)
    done, total = 0, sum(map(len, groups.values()))
    for (key, piece), result in zip(pieces, results, strict=True):
        done += len(piece)
        progress(done, total)
        yield key, result


@contextlib.contextmanager
def _begin(
    executor: Executor, function: Callable[[T], R], pieces: Iterable[T]
) -> Iterator[Iterator[R]]:
    with _naming_lack(), _ctrl_c_deferred():  # processes start here
        futures: list[Future[R]] = [executor.submit(function, piece) for piece in pieces]
    futures.reverse()
    try:
        yield (futures.pop().result() for _ in range(len(futures)))
    finally:
        for future in futures:
            future.cancel()


@contextlib.contextmanager
def _ctrl_c_deferred() -> Iterator[None]:
    """Let Ctrl-C take effect after the block.

    Interrupted while it starts processes, a pool may wait for ever. The mask is for these
    processes, which inherit it, and would else print where they were interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append((number, frame)))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if caught and callable(before):
            before(*caught[0])


def _prepare_worker(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """Leave when the parent is gone: after a `kill -9` workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
