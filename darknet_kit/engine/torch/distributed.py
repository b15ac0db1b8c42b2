"""Several processes that train one network: each on images of its own, with one gradient.

`torchrun` starts them, on one machine or many, or `-gpus 0,1` does on this one. As in Darknet,
every process takes `batch` images an iteration, an update counts as many iterations as there are
processes, and the learning rate is multiplied by their number. Unlike Darknet's, which average
their weights every fourth iteration, they average their gradients at every update.
"""

import contextlib
import ctypes
import datetime
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist

from darknet_kit.errors import ToolchainError, TrainError

_STARTED_BY_RANK_0 = "DKIT_STARTED_BY_RANK_0"
_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 15.0
_PATIENCE = datetime.timedelta(minutes=30)  # one rank computes mAP while the others wait


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those that train together. `rank` 0 prints, computes mAP and saves."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def find_team() -> Team:
    """Read what `torchrun` put into the environment; alone where there is nothing."""
    environment = os.environ
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return Team()
    return Team(
        int(environment["RANK"]),
        int(environment["WORLD_SIZE"]),
        int(environment.get("LOCAL_RANK", "0")),
    )


@contextlib.contextmanager
def joining(team: Team, device: torch.device) -> Iterator[None]:
    """Be part of the process group: NCCL between GPUs, gloo between CPUs."""
    if team.world == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
    except (dist.DistBackendError, dist.DistNetworkError) as error:
        raise _lost_rank() from error
    finally:
        dist.destroy_process_group()


def agree(value: bool, team: Team, device: torch.device) -> bool:
    """Tell whether any process says yes, so that all stop at the same iteration."""
    if team.world == 1:
        return value
    flag = torch.tensor(float(value), device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


def share_number(value: int, team: Team) -> int:
    """Return the first process's number to all."""
    if team.world == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared)
    return shared[0]


@contextlib.contextmanager
def starting_ranks(
    gpus: Sequence[int], words: Sequence[str], *, on_cpu: bool = False
) -> Iterator[Team]:
    """Start a process for every GPU but the first, with the same command line; be the first.

    Where `torchrun` has started this process already, the GPUs are its business. `on_cpu` starts
    as many processes on the CPU. Raises ToolchainError where a GPU is not there.
    """
    team = find_team()
    if _STARTED_BY_RANK_0 in os.environ:
        _die_with_parent()
    if team.world > 1 or not gpus:
        yield team
        return
    available = torch.cuda.device_count()
    if not on_cpu and max(gpus) >= available:
        raise ToolchainError(
            f"-gpus names number {max(gpus)}, and PyTorch finds {available} GPUs here",
            code="no-gpu",
            hint="`nvidia-smi` lists them; this may be PyTorch's build for the CPU.",
        )
    with _running_others(gpus, words):
        yield Team(0, len(gpus), gpus[0])


@contextlib.contextmanager
def _running_others(gpus: Sequence[int], words: Sequence[str]) -> Iterator[None]:
    if len(gpus) == 1:
        yield
        return
    os.environ |= _meeting_point(gpus)
    command = [sys.executable, "-m", "darknet_kit.engine.torch", *words]
    others = [
        subprocess.Popen(
            command,
            env=os.environ | {"RANK": str(rank), "LOCAL_RANK": str(gpu), _STARTED_BY_RANK_0: "1"},
        )
        for rank, gpu in enumerate(gpus)
        if rank
    ]
    done = threading.Event()
    threading.Thread(target=_watch, args=(others, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        for process in others:
            process.terminate()
        for process in others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            process.kill()  # it may wait for this process inside a library


def _watch(others: Sequence["subprocess.Popen[bytes]"], done: threading.Event) -> None:
    """End this process when another one has failed: it would wait for it for half an hour."""
    while not done.wait(1.0):
        failed = any(process.poll() not in (None, 0) for process in others)
        if failed and not done.wait(_GRACE_SECONDS):
            error = _lost_rank()
            sys.stderr.write(f"error: {error}\n  {error.hint}\n")
            sys.stderr.flush()
            os._exit(error.exit_code)


def _meeting_point(gpus: Sequence[int]) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(len(gpus)),
        "RANK": "0",
        "LOCAL_RANK": str(gpus[0]),
    }


def _die_with_parent() -> None:
    """Ask Linux for SIGTERM when the first process is gone, so that a kill -9 orphans nobody."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _lost_rank() -> TrainError:
    return TrainError(
        "another process of this training has ended or cannot be reached",
        code="lost-rank",
        hint="Its own message says why; the first process has the last weights.",
    )
