"""GPUs, by NVML: asked for what each of them answers, until it answers no more."""

import ctypes
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from darknet_kit.engine.nvml import Nvml
from darknet_kit.formats.telemetry import GpuSample
from darknet_kit.train.telemetry.reading import MIB

# What a GPU says that is gone, or that only a reset brings back.
_LOST = frozenset(
    (
        *("gpu-is-lost", "reset-required", "gpu-not-found", "driver-not-loaded"),
        *("uninitialized", "irq-issue", "unknown"),
    )
)
# What will not be answered later either.
_NEVER = frozenset(
    ("not-supported", "function-not-found", "no-permission", "invalid-argument", "deprecated")
)
_MOST_EVENTS = 64  # in one sample: a failing card may report without end
# Bits of nvmlClocksEventReasons, in nvidia-ml-py's names and ours.
THROTTLES = {
    "GpuIdle": "idle",
    "ApplicationsClocksSetting": "application-clocks",
    "SwPowerCap": "power-cap",
    "HwSlowdown": "hardware-slowdown",
    "SyncBoost": "sync-boost",
    "SwThermalSlowdown": "thermal",
    "HwThermalSlowdown": "hardware-thermal",
    "HwPowerBrakeSlowdown": "power-brake",
    "DisplayClockSetting": "display-clocks",
}


@dataclass(frozen=True, slots=True)
class GpuTrouble:
    """What a GPU reported of itself: `code` is gpu-lost or gpu-xid.

    `gpu` is -1 where NVML did not say which. `error` is NVML's name of the error of a lost GPU,
    `xid` the number of an Xid.
    """

    code: str
    gpu: int
    error: str = ""
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """One NVML function, nvidia-ml-py's names of its arguments, and the fields it fills.

    `take` makes their values of the answer. Of two that fill the same, the first that is answered
    counts: NVML renames functions now and then, and drops the old ones years later.
    """

    function: str
    arguments: tuple[str, ...]
    fields: tuple[str, ...]
    take: Callable[[Any], tuple[float, ...]] = lambda answer: (answer,)


def _over(divisor: float) -> Callable[[Any], tuple[float, ...]]:
    return lambda answer: (answer / divisor,)


_SENSOR, _IN, _OUT = "NVML_TEMPERATURE_GPU", "NVML_PCIE_UTIL_RX_BYTES", "NVML_PCIE_UTIL_TX_BYTES"
_ERRORS = ("NVML_MEMORY_ERROR_TYPE_UNCORRECTED", "NVML_VOLATILE_ECC")
_QUESTIONS = (
    # The first is answered by every GPU that is there at all.
    _Question(
        "nvmlDeviceGetMemoryInfo",
        (),
        ("memory_used_mib", "memory_total_mib"),
        lambda memory: (memory.used / MIB, memory.total / MIB),
    ),
    _Question(
        "nvmlDeviceGetUtilizationRates",
        (),
        ("use_percent", "memory_use_percent"),
        lambda use: (use.gpu, use.memory),
    ),
    _Question("nvmlDeviceGetTemperatureV1", (_SENSOR,), ("c",)),
    _Question("nvmlDeviceGetTemperature", (_SENSOR,), ("c",)),
    _Question("nvmlDeviceGetPowerUsage", (), ("power_w",), _over(1000)),
    _Question("nvmlDeviceGetEnforcedPowerLimit", (), ("power_limit_w",), _over(1000)),
    _Question("nvmlDeviceGetClockInfo", ("NVML_CLOCK_SM",), ("sm_mhz",)),
    _Question("nvmlDeviceGetClockInfo", ("NVML_CLOCK_MEM",), ("memory_mhz",)),
    _Question("nvmlDeviceGetCurrPcieLinkGeneration", (), ("pcie_generation",)),
    _Question("nvmlDeviceGetCurrPcieLinkWidth", (), ("pcie_width",)),
    _Question("nvmlDeviceGetPcieReplayCounter", (), ("pcie_replays",)),
    _Question("nvmlDeviceGetTotalEccErrors", _ERRORS, ("ecc_errors",)),
    _Question("nvmlDeviceGetCurrentClocksEventReasons", (), ("reasons",)),
    _Question("nvmlDeviceGetCurrentClocksThrottleReasons", (), ("reasons",)),
    # In KB per second, each measured by NVML over 20 ms, for which the call lasts.
    _Question("nvmlDeviceGetPcieThroughput", (_IN,), ("pcie_in_mib_s",), _over(1024)),
    _Question("nvmlDeviceGetPcieThroughput", (_OUT,), ("pcie_out_mib_s",), _over(1024)),
)


@dataclass(slots=True)
class GpuMeter:
    """Reads all GPUs. Use as a context manager's content: `nvml` must stay open meanwhile."""

    nvml: Nvml
    troubles: list[GpuTrouble] = field(default_factory=list, init=False)
    _refused: set[tuple[int, _Question]] = field(default_factory=set, init=False)
    _lost: set[int] = field(default_factory=set, init=False)
    _events: Any = field(default=None, init=False)
    _words: dict[int, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        api = self.nvml.api
        self._words = {
            getattr(api, f"nvmlClocksThrottleReason{name}"): word
            for name, word in THROTTLES.items()
        }
        self._events = self.nvml.ask("nvmlEventSetCreate") if self.nvml.handles else None
        for handle in self.nvml.handles:
            if self._events is not None and handle is not None:
                kind = api.nvmlEventTypeXidCriticalError
                self.nvml.ask("nvmlDeviceRegisterEvents", handle, kind, self._events)

    def close(self) -> None:
        if self._events is not None:
            self.nvml.ask("nvmlEventSetFree", self._events)

    def read(self, pids: Collection[int] = ()) -> tuple[GpuSample, ...]:
        """Return a sample of each GPU; `pids` are the engine's processes."""
        xids = self._read_xids()
        return tuple(
            self._read_gpu(index, handle, pids, xids.get(index))
            for index, handle in enumerate(self.nvml.handles)
        )

    def _read_gpu(
        self, index: int, handle: Any, pids: Collection[int], xid: int | None
    ) -> GpuSample:
        if handle is None:
            self._note_lost(index, self.nvml.errors[index])
            return GpuSample(xid=xid)
        values: dict[str, float] = {}
        for question in _QUESTIONS:
            error = self._ask(index, handle, question, values)
            if error in _LOST and (question is _QUESTIONS[0] or error != "unknown"):
                self._note_lost(index, error)
                return GpuSample(xid=xid)
        self._lost.discard(index)
        reasons = values.pop("reasons", None)
        return GpuSample(
            engine_mib=self._read_engine_memory(handle, pids),
            throttle=None if reasons is None else self._name_reasons(int(reasons)),
            xid=xid,
            **values,
        )

    def _ask(self, index: int, handle: Any, question: _Question, values: dict[str, float]) -> str:
        """Add an answer to `values`; return the error there was."""
        key = (index, question)
        if key in self._refused or question.fields[0] in values:
            return ""
        arguments = [getattr(self.nvml.api, name) for name in question.arguments]
        answer, error = self.nvml.call(question.function, handle, *arguments, pick=question.take)
        if error in _NEVER:
            self._refused.add(key)
        elif not error:
            values.update(zip(question.fields, answer, strict=True))
        return error

    def _note_lost(self, index: int, error: str) -> None:
        if index not in self._lost:
            self._lost.add(index)
            self.troubles.append(GpuTrouble("gpu-lost", index, error=error))

    def _read_engine_memory(self, handle: Any, pids: Collection[int]) -> float | None:
        """Return MiB; None too in a container, which numbers processes in a way of its own."""
        running = self.nvml.ask("nvmlDeviceGetComputeRunningProcesses", handle) or []
        held = [one.usedGpuMemory for one in running if one.pid in pids]
        return sum(held) / MIB if held and None not in held else None

    def _name_reasons(self, reasons: int) -> str:
        return " ".join(word for bit, word in self._words.items() if reasons & bit) or "none"

    def _read_xids(self) -> dict[int, int]:
        """Return the last Xid of each GPU since the last sample."""
        found: dict[int, int] = {}
        for _ in range(_MOST_EVENTS if self._events is not None else 0):
            event, error = self.nvml.call("nvmlEventSetWait_v2", self._events, 0)
            if error:
                break
            gpu = self._find_gpu(event.device)
            found[gpu] = int(event.eventData)
            self.troubles.append(GpuTrouble("gpu-xid", gpu, xid=found[gpu]))
        return found

    def _find_gpu(self, device: Any) -> int:
        """Return which GPU a handle is, without asking it: a lost one does not tell any more."""
        address = ctypes.cast(device, ctypes.c_void_p).value
        handles = [ctypes.cast(h, ctypes.c_void_p).value for h in self.nvml.handles if h]
        return handles.index(address) if address in handles else -1
