"""All checks of a machine, asked side by side, each within its time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.doctor.check import Check, unanswered
from darknet_kit.doctor.compiler import check_compiler
from darknet_kit.doctor.cuda import check_driver, check_toolchain, check_toolkit, read_recorded
from darknet_kit.doctor.darknet import check_darknets, check_engine, choose_engine
from darknet_kit.doctor.deep import check_decoding, check_multiplication, check_reading
from darknet_kit.doctor.disk import check_images, check_runs, draw_images
from darknet_kit.doctor.gpu import check_cards, check_gpus, check_xids
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.opencv import check_development, check_python_opencv
from darknet_kit.doctor.pending import Pending
from darknet_kit.doctor.python import check_python, check_torch
from darknet_kit.doctor.rows import Group
from darknet_kit.doctor.system import (
    check_cpu,
    check_limits,
    check_memory,
    check_platform,
    check_shared_memory,
)
from darknet_kit.doctor.virtual import check_passthrough, check_surroundings
from darknet_kit.engine.cuda import Gpu
from darknet_kit.engine.find import Engine
from darknet_kit.engine.kernellog import ask_kernel_log
from darknet_kit.engine.nvidia import Driver
from darknet_kit.engine.nvml import NvmlFacts, read_nvml_facts
from darknet_kit.engine.toolchain import find_toolchain
from darknet_kit.errors import DkitError, ToolchainError
from darknet_kit.formats.cfg import Cfg

RECORD = "nvml.json"  # in a recorded tree
_QUICK = 10.0  # seconds for files, which answer at once unless a disk hangs
_DRIVER = 30.0  # a sleeping GPU is woken first
_SLOW = 150.0  # compilers, darknets and PyTorch are started


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be looked at: a machine, where runs are kept, what is to be trained.

    `data` is the .data file whose images are to be read; `deep` asks for what takes seconds.
    """

    machine: Machine = field(default_factory=Machine)
    runs: Path = Path("runs")
    cfg: Cfg | None = None
    data: Path | None = None
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, by group; `engine` is what a training would take, None where none was
    asked for."""

    checks: tuple[Check, ...]
    engine: Engine | None = None


Probe = tuple[Group, Callable[[], Iterable[Check]], float]


def examine(wish: Wish, progress: Progress = no_progress) -> Examination:
    """Look at all that a training needs. What hangs is given up on; nothing is raised for it."""
    machine = wish.machine
    nvml = Pending(lambda: read_nvml(machine), _DRIVER)
    log = Pending(lambda: _read_kernel_log(machine), _QUICK)
    probes = [*_list_file_probes(wish, nvml, log), *_list_data_probes(wish)]
    engine: Pending[Engine | ToolchainError] | None = None
    if machine.is_here:
        engine = Pending(choose_engine, _SLOW)
        probes += _list_program_probes(nvml, engine)
    else:
        probes.append((Group.CUDA, lambda: _check_recorded(machine, nvml), _DRIVER))
    checks = list(_collect(probes, progress))
    order = list(Group)
    checks.sort(key=lambda check: order.index(check.group))
    chosen = engine.result_or(_NONE) if engine else _NONE
    return Examination(tuple(checks), chosen if isinstance(chosen, Engine) else None)


_NONE = ToolchainError("no engine was asked for", code="no-engine")


def read_nvml(machine: Machine) -> NvmlFacts:
    """Return what the driver's library says, or said when a tree was recorded."""
    if machine.is_here:
        return read_nvml_facts()
    record = machine.read_bytes(RECORD)
    if not record:
        return NvmlFacts(error="library-not-found", message="nothing was recorded")
    try:
        return msgspec.json.decode(record, type=NvmlFacts)
    except msgspec.MsgspecError as error:
        return NvmlFacts(error="unknown", message=f"{RECORD} cannot be read: {error}")


def _read_kernel_log(machine: Machine) -> str:
    return (machine.is_here and ask_kernel_log()) or machine.read_kernel_log()


def _list_file_probes(wish: Wish, nvml: Pending[NvmlFacts], log: Pending[str]) -> list[Probe]:
    machine = wish.machine
    of_system = (check_platform, check_cpu, check_memory, check_shared_memory, check_limits)
    probes: list[Probe] = [
        *((Group.SYSTEM, lambda check=check: check(machine), _QUICK) for check in of_system),
        (Group.VIRTUAL, lambda: check_surroundings(machine, log.result_or("")), _QUICK + 1),
        (Group.VIRTUAL, lambda: check_passthrough(machine), _QUICK),
        (Group.GPU, lambda: check_gpus(machine, nvml.result()), _DRIVER),
        (
            Group.GPU,
            lambda: check_cards(machine, nvml.result_or(_SILENT), log.result_or("")),
            _DRIVER + 1,
        ),
        (Group.GPU, lambda: check_xids(log.result_or("")), _QUICK + 1),
        (Group.CUDA, lambda: check_driver(nvml.result_or(NvmlFacts())), _DRIVER + 1),
        (Group.DISK, lambda: check_runs(machine, wish.runs, wish.cfg), _QUICK),
    ]
    return probes


_SILENT = NvmlFacts(error="timeout")


def _check_recorded(machine: Machine, nvml: Pending[NvmlFacts]) -> Iterable[Check]:
    toolkit = read_recorded(machine)
    return check_toolkit(toolkit, nvml.result()) if toolkit else ()


def _list_program_probes(
    nvml: Pending[NvmlFacts], engine: Pending[Engine | ToolchainError]
) -> list[Probe]:
    quiet = NvmlFacts()
    tools = Pending(lambda: find_toolchain(driver=_as_driver(nvml.result_or(quiet))), _SLOW)

    return [
        (Group.COMPILER, lambda: check_compiler(tools.result()), _SLOW),
        (Group.CUDA, lambda: check_toolchain(tools.result(), nvml.result_or(quiet)), _SLOW),
        (Group.OPENCV, lambda: check_development(tools.result()), _SLOW),
        (Group.OPENCV, check_python_opencv, _SLOW),
        (Group.DARKNET, lambda: check_darknets(nvml.result_or(quiet)), _SLOW),
        (Group.DARKNET, lambda: check_engine(engine.result()), _SLOW),
        (Group.PYTHON, check_python, _QUICK),
        (Group.PYTHON, lambda: check_torch(nvml.result_or(quiet)), _SLOW),
    ]


def _list_data_probes(wish: Wish) -> list[Probe]:
    probes: list[Probe] = []
    deep = wish.deep and wish.machine.is_here
    if deep:
        probes.append((Group.PYTHON, check_multiplication, _SLOW))
    if wish.data:
        data = wish.data
        images = Pending(lambda: draw_images(data), _QUICK)
        probes.append((Group.DISK, lambda: check_images(wish.machine, images.result()), _QUICK + 1))
        if deep:
            probes.append((Group.DISK, lambda: check_reading(images.result()), _SLOW))
            probes.append((Group.DISK, lambda: check_decoding(images.result()), _SLOW))
    return probes


def _as_driver(nvml: NvmlFacts) -> Driver:
    """Return what NVML says in the form in which nvidia-smi is read."""
    gpus = tuple(
        Gpu(gpu.name, gpu.capability, nvml.driver, (gpu.memory or 0) >> 20) for gpu in nvml.gpus
    )
    return Driver(gpus, f"NVML shows {len(gpus)} GPUs", nvml.driver, nvml.cuda)


def _collect(probes: list[Probe], progress: Progress) -> Iterator[Check]:
    asked = [
        (group, Pending(lambda probe=probe: list(probe()), limit))  # type: ignore[misc]
        for group, probe, limit in probes
    ]
    for done, (group, pending) in enumerate(asked):
        progress(done, len(asked))
        try:
            yield from pending.result()
        except TimeoutError as error:
            yield unanswered("no-answer", group, str(error))
        except (OSError, ValueError, DkitError) as error:
            yield unanswered("cannot-tell", group, f"{type(error).__name__}: {error}")
