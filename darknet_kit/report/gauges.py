"""What a live view shows of the machine: a few gauges, each with its limit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Value = float | str | None


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value between 0 and `most`, and the words for it."""

    name: str
    value: float
    most: float
    text: str

    @property
    def share(self) -> float:
        return min(1.0, max(0.0, self.value / self.most)) if self.most > 0 else 0.0


def list_gauges(sample: Mapping[str, Value]) -> list[Gauge]:
    """Return the gauges of a line of telemetry.csv; what is not in it is left out."""
    return [*_iter_gpus(sample), *_iter_host(sample)]


def _iter_gpus(sample: Mapping[str, Value]) -> Iterator[Gauge]:
    index = 0
    while f"gpu{index}_use_percent" in sample:
        before = f"gpu{index}_"
        use, warm = sample.get(f"{before}use_percent"), sample.get(f"{before}c")
        power = sample.get(f"{before}power_w")
        if isinstance(use, float):
            words = [f"{use:.0f} %"]
            words += [f"{warm:.0f} °C"] if isinstance(warm, float) else []
            words += [f"{power:.0f} W"] if isinstance(power, float) else []
            yield Gauge(f"GPU {index}", use, 100, ", ".join(words))
        used, total = (
            sample.get(f"{before}memory_used_mib"),
            sample.get(f"{before}memory_total_mib"),
        )
        if isinstance(used, float) and isinstance(total, float):
            yield Gauge(f"GPU {index} memory", used, total, _of(used, total))
        index += 1


def _iter_host(sample: Mapping[str, Value]) -> Iterator[Gauge]:
    cpu = sample.get("cpu_percent")
    if isinstance(cpu, float):
        yield Gauge("CPU", cpu, 100, f"{cpu:.0f} %")
    used, total = sample.get("memory_used_mib"), sample.get("memory_total_mib")
    if isinstance(used, float) and isinstance(total, float):
        yield Gauge("memory", used, total, _of(used, total))
    busy = sample.get("data_busy_percent")
    if isinstance(busy, float):
        rate = sample.get("data_read_mib_s")
        reads = f", reads {rate:.0f} MiB/s" if isinstance(rate, float) else ""
        yield Gauge("disk", busy, 100, f"{busy:.0f} %{reads}")


def _of(used: float, total: float) -> str:
    return f"{used / 1024:.1f} of {total / 1024:.1f} GiB"
