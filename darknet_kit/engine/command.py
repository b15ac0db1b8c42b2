"""The command lines of each flavour, and the name of its best weights.

An option that an engine does not have is never passed: AlexeyAB's and the original take it for
the weights file, hank-ai's drops it without a word. Options stand after the files.

Borrowed rules: AlexeyAB `src/detector.c` (`run_detector`, `train_detector`); pjreddie
`examples/detector.c`; hank-ai `src-lib/darknet_cfg_and_state.cpp` (`process_arguments`)
and `src-lib/detector.cpp`.
"""

import os
import re
import shutil
from collections.abc import Sequence

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.errors import AnyPath, UsageError

_PARTIAL = re.compile(r"\.conv\.\d+$")


def can_map(flavor: Flavor) -> bool:
    """Tell whether an engine computes mAP, as a command and while it trains."""
    return flavor is not Flavor.ORIGINAL


def train_command(
    engine: Engine,
    data: AnyPath,
    cfg: AnyPath,
    weights: AnyPath | None = None,
    *,
    map: bool = False,  # noqa: A002 - the option's own name
    gpus: Sequence[int] = (),
    clear: bool = False,
) -> list[str]:
    """Return the command line that trains.

    `map` asks for mAP on the validation set while training, `clear` starts the iteration count
    of `weights` anew. Raises UsageError (`engine-without-map`, `clear-without-weights`,
    `hank-file-name`, `hank-partial-weights`).
    """
    if clear and weights is None:
        raise UsageError(
            "there is no iteration count to clear without weights",
            code="clear-without-weights",
            hint="Name the weights to start from, or leave the clearing out.",
        )
    options = []
    if map:
        _refuse_without_map(engine)
        options += ["-map"]
    if gpus:
        options += ["-gpus", ",".join(str(gpu) for gpu in gpus)]
    if clear:
        options += ["-clear"]
    return _detector(engine, "train", data, cfg, weights, options)


def valid_command(engine: Engine, data: AnyPath, cfg: AnyPath, weights: AnyPath) -> list[str]:
    """Return the command line that writes every detection on `valid=` into the results folder.

    The folder `results` (or `results=` of the data file) must exist: engines crash without it.
    """
    return _detector(engine, "valid", data, cfg, weights, [])


def map_command(
    engine: Engine,
    data: AnyPath,
    cfg: AnyPath,
    weights: AnyPath,
    *,
    thresh: float = 0.25,
    iou_thresh: float = 0.5,
    points: int = 0,
) -> list[str]:
    """Return the command line that computes mAP on `valid=`.

    `points`: 0 is the area under the curve, 11 and 101 are VOC's and COCO's recall points.
    `thresh` only moves the precision and recall line. Raises UsageError (`engine-without-map`).
    """
    _refuse_without_map(engine)
    options = ["-thresh", f"{thresh:g}", "-iou_thresh", f"{iou_thresh:g}", "-points", f"{points}"]
    return _detector(engine, "map", data, cfg, weights, options)


def detect_command(
    engine: Engine,
    data: AnyPath,
    cfg: AnyPath,
    weights: AnyPath,
    image: AnyPath | None = None,
    *,
    thresh: float = 0.25,
    json: AnyPath | None = None,
) -> list[str]:
    """Return the command line that finds objects in one image, or in those named on stdin.

    `json` is a file for the detections, which the original cannot write (UsageError
    `engine-without-json`). Every engine draws `predictions` into the folder it runs in.
    """
    options = ["-thresh", f"{thresh:g}"]
    if engine.flavor is Flavor.ORIGINAL:
        if json is not None:
            raise UsageError(
                "the original darknet writes no JSON",
                code="engine-without-json",
                hint="Use an engine made by `dkit build`.",
            )
        # Debian's opens a window unless the picture is given a name.
        options += ["-out", "predictions"]
    elif json is not None:
        options += ["-out", os.fspath(json)]
    if engine.flavor is Flavor.ALEXEYAB:
        options += ["-ext_output"]
    images = [image] if image is not None else []
    return _detector(engine, "test", data, cfg, weights, options, images)


def stdin_text(engine: Engine) -> str:
    """Return what training must find on its stdin: hank-ai's asks on a CPU whether one is sure."""
    if engine.flavor is Flavor.HANK_AI and engine.features.gpu is not True:
        return "yes\n"
    return ""


def line_buffered(argv: Sequence[str]) -> list[str]:
    """Return a command line whose stdout comes line by line, where the machine has `stdbuf`.

    Into a pipe, C programs write stdout in blocks and stderr at once: the loss lines would come
    late and in the wrong order, and a crash would swallow the last ones.
    """
    stdbuf = shutil.which("stdbuf")
    return [stdbuf, "-oL", *argv] if stdbuf else list(argv)


def best_weights_name(flavor: Flavor, base: str) -> str | None:
    """Return the name of the weights with the best mAP, or None where an engine keeps none."""
    return f"{base}_best.weights" if can_map(flavor) else None


def _detector(
    engine: Engine,
    function: str,
    data: AnyPath,
    cfg: AnyPath,
    weights: AnyPath | None,
    options: Sequence[str],
    images: Sequence[AnyPath] = (),
) -> list[str]:
    files = [os.fspath(data), os.fspath(cfg)]
    if weights is not None:
        files.append(os.fspath(weights))
    if engine.flavor is Flavor.HANK_AI:
        _refuse_hank_names(files)
        options = ["-nocolour", "-dont_show", *options]
    elif engine.flavor is Flavor.ALEXEYAB:
        options = ["-dont_show", *options]
    pictures = [os.fspath(image) for image in images]
    command = [*engine.argv, "detector", function, *files, *pictures, *options]
    return command if engine.embedded else line_buffered(command)


def _refuse_without_map(engine: Engine) -> None:
    if not can_map(engine.flavor):
        raise UsageError(
            "the original darknet cannot compute mAP",
            code="engine-without-map",
            hint="Leave mAP out, or use an engine made by `dkit build`.",
        )


def _refuse_hank_names(files: Sequence[str]) -> None:
    """Refuse files that hank-ai's Darknet would not recognise; it knows them by their ending."""
    for file, ending in zip(files, (".data", ".cfg", ".weights"), strict=False):
        if file.endswith(ending):
            continue
        if ending == ".weights" and _PARTIAL.search(file):
            raise UsageError(
                "hank-ai's Darknet cannot start from the first layers of a network: it would "
                "ignore this file and train from nothing",
                code="hank-partial-weights",
                hint="Start from a complete .weights file, or train with --flavor alexeyab.",
                path=file,
            )
        raise UsageError(
            f"hank-ai's Darknet ignores a file whose name does not end in {ending}",
            code="hank-file-name",
            hint=f"Rename it, or link to it under a name that ends in {ending}.",
            path=file,
        )
