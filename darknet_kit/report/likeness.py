"""Classes that are alike, in words: close relatives by WordNet, names that look like a slip."""

from collections.abc import Sequence
from typing import Any

from darknet_kit.dataset.relatives import STEPS_UP, Kin
from darknet_kit.report.classtable import cut_name

_WIDTH = 100  # columns of a line
_FEW_GROUPS = 8


def describe_kin(kin: Sequence[Kin], names: Sequence[str], show_all: bool) -> list[str]:
    """Return a line for each group of close relatives, some of the largest unless `show_all`."""
    shown = kin if show_all else kin[:_FEW_GROUPS]
    lines = [
        _fit(f"    {one.name}: ", [names[class_id] for class_id in one.class_ids], show_all)
        for one in shown
    ]
    if len(shown) < len(kin):
        lines.append(f"    … {len(kin) - len(shown):,} more kinds: --all shows them")
    title = f"  close relatives, of one narrow kind at most {STEPS_UP} steps above each in WordNet:"
    return [title, *lines] if kin else []


def describe_alike(alike: Sequence[tuple[int, ...]], names: Sequence[str]) -> list[str]:
    """Return a line for each group of names that are one word."""
    lines = [
        "    " + ", ".join(f"{cut_name(names[class_id])} ({class_id})" for class_id in group)
        for group in alike
    ]
    return ["  names that are one word but for case, blanks or a plural:", *lines] if alike else []


def list_kin(kin: Sequence[Kin], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the groups of close relatives for programs."""
    return [
        {
            "kind": one.name,
            "wnid": one.wnid,
            "class_ids": list(one.class_ids),
            "classes": [names[class_id] for class_id in one.class_ids],
        }
        for one in kin
    ]


def _fit(line: str, names: Sequence[str], whole: bool) -> str:
    """Return a line with as many names as fit, and how many do not."""
    for number, name in enumerate(names):
        longer = f"{line}{', ' if number else ''}{cut_name(name)}"
        if number and not whole and len(longer) > _WIDTH - len(" and 1,000 more"):
            return f"{line} and {len(names) - number} more"
        line = longer
    return line
