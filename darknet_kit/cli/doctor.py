"""`dkit doctor`: whether this machine can build and train, what is wrong with it, and the cure."""

import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from darknet_kit import __version__
from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.wording import counted
from darknet_kit.doctor.check import Check
from darknet_kit.doctor.codes import CODES
from darknet_kit.doctor.examination import Examination, examine
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.probes import Wish
from darknet_kit.doctor.readiness import Readiness, judge
from darknet_kit.doctor.redaction import redact
from darknet_kit.doctor.rows import Group, Verdict
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.network.estimate import KEEP
from darknet_kit.train.checks.inspection import FileKind, sort_files

_INDENT = " " * 11
_WIDEST = 100


@dkit_command(
    examples=[
        "dkit doctor",
        "dkit doctor voc/voc.data yolov4-tiny-20.cfg --deep",
        "dkit doctor --report > machine.md",
    ]
)
@click.argument("files", metavar="[DATA] [CFG]", type=GivenPath(), nargs=-1)
@click.option(
    "--runs",
    type=GivenPath(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where runs are to be kept.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=KEEP,
    show_default=True,
    help="How many of the numbered weights a run is to keep; 0: all.",
)
@click.option("--deep", is_flag=True, help="Read and decode images of DATA, try each engine.")
@click.option(
    "--report", is_flag=True, help="Print a block to paste into an issue, without private names."
)
@click.option(
    "--sysroot",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    default=Path("/"),
    show_default=True,
    help="Look at a recorded machine's files; no program is asked.",
)
def doctor(
    files: tuple[str, ...], runs: Path, keep: int, deep: bool, report: bool, sysroot: Path
) -> Outcome:
    """Look at this machine: GPU, driver, CUDA, compilers, disk.

    Inside a virtual machine as on its host. With CFG, whether the engine here trains it, and
    whether the disk has room for what that writes; with DATA, where its images lie. Exit code 1
    says that there are problems.
    """
    given = sort_files(files)
    if FileKind.WEIGHTS in given:
        raise UsageError(
            "the doctor looks at machines, not at weights",
            code="usage",
            hint="`dkit weights info` looks at them.",
            path=given[FileKind.WEIGHTS],
        )
    data, cfg = given.get(FileKind.DATA), given.get(FileKind.CFG)
    wish = Wish(
        machine=Machine(sysroot),
        runs=runs.expanduser(),
        cfg=read_cfg(cfg) if cfg else None,
        keep=keep,
        data=Path(data) if data else None,
        deep=deep,
    )
    with progress_bar("doctor", "checks") as progress:
        examination = examine(wish, progress)
    readiness = judge(examination, asked=wish.machine.is_here)
    problems = any(check.verdict is Verdict.PROBLEM for check in examination.checks)
    lines = _report(examination, readiness) if report else _describe(examination, readiness)
    ready = f"dkit train {shown(data)} {shown(cfg)}" if data and cfg else "dkit demo"
    return Outcome(
        lines,
        _data(examination, readiness, redact if report else str),
        next_command=ready if readiness.trains and not report else "",
        exit_code=1 if problems or not readiness.trains else 0,
    )


def _describe(examination: Examination, readiness: Readiness) -> list[str]:
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    lines = []
    for group in Group:
        of_group = [check for check in examination.checks if check.group is group]
        if of_group:
            lines.append(str(group))
            lines += [line for check in of_group for line in _describe_check(check, width)]
            lines.append("")
    return [*lines, _count(examination.checks), *_wrap(f"Verdict: {readiness.sentence}", width)]


def _describe_check(check: Check, width: int) -> Iterator[str]:
    first = f"  {check.verdict:<8} {check.code}: {check.evidence}"
    yield from _wrap(first, width, _INDENT)
    if check.verdict is Verdict.OK:
        return
    yield from _wrap(f"{_INDENT}{CODES[check.code].meaning}", width, _INDENT)
    if check.cure:
        yield from _wrap(f"{_INDENT}-> {check.cure}", width, f"{_INDENT}   ")


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a line between words; a command or path longer than a line stays whole."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _count(checks: Sequence[Check]) -> str:
    number = Counter(check.verdict for check in checks)
    bad = (Verdict.PROBLEM, Verdict.WARNING, Verdict.NOTE, Verdict.UNKNOWN)
    said = [
        counted(number[one], one) if one is not Verdict.UNKNOWN else f"{number[one]} unknown"
        for one in bad
        if number[one]
    ]
    return f"{counted(len(checks), 'check')}: {', '.join(said) or 'all is well'}"


def _report(examination: Examination, readiness: Readiness) -> list[str]:
    """Return Markdown: a table of all that was found, and nothing that names person or host."""
    rows = [
        f"| {check.group} | {check.verdict} | `{check.code}` | {_cell(check.evidence)} |"
        for check in examination.checks
    ]
    head = ["| group | verdict | code | found |", "|---|---|---|---|"]
    return [f"dkit {__version__}: {redact(readiness.sentence)}", "", *head, *rows]


def _cell(text: str) -> str:
    return redact(text).replace("|", "\\|").replace("<", "&lt;")


def _data(
    examination: Examination, readiness: Readiness, clean: Callable[[str], str]
) -> dict[str, Any]:
    return {
        "trains": readiness.trains,
        "gpu": readiness.gpu,
        "verdict": clean(readiness.sentence),
        "checks": [
            {
                "code": check.code,
                "group": check.group,
                "verdict": check.verdict,
                "evidence": clean(check.evidence),
                "meaning": CODES[check.code].meaning,
                "cure": check.cure,
            }
            for check in examination.checks
        ],
    }


command = doctor
