"""What a new binary must show before it counts as built: it starts, is what the plan says, holds
code for the GPUs, and trains."""

from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.files import open_append
from darknet_kit.engine.cuda import show_capability
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Identity, identify
from darknet_kit.engine.gpucode import GpuCode, read_gpu_code
from darknet_kit.engine.plan import BuildPlan
from darknet_kit.engine.trial import Trial, try_training
from darknet_kit.errors import BuildError, ToolchainError

NOT_RUN = "not run: "


@dataclass(frozen=True, slots=True)
class Verification:
    """What was seen of a binary. `untried` says why it did not train here, or is empty."""

    identity: Identity
    gpu_code: GpuCode
    trial: str = ""
    untried: str = ""

    @property
    def record(self) -> dict[str, str]:
        """What goes into the build record."""
        return {
            "version": self.identity.version,
            "features": str(self.identity.features),
            "gpu_code": str(self.gpu_code) if self.gpu_code else "",
            "trial": self.trial or f"{NOT_RUN}{self.untried}",
        }


def verify(plan: BuildPlan, binary: Path, log: Path) -> Verification:
    """Look at a binary, start it, and let it train for two iterations; what that prints goes to
    `log`. Raises BuildError (`wrong-binary`, `trial-failed`, and those of `identify`).

    What is built for another machine's GPU need not find a driver here.
    """
    try:
        identity = identify(binary)
    except ToolchainError as error:
        raise BuildError(
            f"the build ended well, but {error.message}", code=error.code, path=log
        ) from error
    code = read_gpu_code(binary)
    problem = _find_fault(plan, identity, code)
    if problem:
        raise BuildError(f"the build ended well, but {problem}", code="wrong-binary", path=log)
    untried = _why_not_try(plan, identity, code)
    if untried:
        return Verification(identity, code, untried=untried)
    trial = try_training(Engine(binary, identity.flavor), _first_gpu(plan, code) or None)
    with open_append(log) as stream:
        stream.write(f"$ two iterations on drawn images\n{trial.log}")
    if trial.problem and plan.gpu and trial.no_memory:
        return Verification(identity, code, untried="another program has the GPU's memory")
    _refuse_failed(trial, log)
    return Verification(identity, code, trial=str(trial))


def _find_fault(plan: BuildPlan, identity: Identity, code: GpuCode) -> str:
    if identity.flavor is not plan.flavor:
        return f"it is the {identity.flavor} Darknet and not the {plan.flavor} one"
    if identity.features.gpu not in (None, plan.gpu):
        return "it was built without the GPU" if plan.gpu else "it was built for a GPU"
    lacking = [show_capability(one) for one in plan.targets if not code.runs_on(one)]
    # Where nothing is found, a newer nvcc may write it in another way: the trial will tell.
    if code and lacking:
        return f"it has {code}, and none for {', '.join(lacking)}"
    if identity.obstacle and not (plan.elsewhere and identity.lacks_driver):
        return f"it does not work here: {identity.obstacle}"
    return ""


def _why_not_try(plan: BuildPlan, identity: Identity, code: GpuCode) -> str:
    if not plan.gpu:
        return ""
    if identity.obstacle:
        return identity.obstacle
    if not plan.own_gpus:
        return "the driver shows no GPU on this machine"
    if code and _first_gpu(plan, code) is None:
        return "it is for other GPUs than this machine's"
    return ""


def _first_gpu(plan: BuildPlan, code: GpuCode) -> int | None:
    """Return the place on the bus of the first GPU here that runs this code."""
    fit = (number for number, one in enumerate(plan.own_gpus) if code.runs_on(one))
    return next(fit, None)


def _refuse_failed(trial: Trial, log: Path) -> None:
    if trial.problem:
        raise BuildError(
            f"the build ended well, but training fails: {trial.problem}",
            code="trial-failed",
            hint="The end of the log has all that it printed. Leave out what it stumbles over: "
            "--without cudnn, --without avx, or --cpu.",
            path=log,
        )
