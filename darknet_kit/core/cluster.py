"""A Dask cluster behind the interface of a pool: the same functions, on the same shared folders.

`distributed` is an extra, imported where a scheduler is named and nowhere else.
"""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from darknet_kit import __version__
from darknet_kit.errors import AnyPath, DatasetError, DkitError, ToolchainError, UsageError

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
R = TypeVar("R")

_ADDRESS = re.compile(r"((tcp|tls|ucx|wss?)://)?[^\s:/]+:[0-9]+/?|tcp://\[[0-9a-fA-F:]+\]:[0-9]+")
_PATIENCE = "20s"


@contextlib.contextmanager
def cluster(address: str, folder: AnyPath) -> Iterator["Cluster"]:
    """Connect to a Dask scheduler; its workers do what the block submits, where `folder` is there.

    Work of a worker that dies is done by another. Raises ToolchainError (`missing-extra`,
    `no-scheduler`, `other-version`), UsageError (`bad-address`) and, when the scheduler is gone or
    work has ended several workers, DkitError (`cluster-lost`, `worker-died`).
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(
            f"this is no address of a scheduler: {address!r}",
            code="bad-address",
            hint="It is the one that `dask scheduler` prints, as tcp://10.0.0.1:8786.",
        )
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise ToolchainError(
            f"a Dask scheduler needs {error.name}, which is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[dask]', here, for the scheduler and for its workers",
        ) from error
    with _quiet(), _connect(Client, address) as client:
        workers = _require_same_dkit(client)
        try:
            yield Cluster(client, os.path.abspath(folder), workers)
        except KilledWorker as error:
            raise DkitError(
                "several workers of the cluster died of the same work, most often for want of "
                "memory",
                code="worker-died",
                hint="Their logs say more. Run it again; what is done already stays done.",
            ) from error
        except (CancelledError, OSError) as error:
            raise DkitError(
                f"the scheduler at {address} is gone",
                code="cluster-lost",
                hint="Run it again when it is there; what is done already stays done.",
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the screen the tracebacks of what is told in a sentence anyway."""
    loggers = [logging.getLogger(name) for name in ("distributed.client", "tornado.application")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Cluster(Executor):
    """An executor of Dask's workers; before each piece one looks whether it sees `folder`.

    `workers` is their number at the beginning; more may come, and go. Not the executor that Dask
    offers: its futures wait for ever when the scheduler dies at the wrong moment.
    """

    def __init__(self, client: "Client", folder: str, workers: int) -> None:
        self._client: Any = client  # Dask's futures are no Futures to a type checker
        self._folder = folder
        self.workers = workers

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = self._client.submit(
            _work, self._folder, fn, *args, pure=False, **kwargs
        )
        return future


def _work(folder: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Do a piece of work, on a worker. Raises DatasetError (`not-shared`)."""
    if not os.path.isdir(folder):
        raise DatasetError(
            f"the worker on {os.uname().nodename} does not see this folder",
            code="not-shared",
            hint="All machines of the cluster need the data under the same path, as on NFS.",
            path=folder,
        )
    return function(*args, **kwargs)


def _connect(client: "type[Client]", address: str) -> "Client":
    try:
        return client(address, timeout=_PATIENCE, set_as_default=False)
    except OSError as error:
        raise ToolchainError(
            f"no Dask scheduler answers at {address}",
            code="no-scheduler",
            hint="`dask scheduler` starts one and prints its address, `dask worker ADDRESS` a "
            "worker.",
        ) from error


def _require_same_dkit(client: "Client") -> int:
    """Return the number of workers. Raises ToolchainError (`other-version`)."""
    versions: Any = client.get_versions(packages=["darknet_kit"])
    others = {"the scheduler": versions["scheduler"], **versions["workers"]}
    for where, found in others.items():
        there = found["packages"].get("darknet_kit")
        if there != __version__:
            raise ToolchainError(
                f"{where} of the cluster has "
                + (f"darknet-kit {there}, not {__version__}" if there else "no darknet-kit"),
                code="other-version",
                hint=f"pip install darknet-kit=={__version__} on all machines of the cluster.",
            )
    return len(versions["workers"])
