"""Darknet's command line: `detector train|valid|map|test DATA CFG [WEIGHTS] [IMAGES] [-options]`.

Options are AlexeyAB's (`src/detector.c`, `run_detector`), one dash and all; those that only make
sense with a window or a camera are taken and do nothing. What this engine adds is marked in the
help. An unknown option is an error here: upstream takes it for the name of the weights.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from darknet_kit.errors import UsageError

FUNCTIONS = ("train", "valid", "map", "test")
PRECISIONS = ("fp32", "tf32", "bf16")
_PROGRAM = "python -m darknet_kit.engine.torch"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One call of the engine. Paths are as they were typed; `gpus` are CUDA's numbers."""

    function: str
    data: str
    cfg: str
    weights: str | None = None
    images: tuple[str, ...] = ()
    map: bool = False
    clear: bool = False
    gpus: tuple[int, ...] = ()
    thresh: float = 0.25
    iou_thresh: float = 0.5
    points: int = 0
    map_epochs: int = 4
    letter_box: bool = False
    ext_output: bool = False
    save_labels: bool = False
    out: str | None = None
    dont_show: bool = False
    coco: bool = False
    seed: int | None = None
    workers: int | None = None
    cache: int = 2048
    precision: str | None = None
    compile: str | None = None
    device: str | None = None
    ignore_subdivisions: bool = False


def parse_command_line(words: Sequence[str]) -> CommandLine:
    """Read the words after the program's name. Raises UsageError (`usage`, `no-such-function`)."""
    if len(words) < 2 or words[0] != "detector":
        raise _usage("the first two words are `detector` and what it shall do")
    if words[1] not in FUNCTIONS:
        raise UsageError(
            f"the embedded engine has no `detector {words[1]}`",
            code="no-such-function",
            hint=f"It has {', '.join(FUNCTIONS)}.",
        )
    found = _make_parser().parse_intermixed_args(words[2:])
    values: dict[str, Any] = {
        field.name: getattr(found, field.name, None) for field in fields(CommandLine)
    }
    values |= {"function": words[1], "images": tuple(found.images), "gpus": tuple(found.gpus)}
    if found.weights is None and words[1] != "train":
        raise _usage(f"`detector {words[1]}` needs WEIGHTS")
    return CommandLine(**values)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _usage(message)


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"{_PROGRAM} detector train|valid|map|test", allow_abbrev=False, add_help=True
    )
    for name, needed in (("data", None), ("cfg", None), ("weights", "?"), ("images", "*")):
        parser.add_argument(name, nargs=needed)
    for flag, what in (
        ("-map", "compute mAP on valid= while training"),
        ("-clear", "start the iteration count of WEIGHTS anew"),
        ("-letter_box", "keep the aspect ratio of images"),
        ("-ext_output", "print the coordinates of what was found"),
        ("-save_labels", "write what was found as labels beside the image"),
        ("-dont_show", "open no window (none is ever opened)"),
        ("-coco", "own: print COCO's mAP as well"),
        ("-ignore_subdivisions", "own: one mini-batch an iteration, where memory allows"),
    ):
        parser.add_argument(flag, action="store_true", help=what)
    for flag, kind, default, what in (
        ("-thresh", float, 0.25, "least confidence"),
        ("-iou_thresh", float, 0.5, "least IoU of a hit"),
        ("-points", int, 0, "recall points of AP: 0 (area under the curve), 11 or 101"),
        ("-seed", int, None, "own: make a training repeatable"),
        ("-workers", int, None, "own: processes that load images"),
        ("-cache", int, 2048, "own: MiB of decoded images to keep"),
        ("-out", str, None, "file for the detections as JSON"),
        ("-device", str, None, "own: cpu, cuda, cuda:1"),
        ("-compile", str, None, "own: a mode of torch.compile"),
    ):
        parser.add_argument(flag, type=kind, default=default, help=what)
    parser.add_argument("-mAP_epochs", dest="map_epochs", type=int, default=4)
    parser.add_argument("-precision", choices=PRECISIONS, default=None, help="own: arithmetic")
    parser.add_argument("-gpus", type=_parse_gpus, default=(), help="CUDA's numbers, with commas")
    for ignored in ("-show", "-show_imgs", "-benchmark_layers", "-dontdraw_bbox"):
        parser.add_argument(ignored, action="store_true", help=argparse.SUPPRESS)
    for ignored in ("-mjpeg_port", "-json_port", "-chart", "-hier", "-i"):
        parser.add_argument(ignored, help=argparse.SUPPRESS)
    return parser


def _parse_gpus(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _usage(message: str) -> UsageError:
    return UsageError(
        message,
        code="usage",
        hint=f"{_PROGRAM} detector train DATA CFG [WEIGHTS] [-map]",
    )
