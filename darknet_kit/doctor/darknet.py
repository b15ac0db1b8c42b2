"""Darknet: which are here, do they start, do they hold code for this GPU, which is taken."""

from collections.abc import Iterator

from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.command import can_map
from darknet_kit.engine.cuda import show_capability
from darknet_kit.engine.find import EMBEDDED, Engine, find_engine, iter_darknets
from darknet_kit.engine.flaws import errs_on_cpu
from darknet_kit.engine.gpucode import read_engine_code
from darknet_kit.engine.nvml import NvmlFacts
from darknet_kit.engine.suitability import check_engine
from darknet_kit.engine.trial import try_training
from darknet_kit.errors import ToolchainError, UsageError
from darknet_kit.formats.cfg import Cfg


def check_darknets(nvml: NvmlFacts) -> Iterator[Check]:
    """Start each darknet that can be found, and look into it for the code of this GPU."""
    none = True
    for one in iter_darknets():
        none = False
        if isinstance(one, ToolchainError):
            told = f"{one.path}: {one.message}" if one.path else one.message
            yield found("darknet-broken", told, one.hint)
        else:
            yield from _check_darknet(one, nvml)
    if none:
        yield found("no-darknet", "none made by `dkit build`, and none on PATH")


def check_trials() -> Iterator[Check]:
    """Let every engine that starts train for two iterations on drawn images."""
    for one in iter_darknets():
        if isinstance(one, Engine):
            yield _try(one)
    try:
        yield _try(find_engine(EMBEDDED))
    except ToolchainError:  # told with Python's packages
        return


def _try(engine: Engine) -> Check:
    trial = try_training(engine)
    code = "trial-failed" if trial.problem else "trial"
    return found(code, f"{engine}: {trial}", engine=engine.path)


def choose_engine() -> Engine | ToolchainError:
    """Return what `dkit train` would take, or why there is nothing."""
    try:
        return find_engine()
    except ToolchainError as error:
        return error


def check_choice(engine: Engine | ToolchainError, cfg: Cfg | None) -> Iterator[Check]:
    """Say what `dkit train` takes, and whether it will train this network. Raises CfgError."""
    if isinstance(engine, ToolchainError):
        yield found("no-engine", engine.message, engine.hint)
        return
    yield found("engine", f"{engine}: {engine.reason}")
    if cfg is not None:
        yield from _check_network(engine, cfg)
    elif errs_on_cpu(engine):
        yield found("wrong-gradients", str(engine))


def _check_network(engine: Engine, cfg: Cfg) -> Iterator[Check]:
    """Ask what a training asks before its first iteration."""
    try:
        warnings = check_engine(cfg, engine, with_map=can_map(engine.flavor), force=False)
    except (UsageError, ToolchainError) as error:
        yield found("engine-refused", f"{error.message} [{error.code}]", error.hint)
        return
    for warning in warnings:
        yield found("engine-doubt", warning)


def _check_darknet(engine: Engine, nvml: NvmlFacts) -> Iterator[Check]:
    capabilities = sorted({gpu.capability for gpu in nvml.gpus if gpu.capability})
    if engine.features.gpu is False:
        yield found("darknet-cpu" if capabilities else "darknet", str(engine))
        return
    try:
        code = read_engine_code(engine.path)
    except OSError as error:
        yield found("darknet-broken", f"{engine.path}: {error.strerror}")
        return
    lacking = [one for one in capabilities if code and not code.runs_on(one)]
    if lacking:
        named = ", ".join(show_capability(one) for one in lacking)
        told = f"{engine} has {code}; the GPU needs {named}"
        yield found("darknet-lacks-gpu", told, engine=engine.path)
    else:
        yield found("darknet", f"{engine}, {code}" if code else str(engine))
