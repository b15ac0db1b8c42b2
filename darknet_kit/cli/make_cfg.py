"""`dkit make-cfg`: a network that trains as it stands."""

from dataclasses import replace
from pathlib import Path

import click

from darknet_kit.cli.outcome import Outcome, dkit_command, say
from darknet_kit.cli.paths import shown
from darknet_kit.core.files import holds, make_folder
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import format_cfg, write_cfg
from darknet_kit.formats.datafile import iter_image_list
from darknet_kit.network.catalog import DEFAULT_MODEL, MODELS, Model
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.network.model import CfgPlan, CfgRequest, build_cfg, make_cfg, plan_cfg
from darknet_kit.network.size import parse_size

# The classes of the set on which networks are usually compared; only --list needs a number.
_LISTED_CLASSES = 80


@dkit_command(
    examples=[
        "dkit make-cfg --data voc/voc.data",
        "dkit make-cfg --classes 10 --model yolov4-tiny --size 608x416",
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
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="The network; --list shows them."
)
@click.option("--size", metavar="N|WxH", help="Input size in pixels.  [default: the model's]")
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
@click.option("--list", "listing", is_flag=True, help="Show the models and end.")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="[default: MODEL-CLASSES.cfg]"
)
@click.option("--overwrite", is_flag=True, help="Replace another cfg of that name.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
def command(
    classes: int | None,
    data: str | None,
    model: str,
    size: str | None,
    batch: int | None,
    subdivisions: int | None,
    max_batches: int | None,
    learning_rate: float | None,
    gpus: int,
    anchors: str,
    listing: bool,
    output: str | None,
    overwrite: bool,
    dry_run: bool,
) -> Outcome:
    """Write a network that trains: filters, schedule, size computed.

    Each computed value and its reason stand at the top of the file.
    """
    if listing:
        return _list_models()
    classes, train_images = _count(classes, data)
    request = CfgRequest(
        classes=classes,
        model=model,
        size=parse_size(size) if size else None,
        batch=batch,
        subdivisions=subdivisions,
        max_batches=max_batches,
        learning_rate=learning_rate,
        gpus=gpus,
        train_images=train_images,
    )
    plan = plan_cfg(_with_anchors(request, data) if anchors == "computed" else request)
    path = Path(output or f"{plan.model.name}-{plan.classes}.cfg")
    written = False if dry_run else _write(path, plan, overwrite)
    return _describe(plan, path, data, dry_run=dry_run, written=written)


def _with_anchors(request: CfgRequest, data: str | None) -> CfgRequest:
    """Return the request with anchors computed for its input size. Raises UsageError."""
    from darknet_kit.cli.anchors import compute_for

    if data is None:
        raise UsageError(
            "anchors are computed from boxes, and no data set is named",
            code="no-data",
            hint="Name it: dkit make-cfg --data DATA --anchors computed",
        )
    found, reason = compute_for(read_dataset(data), make_cfg(request))
    return replace(request, anchors=found, anchors_reason=reason)


def _count(classes: int | None, data: str | None) -> tuple[int, int | None]:
    """Return the number of classes, and that of training images where there is a data set."""
    if data is None:
        if classes is None:
            raise UsageError(
                "how many classes does the network tell apart?",
                code="no-classes",
                hint="Say --classes N, or --data FILE.data to have them counted.",
            )
        return classes, None
    dataset = read_dataset(data)
    if classes is not None and classes != len(dataset.names):
        raise UsageError(
            f"--classes {classes}, and {data} has {len(dataset.names)} names",
            code="classes-differ",
            hint="Leave --classes out: --data says it all.",
        )
    return len(dataset.names), sum(1 for _ in iter_image_list(dataset.data.require_train()))


def _write(path: Path, plan: CfgPlan, overwrite: bool) -> bool:
    """Write the cfg; return False where it is there already, to the byte. Raises UsageError."""
    cfg = build_cfg(plan)
    if path.is_dir():
        raise UsageError(
            "this is a folder, and a cfg is one file",
            code="is-a-folder",
            hint=f"Name the file in it: -o {shown(path / f'{plan.model.name}.cfg')}",
            path=path,
        )
    if path.exists() and not overwrite and not holds(path, format_cfg(cfg).encode()):
        raise UsageError(
            "another cfg of that name is there",
            code="file-exists",
            hint="Replace it with --overwrite, or name another file with -o.",
            path=path,
        )
    if "." in path.stem:
        base = path.name.partition(".")[0]
        say(f"note: Darknet cuts names at the first dot; the weights will be called {base}_…")
    if path.suffix != ".cfg":
        say("note: hank-ai's Darknet knows a cfg by its ending .cfg and ignores other files")
    make_folder(path.parent)
    return write_cfg(path, cfg)


def _describe(
    plan: CfgPlan, path: Path, data: str | None, *, dry_run: bool, written: bool
) -> Outcome:
    layers = infer_layers(build_cfg(plan))
    floats, bflops = sum(layer.weight_floats for layer in layers), total_bflops(layers)
    state = "would write" if dry_run else "wrote" if written else "up to date:"
    width, height = plan.size
    facts = [(f"{setting.key}={setting.value}", setting.reason) for setting in plan.settings]
    column = max(len(fact) for fact, _ in facts)
    start = plan.model.pretrained
    summary = [
        f"{state} {shown(path)}",
        f"  {plan.model.name}: {plan.model.about}",
        f"  {width}x{height} pixels, {len(layers)} layers, {floats / 1e6:.2f} million parameters, "
        f"{bflops:.3f} BFLOPs an image",
        *(f"  {fact:<{column}}  {reason}" for fact, reason in facts),
        *([f"  start from {start}, the weights published for its first layers"] if start else []),
    ]
    settings = [
        {"key": item.key, "value": item.value, "reason": item.reason} for item in plan.settings
    ]
    return Outcome(
        summary=summary,
        data={
            "cfg": str(path.absolute()),
            "state": "planned" if dry_run else "written" if written else "up-to-date",
            "model": plan.model.name,
            "classes": plan.classes,
            "width": width,
            "height": height,
            "batch": plan.batch,
            "subdivisions": plan.subdivisions,
            "layers": len(layers),
            "parameters": floats,
            "bflops": round(bflops, 3),
            "settings": settings,
            "pretrained": start or None,
        },
        next_command=""
        if dry_run
        else f"dkit train {shown(data) if data else 'DATA'} {shown(path)}",
    )


def _list_models() -> Outcome:
    rows = [("model", "size", "layers", "parameters", "BFLOPs", "good for")]
    models = []
    for model in MODELS.values():
        layers = infer_layers(make_cfg(CfgRequest(_LISTED_CLASSES, model.name)))
        floats, bflops = sum(layer.weight_floats for layer in layers), total_bflops(layers)
        size = f"{model.size}x{model.size}"
        rows.append(
            (
                model.name,
                size,
                str(len(layers)),
                f"{floats:,}",
                f"{bflops:.3f}",
                model.good_for,
            )
        )
        models.append(_model_data(model, len(layers), floats, bflops))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    table = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(row[column].rjust(widths[column]) for column in range(1, 5)),
                row[5],
            ]
        )
        for row in rows
    ]
    note = f"For {_LISTED_CLASSES} classes, one image at the default size."
    return Outcome(
        summary=[*table, "", note],
        data={"models": models},
        next_command="dkit make-cfg --data DATA --model yolov4-tiny",
    )


def _model_data(model: Model, layers: int, floats: int, bflops: float) -> dict[str, object]:
    return {
        "name": model.name,
        "about": model.about,
        "good_for": model.good_for,
        "size": model.size,
        "layers": layers,
        "parameters": floats,
        "bflops": round(bflops, 3),
        "pretrained": model.pretrained or None,
    }
