"""`dkit convert`: other people's annotations to a Darknet data set."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.classchoice import classes_option, map_option
from darknet_kit.cli.crew import crew, scheduler_option
from darknet_kit.cli.noticed import describe_split, exit_code, lacking, noticed, share, written
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.core.boxes import BoxConvention
from darknet_kit.core.flavor import Flavor
from darknet_kit.core.wording import counted
from darknet_kit.dataset.conversion import Conversion, counts_of
from darknet_kit.dataset.convert import convert_coco, convert_ilsvrc, convert_voc
from darknet_kit.dataset.labels import ObjectRules
from darknet_kit.dataset.parts import Part, parse_part
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.errors import UsageError

_KINDS = ("ilsvrc", "voc", "coco")
_KEEP = click.Choice(["keep", "drop"])


@dkit_command(
    examples=[
        "dkit convert ilsvrc ~/ILSVRC --out ~/imagenet",
        "dkit convert voc VOCdevkit --out voc --name voc",
        "dkit convert coco annotations/instances_train2017.json --images train2017 --out coco "
        "--name coco",
    ]
)
@click.argument("kind", metavar="ilsvrc|voc|coco", type=click.Choice(_KINDS))
@click.argument("source", type=GivenPath())
@click.option(
    "--out",
    type=GivenPath(),
    help="Folder for a view of links with the labels in it, and the lists. "
    "Without it, labels lie beside the images and the lists in SOURCE.",
)
@click.option("--name", help="Name of the .data and .names files.  [default: SOURCE's name]")
@click.option(
    "--flavor",
    type=click.Choice([flavor.value for flavor in Flavor]),
    default=Flavor.ALEXEYAB.value,
    show_default=True,
    help="The Darknet that will look for the labels.",
)
@click.option("--names", "names_file", type=GivenPath(), help="Class names, one a line, in order.")
@classes_option
@map_option
@click.option("--mapping", type=GivenPath(), help="ilsvrc: LOC_synset_mapping.txt.")
@click.option("--images", type=GivenPath(), help="Folder of the images, if not in SOURCE.")
@click.option(
    "--box-convention",
    type=click.Choice([convention.value for convention in BoxConvention]),
    help="What Pascal numbers mean: pixels from 1, both ends inclusive; edges from 0; or as "
    "voc_label.py.  [default: voc inclusive, ilsvrc and coco plain]",
)
@click.option("--difficult", type=_KEEP, default="drop", show_default=True, help="VOC's flag.")
@click.option("--truncated", type=_KEEP, default="keep", show_default=True, help="VOC's flag.")
@click.option("--crowd", type=_KEEP, default="drop", show_default=True, help="COCO's iscrowd.")
@click.option(
    "--valid-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share to validate on, where the set has no split of its own.",
)
@click.option("--seed", default=0, show_default=True, help="Draws that share.")
@click.option(
    "--keep-unlabelled",
    is_flag=True,
    help="List images without annotation, or without a chosen class, as negatives.",
)
@click.option("--verify-images", is_flag=True, help="Check each size against the image's header.")
@click.option("--strict", is_flag=True, help="Exit 1 where anything was skipped or repaired.")
@click.option("--dry-run", is_flag=True, help="Count and report; write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace labels and lists that are there.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@scheduler_option
@click.option(
    "--shard",
    metavar="I/N",
    help="Write the labels of one of N parts alone, each on a machine of its own; then, without "
    "--shard, the lists of all.",
)
def convert(
    kind: str,
    source: str,
    mapping: str | None,
    images: str | None,
    strict: bool,
    difficult: str,
    truncated: str,
    crowd: str,
    flavor: str,
    box_convention: str | None,
    workers: int | None,
    scheduler: str | None,
    shard: str | None,
    **chosen: Any,
) -> Outcome:
    """Turn ILSVRC, VOC or COCO annotations into a Darknet data set.

    Label files go where the engine looks for them; train.txt, valid.txt, .names, .data,
    conversion.json and problems.csv go beside them. No file of SOURCE is changed.
    """
    _refuse_strangers(kind, mapping=mapping, names=chosen["names_file"])
    options = ConvertOptions(
        flavor=Flavor(flavor),
        convention=BoxConvention(box_convention) if box_convention else None,
        objects=ObjectRules(difficult == "keep", truncated == "keep", crowd == "keep"),
        shard=_parse_shard(shard, chosen["dry_run"]),
        **chosen,
    )
    with crew(workers, scheduler, source) as hands, progress_bar("convert", "images") as progress:
        options = replace(options, workers=hands)
        if kind == "ilsvrc":
            result = convert_ilsvrc(
                source, options, mapping=mapping, images=images, progress=progress
            )
        elif kind == "voc":
            result = convert_voc(source, options, images=images, progress=progress)
        else:
            result = convert_coco(source, options, images=images, progress=progress)
    return Outcome(
        summary=_summary(result, options),
        data=_data(result, options),
        next_command=_next_command(result, options),
        exit_code=exit_code(result.problems, strict=strict),
    )


def _refuse_strangers(kind: str, *, mapping: str | None, names: str | None) -> None:
    """Refuse an option that has no meaning for this kind of annotations. Raises UsageError."""
    owners = (
        ("--mapping", mapping, ("ilsvrc",)),
        ("--names", names, ("voc", "coco")),
    )
    for option, value, kinds in owners:
        if value and kind not in kinds:
            raise UsageError(
                f"{option} has no meaning for {kind}",
                code="wrong-option",
                hint=f"It belongs to `dkit convert {'` and `dkit convert '.join(kinds)}`.",
            )


def _parse_shard(shard: str | None, dry_run: bool) -> Part | None:
    """Raises UsageError (`bad-shard`, `contradiction`)."""
    if shard is not None and dry_run:
        raise UsageError(
            "--shard and --dry-run exclude each other",
            code="contradiction",
            hint="Leave --shard out: a dry run looks at all images.",
        )
    return None if shard is None else parse_part(shard)


def _data(result: Conversion, options: ConvertOptions) -> dict[str, Any]:
    return {
        "data": result.paths.data,
        "names": result.paths.names,
        "problems_file": result.paths.problems,
        "classes": list(result.names),
        "dry_run": options.dry_run,
        "shard": str(options.shard) if options.shard else None,
        "labels_written": result.written,
        "notes": result.notes,
        **counts_of(result),
    }


def _summary(result: Conversion, options: ConvertOptions) -> list[str]:
    verb = "Would convert" if options.dry_run else "Converted"
    part = f"part {options.shard} of the " if options.shard else ""
    lines = [f"{verb} {part}{result.format} data in {shown(result.source)}"]
    lines.extend(
        describe_split(split, counts.images, counts.boxes.total(), counts.negatives, _lack(options))
        for split, counts in result.splits.items()
    )
    if options.shard is None:
        held = {split: (one.images, one.boxes.total()) for split, one in result.splits.items()}
        lines.extend(lacking(held))
    lines.append(f"  {'classes':<8}{_classes(result)}")
    lines.extend(_left_out(result))
    if result.difficult:
        lines.append(
            f"  {result.difficult:,} of the difficult objects have labels apart: "
            "to find them is no error in mAP"
        )
    lines.extend(noticed(result.problems))
    lines.extend(f"  note: {note}" for note in result.notes)
    kept = sum(counts.images for counts in result.splits.values())
    if options.shard:
        labels, right = result.written, kept - result.written
        lines.append(f"  labels  {labels:,} written, {right:,} right already")
        return [*lines, *_after_a_part(options.shard)]
    return [*lines, *written(result, kept, dry_run=options.dry_run)]


def _lack(options: ConvertOptions) -> str:
    """Return what images that are kept as negatives are without."""
    if options.classes:
        return "any of the classes"
    return "an object" if options.keep_unlabelled else "an object, as annotated"


def _after_a_part(part: Part) -> Iterator[str]:
    others = f"--shard 1/{part.of} to {part.of}/{part.of}"
    yield f"  No lists were written. When all of {others} have ended, run the same command"
    yield "  without --shard: it takes over what they did, does what is missing, writes the lists."


def _left_out(result: Conversion) -> Iterator[str]:
    """Yield what was left out because somebody wanted it so."""
    if result.unlabelled:
        of_all = f"{share(result.unlabelled, result.found)} of {counted(result.found, 'image')}"
        yield f"  unlabelled: {result.unlabelled:,}, {of_all} (--keep-unlabelled takes them)"
    flagged = dict(result.excluded)
    others = flagged.pop("other-class", 0)
    if others:
        yield f"  not chosen: {counted(others, 'object')} of other classes"
    if result.left_out:
        yield f"  not chosen: {counted(result.left_out, 'image')} without any of the classes"
    if flagged:
        excluded = ", ".join(f"{count:,} {why}" for why, count in sorted(flagged.items()))
        options = ", ".join(f"--{flag} keep" for flag in sorted(flagged))
        yield f"  left out on purpose: {excluded} ({options} takes them)"


def _classes(result: Conversion) -> str:
    boxes: Counter[int] = Counter()
    for counts in result.splits.values():
        boxes.update(counts.boxes)
    most = [f"{result.names[class_id]} {count:,}" for class_id, count in boxes.most_common(6)]
    line = f"{len(result.names):>9,} in the list"
    if len(boxes) < len(result.names):
        line += f", {len(boxes):,} with boxes"
    if most:
        line += f"; most boxes: {', '.join(most)}"
    return line


def _next_command(result: Conversion, options: ConvertOptions) -> str:
    if options.dry_run or options.shard:
        return ""
    return f"dkit show {shown(result.paths.data)}"


command = convert
