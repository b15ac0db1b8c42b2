"""The input size of a network: read from text, and held to multiples of its stride."""

import re

from darknet_kit.errors import CfgError, UsageError
from darknet_kit.formats.cfg import Cfg, set_value
from darknet_kit.network.layers import infer_layers, largest_stride

_SIZE = re.compile(r"([0-9]{1,6})(?:[xX×]([0-9]{1,6}))?")
_LARGEST = 8192
# A size that every network's stride divides; only used to learn that stride.
_PROBE_SIZE = 1024


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in pixels of `416` or `608x416`. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or 0 in (int(side) for side in match.groups() if side):
        raise UsageError(
            f"{text!r} is no size",
            code="bad-size",
            hint="Write one number for a square (416), or WIDTHxHEIGHT (608x416).",
        )
    width = int(match[1])
    return (width, int(match[2]) if match[2] else width)


def require_size(width: int, height: int, stride: tuple[int, int]) -> None:
    """Raise UsageError unless this size in pixels fits a network of this largest stride."""
    problem = describe_misfit(width, height, stride)
    if problem:
        raise UsageError(
            problem,
            code="size-not-multiple",
            hint=f"The network halves its input until {stride[0]} pixels are one cell.",
        )
    if max(width, height) > _LARGEST:
        raise UsageError(
            f"{width}x{height} is larger than any GPU could train",
            code="bad-size",
            hint="Usual sizes are 320 to 640.",
        )


def describe_misfit(width: int, height: int, stride: tuple[int, int]) -> str:
    """Say which side is no multiple of its stride and which sizes are near; empty when both fit."""
    for side, length, step in (("width", width, stride[0]), ("height", height, stride[1])):
        if length < 1 or length % step:
            lower = length // step * step
            near = f"nearest are {lower} and {lower + step}" if lower else f"the least is {step}"
            name = "" if width == height else f"{side} "
            return f"{name}{length} is not a multiple of {step}; {near}"
    return ""


def find_stride(cfg: Cfg) -> tuple[int, int] | None:
    """Return the largest stride (x, y) whatever the size in the cfg; None for no network at all."""
    try:
        probe = set_value(cfg, cfg.net, "width", _PROBE_SIZE)
        probe = set_value(probe, probe.net, "height", _PROBE_SIZE)
        return largest_stride(infer_layers(probe))
    except CfgError:
        return None


def nearest_size(cfg: Cfg) -> tuple[int, int]:
    """Return the nearest width and height that fit a network's stride, the larger of two."""
    width, height = cfg.net.integer("width"), cfg.net.integer("height")
    across, down = find_stride(cfg) or (1, 1)
    return _nearest(width, across), _nearest(height, down)


def _nearest(length: int, step: int) -> int:
    return max(step, (length + step // 2) // step * step)
