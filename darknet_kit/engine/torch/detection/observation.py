"""What a network sees in image files, one after the other: load, predict, collect, suppress."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.inputs import InputFormat, Inputs, iter_inputs
from darknet_kit.engine.torch.detection.detections import Detections, Size, collect_detections
from darknet_kit.engine.torch.detection.suppression import read_suppression, suppress
from darknet_kit.engine.torch.network import Network
from darknet_kit.errors import AnyPath, CfgError, DatasetError

_GPU_BATCH = 16


@dataclass(frozen=True, slots=True)
class Look:
    """How images are looked at.

    A detection's score is above `thresh`; a better box suppresses others whose overlap with it is
    above `nms_thresh`. `letter_box` keeps the aspect ratio, which the cfg may ask for as well.
    With `in_pixels` suppression measures the distance of centres in pixels, else in fractions of
    the image. `batch` is how many images are computed at once: None for what suits the device.
    """

    thresh: float
    nms_thresh: float
    letter_box: bool = False
    in_pixels: bool = False
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One image: its path, its size (width, height) in pixels, and what is seen in it.

    `seconds` is this image's share of the time that the network took for its batch.
    """

    path: str
    size: Size
    detections: Detections
    seconds: float


def count_classes(network: Network) -> int:
    """Return how many classes the heads tell apart. Raises CfgError where they do not agree."""
    counts = [head.classes for head in network.heads]
    if not counts or len(set(counts)) > 1:
        raise CfgError(
            f"the heads have classes={', '.join(map(str, counts))}, which cannot be compared"
            if counts
            else "this network has no head that detects",
            code="heads-differ" if counts else "no-head",
            hint="Each head needs the same classes=." if counts else "It needs a [yolo] section.",
            path=network.cfg.path,
        )
    return counts[0]


def require_names(
    network: Network, names: Sequence[str], path: AnyPath | None = None, *, exact: bool = False
) -> None:
    """Raise DatasetError where the names of `path` are too few, or with `exact` too many."""
    classes = count_classes(network)
    if len(names) < classes or (exact and len(names) > classes):
        raise DatasetError(
            f"{len(names)} names for {classes} classes of the network",
            code="names-do-not-fit",
            hint="The .names file has one name for each of classes= in the cfg's heads.",
            path=path,
        )


def observe(network: Network, paths: Sequence[str], look: Look) -> Iterator[Observation]:
    """Yield what the network sees, in the order of `paths`.

    The network is set to inference and runs on the device where its weights are. An image that
    cannot be read is named on stderr and left out.
    """
    network.eval()
    device = next((weights.device for weights in network.parameters()), torch.device("cpu"))
    batch = look.batch or (1 if device.type == "cpu" else _GPU_BATCH)
    letter_box = look.letter_box or bool(network.cfg.net.integer("letter_box"))
    form = InputFormat(network.size, network.plan[0].input.channels, letter_box)
    for inputs in iter_inputs(paths, form, batch=batch, note=_name_problem):
        yield from _observe_batch(network, inputs, look, device, letter_box=letter_box)


def _observe_batch(
    network: Network, inputs: Inputs, look: Look, device: torch.device, *, letter_box: bool
) -> Iterator[Observation]:
    started = time.perf_counter()
    heads = network.predict(inputs.images.to(device))
    frames = [(size, network.size) for size in inputs.sizes] if letter_box else None
    found = collect_detections(heads, look.thresh, frames)
    seconds = (time.perf_counter() - started) / len(found)
    rule = read_suppression(network.cfg)
    for path, size, one in zip(inputs.paths, inputs.sizes, found, strict=True):
        left = suppress(one, look.nms_thresh, rule, size if look.in_pixels else (1, 1))
        yield Observation(path, size, left, seconds)


def _name_problem(problem: Problem) -> None:
    sys.stderr.write(f"{problem.path}: {problem.message}; this image is left out\n")
