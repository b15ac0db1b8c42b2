"""A network's anchors: reading them in pixels, and putting others in their place."""

from collections.abc import Sequence

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, set_value
from darknet_kit.network.heads import Head, find_heads
from darknet_kit.network.layers import infer_layers

Anchors = Sequence[tuple[float, float]]
"""Widths and heights in pixels of the network's input."""


def read_anchors(cfg: Cfg) -> list[tuple[float, float]]:
    """Return the anchors that the heads use, in pixels, the smallest area first.

    Raises CfgError where the network cannot work.
    """
    layers, found = infer_layers(cfg), set[tuple[float, float]]()
    for head in _anchored(cfg):
        unit = _unit(head, layers[head.index].stride)
        numbers = head.section.numbers("anchors")
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
        found |= {
            (pairs[at][0] * unit[0], pairs[at][1] * unit[1]) for at in head.mask if at < len(pairs)
        }
    return sorted(found, key=lambda pair: pair[0] * pair[1])


def count_anchors(cfg: Cfg) -> int:
    """Return how many anchors a network has: those that some head lists. Raises CfgError."""
    return max(head.num for head in _require_anchored(cfg))


def set_anchors(cfg: Cfg, anchors: Anchors) -> Cfg:
    """Return the cfg with these anchors in every head; masks and filters stay.

    Anchors go in the order of their area, the order in which masks count on them. Their number is
    that of `count_anchors`. Raises CfgError.
    """
    layers = infer_layers(cfg)
    for head in _require_anchored(cfg):
        if head.num != len(anchors):
            raise CfgError(
                f"[{head.section.kind}] has num={head.num}, and {len(anchors)} anchors are given",
                code="wrong-anchors",
                hint=f"Compute {head.num}.",
                path=cfg.path,
                line=head.section.line,
            )
        unit = _unit(head, layers[head.index].stride)
        ordered = sorted(anchors, key=lambda pair: pair[0] * pair[1])
        text = ",  ".join(
            _format_pair(head, width / unit[0], height / unit[1]) for width, height in ordered
        )
        cfg = set_value(cfg, cfg.layers[head.index], "anchors", text)
    return cfg


def _format_pair(head: Head, width: float, height: float) -> str:
    if head.section.kind == "region":
        return f"{width:.4f},{height:.4f}"
    return f"{max(1, round(width))},{max(1, round(height))}"


def _anchored(cfg: Cfg) -> list[Head]:
    return [head for head in find_heads(cfg) if head.section.kind != "detection"]


def _require_anchored(cfg: Cfg) -> list[Head]:
    """Return the heads with anchors, which must all list the same. Raises CfgError."""
    heads = _anchored(cfg)
    if not heads:
        raise CfgError(
            "no head of this network has anchors",
            code="no-anchors",
            hint="[yolo], [Gaussian_yolo] and [region] have.",
            path=cfg.path,
        )
    for head in heads[1:]:
        if head.section.numbers("anchors") != heads[0].section.numbers("anchors"):
            raise CfgError(
                "the heads of this network list different anchors, and each would need its own",
                code="different-anchors",
                hint="Let every head list all anchors and choose from them by mask=.",
                path=cfg.path,
                line=head.section.line,
            )
    return heads


def _unit(head: Head, stride: tuple[int, int]) -> tuple[int, int]:
    """Return the pixels in one unit of a head's anchors: `[region]` counts cells."""
    return stride if head.section.kind == "region" else (1, 1)
