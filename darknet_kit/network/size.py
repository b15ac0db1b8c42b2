"""The input size of a network: read from text, and held to multiples of its stride."""

import re

from darknet_kit.errors import UsageError

_SIZE = re.compile(r"([0-9]{1,6})(?:[xX×]([0-9]{1,6}))?")
_LARGEST = 8192


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in pixels of `416` or `608x416`. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
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
