"""Darknet's command line: `detector train|valid|map|test DATA CFG [WEIGHTS] [IMAGES] [-options]`.

Options are AlexeyAB's (`src/detector.c`, `run_detector`), one dash and all; those that only make
sense with a window or a camera are taken and do nothing. What this engine adds is marked in the
help. An unknown option is an error here: upstream takes it for the name of the weights.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NoReturn

from darknet_kit.errors import UsageError

PRECISIONS = ("fp32", "tf32", "bf16")
PLACES = ("host", "device")
_PROGRAM = "python -m darknet_kit.engine.torch"
_FILES = {
    "train": "DATA CFG [WEIGHTS]",
    "valid": "DATA CFG WEIGHTS",
    "map": "DATA CFG WEIGHTS",
    "test": "DATA CFG WEIGHTS [IMAGES...]",
}


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
    coco: bool = False
    seed: int | None = None
    workers: int | None = None
    cache: int = 2048
    augment: str | None = None
    precision: str | None = None
    compile: str | None = None
    device: str | None = None
    ignore_subdivisions: bool = False


def parse_command_line(words: Sequence[str]) -> CommandLine:
    """Read the words after the program's name.

    Files that a function would not read are an error too. Raises UsageError (`usage`,
    `no-such-function`), and SystemExit where help is asked for.
    """
    function = words[1] if len(words) > 1 else ""
    if {"-h", "--help"} & set(words[:2]):
        _make_parser(*_FILES).print_help()
        raise SystemExit(0)
    if len(words) < 2 or words[0] != "detector":
        raise UsageError(
            "the first two words are `detector` and what it shall do",
            code="usage",
            hint=f"{_PROGRAM} detector {'|'.join(_FILES)} ...; --help lists options.",
        )
    if function not in _FILES:
        raise UsageError(
            f"the embedded engine has no `detector {function}`",
            code="no-such-function",
            hint=f"It has {', '.join(_FILES)}.",
        )
    parser = _make_parser(function)
    given = vars(parser.parse_intermixed_args(words[2:]))
    files = given.get("files", [])
    _check_files(parser, files, _FILES[function])
    options = {
        field.name: given[field.name] for field in fields(CommandLine) if field.name in given
    }
    options |= zip(("data", "cfg", "weights"), files, strict=False)
    return CommandLine(function=function, images=tuple(files[3:]), **options)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, code="usage", hint=self.usage or "")


def _check_files(parser: _Parser, files: Sequence[str], wanted: str) -> None:
    names = wanted.split()
    for name in names[len(files) :]:
        if not name.startswith("["):
            parser.error(f"{name} is missing")
    if len(files) > len(names) and not wanted.endswith("...]"):
        parser.error(f"{files[len(names)]!r} is one file too many")


def _make_parser(*functions: str) -> _Parser:
    """Return a parser that leaves out what is not given: `CommandLine` has the defaults."""
    parser = _Parser(
        usage="\n  ".join(f"{_PROGRAM} detector {name} {_FILES[name]}" for name in functions),
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("files", nargs="*", help=argparse.SUPPRESS)
    for flag, what in (*_FLAGS, *((flag, argparse.SUPPRESS) for flag in _IGNORED_FLAGS)):
        parser.add_argument(flag, action="store_true", help=what)
    for flag, (kind, what) in _VALUES.items():
        parser.add_argument(flag, dest=flag[1:].lower(), type=kind, metavar="X", help=what)
    for flag in _IGNORED_VALUES:
        parser.add_argument(flag, help=argparse.SUPPRESS)
    parser.add_argument("-precision", choices=PRECISIONS, help="own: of the network's body (fp32)")
    parser.add_argument(
        "-augment",
        choices=PLACES,
        help="own: where colours are shifted: by the loader or on the -device (there on a GPU)",
    )
    return parser


def _read_gpus(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        what = f"{text!r} are no numbers of GPUs; write them with commas, such as 0,1"
        raise argparse.ArgumentTypeError(what) from None


def _read_fraction(text: str) -> float:
    return _within(float(text), 1.0)


def _read_count(text: str) -> int:
    return int(_within(int(text), 1 << 31))


def _read_seed(text: str) -> int:
    _within(abs(int(text)), 1 << 62)  # more PyTorch does not take
    return int(text)


def _within(value: float, limit: float) -> float:
    if not 0 <= value <= limit:
        raise argparse.ArgumentTypeError(f"{value} does not lie from 0 to {limit:g}")
    return value


_FLAGS = (
    ("-map", "compute mAP on valid= while training"),
    ("-clear", "start the iteration count of WEIGHTS anew"),
    ("-letter_box", "keep the aspect ratio of images"),
    ("-ext_output", "print the coordinates of what was found"),
    ("-save_labels", "write what was found as labels beside the image"),
    ("-coco", "own: print COCO's mAP as well"),
    ("-ignore_subdivisions", "own: one mini-batch an iteration, where memory allows"),
    ("-dont_show", "open no window (none is ever opened)"),
)
_VALUES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "-thresh": (_read_fraction, "least confidence (0.25)"),
    "-iou_thresh": (_read_fraction, "least IoU of a hit (0.5)"),
    "-points": (int, "recall points of AP: 0 (area under the curve), 11 or 101"),
    "-mAP_epochs": (_read_count, "how often each image is seen between two mAPs (4)"),
    "-gpus": (_read_gpus, "CUDA's numbers, with commas"),
    "-out": (str, "file for the detections as JSON"),
    "-seed": (_read_seed, "own: make a training repeatable"),
    "-workers": (_read_count, "own: processes that load images"),
    "-cache": (_read_count, "own: MiB of decoded images to keep (2048)"),
    "-device": (str, "own: cpu, cuda, cuda:1"),
    "-compile": (str, "own: a mode of torch.compile"),
}
# What is only for windows and cameras.
_IGNORED_FLAGS = ("-show", "-show_imgs", "-benchmark_layers", "-dontdraw_bbox")
_IGNORED_VALUES = ("-mjpeg_port", "-json_port", "-chart", "-hier", "-i")
