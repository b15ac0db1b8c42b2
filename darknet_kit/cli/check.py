"""`dkit check`: what would waste a run, in a data set, a network, weights, or between them."""

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.mending import Mended, describe_mended, write_mended
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import require_free
from darknet_kit.core.faults import FAULTS, Level
from darknet_kit.core.findings import Finding, Group, Tally, is_findings, writing_findings
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.records import Split
from darknet_kit.core.spelling import find_near
from darknet_kit.core.wording import counted
from darknet_kit.dataset.checks.images import Entries
from darknet_kit.dataset.checks.whole import HowToCheck
from darknet_kit.errors import UsageError
from darknet_kit.network.heads import find_heads
from darknet_kit.train.checks.inspection import (
    OTHER_CODES,
    FileKind,
    Inspection,
    inspect,
    sort_files,
)

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


@dkit_command(
    examples=[
        "dkit check voc/voc.data",
        "dkit check voc/voc.data --decode -o findings.csv",
        "dkit check voc/voc.data yolov4-tiny-20.cfg yolov4-tiny.conv.29",
    ]
)
@click.argument("files", metavar="FILE...", type=GivenPath(), nargs=-1, required=True)
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    help="The Darknet that is to train.  [default: as converted, else alexeyab]",
)
@click.option("--decode", is_flag=True, help="Read all pixels of all images, not headers alone.")
@click.option("--only", metavar="CODE,...", help="Look for nothing else.")
@click.option("--ignore", metavar="CODE,...", help="Pass over these.")
@click.option("--strict", is_flag=True, help="Warnings end with exit code 1, too.")
@click.option("-o", "--output", type=GivenPath(), help="CSV file for all findings.")
@click.option("--fix", metavar="COPY.cfg", type=GivenPath(), help="Write a corrected copy of CFG.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT, whatever it is.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def check(
    files: tuple[str, ...],
    flavor: str | None,
    decode: bool,
    only: str | None,
    ignore: str | None,
    strict: bool,
    output: str | None,
    fix: str | None,
    overwrite: bool,
    workers: int | None,
) -> Outcome:
    """Find what would waste a run: data, network, weights.

    FILE is a .data file, a cfg, weights, or several of them, which must then fit together. Every
    image and label is looked at as the chosen Darknet would read it. Exit code 1 says that there
    are errors: a run would end early, or learn something wrong.
    """
    given = sort_files(files)
    how = HowToCheck(Flavor(flavor) if flavor else None, decode=decode, workers=workers)
    tally = Tally(*_parse_filters(only, ignore))
    if output and not is_findings(output):
        require_free(output, None, overwrite)
    writing = writing_findings(output) if output else contextlib.nullcontext()
    with writing as write, progress_bar("check", "images") as progress:

        def note(finding: Finding) -> None:
            if tally.takes(finding) and write is not None:
                write(finding)

        looked = inspect(given, how, note, progress)
    failed = tally.total(Level.ERROR) or (strict and tally.total(Level.WARNING))
    mended = _fix(looked, fix, overwrite) if fix else None
    return Outcome(
        summary=[
            *_describe(given, looked),
            "",
            *_verdict(tally, output, decodable=_has_images(looked) and not decode),
            *(describe_mended(mended) if mended else ()),
        ],
        data=_data(given, looked, tally, output)
        | ({"fixed": mended.path, "left": mended.left} if mended else {}),
        next_command=_next_command(given, tally, output, flavor),
        exit_code=1 if failed else 0,
    )


def _fix(looked: Inspection, path: str, overwrite: bool) -> Mended:
    """Write a corrected copy of the network. Raises UsageError where none was given."""
    if looked.cfg is None:
        raise UsageError(
            "--fix corrects a network, and there is none that could be read",
            code="no-cfg",
            hint="Name a .cfg too: dkit check DATA CFG --fix COPY.cfg",
        )
    classes = looked.data.classes if looked.data else None
    images = looked.data.train_images if looked.data else None
    return write_mended(looked.cfg, classes, images, path, overwrite)


def _parse_filters(only: str | None, ignore: str | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the codes of both options. Raises UsageError (`unknown-code`, `contradiction`)."""
    wanted, unwanted = _parse_codes(only), _parse_codes(ignore)
    if both := wanted & unwanted:
        raise UsageError(
            f"--only and --ignore both name {', '.join(sorted(both))}",
            code="contradiction",
            hint="Leave --ignore out: --only looks for nothing else anyway.",
        )
    return wanted, unwanted


def _parse_codes(text: str | None) -> frozenset[str]:
    """Return the codes of an option. Raises UsageError (`unknown-code`)."""
    codes = frozenset(filter(None, (code.strip() for code in (text or "").split(","))))
    known = sorted(OTHER_CODES | FAULTS.keys())
    unknown = sorted(codes.difference(known))
    if unknown:
        near = [match for code in unknown for match in find_near(code, known)]
        raise UsageError(
            f"there is no code {', '.join(unknown)}",
            code="unknown-code",
            hint=f"Did you mean {', '.join(near)}?"
            if near
            else "docs/checking.md of the project lists all.",
        )
    return codes


def _describe(given: dict[FileKind, str], looked: Inspection) -> list[str]:
    """Return what was looked at, as a proof: counts of everything that could be read."""
    lines = []
    if FileKind.DATA in given and looked.data:
        lines.append(f"{shown(given[FileKind.DATA])}, as {looked.data.flavor} darknet reads it")
        if looked.data.names:
            lines.append(f"  names   {counted(len(looked.data.names), 'class', width=9).rstrip()}")
        lines += [_describe_list(split, found) for split, found in looked.data.lists.items()]
    if FileKind.CFG in given:
        lines.append(shown(given[FileKind.CFG]) + _describe_network(looked))
    if FileKind.WEIGHTS in given:
        values = f": {looked.weights.floats:,} values" if looked.weights else ""
        lines.append(shown(given[FileKind.WEIGHTS]) + values)
    return lines


def _has_images(looked: Inspection) -> bool:
    return looked.data is not None and any(one.images for one in looked.data.lists.values())


def _describe_list(split: Split, found: Entries) -> str:
    empty = f"  ({found.negatives:,} without a box)" if found.negatives else ""
    images, labels = (
        counted(number, noun, width=9)
        for number, noun in ((found.images, "image"), (found.labels, "label"))
    )
    return f"  {split:<8}{images} {labels} {counted(found.boxes, 'box', width=10)}{empty}".rstrip()


def _describe_network(looked: Inspection) -> str:
    if looked.cfg is None:
        return ""
    heads = find_heads(looked.cfg)
    size = f"{looked.cfg.net.integer('width')} x {looked.cfg.net.integer('height')}"
    return f": {size}, {counted(len(looked.cfg.layers), 'layer')}, {counted(len(heads), 'head')}"


def _verdict(tally: Tally, output: str | None, *, decodable: bool) -> list[str]:
    counts = [(tally.total(level), str(level)) for level in sorted(Level, reverse=True)]
    said = ", ".join(counted(count, name) for count, name in counts if count)
    lines = []
    for group in tally.ranked():
        lines += [*_describe_group(group), ""]
    lines.append(f"Found {said}" if said else "Nothing is wrong with what was looked at")
    if tally.only:
        lines.append(f"  nothing but {', '.join(sorted(tally.only))} was looked for")
    elif tally.ignore:
        lines.append(f"  {', '.join(sorted(tally.ignore))} passed over")
    if decodable:
        lines.append("  of the images, headers alone were read; --decode reads all pixels")
    hidden = any(group.count > len(group.examples) for group in tally.ranked())
    if output:
        lines.append(f"  files   {shown(output)} lists {'them all' if said else 'nothing'}")
    elif hidden:
        lines.append("  -o findings.csv lists them all")
    return lines


def _describe_group(group: Group) -> list[str]:
    """Return a code with its meaning, a few examples and the cure."""
    row = FAULTS.get(group.code)
    count = f" x {group.count:,}" if group.count > 1 else ""
    title = f"{group.level}: {group.code}{count}"
    lines = [f"{title}: {row.meaning}" if row else title]
    for example in group.examples[: 1 if group.level is Level.NOTE else None]:
        where = shown(example.path) + (f":{example.line}" if example.line else "")
        lines.append(f"    {where}  {example.message}".translate(_CONTROLS))
    cure = group.examples[0].cure
    return [*lines, f"  {cure}"] if cure else lines


def _next_command(
    given: dict[FileKind, str], tally: Tally, output: str | None, flavor: str | None
) -> str:
    data, cfg = given.get(FileKind.DATA), given.get(FileKind.CFG)
    files = " ".join(shown(given[kind]) for kind in FileKind if kind in given)
    if tally.total(Level.ERROR):
        if not data or not tally.groups.keys() & FAULTS.keys():
            return ""
        if output:
            return f"dkit show {shown(data)} --problems {shown(output)}"
        chosen = f" --flavor {flavor}" if flavor else ""
        return f"dkit check {files}{chosen} -o findings.csv"
    if data and cfg:
        return f"dkit train {files}"
    return f"dkit make-cfg --data {shown(data)}" if data else ""


def _data(
    given: dict[FileKind, str], looked: Inspection, tally: Tally, output: str | None
) -> dict[str, Any]:
    lists = looked.data.lists if looked.data else {}
    return {
        "files": {str(kind): os.path.abspath(path) for kind, path in given.items()},
        "flavor": looked.data.flavor.value if looked.data else None,
        "classes": looked.data.classes if looked.data else None,
        "lists": {split: _counts(found) for split, found in lists.items()},
        **{f"{level}s": tally.total(level) for level in sorted(Level, reverse=True)},
        "findings": [_group_data(group) for group in tally.ranked()],
        "findings_file": os.path.abspath(output) if output else None,
    }


def _counts(found: Entries) -> dict[str, int]:
    return {
        "images": found.images,
        "labels": found.labels,
        "negatives": found.negatives,
        "boxes": found.boxes,
    }


def _group_data(group: Group) -> dict[str, Any]:
    examples: Sequence[Finding] = group.examples
    return {
        "code": group.code,
        "level": str(group.level),
        "count": group.count,
        "meaning": FAULTS[group.code].meaning if group.code in FAULTS else examples[0].message,
        "cure": examples[0].cure,
        "examples": [
            {"path": one.path, "line": one.line or None, "message": one.message} for one in examples
        ],
    }


command = check
