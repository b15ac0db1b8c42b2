"""`dkit make-cfg`: a network that trains as it stands."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from darknet_kit.cli.bar import progress_bar
from darknet_kit.cli.fitting import Fitting, cut_command, describe_fit, judge, list_fit, name_start
from darknet_kit.cli.modellist import list_models
from darknet_kit.cli.needs import Pace, describe_needs, find_pace, list_needs
from darknet_kit.cli.netadvice import advise_on_network, describe_advice
from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.shownetwork import draw_network, require_picture
from darknet_kit.cli.soundness import require_sound
from darknet_kit.cli.writing import write_files
from darknet_kit.dataset.counts import count_classes
from darknet_kit.dataset.reading import Dataset, read_dataset
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import encode_cfg, read_cfg
from darknet_kit.formats.datafile import iter_image_list
from darknet_kit.formats.weights import read_weights_header
from darknet_kit.network.catalog import DEFAULT_MODEL
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.network.model import CfgPlan, CfgRequest, make_cfg, plan_cfg
from darknet_kit.network.retarget import parse_override
from darknet_kit.network.size import parse_size

# What was done about the file: for people, and for programs.
_STATES = {"would write": "planned", "wrote": "written", "up to date": "up-to-date"}


@dkit_command(
    examples=[
        "dkit make-cfg --data voc/voc.data",
        "dkit make-cfg --classes 10 --model yolov4-tiny --size 608x416",
        "dkit make-cfg --data voc/voc.data --base mine.cfg --set net.angle=5",
        "dkit make-cfg --data voc/voc.data --weights yolov4.conv.137",
        "dkit make-cfg --list",
    ]
)
@click.option("--classes", type=int, metavar="N", help="How many classes there are.")
@click.option(
    "--data",
    type=click.Path(),
    metavar="DATA",
    help="A .data file: its classes and its training images are counted.",
)
@click.option("--model", help=f"The network; --list shows them.  [default: {DEFAULT_MODEL}]")
@click.option("--base", type=GivenPath(), metavar="CFG", help="Your own network, not a model.")
@click.option("--size", metavar="N|WxH", help="Input size in pixels.  [default: the network's]")
@click.option("--batch", type=int, metavar="N", help="Images for one change of the weights.")
@click.option(
    "--subdivisions", type=int, metavar="N", help="Parts of a batch; more need less GPU memory."
)
@click.option("--max-batches", type=int, metavar="N", help="Iterations, instead of the rule's.")
@click.option(
    "--learning-rate", type=float, metavar="RATE", help="The rate on one GPU; --gpus divides it."
)
@click.option(
    "--gpus", type=click.IntRange(1, 64), default=1, show_default=True, help="GPUs to train on."
)
@click.option(
    "--anchors",
    type=click.Choice(["own", "computed"]),
    default="own",
    show_default=True,
    help="The model's, or those of `dkit anchors` for --data.",
)
@click.option(
    "--counters-per-class", is_flag=True, help="Let --data's rare classes count for more."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Any value: net.angle=5, yolo.ignore_thresh=.5, 138.filters=255 (layer 138).",
)
@click.option("--gpu", metavar="NAME", help="The card to train on.  [default: this machine's]")
@click.option("--gpu-memory", type=float, metavar="GB", help="Its memory: decides subdivisions.")
@click.option("--seconds", type=float, metavar="S", help="Time of an iteration, from a log.")
@click.option("--weights", type=GivenPath(), help="What to start from: is it of this network?")
@click.option("--list", "listing", is_flag=True, help="Show the models and end.")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="[default: MODEL-CLASSES.cfg]"
)
@click.option("--draw", type=click.Path(), metavar="PICTURE", help="Draw it: net.png, .svg, .pdf.")
@click.option("--overwrite", is_flag=True, help="Replace another cfg of that name.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
def command(
    classes: int | None,
    data: str | None,
    model: str | None,
    base: str | None,
    size: str | None,
    batch: int | None,
    subdivisions: int | None,
    max_batches: int | None,
    learning_rate: float | None,
    gpus: int,
    anchors: str,
    counters_per_class: bool,
    overrides: tuple[str, ...],
    gpu: str | None,
    gpu_memory: float | None,
    seconds: float | None,
    weights: str | None,
    listing: bool,
    output: str | None,
    draw: str | None,
    overwrite: bool,
    dry_run: bool,
) -> Outcome:
    """Write a network that trains: filters, schedule, size computed.

    Each computed value and its reason stand at the top of the file.
    """
    if listing:
        return list_models()
    computed = anchors == "computed"
    _require_consistent(model, base, data, of_boxes=computed or counters_per_class)
    header = read_weights_header(weights) if weights else None
    dataset = read_dataset(data) if data is not None else None
    pace = find_pace(gpu, gpu_memory, gpus, seconds)
    request = CfgRequest(
        classes=_count_classes(classes, dataset),
        model=model or DEFAULT_MODEL,
        base=read_cfg(base) if base else None,
        size=parse_size(size) if size else None,
        batch=batch,
        subdivisions=subdivisions,
        max_batches=max_batches,
        learning_rate=learning_rate,
        gpus=gpus,
        overrides=[parse_override(text) for text in overrides],
        gpu_memory=pace.card.memory if pace.card else None,
    )
    if dataset is not None:
        request = _look_at_data(request, dataset, computed, counters_per_class)
    plan = plan_cfg(request)
    sound = require_sound(plan, request)
    if draw:
        require_picture(Path(draw))
    fitting = judge(header, plan.cfg) if header else None
    path = Path(output or f"{plan.name}-{plan.classes}.cfg")
    state = "would write" if dry_run else _write(path, plan, overwrite)
    if draw and not dry_run:
        draw_network(plan.cfg, path.stem, Path(draw), overwrite)
    advice = advise_on_network(data, plan.size) if data is not None else []
    done = Outcome(
        summary=[*_summarize(plan, path, pace, state), *describe_advice(advice)],
        data=_data(plan, path, pace, state) | {"advice": [one.code for one in advice]},
        next_command="" if dry_run else _next_command(data, path, fitting, sound),
    )
    return _add_fit(done, fitting) if fitting else done


def _require_consistent(
    model: str | None, base: str | None, data: str | None, *, of_boxes: bool
) -> None:
    """Refuse options that exclude or lack each other. Raises UsageError."""
    if model and base:
        raise UsageError(
            "--model and --base both name the network",
            code="two-networks",
            hint="Leave one of them away.",
        )
    if of_boxes and data is None:
        raise UsageError(
            "anchors and counters are computed from boxes, and no data set is named",
            code="no-data",
            hint="Name it with --data DATA.",
        )


def _count_classes(classes: int | None, dataset: Dataset | None) -> int:
    """Return the number of classes, from the data set where there is one. Raises UsageError."""
    if dataset is None:
        if classes is None:
            raise UsageError(
                "how many classes does the network tell apart?",
                code="no-classes",
                hint="Say --classes N, or --data FILE.data to have them counted.",
            )
        return classes
    if classes is not None and classes != len(dataset.names):
        raise UsageError(
            f"--classes {classes}, and {dataset.data.path} has {len(dataset.names)} names",
            code="classes-differ",
            hint="Leave --classes out: --data says it all.",
        )
    return len(dataset.names)


def _look_at_data(
    request: CfgRequest, dataset: Dataset, computed_anchors: bool, counted: bool
) -> CfgRequest:
    """Return the request with what the data set says. Raises DatasetError."""
    images = sum(1 for _ in iter_image_list(dataset.data.require_train()))
    request = replace(request, train_images=images, names=tuple(dataset.names))
    if computed_anchors:
        from darknet_kit.cli.anchors import compute_for

        found, reason = compute_for(dataset, make_cfg(request))
        request = replace(request, anchors=found, anchors_reason=reason)
    if counted:
        with progress_bar("count", "images") as progress:
            boxes = count_classes(dataset, "train", progress=progress).boxes
        # Classes weigh as much as the largest count over theirs, and a count of 0 as one of 1
        # (AlexeyAB src/parser.c, get_classes_multipliers).
        counters = [max(1, boxes[class_id]) for class_id in range(len(dataset.names))]
        request = replace(request, counters=counters)
    return request


def _write(path: Path, plan: CfgPlan, overwrite: bool) -> str:
    """Write the cfg, and tell what was done. Raises UsageError, WriteError."""
    (state,) = write_files({path: encode_cfg(plan.cfg)}, overwrite).values()
    if "." in path.stem:
        base = path.name.partition(".")[0]
        say(f"note: Darknet cuts names at the first dot; the weights will be called {base}_…")
    if path.suffix != ".cfg":
        say("note: hank-ai's Darknet knows a cfg by its ending .cfg and ignores other files")
    return state


def _summarize(plan: CfgPlan, path: Path, pace: Pace, state: str) -> list[str]:
    layers = infer_layers(plan.cfg)
    floats, bflops = sum(layer.weight_floats for layer in layers), total_bflops(layers)
    width, height = plan.size
    facts = [(f"{setting.key}={setting.value}", setting.reason) for setting in plan.settings]
    column = max(len(fact) for fact, _ in facts)
    start = plan.pretrained
    return [
        f"{state}{':' * (state == 'up to date')} {shown(path)}",
        f"  {plan.name}: {plan.about}",
        f"  {width}x{height} pixels, {len(layers)} layers, {floats / 1e6:.2f} million parameters, "
        f"{bflops:.3f} BFLOPs an image",
        *(f"  {fact:<{column}}  {reason}" for fact, reason in facts),
        *describe_needs(plan.cfg, pace),
        *([f"  start from {start}, the weights published for its first layers"] if start else []),
    ]


def _data(plan: CfgPlan, path: Path, pace: Pace, state: str) -> dict[str, Any]:
    layers = infer_layers(plan.cfg)
    return {
        "cfg": str(path.absolute()),
        "state": _STATES[state],
        "model": plan.name,
        "classes": plan.classes,
        "width": plan.size[0],
        "height": plan.size[1],
        "batch": plan.batch,
        "subdivisions": plan.subdivisions,
        "layers": len(layers),
        "parameters": sum(layer.weight_floats for layer in layers),
        "bflops": round(total_bflops(layers), 3),
        "settings": [
            {"key": item.key, "value": item.value, "reason": item.reason} for item in plan.settings
        ],
        "needs": list_needs(plan.cfg, pace),
        "pretrained": plan.pretrained or None,
    }


def _add_fit(outcome: Outcome, fitting: Fitting) -> Outcome:
    """Return an outcome that says of weights whether they belong to the network."""
    first, *rest = describe_fit(fitting)
    if fitting.fit.reason:
        say(f"warning: {shown(fitting.header.path)}: {first}")
        lines = rest
    else:
        lines = [f"{shown(fitting.header.path)}: {first}", *rest]
    summary = [*outcome.summary, *(f"  {line}" for line in lines)]
    return replace(outcome, summary=summary, data=outcome.data | {"weights": list_fit(fitting)})


def _next_command(data: str | None, path: Path, fitting: Fitting | None, sound: bool) -> str:
    if not sound:
        return f"dkit check {shown(path)} --fix {shown(path.with_name(f'{path.stem}-fixed.cfg'))}"
    if fitting is not None and fitting.cut:
        return cut_command(fitting, path)
    start = f" {name_start(fitting)}" if fitting and not fitting.fit.reason else ""
    return f"dkit train {shown(data) if data else 'DATA'} {shown(path)}{start}"
