"""GPUs as real nvidia-ml-py tells of them, above a recorded library: well, poor, lost and back."""

import os

import pynvml
import pytest

from darknet_kit.engine.nvml import Nvml
from darknet_kit.formats.telemetry import GpuSample
from darknet_kit.train.telemetry.gpu import THROTTLES, GpuMeter, GpuTrouble
from tests.recorded_nvml import RTX_3090, RecordedLibrary, install


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> RecordedLibrary:
    """Two cards, the second without most sensors, as some laptops' and passed-through ones."""
    poor = {"memory": (8 << 30, 1 << 30), "temperature": {0: 55}}
    library = RecordedLibrary(RTX_3090, poor)
    install(monkeypatch, library)
    return library


def test_a_gpu_is_told_in_the_units_of_the_columns(library: RecordedLibrary) -> None:
    library.gpus[0]["processes"] = [(41, 3 << 30), (42, 2 << 30), (43, 1 << 30)]
    with Nvml() as nvml:
        first, second = GpuMeter(nvml).read(pids={41, 43, 99})
    assert first == GpuSample(
        use_percent=97,
        memory_use_percent=61,
        memory_used_mib=8192,
        memory_total_mib=24576,
        engine_mib=4096,
        c=74,
        power_w=348.12,
        power_limit_w=350,
        sm_mhz=1755,
        memory_mhz=9501,
        pcie_in_mib_s=1024,  # NVML tells KB per second
        pcie_out_mib_s=50,
        pcie_generation=4,
        pcie_width=8,
        pcie_replays=3,
        ecc_errors=None,
        xid=None,
        throttle="power-cap",
    )
    assert second == GpuSample(memory_used_mib=1024, memory_total_mib=8192, c=55)


def test_what_a_gpu_does_not_know_is_asked_once(library: RecordedLibrary) -> None:
    with Nvml() as nvml:
        meter = GpuMeter(nvml)
        meter.read()
        before = dict(library.calls)
        for _ in range(3):
            meter.read()
    again = {name: count - before.get(name, 0) for name, count in library.calls.items()}
    assert again["nvmlDeviceGetPowerUsage"] == 3  # of the first card alone
    assert again["nvmlDeviceGetMemoryInfo"] == 6
    assert again.get("nvmlDeviceGetTotalEccErrors", 0) == 0


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (0, "none"),
        (0x1, "idle"),
        (0x20 | 0x4, "power-cap thermal"),
        (0x40 | 0x8, "hardware-slowdown hardware-thermal"),
        (0x80, "power-brake"),
    ],
)
def test_throttle_reasons_are_named(library: RecordedLibrary, reasons: int, words: str) -> None:
    library.gpus[0]["reasons"] = reasons
    with Nvml() as nvml:
        assert GpuMeter(nvml).read()[0].throttle == words


def test_all_of_nvidias_reasons_but_new_ones_have_words() -> None:
    prefix = "nvmlClocksThrottleReason"
    names = {name.removeprefix(prefix) for name in vars(pynvml) if name.startswith(prefix)}
    # None and All are no reasons, UserDefinedClocks is an old name of ApplicationsClocksSetting;
    # BoardLimit and Reliability are newer than the oldest nvidia-ml-py that is allowed.
    unnamed = {"None", "All", "UserDefinedClocks", "BoardLimit", "Reliability"}
    assert set(THROTTLES) == names - unnamed


def test_an_old_driver_is_asked_by_old_names(
    library: RecordedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.missing = {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlEventSetCreate"}
    with Nvml() as nvml:
        assert GpuMeter(nvml).read()[0].throttle == "power-cap"


def test_a_gpu_that_falls_off_the_bus_is_told_once_and_may_come_back(
    library: RecordedLibrary,
) -> None:
    with Nvml() as nvml:
        meter = GpuMeter(nvml)
        assert meter.read()[0].use_percent == 97
        library.lost = {0}
        library.xids = [(0, 79)]
        lost, well = meter.read()
        assert (lost, well.c) == (GpuSample(xid=79), 55)
        assert meter.read()[0] == GpuSample()
        assert meter.troubles == [
            GpuTrouble("gpu-xid", 0, xid=79),
            GpuTrouble("gpu-lost", 0, error="gpu-is-lost"),
        ]
        library.lost = set()
        assert meter.read()[0].use_percent == 97
        library.lost = {0}
        meter.read()
        assert len(meter.troubles) == 3


def test_a_gpu_that_was_lost_before_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090 | {"gone": True}))
    with Nvml() as nvml:
        meter = GpuMeter(nvml)
        assert meter.read() == (GpuSample(),)
    assert meter.troubles == [GpuTrouble("gpu-lost", 0, error="gpu-is-lost")]


@pytest.mark.parametrize("start", [pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_UNKNOWN])
def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090, start=start))
    with Nvml() as nvml:
        meter = GpuMeter(nvml)
        assert meter.read(pids={os.getpid()}) == ()
        meter.close()
    assert meter.troubles == []


def test_a_card_that_reports_without_end_does_not_keep_the_sampler(
    library: RecordedLibrary,
) -> None:
    library.xids = [(0, 63)] * 1000
    with Nvml() as nvml:
        meter = GpuMeter(nvml)
        assert meter.read()[0].xid == 63
    assert 0 < len(meter.troubles) < 100
