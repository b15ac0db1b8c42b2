"""A libnvidia-ml that replays what was recorded, below the real nvidia-ml-py.

It takes the place of the library that nvidia-ml-py opens, so that names, argument lists, structs
and error codes are those of the real bindings: they fill in what the C functions would.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

_SUCCESS: int = pynvml.NVML_SUCCESS
_GPU_IS_LOST: int = pynvml.NVML_ERROR_GPU_IS_LOST
_NOT_SUPPORTED: int = pynvml.NVML_ERROR_NOT_SUPPORTED
_INSUFFICIENT_SIZE: int = pynvml.NVML_ERROR_INSUFFICIENT_SIZE
_TIMEOUT: int = pynvml.NVML_ERROR_TIMEOUT

# The C function of each recorded value: what a field of a machine or GPU answers.
_VALUES = {
    "nvmlDeviceGetPersistenceMode": "persistence",
    "nvmlDeviceGetComputeMode": "compute_mode",
    "nvmlDeviceGetDisplayActive": "display",
    "nvmlDeviceGetCurrPcieLinkGeneration": "pcie_generation",
    "nvmlDeviceGetMaxPcieLinkGeneration": "pcie_generation_most",
    "nvmlDeviceGetCurrPcieLinkWidth": "pcie_width",
    "nvmlDeviceGetPowerManagementDefaultLimit": "power_limit",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit",
    "nvmlDeviceGetPowerUsage": "power",
    "nvmlDeviceGetCurrentClocksEventReasons": "reasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons": "reasons",
    "nvmlDeviceGetPcieReplayCounter": "replays",
    "nvmlDeviceGetTotalEccErrors": "ecc",
}
_CHOSEN = {  # by an argument
    "nvmlDeviceGetTemperature": "temperature",
    "nvmlDeviceGetClockInfo": "clocks",
    "nvmlDeviceGetPcieThroughput": "pcie",
}

RTX_3090: dict[str, Any] = {
    "name": b"NVIDIA GeForce RTX 3090",
    "bus_id": b"00000000:01:00.0",
    "capability": (8, 6),
    "memory": (25_769_803_776, 8_589_934_592),  # total and used: 24 and 8 GiB
    "use": (97, 61),
    "persistence": 1,
    "display": 0,
    "temperature": {0: 74},
    "power": 348_120,
    "power_limit": 350_000,
    "clocks": {1: 1_755, 2: 9_501},
    "pcie": {0: 51_200, 1: 1_048_576},  # KB/s: to the host, from it
    "pcie_generation": 4,
    "pcie_generation_most": 4,
    "pcie_width": 8,
    "reasons": 0x4,
    "replays": 3,
    "processes": [],
}
"""A card without ECC and MIG, computing at its power limit, in a slot of half its width."""


class RecordedLibrary:
    """What `ctypes.CDLL("libnvidia-ml.so.1")` would be on a machine with these GPUs.

    `driver` and `cuda` (12.8 is 12080) are the versions that it tells.
    `missing` are functions that its driver is too old for, `lost` are GPUs that have fallen off the
    bus, `xids` wait to be told, as (GPU, number); `calls` counts what was asked.
    """

    def __init__(self, *gpus: dict[str, Any], start: int = pynvml.NVML_SUCCESS) -> None:
        self.gpus = [dict(gpu) for gpu in gpus]
        self.start = start
        self.driver, self.cuda = b"570.86.10", 12_080
        self.lost: set[int] = set()
        self.missing: set[str] = set()
        self.xids: list[tuple[int, int]] = []
        self.calls: dict[str, int] = {}
        self._handles = [ctypes.create_string_buffer(8) for _ in gpus]

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("nvml") or name in self.missing:
            raise AttributeError(name)
        answer: Callable[..., int]
        if name in _VALUES or name in _CHOSEN:
            answer = functools.partial(self._value, name)
        elif hasattr(type(self), f"_{name}"):
            answer = getattr(self, f"_{name}")
        else:
            raise AttributeError(name)  # as in a driver that is too old for it

        def call(*arguments: Any) -> int:
            self.calls[name] = self.calls.get(name, 0) + 1
            return answer(*arguments)

        return call

    def _gpu(self, handle: Any) -> int:
        address = ctypes.addressof(handle.contents)
        return [ctypes.addressof(one) for one in self._handles].index(address)

    def _fill(self, handle: Any, key: str, fill: Callable[[Any], None]) -> int:
        index = self._gpu(handle)
        if index in self.lost:
            return _GPU_IS_LOST
        if key not in self.gpus[index]:
            return _NOT_SUPPORTED
        fill(self.gpus[index][key])
        return _SUCCESS

    def _value(self, name: str, handle: Any, *rest: Any) -> int:
        *chosen, out = rest
        if name in _VALUES:
            return self._fill(handle, _VALUES[name], lambda value: _set(out, value))
        key = _CHOSEN[name]
        number = chosen[0].value
        if number not in self.gpus[self._gpu(handle)].get(key, {}):
            return _NOT_SUPPORTED
        return self._fill(handle, key, lambda values: _set(out, values[number]))

    def _nvmlInitWithFlags(self, _flags: int) -> int:  # noqa: N802
        return self.start

    def _nvmlShutdown(self) -> int:  # noqa: N802
        return _SUCCESS

    def _nvmlSystemGetDriverVersion(self, out: Any, _length: Any) -> int:  # noqa: N802
        out.value = self.driver
        return _SUCCESS

    def _nvmlSystemGetCudaDriverVersion_v2(self, out: Any) -> int:  # noqa: N802
        _set(out, self.cuda)
        return _SUCCESS

    def _nvmlDeviceGetCount_v2(self, out: Any) -> int:  # noqa: N802
        _set(out, len(self.gpus))
        return _SUCCESS

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, out: Any) -> int:  # noqa: N802
        if self.gpus[index.value].get("gone"):
            return _GPU_IS_LOST
        struct = pynvml.struct_c_nvmlDevice_t.from_buffer(self._handles[index.value])
        out._obj.contents = struct
        return _SUCCESS

    def _nvmlDeviceGetName(self, handle: Any, out: Any, _length: Any) -> int:  # noqa: N802
        return self._fill(handle, "name", lambda name: setattr(out, "value", name))

    def _nvmlDeviceGetPciInfo_v3(self, handle: Any, out: Any) -> int:  # noqa: N802
        return self._fill(handle, "bus_id", lambda text: setattr(out._obj, "busId", text))

    def _nvmlDeviceGetCudaComputeCapability(  # noqa: N802
        self, handle: Any, major: Any, minor: Any
    ) -> int:
        def fill(capability: tuple[int, int]) -> None:
            _set(major, capability[0])
            _set(minor, capability[1])

        return self._fill(handle, "capability", fill)

    def _nvmlDeviceGetMemoryInfo(self, handle: Any, out: Any) -> int:  # noqa: N802
        def fill(memory: tuple[int, int]) -> None:
            out._obj.total, out._obj.used = memory
            out._obj.free = memory[0] - memory[1]

        return self._fill(handle, "memory", fill)

    def _nvmlDeviceGetUtilizationRates(self, handle: Any, out: Any) -> int:  # noqa: N802
        def fill(use: tuple[int, int]) -> None:
            out._obj.gpu, out._obj.memory = use

        return self._fill(handle, "use", fill)

    def _nvmlDeviceGetComputeRunningProcesses_v3(  # noqa: N802
        self, handle: Any, count: Any, out: Any
    ) -> int:
        processes = self.gpus[self._gpu(handle)].get("processes", [])
        if out is None and processes:
            _set(count, len(processes))
            return _INSUFFICIENT_SIZE

        def fill(recorded: list[tuple[int, int]]) -> None:
            _set(count, len(recorded))
            for number, (pid, memory) in enumerate(recorded):
                out[number].pid, out[number].usedGpuMemory = pid, memory

        return self._fill(handle, "processes", fill)

    def _nvmlEventSetCreate(self, out: Any) -> int:  # noqa: N802
        return _SUCCESS

    def _nvmlDeviceRegisterEvents(self, _handle: Any, kinds: Any, _set: Any) -> int:  # noqa: N802
        assert kinds.value == pynvml.nvmlEventTypeXidCriticalError
        return _SUCCESS

    def _nvmlEventSetWait_v2(self, _set: Any, out: Any, timeout: Any) -> int:  # noqa: N802
        assert timeout.value == 0  # a sample waits for nothing
        if not self.xids:
            return _TIMEOUT
        gpu, number = self.xids.pop(0)
        out._obj.device.contents = pynvml.struct_c_nvmlDevice_t.from_buffer(self._handles[gpu])
        out._obj.eventType = pynvml.nvmlEventTypeXidCriticalError
        out._obj.eventData = number
        return _SUCCESS

    def _nvmlEventSetFree(self, _set: Any) -> int:  # noqa: N802
        return _SUCCESS


def _set(reference: Any, value: int) -> None:
    reference._obj.value = value


def install(monkeypatch: pytest.MonkeyPatch, library: RecordedLibrary | None) -> None:
    """Let nvidia-ml-py find this library, or none."""

    def load(*_name: str) -> RecordedLibrary:
        if library is None:
            raise OSError("libnvidia-ml.so.1: cannot open shared object file")
        return library

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", load)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})


def show_gpu(
    monkeypatch: pytest.MonkeyPatch,
    name: str = "NVIDIA H200",
    capability: tuple[int, int] = (9, 0),
    cuda: int = 13_000,
) -> None:
    """Stand on a machine with one GPU, whose driver runs programs up to this CUDA."""
    library = RecordedLibrary(
        {"name": name.encode(), "capability": capability, "memory": (143_771 << 20, 0)}
    )
    library.driver, library.cuda = b"580.65.06", cuda
    install(monkeypatch, library)
