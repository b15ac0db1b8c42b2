"""One watched run and its readers: read once a second while anybody looks, told to all at once."""

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from darknet_kit.formats.trainlog import Metrics
from darknet_kit.report.gauges import list_gauges
from darknet_kit.report.lettering import escape_controls
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.follower import Follower, Point, Snapshot

_SECONDS = 1.0  # between two looks into the folder
_STRETCHES = 1200  # of a curve at first, about one per pixel
_BACKLOG = 30  # messages that a slow reader may be behind
_GPU_USE = re.compile(r"gpu\d+_use_percent")


class Channel:
    """Follows a run for any number of readers. Reads nothing while there are none."""

    def __init__(self, run: RunFolder) -> None:
        self._follower = Follower(run)
        self._readers: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._sent = 0  # the last iteration that readers know
        self._sent_maps: list[Point] = []
        self._last = ""
        self._all = ""  # what a new reader is told, until there is news

    async def snapshot(self) -> dict[str, Any]:
        """Return how the run stands, JSON-ready."""
        async with self._lock:
            await self._look_alone()
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
            await self._look_alone()
            while not queue.empty():
                queue.get_nowait()
            self._readers.add(queue)
            if self._task is None:
                self._task = asyncio.create_task(self._follow())
            if not self._all:
                self._all = await asyncio.to_thread(self._format_all)
            return self._all

    async def _look_alone(self) -> None:
        """Look into the folder where no reader has it looked into all the time."""
        if not self._readers:
            await asyncio.to_thread(self._follower.update)
            self._sent, self._all = _last_iteration(self._follower), ""

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            async with self._lock:
                await asyncio.to_thread(self._follower.update)
                message = self._format_news()
            if message:
                self._all = ""
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
            "map": None if follower.maps == self._sent_maps else follower.maps,
            "machine": [_machine(sample) for sample in list(follower.samples)[-1:]],
        }
        self._sent, self._sent_maps = _last_iteration(follower), list(follower.maps)
        return json.dumps(document, allow_nan=False)


def describe_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as programs read it, with the machine as gauges; no text of it steers a
    terminal or turns the direction of a line."""
    document = asdict(snapshot)
    document["gauges"] = [
        {"name": gauge.name, "share": round(gauge.share, 3), "text": gauge.text}
        for gauge in list_gauges(snapshot.machine)
    ]
    del document["machine"], document["updated"]
    plain: dict[str, Any] = _escape(json.loads(json.dumps(document, default=str)))
    return plain


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return escape_controls(value)
    if isinstance(value, list):
        return [_escape(one) for one in value]
    if isinstance(value, dict):
        return {escape_controls(key): _escape(one) for key, one in value.items()}
    return value


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
    """Return the curve as at most twice `_STRETCHES` points: no peak of a stretch is lost."""
    metrics = follower.metrics
    count = len(metrics)
    if count <= 2 * _STRETCHES:
        return list(_points_after(follower, -1))
    losses = np.asarray(metrics.loss)
    known = np.isfinite(losses)
    low, high = np.where(known, losses, np.inf), np.where(known, losses, -np.inf)
    chosen: list[int] = []
    for place in range(_STRETCHES):
        first, last = place * count // _STRETCHES, (place + 1) * count // _STRETCHES
        ends = {int(low[first:last].argmin()), int(high[first:last].argmax())}
        chosen += [first + at for at in sorted(ends)]
    return [_point(metrics, index) for index in dict.fromkeys([*chosen, count - 1])]


def _machine(sample: Mapping[str, Any]) -> list[Any]:
    """Return the time, the use of the processor, and that of each GPU, in percent."""
    uses = (value for name, value in sample.items() if _GPU_USE.fullmatch(name))
    return [sample.get("time"), sample.get("cpu_percent"), *uses]
