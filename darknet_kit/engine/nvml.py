"""NVML, NVIDIA's own account of its GPUs, through nvidia-ml-py.

GPUs are numbered as NVML does, 0-based, by their place on the PCI bus. CUDA, and so every engine,
numbers them alike with CUDA_DEVICE_ORDER=PCI_BUS_ID, or where all are of one model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

_NAME = "NVML_ERROR_"
_PROHIBITED = 2  # NVML_COMPUTEMODE_PROHIBITED


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What does not change of a GPU, but for `memory_used`; None, 0 or empty is what NVML does not
    tell. `prohibited` is the compute mode in which no program may use it.

    `capability` is 90 for 9.0, memory in bytes, `bus_id` like 00000000:01:00.0, powers in watts.
    `error` is why NVML does not tell anything of this GPU, such as gpu-is-lost.
    """

    index: int
    name: str = ""
    bus_id: str = ""
    capability: int = 0
    memory: int | None = None
    memory_used: int | None = None
    persistence: bool | None = None
    ecc: bool | None = None
    mig: bool | None = None
    display: bool | None = None
    prohibited: bool | None = None
    pcie_generation: int | None = None
    pcie_generation_most: int | None = None
    pcie_width: int | None = None
    power_limit: float | None = None
    power_limit_default: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class NvmlFacts:
    """What NVML tells of this machine. `cuda` is the newest CUDA that the driver runs, like 12.4.

    `error` is why it tells nothing: library-not-found, driver-not-loaded,
    lib-rm-version-mismatch, …; `message` the same in NVML's words.
    """

    gpus: tuple[GpuFacts, ...] = ()
    driver: str = ""
    cuda: str = ""
    error: str = ""
    message: str = ""


class Nvml:
    """An open NVML; nothing here raises. `error` says why there is none, and then no GPU either."""

    def __init__(self) -> None:
        import pynvml  # 25 ms: only where somebody asks

        self.api: ModuleType = pynvml
        self.error = ""
        self.message = ""
        self.handles: tuple[Any, ...] = ()
        self.errors: tuple[str, ...] = ()  # of each GPU
        self._names: dict[object, str] = {
            number: name.removeprefix(_NAME).lower().replace("_", "-")
            for name, number in vars(pynvml).items()
            if name.startswith(_NAME)
        }
        try:
            pynvml.nvmlInit()
        except Exception as error:
            self.error, self.message = self.name_error(error), str(error)
            return
        opened = [
            self.call("nvmlDeviceGetHandleByIndex", index)
            for index in range(self.ask("nvmlDeviceGetCount") or 0)
        ]
        self.handles = tuple(handle for handle, _ in opened)
        self.errors = tuple(error for _, error in opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if not self.error:
            self.ask("nvmlShutdown")

    def ask(self, function: str, *arguments: Any, pick: Callable[[Any], Any] | None = None) -> Any:
        """Return the answer of an NVML function, or what `pick` takes of it; None for a failure."""
        return self.call(function, *arguments, pick=pick)[0]

    def call(
        self, function: str, *arguments: Any, pick: Callable[[Any], Any] | None = None
    ) -> tuple[Any, str]:
        """Return the same, and the name of the error: '' where there is an answer."""
        try:
            answer = getattr(self.api, function)(*arguments)
            return (pick(answer) if pick else answer), ""
        except Exception as error:  # a driver that is half gone fails in undocumented ways too
            return None, self.name_error(error)

    def name_error(self, error: Exception) -> str:
        """Return NVML's name of an error, such as gpu-is-lost."""
        if isinstance(error, AttributeError):  # not even nvidia-ml-py has it
            return "function-not-found"
        return self._names.get(getattr(error, "value", None), "unknown")


def read_nvml_facts() -> NvmlFacts:
    """Return what does not change: driver and GPUs. Takes a second or more where GPUs sleep."""
    with Nvml() as nvml:
        if nvml.error:
            return NvmlFacts(error=nvml.error, message=nvml.message)
        cuda = nvml.ask("nvmlSystemGetCudaDriverVersion_v2") or 0
        return NvmlFacts(
            gpus=tuple(_describe(nvml, index) for index in range(len(nvml.handles))),
            driver=nvml.ask("nvmlSystemGetDriverVersion") or "",
            cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "",
        )


def _describe(nvml: Nvml, index: int) -> GpuFacts:
    handle = nvml.handles[index]
    if handle is None:
        return GpuFacts(index, error=nvml.errors[index])

    def ask(function: str, pick: Callable[[Any], Any] | None = None) -> Any:
        return nvml.ask(function, handle, pick=pick)

    major, minor = ask("nvmlDeviceGetCudaComputeCapability") or (0, 0)
    return GpuFacts(
        index=index,
        name=ask("nvmlDeviceGetName") or "",
        bus_id=ask("nvmlDeviceGetPciInfo", pick=lambda info: info.busId) or "",
        capability=10 * major + minor,
        memory=ask("nvmlDeviceGetMemoryInfo", pick=lambda memory: int(memory.total)),
        memory_used=ask("nvmlDeviceGetMemoryInfo", pick=lambda memory: int(memory.used)),
        persistence=ask("nvmlDeviceGetPersistenceMode", pick=bool),
        ecc=ask("nvmlDeviceGetEccMode", pick=lambda now_and_next: bool(now_and_next[0])),
        mig=ask("nvmlDeviceGetMigMode", pick=lambda now_and_next: bool(now_and_next[0])),
        display=ask("nvmlDeviceGetDisplayActive", pick=bool),
        prohibited=ask("nvmlDeviceGetComputeMode", pick=lambda mode: bool(mode == _PROHIBITED)),
        pcie_generation=ask("nvmlDeviceGetCurrPcieLinkGeneration"),
        pcie_generation_most=ask("nvmlDeviceGetMaxPcieLinkGeneration"),
        pcie_width=ask("nvmlDeviceGetCurrPcieLinkWidth"),
        power_limit=ask("nvmlDeviceGetEnforcedPowerLimit", pick=_watts),
        power_limit_default=ask("nvmlDeviceGetPowerManagementDefaultLimit", pick=_watts),
    )


def _watts(milliwatts: int) -> float:
    return milliwatts / 1000
