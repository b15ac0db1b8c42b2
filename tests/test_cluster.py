"""A real Dask cluster on loopback: what its workers make, and what becomes of it otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from darknet_kit.core import cluster as module
from darknet_kit.core.cluster import cluster
from darknet_kit.core.pool import map_shards
from darknet_kit.errors import DkitError

from .conftest import PROJECT, Ended
from .sets import contents
from .trees import write_tree

pytest.importorskip("distributed", reason="no Dask here: pip install 'darknet-kit[dask]'")

_ENOUGH_SECONDS = 60


def kill_worker_once(marks: Sequence[str]) -> int:
    """Kill the worker, once, at the mark that is a path."""
    for mark in marks:
        if mark.startswith("/") and not os.path.exists(mark):
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return len(marks)


def kill_scheduler(pids: Sequence[int]) -> None:
    os.kill(pids[0], signal.SIGKILL)
    time.sleep(_ENOUGH_SECONDS)


def kill_worker(_: Sequence[str]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dask:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self._folder, self._processes = folder, processes
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.address = self._read_address()
        worker = ("worker", self.address, "--nworkers", "2", "--nthreads", "1")
        self._start(*worker, "--local-directory", str(folder))

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        settings = {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        with open(self._folder / f"{words[0]}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, **settings},
                start_new_session=True,
            )
        self._processes.callback(process.wait)
        # With all that it started: a worker without a scheduler takes its time to leave.
        self._processes.callback(os.killpg, process.pid, signal.SIGKILL)
        return process

    def _read_address(self) -> str:
        log, until = self._folder / "scheduler.log", time.monotonic() + _ENOUGH_SECONDS
        while time.monotonic() < until:
            _, found, rest = log.read_text().partition("Scheduler at:")
            if found and "\n" in rest:
                return rest.split()[0]
            time.sleep(0.05)
        pytest.fail(f"no scheduler: {log.read_text()}")


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with ExitStack() as processes:
        yield Dask(tmp_path_factory.mktemp("dask"), processes)


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_a_cluster_makes_what_one_process_makes(
    kind: str, dask: Dask, tmp_path: Path, dkit: Callable[..., Ended]
) -> None:
    source, out = write_tree(kind, tmp_path / "set", 600), tmp_path / "view"
    alone = dkit("convert", kind, source, "--out", out, "--workers", "1")
    out.rename(tmp_path / "alone")
    made = dkit("convert", kind, source, "--out", out, "--scheduler", dask.address)
    assert made.stdout == alone.stdout
    assert made.exit_code == alone.exit_code
    assert contents(out) == contents(tmp_path / "alone")
    assert "worker" in made.stderr


def test_what_a_worker_did_not_end_another_does(dask: Dask, tmp_path: Path) -> None:
    pieces = [["a"], [str(tmp_path / "killed")], ["b", "c"]]
    with cluster(dask.address, tmp_path) as workers:
        assert list(map_shards(kill_worker_once, pieces, workers=workers)) == [1, 1, 2]
    assert (tmp_path / "killed").exists()


def test_work_that_kills_every_worker_ends_with_a_sentence(dask: Dask, tmp_path: Path) -> None:
    with pytest.raises(DkitError) as caught, cluster(dask.address, tmp_path) as workers:
        list(map_shards(kill_worker, [["a"]], workers=workers))
    assert caught.value.code == "worker-died"


def test_a_folder_that_a_worker_does_not_see_is_told(dask: Dask, tmp_path: Path) -> None:
    with pytest.raises(DkitError) as caught, cluster(dask.address, tmp_path / "gone") as workers:
        list(map_shards(len, [["a"]], workers=workers))
    assert (caught.value.code, caught.value.path) == ("not-shared", str(tmp_path / "gone"))


def test_another_version_on_the_cluster_is_told(
    dask: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__version__", "99.0")
    with pytest.raises(DkitError, match=r"not 99\.0") as caught, cluster(dask.address, tmp_path):
        pass
    assert (caught.value.code, caught.value.exit_code) == ("other-version", 4)


@pytest.mark.parametrize(
    ("address", "code", "exit_code"),
    [
        ("127.0.0.1:9", "no-scheduler", 4),
        ("scheduler", "bad-address", 2),
        ("", "bad-address", 2),
        ("http://127.0.0.1:9", "bad-address", 2),
    ],
)
def test_a_wrong_address_is_told(
    address: str, code: str, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", "0.3s")
    with pytest.raises(DkitError) as caught, cluster(address, tmp_path):
        pass
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DkitError) as caught, cluster("127.0.0.1:9", tmp_path):
        pass
    assert (caught.value.code, caught.value.exit_code) == ("missing-extra", 4)
    assert "darknet-kit[dask]" in caught.value.hint


def test_a_scheduler_that_dies_ends_the_work(dask: Dask, tmp_path: Path) -> None:
    """The last test: none can use this cluster afterwards."""
    with pytest.raises(DkitError) as caught, cluster(dask.address, tmp_path) as workers:
        list(map_shards(kill_scheduler, [[dask.scheduler.pid]], workers=workers))
    assert caught.value.code == "cluster-lost"
