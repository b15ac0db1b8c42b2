"""One thing that was looked at, and what that means for a training."""

from dataclasses import dataclass
from pathlib import Path

from darknet_kit.doctor.codes import CODES
from darknet_kit.doctor.rows import Group, Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """What was found: a code of `CODES`, the evidence, and, where something is to be done, how.

    `evidence` holds names and paths of this machine; `redaction` takes out what is private.
    `engine` is the program that it is about, where it is about one.
    """

    code: str
    group: Group
    verdict: Verdict
    evidence: str
    cure: str = ""
    engine: Path | None = None


def found(code: str, evidence: str, cure: str = "", engine: Path | None = None) -> Check:
    """Make a check of the table's row; `cure` replaces the row's where this machine tells more."""
    row = CODES[code]
    text = " ".join(evidence.split())
    return Check(code, row.group, row.verdict, text, cure or row.cure, engine)


def unanswered(code: str, group: Group, evidence: str) -> Check:
    """Make a check of a probe that came to nothing, which may happen in every group."""
    row = CODES[code]
    return Check(code, group, row.verdict, " ".join(evidence.split()), row.cure)
