"""What was wrong with the input and what was written, told alike by all that make data sets."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from darknet_kit.cli.outcome import SKIPPED_INPUT
from darknet_kit.cli.paths import shown
from darknet_kit.core.problems import KINDS, Severity
from darknet_kit.core.records import Split
from darknet_kit.core.wording import counted
from darknet_kit.dataset.conversion import Conversion

if TYPE_CHECKING:
    from darknet_kit.dataset.subset import Subset

_USES: dict[Split, str] = {"train": "train on", "valid": "validate on"}


def noticed(problems: Mapping[str, int]) -> list[str]:
    """Return a line for each problem code, the commonest first."""
    ranked = sorted(problems.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        f"    {count:>9,}  {code}: {KINDS[code].meaning} ({KINDS[code].action})"
        for code, count in ranked
    ]
    return ["  noticed:", *lines] if lines else []


def describe_split(split: Split, images: int, boxes: int, negatives: int, lack: str) -> str:
    """Return a line on a split: its images, its boxes, how many these are an image, and the share
    of the `negatives`, images without `lack`."""
    line = f"  {split:<8}{counted(images, 'image', width=9)} {counted(boxes, 'box', width=10)}"
    if images:
        line += f"  {boxes / images:>5,.1f} an image"
    if negatives:
        line += f"  ({negatives:,}, {share(negatives, images)}, without {lack})"
    return line.rstrip()


def share(part: int, whole: int) -> str:
    """Return `43%`; what is not nothing is not called that."""
    return "<1%" if 0 < part < 0.005 * whole else f"{part / whole:.0%}"


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


def written(made: "Conversion | Subset", images: int, *, dry_run: bool) -> list[str]:
    """Return lines on the labels of all `images` and on the files beside them."""
    if dry_run:
        return ["  Nothing was written."]
    problems = f"          {shown(made.paths.problems)} lists every problem"
    return [
        f"  labels  {made.written:,} written, {images - made.written:,} right already",
        f"  files   {shown(made.paths.data)}",
        *([problems] if made.problems else []),
    ]
