"""Cutting, scaling, flipping and turning an image together with its boxes.

AlexeyAB `src/data.c`, `load_data_detection` and `correct_boxes`, in its build with OpenCV: what
lies outside the image gets the image's mean colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import Pixels, with_channels
from darknet_kit.engine.torch.data.truth import Edges

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Crop:
    """What is cut off each side in pixels of the image (below 0: added), then turned or not.

    `flip` and `vertical_flip` mirror the result; `rotate` and `shear` are in degrees.
    """

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    flip: bool = False
    vertical_flip: bool = False
    rotate: float = 0.0
    shear: float = 0.0


def draw_crop(
    shape: tuple[int, ...], size: tuple[int, int], options: LoaderOptions, rng: np.random.Generator
) -> Crop:
    """Draw for an image of `shape` (height, width, ...) and an input of `size` (width, height).

    Each side moves by up to `jitter` on its own; of `resize` left and top get one random share,
    right and bottom another.
    """
    height, width = shape[:2]
    shares = rng.random(4)
    first, second = rng.random(2)
    wide, high = int(width * options.jitter), int(height * options.jitter)
    crop = Crop(
        left=int(_between(-wide, wide, shares[0]) + _resize_share(width, options.resize, first)),
        right=int(_between(-wide, wide, shares[1]) + _resize_share(width, options.resize, second)),
        top=int(_between(-high, high, shares[2]) + _resize_share(height, options.resize, first)),
        bottom=int(
            _between(-high, high, shares[3]) + _resize_share(height, options.resize, second)
        ),
        flip=bool(options.flip and rng.integers(2)),
        vertical_flip=bool(options.vertical_flip and rng.integers(2)),
        rotate=rng.uniform(-1.0, 1.0) * options.rotate if options.rotate else 0.0,
        shear=rng.uniform(-1.0, 1.0) * options.shear if options.shear else 0.0,
    )
    return _letterbox(crop, width, height, size) if options.letter_box else crop


def settle_crop(crop: Crop, width: int, height: int) -> Crop:
    """Return the crop, or one that takes the whole image where nothing of it would be seen."""
    seen_across = min(width, width - crop.right) - max(0, crop.left)
    seen_down = min(height, height - crop.bottom) - max(0, crop.top)
    if seen_across > 0 and seen_down > 0:
        return crop
    return replace(crop, left=0, right=0, top=0, bottom=0)


def cut(image: Pixels, edges: Edges, crop: Crop, size: tuple[int, int]) -> tuple[Pixels, Edges]:
    """Cut an image out, bring it to `size` (width, height), and its boxes with it.

    Boxes come back clipped to the result; those that are not in it have no area.
    """
    height, width, channels = image.shape
    taken = image[
        max(0, crop.top) : height - max(0, crop.bottom),
        max(0, crop.left) : width - max(0, crop.right),
    ]
    if min(crop.top, crop.bottom, crop.left, crop.right) < 0:
        taken = _surround(taken, crop, cv2.mean(image)[:channels])
    sized = with_channels(cv2.resize(taken, size, interpolation=cv2.INTER_LINEAR), channels)
    moved = _move(edges, crop, width, height)
    if crop.flip or crop.vertical_flip:
        sized, moved = mirror(sized, moved, across=crop.flip, down=crop.vertical_flip)
    if crop.rotate or crop.shear:
        sized, moved = turn(sized, moved, crop.rotate, crop.shear)
    moved[:, :4] = moved[:, :4].clip(0, 1)
    return sized, moved


def mirror(image: Pixels, edges: Edges, *, across: bool, down: bool) -> tuple[Pixels, Edges]:
    """Swap left and right, top and bottom, or both."""
    moved = edges.copy()
    if across:
        moved[:, [0, 2]] = 1 - edges[:, [2, 0]]
    if down:
        moved[:, [1, 3]] = 1 - edges[:, [3, 1]]
    code = -1 if across and down else int(across)
    return with_channels(cv2.flip(image, code), image.shape[2]), moved


def turn(image: Pixels, edges: Edges, rotate: float, shear: float) -> tuple[Pixels, Edges]:
    """Rotate about the centre (degrees, clockwise as seen), shear sideways, and fill with the mean.

    A box becomes the smallest upright one around its turned corners, not yet clipped.
    """
    height, width, channels = image.shape
    matrix = _turning(rotate, shear, width, height)
    # OpenCV counts from the middle of the first pixel, boxes count from its edge.
    for_opencv = matrix.copy()
    for_opencv[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    turned = cv2.warpAffine(
        image,
        for_opencv,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=cv2.mean(image)[:channels],
    )
    scale = np.array((width, height))
    corners = edges[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) * scale
    placed = (corners @ matrix[:, :2].T + matrix[:, 2]) / scale
    moved = edges.copy()
    moved[:, :2], moved[:, 2:4] = placed.min(axis=1), placed.max(axis=1)
    return with_channels(turned, channels), moved


def _turning(rotate: float, shear: float, width: int, height: int) -> Matrix:
    angle = math.radians(rotate)
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array(((cos, -sin), (sin, cos))) @ ((1.0, math.tan(math.radians(shear))), (0, 1))
    centre = np.array((width, height)) / 2
    return np.column_stack((linear, centre - linear @ centre))


def _surround(image: Pixels, crop: Crop, colour: Sequence[float]) -> Pixels:
    top, bottom = max(0, -crop.top), max(0, -crop.bottom)
    left, right = max(0, -crop.left), max(0, -crop.right)
    surrounded = cv2.copyMakeBorder(
        image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour
    )
    return with_channels(surrounded, image.shape[2])


def _move(edges: Edges, crop: Crop, width: int, height: int) -> Edges:
    moved = edges.copy()
    across, down = width - crop.left - crop.right, height - crop.top - crop.bottom
    moved[:, [0, 2]] = (edges[:, [0, 2]] * width - crop.left) / across
    moved[:, [1, 3]] = (edges[:, [1, 3]] * height - crop.top) / down
    return moved


def _letterbox(crop: Crop, width: int, height: int, size: tuple[int, int]) -> Crop:
    """Add to the sides, or to top and bottom, what the aspect ratio of the input has more."""
    aspect = size[0] / size[1]
    if width / height > aspect:
        extra = (width / aspect - height) / 2
        return replace(crop, top=int(crop.top - extra), bottom=int(crop.bottom - extra))
    extra = (height * aspect - width) / 2
    return replace(crop, left=int(crop.left - extra), right=int(crop.right - extra))


def _resize_share(length: int, resize: float, share: float) -> float:
    """Return what `resize` takes off a side: below 1 it only makes the image smaller."""
    smaller = min(resize, 1 / resize)
    least = int(length * (1 - 1 / smaller) / 2)
    most = 0 if resize < 1 else int(length * (1 - smaller) / 2)
    return _between(least, most, share)


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)
