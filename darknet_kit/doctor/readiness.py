"""The verdict on a whole machine, in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.doctor.check import Check
from darknet_kit.doctor.examination import Examination
from darknet_kit.doctor.rows import Group, Verdict
from darknet_kit.engine.find import Engine

# What explains best why there is no GPU to train on comes first.
_REASONS = ("card-for-guest", "integrated-gpu", "no-gpu")
# These end every training that was asked about, on whatever it computes.
_ENDING = frozenset({"no-room", "read-only", "no-inodes", "engine-refused"})
_OF_TORCH = frozenset({"torch-lacks-gpu", "computes-wrong"})


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a training can start, on a GPU or on the CPU, and the sentence that says so."""

    trains: bool
    gpu: bool
    sentence: str


def judge(examination: Examination, *, asked: bool) -> Readiness:
    """Return the verdict; `asked` says that engines were looked for, not only files read."""
    checks, engine = examination.checks, examination.engine
    gpus = [check.evidence.partition(",")[0] for check in checks if check.code == "gpu"]
    if not asked:
        if gpus:
            return Readiness(True, True, f"{' and '.join(gpus)} can be used")
        return Readiness(True, False, f"no GPU can be used, because {_explain(checks)}")
    if engine is None:
        because = next((check.evidence for check in checks if check.code == "no-engine"), "")
        return Readiness(False, False, f"cannot train: {because or 'no engine answered'}")
    name = "the embedded engine" if engine.embedded else str(engine.path)
    blocking = _find_blocking(checks, engine)
    if blocking:
        here = f"{name} and {gpus[0]} are" if gpus else f"{name} is"
        told = f"not ready: {here} here, but {blocking.evidence} ({blocking.code})"
        return Readiness(False, bool(gpus), told)
    if not gpus:
        wrongly = any(check.code == "wrong-gradients" for check in checks)
        how = f"{name}{', some networks wrongly (wrong-gradients)' if wrongly else ''}"
        told = f"trains on the CPU only, with {how}, because {_explain(checks)}"
        return Readiness(True, False, told)
    if engine.features.gpu is False:
        because = f"{name} computes on the CPU, and nothing else is here for {gpus[0]}"
        return Readiness(True, False, f"trains on the CPU only, because {because}")
    return Readiness(True, True, f"ready to train on {' and '.join(gpus)} with {name}")


def _explain(checks: Sequence[Check]) -> str:
    told = [
        check for check in checks if check.group is Group.GPU and check.verdict is Verdict.PROBLEM
    ]
    told += [check for check in checks if check.code in _REASONS or check.code == "no-answer"]
    if not told:
        return "no driver shows one"
    return f"{told[0].evidence} ({told[0].code})"


def _find_blocking(checks: Sequence[Check], engine: Engine) -> Check | None:
    """Return a problem that ends a training with this engine."""
    for check in checks:
        of_engine = check.engine == engine.path or (engine.embedded and check.code in _OF_TORCH)
        if check.code in _ENDING or (check.verdict is Verdict.PROBLEM and of_engine):
            return check
    return None
