"""What is seen of one attempt beside its log: the machine, and what it waited for."""

from pathlib import Path
from types import TracebackType
from typing import Self

from darknet_kit.formats.datafile import iter_image_list
from darknet_kit.formats.logevent import Event, Iteration
from darknet_kit.formats.telemetry import read_telemetry
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.record import RunSettings
from darknet_kit.train.runs.recorder import Recorder
from darknet_kit.train.telemetry.bottleneck import Bottleneck, find_bottleneck
from darknet_kit.train.telemetry.gpu import GpuTrouble
from darknet_kit.train.telemetry.reading import read_or
from darknet_kit.train.telemetry.sampler import Sampler


class Observer:
    """Samples the machine while its block runs; never raises for what it cannot see.

    `troubles` are all that GPUs reported of themselves so far.
    """

    def __init__(self, run: RunFolder, attempt: Path, settings: RunSettings, pid: int) -> None:
        self.troubles: list[GpuTrouble] = []
        self._attempt = int(attempt.name)
        self._gpus = settings.gpus
        image = read_or(lambda: next(iter(iter_image_list(run.path / "train.txt"))), "")
        self._sampler = Sampler(
            run.path,
            attempt=self._attempt,
            pid=pid,
            image=Path(image),
            every=settings.telemetry_seconds,
        )

    def __enter__(self) -> Self:
        self._sampler.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sampler.__exit__(kind, error, traceback)

    def note_line(self, line: bytes) -> None:
        """Take in a line of the log."""
        self._sampler.waiting.note_line(line)

    def note(self, event: Event) -> None:
        """Take in an event of the log."""
        if isinstance(event, Iteration):
            self._sampler.iteration = event.iteration
            self._sampler.waiting.note(event)

    def report(self, recorder: Recorder) -> None:
        """Write down as events what GPUs have reported since the last call."""
        for trouble in self._sampler.take_troubles():
            self.troubles.append(trouble)
            facts = {"error": trouble.error} if trouble.xid is None else {"xid": trouble.xid}
            recorder.tell(trouble.code, gpu=trouble.gpu, **facts)

    def find_bottleneck(self) -> Bottleneck | None:
        """Name what the attempt waited for; None where nobody can say. For after the block."""

        def find() -> Bottleneck | None:
            table = read_telemetry(self._sampler.path, attempt=self._attempt)
            return find_bottleneck(table, self._gpus)

        return read_or(find, None)
