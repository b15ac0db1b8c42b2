"""NVML's answers, of real nvidia-ml-py above a recorded library."""

import pynvml
import pytest

from darknet_kit.engine.nvml import GpuFacts, read_nvml_facts
from tests.recorded_nvml import RTX_3090, RecordedLibrary, install


def test_facts_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090))
    facts = read_nvml_facts()
    assert (facts.driver, facts.cuda, facts.error) == ("570.86.10", "12.8", "")
    assert facts.gpus == (
        GpuFacts(
            index=0,
            name="NVIDIA GeForce RTX 3090",
            bus_id="00000000:01:00.0",
            capability=86,
            memory=24 << 30,
            memory_used=8 << 30,
            persistence=True,
            ecc=None,  # the card has none
            mig=None,
            display=False,
            pcie_generation=4,
            pcie_generation_most=4,
            pcie_width=8,
            power_limit=350.0,
            power_limit_default=350.0,
        ),
    )


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "driver-not-loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "lib-rm-version-mismatch"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no-permission"),
        (pynvml.NVML_ERROR_UNKNOWN, "unknown"),
    ],
)
def test_a_driver_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, code: int, name: str
) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090, start=code))
    facts = read_nvml_facts()
    assert (facts.error, facts.gpus) == (name, ())
    assert facts.message


def test_a_machine_without_nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    assert read_nvml_facts().error == "library-not-found"


def test_a_gpu_off_the_bus_leaves_the_others_their_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090 | {"gone": True}, RTX_3090))
    lost, well = read_nvml_facts().gpus
    assert (lost.error, lost.name) == ("gpu-is-lost", "")
    assert (well.index, well.error, well.memory) == (1, "", 24 << 30)


@pytest.mark.parametrize(
    ("mode", "prohibited"),
    [
        (pynvml.NVML_COMPUTEMODE_DEFAULT, False),
        (pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, False),
        (pynvml.NVML_COMPUTEMODE_PROHIBITED, True),
    ],
)
def test_compute_modes(monkeypatch: pytest.MonkeyPatch, mode: int, prohibited: bool) -> None:
    install(monkeypatch, RecordedLibrary(RTX_3090 | {"compute_mode": mode}))
    assert read_nvml_facts().gpus[0].prohibited is prohibited
