"""What was wrong with the input, as every command that skips and goes on tells it."""

from collections.abc import Mapping

from darknet_kit.core.problems import KINDS, Severity


def noticed(problems: Mapping[str, int]) -> list[str]:
    """Return a line for each problem code, the commonest first."""
    ranked = sorted(problems.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        f"    {count:>9,}  {code}: {KINDS[code].meaning} ({KINDS[code].action})"
        for code, count in ranked
    ]
    return ["  noticed:", *lines] if lines else []


def exit_code(problems: Mapping[str, int], *, strict: bool = False) -> int:
    """Return 3 where some input was skipped; with `strict`, 1 where any was skipped or repaired."""
    worst = max((KINDS[code].severity for code in problems), default=Severity.NOTE)
    if strict and worst > Severity.NOTE:
        return 1
    return 3 if worst is Severity.SKIPPED else 0
