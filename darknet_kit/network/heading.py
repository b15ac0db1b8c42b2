"""What stands above a cfg that dkit wrote: each computed value with its reason."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from darknet_kit.formats.cfg import Cfg, format_cfg, parse_cfg
from darknet_kit.network.schedule import Setting

_SIGNATURE = "written by `dkit make-cfg`."


def format_heading(
    name: str, about: str, pretrained: str, classes: int, settings: Sequence[Setting]
) -> str:
    """Return the comment above a cfg. `pretrained` names published weights, or nothing."""
    noun = "class" if classes == 1 else "classes"
    facts = [(f"{item.key}={item.value}", item.reason) for item in settings]
    width = max(len(fact) for fact, _ in facts)
    lines = [
        f"{name} for {classes} {noun}, {_SIGNATURE}",
        f"{about[0].upper()}{about[1:]}.",
        "",
        *(f"{fact:<{width}}  {reason}" for fact, reason in facts),
    ]
    if pretrained:
        lines += ["", f"Training starts best from {pretrained}."]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def without_heading(cfg: Cfg) -> Cfg:
    """Return the cfg without what an earlier `dkit make-cfg` wrote above it."""
    if not (cfg.preamble and cfg.preamble[0].rstrip().endswith(_SIGNATURE)):
        return cfg
    kept = tuple(itertools.dropwhile(lambda line: line.startswith("#"), cfg.preamble))
    return parse_cfg("".join(kept[1:]) + format_cfg(replace(cfg, preamble=())), cfg.path)
