"""Checks of keys: those that no engine reads, and those that are there twice."""

from collections.abc import Iterator

from darknet_kit.network.keys import iter_unknown_keys
from darknet_kit.network.problem import CfgProblem, Subject, warning


def check_keys(subject: Subject) -> Iterator[CfgProblem]:
    """Find keys that do nothing, most often misspelt ones, and second values that do nothing."""
    for unknown in iter_unknown_keys(subject.cfg):
        meant = f"; did you mean {unknown.near}?" if unknown.near else ""
        yield warning(
            "unknown-key",
            unknown.entry.line,
            f"[{unknown.section.kind}] has {unknown.entry.key}=, which no engine reads{meant}",
            "Correct it, or make it a comment; hank-ai's Darknet ends at such a line.",
        )
    for section in subject.cfg.sections:
        first: dict[str, int] = {}
        for entry in section.entries:
            line = first.setdefault(entry.key, entry.line)
            if line != entry.line and section.text(entry.key) != entry.value:
                yield warning(
                    "duplicate-key",
                    entry.line,
                    f"{entry.key}={entry.value} counts for nothing: line {line} says "
                    f"{entry.key}={section.text(entry.key)} before",
                    "Remove one of the two; the 2018 original and AlexeyAB's take the first.",
                )
