"""Whether a network that was asked for can train as it stands."""

from darknet_kit.cli.outcome import say
from darknet_kit.errors import UsageError
from darknet_kit.network.check import check_cfg
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.model import CfgPlan, CfgRequest


def require_sound(plan: CfgPlan, request: CfgRequest) -> bool:
    """Tell what `dkit check` says of a plan; return whether it can train.

    Raises UsageError where a setting breaks the network, CfgError where it cannot be built. What
    else was wrong with a base before is told, and no reason to refuse.
    """
    found = check_cfg(plan.cfg, plan.classes, request.train_images)
    before = {one.code for one in check_cfg(request.base)} if request.base else set()
    for problem in found:
        if problem.is_error and problem.code not in before and request.overrides:
            raise UsageError(
                f"--set makes a network that cannot train: {problem.message}",
                code=problem.code,
                hint=problem.cure,
            )
        say(f"warning: line {problem.line}: {problem.message} ({problem.cure})")
    infer_layers(plan.cfg)
    return not any(problem.is_error for problem in found)
