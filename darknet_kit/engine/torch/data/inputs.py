"""Images for detection and mAP: read, brought to the network's size, in mini-batches.

The resizing is the library's own in every build of Darknet: bilinear, from corner to corner, in
floating point (AlexeyAB `src/image.c`, `resize_image` and `letterbox_image`).
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.picture import (
    Pixels,
    UnreadableImageError,
    decode,
    prepare_opencv,
)
from darknet_kit.engine.torch.data.sample import Size

_GRAY = 0.5
_THREADS = min(8, max(2, len(os.sched_getaffinity(0)) // 2))


@dataclass(frozen=True, slots=True)
class InputFormat:
    """What a network takes: width and height in pixels, channels; `letter_box` keeps the aspect."""

    size: Size
    channels: int = 3
    letter_box: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """A mini-batch: paths, sizes (width, height) of the stored images, and the images.

    `images` are [B, channels, height, width] float32, 0 to 1.
    """

    paths: tuple[str, ...]
    sizes: tuple[Size, ...]
    images: Tensor


def iter_inputs(
    paths: Iterable[str],
    target: InputFormat,
    *,
    batch: int = 1,
    threads: int = _THREADS,
    note: Callable[[Problem], object] = lambda problem: None,
) -> Iterator[Inputs]:
    """Yield mini-batches in the order of the paths; the last one may be smaller.

    Images are read ahead by threads. One that cannot be read is left out and handed to `note`.
    """
    readable: list[tuple[str, Size, Tensor]] = []
    for path, found in _read_ahead(paths, target, batch + 2 * threads, threads):
        if isinstance(found, Problem):
            note(found)
            continue
        readable.append((path, *found))
        if len(readable) == batch:
            yield _join(readable)
            readable = []
    if readable:
        yield _join(readable)


def load_input(path: str, target: InputFormat) -> tuple[Size, Tensor]:
    """Return an image's stored size and its pixels [channels, height, width] for the network.

    Raises UnreadableImageError.
    """
    image = decode(path, target.channels)
    fit = letterbox if target.letter_box else resize
    return (image.shape[1], image.shape[0]), fit(to_fractions(image), target.size)


def to_fractions(image: Pixels) -> Tensor:
    """Return pixels [height, width, channels] as [channels, height, width] float32, 0 to 1."""
    # Channels stay last in memory, where interpolation is nearly twice as fast.
    return torch.from_numpy(image).to(torch.float32).div_(255.0).permute(2, 0, 1)


def resize(image: Tensor, size: Size) -> Tensor:
    """Resize [channels, height, width] to `size` (width, height), first pixel to first pixel.

    Of some heights, such as 333 or 437 pixels to 320, the last row comes out black, as it does in
    Darknet: its mAP depends on that.
    """
    if (image.shape[2], image.shape[1]) == size:
        return image
    wanted = (size[1], size[0])
    resized = interpolate(image[None], wanted, mode="bilinear", align_corners=True)[0]
    resized[:, -1] *= _last_row_weight(image.shape[1], size[1])
    return resized


def _last_row_weight(stored: int, wanted: int) -> float:
    """Return how much of the last row Darknet keeps: hardly any where it misses it by rounding.

    It takes the last row from one row alone, weighted with what is left to the next one.
    """
    if wanted == 1:
        return 1.0
    last = np.float32(wanted - 1)
    position = last * (np.float32(stored - 1) / last)
    return float(1 - (position - np.floor(position)))


def letterbox(image: Tensor, size: Size) -> Tensor:
    """Resize to fit into `size` with the aspect ratio kept, in the middle of gray (0.5)."""
    inner = letterbox_size((image.shape[2], image.shape[1]), size)
    across, down = size[0] - inner[0], size[1] - inner[1]
    sides = (across // 2, across - across // 2, down // 2, down - down // 2)
    return pad(resize(image, inner), sides, value=_GRAY)


def letterbox_size(image: Size, net: Size) -> Size:
    """Return width and height in pixels that an image keeps inside the network's input."""
    (width, height), (net_width, net_height) = image, net
    if net_width * height < net_height * width:
        return net_width, max(1, height * net_width // width)
    return max(1, width * net_height // height), net_height


def _read_ahead(
    paths: Iterable[str], target: InputFormat, ahead: int, threads: int
) -> Iterator[tuple[str, tuple[Size, Tensor] | Problem]]:
    prepare_opencv()
    waiting = iter(paths)
    pending: deque[tuple[str, Future[tuple[Size, Tensor] | Problem]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for path in itertools.islice(waiting, ahead - len(pending)):
                    pending.append((path, pool.submit(_load, path, target)))
                if not pending:
                    return
                path, future = pending.popleft()
                yield path, future.result()
        finally:
            for _, future in pending:
                future.cancel()


def _load(path: str, target: InputFormat) -> tuple[Size, Tensor] | Problem:
    try:
        return load_input(path, target)
    except UnreadableImageError as error:
        return Problem("unreadable-image", path, str(error))


def _join(readable: list[tuple[str, Size, Tensor]]) -> Inputs:
    paths, sizes, images = zip(*readable, strict=True)
    return Inputs(paths, sizes, torch.stack(images))
