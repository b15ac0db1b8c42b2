"""Errors of NVIDIA's driver, which it numbers and writes into the kernel's log (Xid).

Numbers and names are NVIDIA's (docs.nvidia.com/deploy/xid-errors). Some drivers tell of a GPU that
fell off the bus without its number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([^)]*)\): ?(\d+)", re.ASCII)
_LOST = re.compile(r"NVRM: .*fallen off the bus")
_MEANINGS: dict[int, tuple[str, str]] = {
    13: ("a program on the GPU did something illegal", "As a rule a defect of the engine."),
    31: ("a program on the GPU used memory that is not its own", "As a rule the engine's defect."),
    43: ("the GPU stopped working for this program", "As a rule a defect of the engine."),
    45: ("the driver ended the program's work after another error", "Look at the Xid before it."),
    48: ("the GPU's memory had an error that ECC cannot correct", "If it returns, replace it."),
    62: ("the GPU's own controller halted", "Reset the GPU or reboot; update the driver."),
    63: ("the GPU marked bad memory to be replaced by spare rows", "Reset the GPU to do it."),
    64: ("the GPU could not mark bad memory to be replaced", "Replace the GPU if it returns."),
    74: ("a link between GPUs (NVLink) failed", "Check the bridge; reset the GPUs."),
    79: ("the GPU fell off the bus", "Check its power, heat and seat (a riser?), then reboot."),
    94: ("a memory error was contained: only this program is lost", "Resume the run."),
    95: ("a memory error could not be contained", "Reset the GPU or reboot."),
    119: ("the GPU's system processor (GSP) did not answer", "Reboot; update the driver."),
    120: ("the GPU's system processor (GSP) failed", "Reboot; update the driver."),
}
FALLEN = 79
"""The Xid of a GPU that is gone."""
HOPELESS_XIDS = frozenset((62, 74, FALLEN, 95, 119, 120))
"""After these the GPU serves nobody until it is reset."""


@dataclass(frozen=True, slots=True)
class Xid:
    """One error of the driver: its number, the card, the line, what it means and what to do."""

    number: int
    card: str
    line: str
    meaning: str
    cure: str


def find_xids(lines: Sequence[str]) -> list[Xid]:
    """Return the driver's errors, oldest first."""
    found = []
    for line in lines:
        if match := _XID.search(line):
            number, card = int(match[2]), match[1]
        elif _LOST.search(line):
            number, card = FALLEN, ""
        else:
            continue
        found.append(name_xid(number, line.strip(), card))
    return found


def name_xid(number: int, line: str, card: str = "") -> Xid:
    """Return an error of the driver, of whatever source, with what it means."""
    meaning, cure = _MEANINGS.get(number, ("an error of the GPU or its driver", ""))
    return Xid(number, card, line, meaning, cure)
