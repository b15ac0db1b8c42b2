"""What is asked of a machine: every probe with its group and its time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from darknet_kit.core.pending import Pending
from darknet_kit.doctor.check import Check
from darknet_kit.doctor.compiler import check_compiler
from darknet_kit.doctor.cuda import check_driver, check_toolchain, check_toolkit, read_recorded
from darknet_kit.doctor.darknet import check_choice, check_darknets, check_trials
from darknet_kit.doctor.deep import check_decoding, check_multiplication, check_reading
from darknet_kit.doctor.disk import check_images, check_runs, draw_images
from darknet_kit.doctor.gpu import check_cards, check_gpus, check_xids
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.opencv import check_development, check_python_opencv
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
from darknet_kit.engine.find import Engine
from darknet_kit.engine.kernellog import read_kernel_log
from darknet_kit.engine.nvidia import summarize_nvml
from darknet_kit.engine.nvml import NvmlFacts, read_nvml_facts
from darknet_kit.engine.toolchain import find_toolchain
from darknet_kit.errors import ToolchainError
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.estimate import KEEP, estimate_disk

RECORD = "nvml.json"  # in a recorded tree
_QUICK = 10.0  # seconds for files, which answer at once unless a disk hangs
_DRIVER = 30.0  # a sleeping GPU is woken first
_TOOLS = 60.0  # compilers are started
_SLOW = 150.0  # darknets and PyTorch are started
_TRIAL = 320.0  # as long as a trial may take, and its start


@dataclass(frozen=True, slots=True)
class Probe:
    """A question about one group, and the seconds that it may take."""

    group: Group
    question: Callable[[], Iterable[Check]]
    limit: float

    def ask(self) -> list[Check]:
        """Return all that is found. Raises what reading files and asking programs raises."""
        return list(self.question())


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be looked at: a machine, where runs are kept, what is to be trained.

    `keep` is how many numbered weights stay, 0 for all; `data` is the .data file whose images are
    to be read; `deep` asks for what takes seconds.
    """

    machine: Machine = field(default_factory=Machine)
    runs: Path = Path("runs")
    cfg: Cfg | None = None
    keep: int = KEEP
    data: Path | None = None
    deep: bool = False


def list_probes(wish: Wish, engine: Pending[Engine | ToolchainError] | None) -> list[Probe]:
    """Return what can be asked side by side; what several need is being asked from now on.

    `engine` is None for a recorded machine, of which no program can be asked.
    """
    machine = wish.machine
    nvml = Pending(lambda: read_nvml(machine), _DRIVER)
    log = Pending(lambda: _read_kernel_log(machine), _QUICK)
    probes = _list_file_probes(wish, nvml, log)
    if engine:
        return [*probes, *_list_program_probes(wish, nvml, engine)]
    probes.append(Probe(Group.DISK, lambda: check_runs(machine, wish.runs), _QUICK))
    return [*probes, Probe(Group.CUDA, lambda: _check_recorded(machine, nvml), _DRIVER + 1)]


def list_deep_probes(wish: Wish) -> list[Probe]:
    """Return what measures, and so is to be asked one after the other."""
    probes = [
        Probe(Group.PYTHON, check_multiplication, _SLOW),
        Probe(Group.DARKNET, check_trials, _TRIAL),
    ]
    if data := wish.data:
        probes.append(Probe(Group.DISK, lambda: check_reading(draw_images(data)), _SLOW))
        probes.append(Probe(Group.DISK, lambda: check_decoding(draw_images(data)), _SLOW))
    return probes


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
    lines = read_kernel_log() if machine.is_here else None
    return "\n".join(lines) if lines else machine.read_kernel_log()


def _list_file_probes(wish: Wish, nvml: Pending[NvmlFacts], log: Pending[str]) -> list[Probe]:
    machine = wish.machine
    of_system = (check_platform, check_cpu, check_memory, check_shared_memory, check_limits)
    probes = [
        *(Probe(Group.SYSTEM, partial(check, machine), _QUICK) for check in of_system),
        Probe(Group.VIRTUAL, lambda: check_surroundings(machine, log.result_or("")), _QUICK + 1),
        Probe(Group.VIRTUAL, lambda: check_passthrough(machine), _QUICK),
        Probe(Group.GPU, lambda: check_gpus(machine, nvml.result()), _DRIVER),
        Probe(
            Group.GPU,
            lambda: check_cards(machine, nvml.result_or(_SILENT), log.result_or("")),
            _DRIVER + 1,
        ),
        Probe(Group.GPU, lambda: check_xids(log.result_or("")), _QUICK + 1),
        Probe(Group.CUDA, lambda: check_driver(nvml.result_or(NvmlFacts())), _DRIVER + 1),
    ]
    if data := wish.data:
        probes.append(Probe(Group.DISK, lambda: check_images(machine, draw_images(data)), _QUICK))
    return probes


_SILENT = NvmlFacts(error="timeout")


def _check_recorded(machine: Machine, nvml: Pending[NvmlFacts]) -> Iterable[Check]:
    toolkit = read_recorded(machine)
    return check_toolkit(toolkit, nvml.result()) if toolkit else ()


def _list_program_probes(
    wish: Wish, nvml: Pending[NvmlFacts], engine: Pending[Engine | ToolchainError]
) -> list[Probe]:
    machine, runs, cfg = wish.machine, wish.runs, wish.cfg
    quiet = NvmlFacts()
    tools = Pending(lambda: find_toolchain(driver=summarize_nvml(nvml.result_or(quiet))), _TOOLS)

    return [
        Probe(Group.COMPILER, lambda: check_compiler(tools.result()), _TOOLS),
        Probe(Group.CUDA, lambda: check_toolchain(tools.result(), nvml.result_or(quiet)), _TOOLS),
        Probe(Group.OPENCV, lambda: check_development(tools.result()), _TOOLS),
        Probe(Group.OPENCV, check_python_opencv, _SLOW),
        Probe(Group.DARKNET, lambda: check_darknets(nvml.result_or(quiet)), _SLOW),
        Probe(Group.DARKNET, lambda: check_choice(engine.result(), cfg), _SLOW),
        Probe(Group.PYTHON, check_python, _QUICK),
        Probe(Group.PYTHON, lambda: check_torch(nvml.result_or(quiet)), _SLOW),
        Probe(Group.DISK, lambda: check_runs(machine, runs, _estimate(wish, engine)), _SLOW),
    ]


def _estimate(wish: Wish, engine: Pending[Engine | ToolchainError]) -> int:
    """Return the bytes that a run will take. Raises CfgError."""
    if wish.cfg is None:
        return 0
    chosen = engine.result_or(None)
    with_state = isinstance(chosen, Engine) and chosen.embedded
    return estimate_disk(wish.cfg, keep=wish.keep, with_state=with_state, full_log=False)
