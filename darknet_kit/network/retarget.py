"""Setting up a network for other classes: its heads, the layers before them, its [net]."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.core.spelling import find_near
from darknet_kit.errors import CfgError, UsageError
from darknet_kit.formats.cfg import NETWORK_KINDS, Cfg, comment_out, set_value
from darknet_kit.network.heads import MASKED_KINDS, find_filters_key, find_heads
from darknet_kit.network.kinds import canonical_kind

_OVERRIDE = re.compile(r"([\w-]+)\.([\w-]+)=(.+)")


@dataclass(frozen=True, slots=True)
class Override:
    """A value that somebody asks for. `where` is net, a 0-based layer number, or a section's kind,
    which means every section of that kind."""

    where: str
    key: str
    value: str


def parse_override(text: str) -> Override:
    """Return what `net.angle=5`, `yolo.ignore_thresh=.5` or `138.filters=255` asks for.

    Raises UsageError.
    """
    match = _OVERRIDE.fullmatch("".join(text.split()))
    if match is None:
        raise UsageError(
            f"{text!r} is no setting of a cfg",
            code="bad-override",
            hint="Write SECTION.KEY=VALUE: net.angle=5, yolo.ignore_thresh=.5, 138.filters=255.",
        )
    return Override(*match.groups())


def apply_override(cfg: Cfg, override: Override) -> Cfg:
    """Return the cfg with one value set wherever it is asked for.

    Raises UsageError where there is no such section, CfgError where the value is none.
    """
    places = [
        number
        for number, section in enumerate(cfg.sections)
        if override.where in _names_of(number, section.kind)
    ]
    if not places:
        kinds = sorted({section.kind for section in cfg.sections})
        near = find_near(override.where, kinds)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no section {override.where!r} in this network",
            code="unknown-section",
            hint=f"{meant}It has {', '.join(kinds)}, and layers 0 to {len(cfg.layers) - 1}.",
        )
    for place in places:
        cfg = set_value(cfg, cfg.sections[place], override.key, override.value)
    return cfg


def _names_of(number: int, kind: str) -> tuple[str, ...]:
    """Return under which names a section may be asked for; the first is [net]."""
    if number == 0:
        return NETWORK_KINDS
    return kind, canonical_kind(kind), str(number - 1)


def set_net(cfg: Cfg, values: Mapping[str, object]) -> Cfg:
    """Return the cfg with values of `[net]` changed or added. Raises CfgError."""
    for key, value in values.items():
        if cfg.net.text(key) != str(value):
            cfg = set_value(cfg, cfg.net, key, value)
    return cfg


def retarget_heads(cfg: Cfg, classes: int, counters: Sequence[int] = ()) -> Cfg:
    """Return the cfg with this number of classes in every head, and filters before each by rule.

    `counters` are the boxes of each class, by which heads weigh them; without them those of a
    base, which count other classes, become a comment. Raises CfgError where there is no head, or
    the layer before one is none that a rule could be applied to.
    """
    indices = [head.index for head in find_heads(cfg)]
    if not indices:
        raise CfgError(
            "there is no head in this network, so it tells no classes of objects apart",
            code="no-head",
            hint="A detector ends with [yolo]; `dkit make-cfg --list` shows some.",
            path=cfg.path,
        )
    for index in indices:
        cfg = _set_layer(cfg, index, "classes", classes)
        head = next(head for head in find_heads(cfg) if head.index == index)
        key = find_filters_key(cfg, head)
        if key is None:
            raise CfgError(
                f"[{head.section.kind}] is not right behind a layer whose outputs could be set",
                code="no-layer-before-head",
                hint=f"Put a convolution there with {head.filters} filters.",
                path=cfg.path,
                line=head.section.line,
            )
        cfg = _set_layer(cfg, index - 1, key, head.filters)
        if head.section.kind not in MASKED_KINDS:
            continue
        if counters:
            cfg = _set_layer(cfg, index, "counters_per_class", ",".join(map(str, counters)))
        elif len(head.section.integers("counters_per_class")) not in (0, classes):
            entry = head.section.find("counters_per_class")
            cfg = comment_out(cfg, cfg.layers[index], entry.line) if entry else cfg
    return cfg


def _set_layer(cfg: Cfg, index: int, key: str, value: object) -> Cfg:
    section = cfg.layers[index]
    return cfg if section.text(key) == str(value) else set_value(cfg, section, key, value)
