"""The worker pool: order, exceptions, and callers that are no well-behaved main module."""

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from darknet_kit.core.files import WriteError
from darknet_kit.core.pool import map_groups, map_shards, shards
from darknet_kit.errors import DkitError


def total(numbers: Sequence[int]) -> int:
    if -1 in numbers:
        raise ZeroDivisionError("minus one")
    if -2 in numbers:
        raise WriteError("no room", code="disk-full", hint="Make room.", path="a.txt", line=7)
    return sum(numbers)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1])])
def test_shards_cover_everything_once(count: int, sizes: list[int]) -> None:
    pieces = shards(range(count), 4)
    assert [len(piece) for piece in pieces] == sizes
    assert [number for piece in pieces for number in piece] == list(range(count))


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_pieces(workers: int) -> None:
    pieces = shards(range(40), 4)
    expected = [sum(piece) for piece in pieces]
    assert list(map_shards(total, pieces, workers=workers)) == expected


class Arrived:
    """Counts how often it came into a process."""

    times = 0

    def __setstate__(self, state: object) -> None:
        Arrived.times += 1

    def __getstate__(self) -> str:
        return "rules"

    def count(self, piece: Sequence[int]) -> int:
        return Arrived.times


def test_a_function_goes_to_each_worker_once() -> None:
    """It may hold much: pickled with each piece it would take longer than the piece."""
    pieces = [[number] for number in range(40)]
    assert set(map_shards(Arrived().count, pieces, workers=2)) == {1}


def test_any_executor_will_do() -> None:
    with ThreadPoolExecutor(2) as executor:
        assert list(map_shards(total, [[1, 2], [3]], workers=executor)) == [3, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_comes_through(workers: int) -> None:
    with pytest.raises(ZeroDivisionError, match="minus one"):
        list(map_shards(total, [[1], [-1], [2]], workers=workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_ours_comes_through_whole(workers: int) -> None:
    with pytest.raises(WriteError) as caught:
        list(map_shards(total, [[1], [-2], [2]], workers=workers))
    error = caught.value
    assert (str(error), error.code, error.hint) == ("a.txt:7: no room", "disk-full", "Make room.")


def test_groups_keep_their_keys_and_tell_their_progress() -> None:
    told: list[tuple[int, int]] = []
    groups = {"a": range(300), "b": range(2), "c": range(0)}
    found = list(map_groups(total, groups, workers=1, progress=lambda *counts: told.append(counts)))
    assert found == [("a", sum(range(256))), ("a", sum(range(256, 300))), ("b", 1)]
    assert told == [(256, 302), (300, 302), (302, 302)]


def test_a_script_without_a_guard_does_not_start_over_in_its_workers(tmp_path: Path) -> None:
    """Workers that import their caller's script would run it again, and die of it."""
    script = tmp_path / "script.py"
    script.write_text(
        "from darknet_kit.core.pool import map_shards\n"
        "print('once')\n"
        "print(list(map_shards(sum, [[1, 2], [3]], workers=2)))\n"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=environment
    )
    assert (ended.stdout.splitlines(), ended.stderr) == (["once", "[3, 3]"], "")


def test_no_room_for_semaphores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /dev/shm is full."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("darknet_kit.core.pool.ProcessPoolExecutor", refuse)
    with pytest.raises(DkitError) as caught:
        list(map_shards(total, shards(range(8), 4), workers=2))
    assert caught.value.code == "no-workers"


@pytest.mark.parametrize("failure", [OSError(errno.EAGAIN, "no more processes"), EOFError()])
def test_no_room_for_processes(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """As by `ulimit -u`: fork(2) fails here, or where workers are copied from, which ends."""

    def refuse(*_: object) -> None:
        raise failure

    monkeypatch.setattr("multiprocessing.forkserver.connect_to_new_process", refuse)
    with pytest.raises(DkitError) as caught:
        list(map_shards(total, shards(range(8), 4), workers=2))
    assert caught.value.code == "no-workers"


def test_ctrl_c_does_not_reach_what_workers_are_copied_from() -> None:
    """It would print where its imports were interrupted; SigBlk is signal 2 in bit 1 (proc(5))."""
    program = (
        "from multiprocessing import forkserver\n"
        "from darknet_kit.core.pool import start_early\n"
        "start_early('json', 2)\n"
        "print(open(f'/proc/{forkserver._forkserver._forkserver_pid}/status').read())"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    (blocked,) = [line for line in ended.stdout.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked.split()[1], 16) & 2


def test_ctrl_c_while_a_pool_is_closed_waits_for_that() -> None:
    """The first one closes it. A second in the midst of that would let its processes wait for
    work, and this one for them, for ever."""
    program = (
        "import os, signal, threading, time\n"
        "from darknet_kit.core.pool import map_shards\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "results = map_shards(time.sleep, [0.4] * 8, workers=2)\n"
        "next(results)\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    results.close()\n"
        "except KeyboardInterrupt:\n"
        "    print('closed, then interrupted', len(threading.enumerate()))"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "closed, then interrupted 1\n"
