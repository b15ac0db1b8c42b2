"""All meters together: one sample of everything."""

import warnings
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from darknet_kit.engine.nvml import Nvml
from darknet_kit.formats.telemetry import EngineSample, GpuSample, HostSample, Sample
from darknet_kit.train.telemetry.engine import EngineMeter
from darknet_kit.train.telemetry.gpu import GpuMeter, GpuTrouble
from darknet_kit.train.telemetry.host import HostMeter
from darknet_kit.train.telemetry.reading import read_or


@dataclass(slots=True)
class Machine:
    """What one engine runs on. `image` is one that it trains on, `run` the run's folder."""

    nvml: Nvml
    pid: int
    image: Path
    run: Path
    _host: HostMeter = field(init=False)
    _engine: EngineMeter = field(init=False)
    _gpus: GpuMeter = field(init=False)

    def __post_init__(self) -> None:
        # In some containers psutil complains, at each reading, of what /proc does not tell.
        warnings.filterwarnings("ignore", module="psutil")
        self._host = HostMeter(self.image, self.run)
        self._engine = EngineMeter(self.pid)
        self._gpus = GpuMeter(self.nvml)

    def close(self) -> None:
        self._gpus.close()

    def read(self, attempt: int, iteration: int, image_wait: float | None = None) -> Sample:
        """Return a sample; rates are since the last one, and None in the first.

        `image_wait` is the engine's word on how long it waited for images, in per cent.
        """
        silent = tuple(GpuSample() for _ in self.nvml.handles)
        gpus = read_or(lambda: self._gpus.read(self._engine.processes), silent)
        held = [gpu.engine_mib for gpu in gpus]
        return Sample(
            datetime.now().astimezone(),
            attempt,
            iteration,
            read_or(self._host.read, HostSample()),
            read_or(lambda: self._engine.read(held, image_wait), EngineSample()),
            gpus,
        )

    def take_troubles(self) -> list[GpuTrouble]:
        """Return what GPUs reported of themselves since the last call."""
        taken = list(self._gpus.troubles)
        self._gpus.troubles.clear()
        return taken
