"""What can be found on a machine: the table of codes, what each means, and its cure.

Every code has one verdict, so that scripts may match on it. Codes whose verdict is `ok` carry what
is there.
"""

from darknet_kit.doctor.gpucodes import GPU_CODES
from darknet_kit.doctor.machinecodes import MACHINE_CODES
from darknet_kit.doctor.rows import Group, Row, Verdict
from darknet_kit.doctor.softwarecodes import SOFTWARE_CODES

_ANY = {
    "no-answer": Row(
        Group.SYSTEM,
        Verdict.UNKNOWN,
        "a driver, a program or a file system did not answer in time (any group)",
        "Look with `dmesg` for what hangs: a lost GPU and a network disk are usual.",
    ),
    "cannot-tell": Row(
        Group.SYSTEM, Verdict.UNKNOWN, "something could not be looked at (any group)", ""
    ),
}

CODES: dict[str, Row] = {**MACHINE_CODES, **GPU_CODES, **SOFTWARE_CODES, **_ANY}
