"""A cfg that trains as it stands: one of the catalog, or somebody's own, set up for a data set.

`plan_cfg` computes what is to be said, each value with its reason, and says it.
"""

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, Section, format_cfg, parse_cfg
from darknet_kit.network.anchors import Anchors, set_anchors
from darknet_kit.network.catalog import DEFAULT_MODEL, Model, find_model
from darknet_kit.network.draft import Draft
from darknet_kit.network.estimate import estimate_memory, fit_subdivisions, list_parts
from darknet_kit.network.gpus import GIB
from darknet_kit.network.heading import format_heading, without_heading
from darknet_kit.network.heads import Head, find_heads
from darknet_kit.network.layers import infer_layers, largest_stride
from darknet_kit.network.mirrored import find_mirrored
from darknet_kit.network.retarget import Override, apply_override, retarget_heads, set_net
from darknet_kit.network.schedule import Schedule, Setting, format_number, plan_schedule
from darknet_kit.network.size import require_size

MOST_CLASSES = 100_000
_USUAL_BATCH = (64, 16)


@dataclass(frozen=True, slots=True)
class CfgRequest:
    """What somebody wants of a cfg; None leaves the choice to the network or the rules.

    `base` is a cfg to set up instead of a model. `size` is (width, height) in pixels; so are
    `anchors`, and none keeps the network's own. `names` are the classes, where they are known,
    `counters` the boxes of each, where the rare are to count for more. `gpu_memory` is what one
    GPU can give, in bytes; it decides the subdivisions where nobody else does.
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
    base: Cfg | None = None
    names: Sequence[str] = ()
    counters: Sequence[int] = ()
    overrides: Sequence[Override] = ()
    gpu_memory: int | None = None


@dataclass(frozen=True, slots=True)
class CfgPlan:
    """A cfg, and how it came about: `settings` are the computed values with their reasons.

    `pretrained` names the published weights of its first layers; empty where there are none.
    """

    name: str
    about: str
    pretrained: str
    classes: int
    size: tuple[int, int]
    batch: int
    subdivisions: int
    settings: tuple[Setting, ...]
    cfg: Cfg


@dataclass(frozen=True, slots=True)
class _Base:
    """What a plan starts from."""

    name: str
    about: str
    pretrained: str
    cfg: Cfg


def make_cfg(request: CfgRequest) -> Cfg:
    """Return a cfg that trains. Raises UsageError where a wish makes no sense, CfgError."""
    return plan_cfg(request).cfg


def plan_cfg(request: CfgRequest) -> CfgPlan:
    """Compute everything that a cfg says, and write it; the same request gives the same bytes.

    Raises UsageError where a wish makes no sense, CfgError where a base cannot be set up.
    """
    _require_classes(request)
    base = _find_base(request)
    net = base.cfg.net
    size = request.size or (net.integer("width"), net.integer("height"))
    require_size(*size, largest_stride(infer_layers(base.cfg)))
    batch, subdivisions = _require_batch(request, *_batch_of(net))
    schedule = _plan_schedule(request, net)
    cfg = retarget_heads(base.cfg, request.classes, request.counters)
    cfg = set_net(cfg, {"batch": batch, "width": size[0], "height": size[1]})
    if request.gpu_memory is not None and request.subdivisions is None:
        subdivisions = _require_fit(_override(cfg, request), batch, request.gpu_memory)
    cfg = set_net(cfg, {"subdivisions": subdivisions} | _schedule_values(net, schedule))
    cfg = set_anchors(cfg, request.anchors) if request.anchors else cfg
    settings = [
        *_head_settings(cfg, request),
        *(item for item in schedule.settings if cfg.net.text(item.key) == item.value),
        _subdivisions_setting(_override(cfg, request), batch, subdivisions, request.gpu_memory),
    ]
    mirrored = find_mirrored(request.names)
    if mirrored:
        cfg = set_net(cfg, {"flip": 0})
        reason = f"{mirrored[0]} and {mirrored[1]} are mirror images of each other"
        settings.append(Setting("flip", "0", reason))
    cfg = _override(cfg, request)
    settings += [
        Setting(f"{one.where}.{one.key}", one.value, "as asked for") for one in request.overrides
    ]
    heading = format_heading(base.name, base.about, base.pretrained, request.classes, settings)
    return CfgPlan(
        name=base.name,
        about=base.about,
        pretrained=base.pretrained,
        classes=request.classes,
        size=size,
        batch=batch,
        subdivisions=subdivisions,
        settings=tuple(settings),
        cfg=parse_cfg(heading + format_cfg(cfg)),
    )


def _override(cfg: Cfg, request: CfgRequest) -> Cfg:
    return functools.reduce(apply_override, request.overrides, cfg)


def _require_classes(request: CfgRequest) -> None:
    if not 1 <= request.classes <= MOST_CLASSES:
        raise UsageError(
            f"{request.classes} classes make no network",
            code="bad-classes",
            hint="Count the lines of the .names file.",
        )


def _find_base(request: CfgRequest) -> _Base:
    if request.base is not None:
        path = request.base.path or "network.cfg"
        name = os.path.basename(path).removesuffix(".cfg")
        about = f"set up from {os.path.basename(path)}"
        return _Base(name, about, "", without_heading(request.base))
    model = find_model(request.model)
    draft = Draft()
    model.build(draft, request.classes)
    return _Base(model.name, model.about, model.pretrained, parse_cfg(_net(model) + draft.text()))


def _batch_of(net: Section) -> tuple[int, int]:
    """Return batch and subdivisions of a base; the usual ones where it is a cfg for testing."""
    batch, subdivisions = net.integer("batch", 1), net.integer("subdivisions", 1)
    return _USUAL_BATCH if batch <= 1 or subdivisions < 1 else (batch, subdivisions)


def _require_batch(
    request: CfgRequest, usual_batch: int, usual_subdivisions: int
) -> tuple[int, int]:
    """Return batch and subdivisions; where only the batch is given, memory stays the same."""
    batch = usual_batch if request.batch is None else request.batch
    if batch < 1:
        raise UsageError(f"batch={batch} is no batch", code="bad-batch", hint="64 is usual.")
    mini_batch = max(1, usual_batch // usual_subdivisions)
    parts = list_parts(batch)
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


def _require_fit(cfg: Cfg, batch: int, memory: int) -> int:
    subdivisions = fit_subdivisions(cfg, batch, memory)
    if subdivisions is None:
        least = estimate_memory(cfg, 1)
        raise UsageError(
            f"one image at a time needs about {least / GIB:.1f} GB, and the GPU can give "
            f"{memory / GIB:.1f} GB",
            code="too-little-memory",
            hint="Make it smaller by --size or --model; --set yolo.random=0 keeps it from growing.",
        )
    return subdivisions


def _subdivisions_setting(cfg: Cfg, batch: int, subdivisions: int, memory: int | None) -> Setting:
    images = batch // subdivisions
    reason = f"{images} image{'s' * (images > 1)} at a time"
    if memory is not None:
        needed = estimate_memory(cfg, images) / GIB
        reason += f": about {needed:.1f} of the {memory / GIB:.1f} GB that the GPU can give"
    return Setting("subdivisions", str(subdivisions), reason)


def _plan_schedule(request: CfgRequest, net: Section) -> Schedule:
    return plan_schedule(
        request.classes,
        net.number("learning_rate", 0.001),
        train_images=request.train_images,
        max_batches=request.max_batches,
        learning_rate=request.learning_rate,
        gpus=request.gpus,
    )


def _schedule_values(net: Section, schedule: Schedule) -> dict[str, object]:
    """Return what a schedule sets; a policy without steps that a base chose stays."""
    values: dict[str, object] = {
        "learning_rate": format_number(schedule.learning_rate),
        "burn_in": schedule.burn_in,
        "max_batches": schedule.max_batches,
    }
    if net.text("policy", "constant") not in ("steps", "constant"):
        return values
    steps = ",".join(map(str, schedule.steps))
    return values | {"policy": "steps", "steps": steps, "scales": ".1,.1"}


def _head_settings(cfg: Cfg, request: CfgRequest) -> Iterator[Setting]:
    heads = find_heads(cfg)
    if not heads:
        return
    places = "before its head" if len(heads) == 1 else f"before each of {len(heads)} heads"
    key = "output" if heads[0].section.kind == "detection" else "filters"
    yield Setting("classes", str(request.classes), "the classes of the data set, in every head")
    yield Setting(key, str(heads[0].filters), f"{_rule(heads[0])}, {places}")
    if request.anchors:
        yield Setting("anchors", f"{len(request.anchors)} pairs", request.anchors_reason)
    if request.counters:
        least, most = min(request.counters), max(request.counters)
        reason = f"{least:,} to {most:,} boxes; rare classes count for more"
        yield Setting("counters_per_class", f"{len(request.counters)} counts", reason)


def _rule(head: Head) -> str:
    """Return the arithmetic behind `filters`, with this network's numbers."""
    noun = "class" if head.classes == 1 else "classes"
    if head.section.kind == "detection":
        side = head.section.integer("side")
        return f"{side} x {side} cells x ({head.classes} {noun} + {head.num} boxes x 5)"
    anchors = max(1, len(head.mask))
    values = head.filters // anchors - head.classes
    return f"({head.classes} {noun} + {values}) x {anchors} anchors"


def _net(model: Model) -> str:
    """Return the `[net]` of a model, with places for what is computed."""
    mosaic = "mosaic=1\n" if model.mosaic else ""
    return f"""[net]
# Images for one change of the weights, and the parts in which they go through the GPU:
# out of memory? Double the subdivisions.
batch={model.batch}
subdivisions={model.subdivisions}

# What the network sees
width={model.size}
height={model.size}
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
learning_rate={format_number(model.learning_rate)}
burn_in=0
max_batches=0
policy=steps
steps=0
scales=.1,.1
"""
