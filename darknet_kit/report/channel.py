"""One watched run and its readers: read once a second while anybody looks, told to all at once."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from darknet_kit.formats.trainlog import Metrics
from darknet_kit.report.gauges import list_gauges
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.follower import Follower, Snapshot

_SECONDS = 1.0  # between two looks into the folder
_POINTS = 2000  # of a curve, at first
_BACKLOG = 30  # messages that a slow reader may be behind
_MACHINE = ("cpu_percent", "gpu0_use_percent", "gpu1_use_percent", "gpu0_c")


class Channel:
    """Follows a run for any number of readers. Reads nothing while there are none."""

    def __init__(self, run: RunFolder) -> None:
        self._follower = Follower(run)
        self._readers: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._sent = 0  # the last iteration that readers know
        self._last = ""

    async def snapshot(self) -> dict[str, Any]:
        """Return how the run stands, JSON-ready."""
        async with self._lock:
            if not self._readers:
                await asyncio.to_thread(self._follower.update)
                self._sent = _last_iteration(self._follower)
            return describe_snapshot(self._follower.snapshot())

    async def listen(self) -> AsyncGenerator[str]:
        """Yield messages as JSON: first all that there is, then what is new; `` when all is as
        it was for a while."""
        queue: asyncio.Queue[str] = asyncio.Queue(_BACKLOG)
        try:
            yield await self._welcome(queue)
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), 15)
                except TimeoutError:
                    message = ""
                yield message
                if queue not in self._readers:  # it was too slow: let it begin anew
                    yield await self._welcome(queue)
        finally:
            self._readers.discard(queue)
            if not self._readers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _welcome(self, queue: "asyncio.Queue[str]") -> str:
        async with self._lock:
            if not self._readers:
                await asyncio.to_thread(self._follower.update)
                self._sent = _last_iteration(self._follower)
            while not queue.empty():
                queue.get_nowait()
            self._readers.add(queue)
            if self._task is None:
                self._task = asyncio.create_task(self._follow())
            return await asyncio.to_thread(self._format_all)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            async with self._lock:
                await asyncio.to_thread(self._follower.update)
                message = self._format_news()
            if message:
                self._tell(message)

    def _tell(self, message: str) -> None:
        for queue in list(self._readers):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._readers.discard(queue)

    def _format_all(self) -> str:
        follower = self._follower
        document = {
            "kind": "all",
            "run": describe_snapshot(follower.snapshot()),
            "loss": _reduce(follower),
            "map": follower.maps,
            "machine": [_machine(sample) for sample in follower.samples],
        }
        return json.dumps(document, allow_nan=False)

    def _format_news(self) -> str:
        """Return what readers do not know yet, empty where nothing changed."""
        follower = self._follower
        run = describe_snapshot(follower.snapshot())
        key = json.dumps(run, allow_nan=False)
        if key == self._last:
            return ""
        self._last = key
        since = self._sent if follower.cut_at is None else min(self._sent, follower.cut_at - 1)
        document = {
            "kind": "more",
            "run": run,
            "cut": follower.cut_at,
            "loss": list(_points_after(follower, since)),
            "map": follower.maps,
            "machine": [_machine(sample) for sample in list(follower.samples)[-1:]],
        }
        self._sent = _last_iteration(follower)
        return json.dumps(document, allow_nan=False)


def describe_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as programs read it, with the machine as gauges."""
    document = asdict(snapshot)
    document["gauges"] = [
        {"name": gauge.name, "share": round(gauge.share, 3), "text": gauge.text}
        for gauge in list_gauges(snapshot.machine)
    ]
    del document["machine"], document["updated"]
    document["state"] = str(snapshot.state)
    return json.loads(json.dumps(document, default=str))  # type: ignore[no-any-return]


def _last_iteration(follower: Follower) -> int:
    return follower.metrics.iteration[-1] if follower.metrics else 0


def _points_after(follower: Follower, iteration: int) -> Iterable[list[float | None]]:
    metrics = follower.metrics
    first = len(metrics)
    while first > 0 and metrics.iteration[first - 1] > iteration:
        first -= 1
    for index in range(first, len(metrics)):
        yield _point(metrics, index)


def _point(metrics: Metrics, index: int) -> list[float | None]:
    """Return iteration, average loss and loss of a line."""
    losses = (metrics.avg_loss[index], metrics.loss[index])
    return [metrics.iteration[index], *(v if math.isfinite(v) else None for v in losses)]


def _reduce(follower: Follower) -> list[list[float | None]]:
    """Return the curve as at most twice `_POINTS` points: no peak of a stretch is lost."""
    metrics = follower.metrics
    count = len(metrics)
    if count <= 2 * _POINTS:
        return list(_points_after(follower, -1))
    chosen: list[int] = []
    for place in range(_POINTS):
        first, last = place * count // _POINTS, (place + 1) * count // _POINTS
        chosen += sorted({_extreme(metrics.loss, first, last, one) for one in (min, max)})
    return [_point(metrics, index) for index in dict.fromkeys([*chosen, count - 1])]


def _extreme(values: Sequence[float], first: int, last: int, choose: Any) -> int:
    known = [at for at in range(first, last) if math.isfinite(values[at])]
    return int(choose(known, key=lambda at: values[at])) if known else last - 1


def _machine(sample: Any) -> list[Any]:
    return [sample.get("time"), *(sample.get(name) for name in _MACHINE)]
