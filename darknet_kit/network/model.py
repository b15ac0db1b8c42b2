"""A cfg of any of the networks in the catalog that trains as it stands.

`plan_cfg` computes what is to be said, each value with its reason; `make_cfg` writes it out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, parse_cfg
from darknet_kit.network.anchors import Anchors, set_anchors
from darknet_kit.network.catalog import DEFAULT_MODEL, Model, find_model
from darknet_kit.network.draft import Draft
from darknet_kit.network.heads import Head, find_heads
from darknet_kit.network.layers import infer_layers, largest_stride
from darknet_kit.network.schedule import Schedule, Setting, format_number, plan_schedule
from darknet_kit.network.size import require_size

_MOST_CLASSES = 100_000


@dataclass(frozen=True, slots=True)
class CfgRequest:
    """What somebody wants of a cfg; None leaves the choice to the model or the rules.

    `size` is (width, height) in pixels; so are `anchors`, and none keeps the model's own.
    """

    classes: int
    model: str = DEFAULT_MODEL
    size: tuple[int, int] | None = None
    batch: int | None = None
    subdivisions: int | None = None
    max_batches: int | None = None
    learning_rate: float | None = None
    gpus: int = 1
    train_images: int | None = None
    anchors: Anchors = ()
    anchors_reason: str = "as asked for"


@dataclass(frozen=True, slots=True)
class CfgPlan:
    """All that a cfg will say: `settings` are the computed values with their reasons.

    `anchors` are in pixels of the input, and empty where the model keeps its own.
    """

    model: Model
    classes: int
    size: tuple[int, int]
    batch: int
    subdivisions: int
    schedule: Schedule
    settings: tuple[Setting, ...]
    anchors: Anchors = ()


def plan_cfg(request: CfgRequest) -> CfgPlan:
    """Compute everything that a cfg will say. Raises UsageError where a wish makes no sense."""
    model = find_model(request.model)
    if not 1 <= request.classes <= _MOST_CLASSES:
        raise UsageError(
            f"{request.classes} classes make no network",
            code="bad-classes",
            hint="Count the lines of the .names file.",
        )
    size = request.size or (model.size, model.size)
    body = _draft_body(model, request.classes)
    require_size(*size, _stride(model, body))
    batch, subdivisions = _require_batch(request, model)
    schedule = plan_schedule(
        request.classes,
        model.learning_rate,
        train_images=request.train_images,
        max_batches=request.max_batches,
        learning_rate=request.learning_rate,
        gpus=request.gpus,
    )
    settings = (
        *_head_settings(body, request.classes),
        *_anchor_settings(request),
        *schedule.settings,
        Setting("subdivisions", str(subdivisions), f"{batch // subdivisions} images at a time"),
    )
    return CfgPlan(
        model, request.classes, size, batch, subdivisions, schedule, settings, request.anchors
    )


def make_cfg(request: CfgRequest) -> Cfg:
    """Return a cfg that trains. Raises UsageError where a wish makes no sense."""
    return build_cfg(plan_cfg(request))


def build_cfg(plan: CfgPlan) -> Cfg:
    """Return the cfg that a plan describes; the same plan always gives the same bytes."""
    cfg = parse_cfg(_heading(plan) + _net(plan) + _draft_body(plan.model, plan.classes))
    return set_anchors(cfg, plan.anchors) if plan.anchors else cfg


def _draft_body(model: Model, classes: int) -> str:
    draft = Draft()
    model.build(draft, classes)
    return draft.text()


def _stride(model: Model, body: str) -> tuple[int, int]:
    net = f"[net]\nwidth={model.size}\nheight={model.size}\nchannels=3\n"
    return largest_stride(infer_layers(parse_cfg(net + body)))


def _require_batch(request: CfgRequest, model: Model) -> tuple[int, int]:
    """Return batch and subdivisions; where only the batch is given, memory stays the same."""
    batch = model.batch if request.batch is None else request.batch
    if batch < 1:
        raise UsageError(f"batch={batch} is no batch", code="bad-batch", hint="64 is usual.")
    mini_batch = model.batch // model.subdivisions
    parts = [count for count in range(1, batch + 1) if batch % count == 0]
    usual = next(count for count in parts if batch // count <= mini_batch)
    subdivisions = usual if request.subdivisions is None else request.subdivisions
    if subdivisions not in parts:
        listed = ", ".join(str(count) for count in parts)
        raise UsageError(
            f"subdivisions={subdivisions} does not divide batch={batch}",
            code="bad-subdivisions",
            hint=f"Darknet would train with another batch without a word. Use one of {listed}.",
        )
    if batch == 1:
        raise UsageError(
            "batch=1 is what Darknet takes for a cfg that only tests",
            code="test-cfg",
            hint="Use a batch of at least 2; 64 is usual.",
        )
    return batch, subdivisions


def _head_settings(body: str, classes: int) -> tuple[Setting, Setting]:
    heads = find_heads(parse_cfg(f"[net]\n{body}"))
    places = "before its head" if len(heads) == 1 else f"before each of {len(heads)} heads"
    key = "output" if heads[0].section.kind == "detection" else "filters"
    return (
        Setting("classes", str(classes), "the classes of the data set, in every head"),
        Setting(key, str(heads[0].filters), f"{_rule(heads[0])}, {places}"),
    )


def _anchor_settings(request: CfgRequest) -> Iterator[Setting]:
    if request.anchors:
        yield Setting("anchors", f"{len(request.anchors)} pairs", request.anchors_reason)


def _rule(head: Head) -> str:
    """Return the arithmetic behind `filters`, with this network's numbers."""
    noun = "class" if head.classes == 1 else "classes"
    if head.section.kind == "detection":
        side = head.section.integer("side")
        return f"{side} x {side} cells x ({head.classes} {noun} + {head.num} boxes x 5)"
    return f"({head.classes} {noun} + 5) x {len(head.mask)} anchors"


def _heading(plan: CfgPlan) -> str:
    noun = "class" if plan.classes == 1 else "classes"
    facts = [(f"{item.key}={item.value}", item.reason) for item in plan.settings]
    width = max(len(fact) for fact, _ in facts)
    lines = [
        f"{plan.model.name} for {plan.classes} {noun}, written by `dkit make-cfg`.",
        f"{plan.model.about[0].upper()}{plan.model.about[1:]}.",
        "",
        *(f"{fact:<{width}}  {reason}" for fact, reason in facts),
    ]
    if plan.model.pretrained:
        lines += ["", f"Training starts best from {plan.model.pretrained}."]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def _net(plan: CfgPlan) -> str:
    model, schedule = plan.model, plan.schedule
    width, height = plan.size
    first, last = schedule.steps
    mosaic = "mosaic=1\n" if model.mosaic else ""
    return f"""[net]
# Images for one change of the weights, and the parts in which they go through the GPU:
# out of memory? Double the subdivisions.
batch={plan.batch}
subdivisions={plan.subdivisions}

# What the network sees
width={width}
height={height}
channels=3

# Gradient descent
momentum={format_number(model.momentum)}
decay=0.0005

# How training images are changed at random, so that no two epochs are alike
angle=0
saturation=1.5
exposure=1.5
hue=.1
{mosaic}
# Schedule, in iterations
learning_rate={format_number(schedule.learning_rate)}
burn_in={schedule.burn_in}
max_batches={schedule.max_batches}
policy=steps
steps={first},{last}
scales=.1,.1
"""
