"""`telemetry.csv`: what the machine did while a network was trained, one line per sample.

Columns are the fields of the samples here, their unit at the end of their name; those of GPUs
begin with `gpu0_`, `gpu1_`, … (NVML's numbers, 0-based). An empty field is what could not be read.
docs/telemetry.md says where each value comes from.
"""

import io
import math
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain
from typing import IO

from darknet_kit.errors import AnyPath

Value = float | str | None
_LEADING = ("time", "attempt", "iteration")
_THROTTLE = "throttle"
_GPU = re.compile(r"gpu(?P<index>\d+)_(?P<name>\w+)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostSample:
    """The machine, or the part of it that a container may use. Rates are since the last sample."""

    cpu_cores: float | None = None  # that may be used; a container's quota may be 2.5
    cpu_percent: float | None = None  # of these
    cpu_core_percent: float | None = None  # the busiest core
    cpu_iowait_percent: float | None = None
    cpu_steal_percent: float | None = None
    cpu_throttled_percent: float | None = None
    cpu_mhz: float | None = None
    cpu_c: float | None = None
    memory_used_mib: float | None = None
    memory_available_mib: float | None = None
    memory_total_mib: float | None = None
    swap_used_mib: float | None = None
    swap_mib_s: float | None = None  # in and out
    data_read_mib_s: float | None = None
    data_write_mib_s: float | None = None
    data_busy_percent: float | None = None
    run_read_mib_s: float | None = None
    run_write_mib_s: float | None = None
    run_busy_percent: float | None = None
    net_in_mib_s: float | None = None
    net_out_mib_s: float | None = None


@dataclass(frozen=True, slots=True)
class EngineSample:
    """The engine with all processes that it started, added up."""

    engine_cpu_percent: float | None = None  # of one core: 800 where 8 are full
    engine_core_wait_percent: float | None = None  # of its main thread's time
    engine_image_wait_percent: float | None = None  # of the time of its iterations
    engine_rss_mib: float | None = None
    engine_threads: float | None = None
    engine_processes: float | None = None
    engine_read_mib_s: float | None = None
    engine_write_mib_s: float | None = None
    engine_gpu_mib: float | None = None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU."""

    use_percent: float | None = None
    memory_use_percent: float | None = None  # of the time in which its memory was read or written
    memory_used_mib: float | None = None
    memory_total_mib: float | None = None
    engine_mib: float | None = None
    c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    pcie_in_mib_s: float | None = None
    pcie_out_mib_s: float | None = None
    pcie_generation: float | None = None
    pcie_width: float | None = None
    pcie_replays: float | None = None  # since the driver was loaded
    ecc_errors: float | None = None  # uncorrected, since the driver was loaded
    xid: float | None = None  # the last one since the last sample
    throttle: str | None = None  # words with blanks between; "none" where nothing slows it


@dataclass(frozen=True, slots=True)
class Sample:
    """One line. `iteration` is the last one that the engine reported, 0 before the first."""

    time: datetime
    attempt: int
    iteration: int
    host: HostSample
    engine: EngineSample
    gpus: tuple[GpuSample, ...] = ()


HOST_COLUMNS = tuple(field.name for field in fields(HostSample))
ENGINE_COLUMNS = tuple(field.name for field in fields(EngineSample))
GPU_COLUMNS = tuple(field.name for field in fields(GpuSample))


def format_telemetry_header(gpus: int) -> str:
    """Return the first line of a telemetry.csv of so many GPUs."""
    of_gpus = (f"gpu{index}_{name}" for index in range(gpus) for name in GPU_COLUMNS)
    return ",".join((*_LEADING, *HOST_COLUMNS, *ENGINE_COLUMNS, *of_gpus)) + "\n"


def format_telemetry_row(sample: Sample) -> str:
    """Return a sample as a line."""
    parts: list[tuple[Sequence[str], object]] = [
        (HOST_COLUMNS, sample.host),
        (ENGINE_COLUMNS, sample.engine),
        *((GPU_COLUMNS, gpu) for gpu in sample.gpus),
    ]
    values = chain.from_iterable((getattr(part, name) for name in names) for names, part in parts)
    when = sample.time.isoformat(timespec="milliseconds")
    return ",".join((when, f"{sample.attempt}", f"{sample.iteration}", *map(_text, values))) + "\n"


def _text(value: Value) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if not math.isfinite(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{round(value, 2):.3g}"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A telemetry.csv, column by column; nan is what could not be read.

    `seconds` are Unix time. `throttle` holds the words of each GPU.
    """

    seconds: Sequence[float]
    columns: Mapping[str, Sequence[float]]
    throttle: Mapping[int, Sequence[str]]

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def gpus(self) -> int:
        return len(self.throttle)

    def column(self, name: str) -> Sequence[float]:
        """Return a column; one full of nan where the file has none of that name."""
        return self.columns.get(name, [math.nan] * len(self))

    def of_gpu(self, index: int, name: str) -> Sequence[float]:
        """Return a column of one GPU, `name` being a field of GpuSample."""
        return self.column(f"gpu{index}_{name}")


def read_telemetry(path: AnyPath, *, attempt: int | None = None) -> Telemetry:
    """Read a telemetry.csv, or one attempt's lines of it; empty where there is none.

    Lines that a kill or a full disk cut short are left out.
    """
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return _read(stream, attempt)
    except OSError:
        return Telemetry(array("d"), {}, {})


def parse_telemetry(text: str, *, attempt: int | None = None) -> Telemetry:
    """Read the text of a telemetry.csv."""
    return _read(io.StringIO(text, newline=""), attempt)


def _read(stream: IO[str], attempt: int | None) -> Telemetry:
    names = stream.readline().rstrip("\r\n").split(",")
    words: dict[int, list[str]] = {}
    table: dict[str, array[float]] = {}
    seconds = array("d")
    wanted = None if attempt is None else f"{attempt}"
    stores = [_store(name, table, words) for name in names]
    for line in stream:
        cells = line.rstrip("\r\n").split(",")
        if len(cells) != len(names) or (wanted is not None and cells[1] != wanted):
            continue
        try:
            seconds.append(datetime.fromisoformat(cells[0]).timestamp())
        except (ValueError, OverflowError, OSError):  # the last two, of times out of range
            continue
        for keep, cell in zip(stores, cells, strict=True):
            keep(cell)
    return Telemetry(seconds, table, words)


def _store(
    name: str, table: "dict[str, array[float]]", words: dict[int, list[str]]
) -> Callable[[str], None]:
    """Return what keeps a cell of a column."""
    if name == "time":
        return lambda _: None
    gpu = _GPU.match(name)
    if gpu and gpu["name"] == _THROTTLE and int(gpu["index"]) not in words:
        return words.setdefault(int(gpu["index"]), []).append
    if name in table:
        return lambda _: None
    column = table.setdefault(name, array("d"))
    return lambda cell: column.append(_number(cell))


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
