"""What was wrong with the input, as every command that skips and goes on tells it."""

from collections.abc import Iterator, Mapping

from darknet_kit.cli.outcome import SKIPPED_INPUT
from darknet_kit.core.problems import KINDS, Severity
from darknet_kit.core.records import Split

_USES: dict[Split, str] = {"train": "train on", "valid": "validate on"}


def noticed(problems: Mapping[str, int]) -> list[str]:
    """Return a line for each problem code, the commonest first."""
    ranked = sorted(problems.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        f"    {count:>9,}  {code}: {KINDS[code].meaning} ({KINDS[code].action})"
        for code, count in ranked
    ]
    return ["  noticed:", *lines] if lines else []


def lacking(splits: Mapping[Split, tuple[int, int]]) -> Iterator[str]:
    """Yield a line for each split that a training needs and that has no image, or no box.

    `splits` holds the numbers of both.
    """
    for split, use in _USES.items():
        images, boxes = splits.get(split, (0, 0))
        if not boxes:
            yield f"  {split:<8}{'has no box' if images else 'is EMPTY'}: there is nothing to {use}"


def exit_code(problems: Mapping[str, int], *, strict: bool = False) -> int:
    """Return 3 where some input was skipped; with `strict`, 1 where any was skipped or repaired."""
    worst = max((KINDS[code].severity for code in problems), default=Severity.NOTE)
    if strict and worst > Severity.NOTE:
        return 1
    return SKIPPED_INPUT if worst is Severity.SKIPPED else 0
