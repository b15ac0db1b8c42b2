"""Colour, blur and noise: what changes pixels and leaves boxes alone.

AlexeyAB `src/image_opencv.cpp`, `image_data_augmentation`: all on uint8, every value saturated.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.picture import Pixels, with_channels
from darknet_kit.engine.torch.data.truth import Edges

_BACKGROUND_KERNEL = 17
_HUES = 179  # OpenCV's largest hue of an 8-bit image


@dataclass(frozen=True, slots=True)
class Tint:
    """What is drawn for one image.

    `hue` is a fraction of the colour circle, `saturation` and `exposure` are factors. `blur` is 0
    (none), 1 (all but the objects) or a kernel in pixels; `noise` a deviation in levels of 255.
    """

    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    blur: int = 0
    noise: int = 0


def draw_tint(options: LoaderOptions, rng: np.random.Generator) -> Tint:
    """Draw as `load_data_detection` does: a third no blur, a third background, a third all."""
    hue = rng.uniform(-1.0, 1.0) * options.hue
    saturation = _draw_factor(options.saturation, rng)
    exposure = _draw_factor(options.exposure, rng)
    blur = (0, 1, options.blur)[rng.integers(3)] if options.blur else 0
    noisy = options.gaussian_noise and rng.integers(2)
    return Tint(hue, saturation, exposure, blur, options.gaussian_noise if noisy else 0)


def paint(image: Pixels, edges: Edges, tint: Tint, rng: np.random.Generator) -> Pixels:
    """Apply what was drawn to an image of the network's size."""
    image = shift_colour(image, tint)
    if tint.blur:
        image = blur(image, edges, tint.blur)
    return add_noise(image, tint.noise, rng) if tint.noise else image


def shift_colour(image: Pixels, tint: Tint) -> Pixels:
    """Shift the hue and scale saturation and value; a gray image has its value alone.

    A hue below 0 becomes 0 (red) instead of coming round, as upstream.
    """
    if (tint.hue, tint.saturation, tint.exposure) == (0.0, 1.0, 1.0):
        return image
    if image.shape[2] == 1:
        return with_channels(_scale(image, tint.exposure), 1)
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    shifted = (
        cv2.add(hue, _HUES * tint.hue),  # type: ignore[call-overload]  # a number is allowed
        _scale(saturation, tint.saturation),
        _scale(value, tint.exposure),
    )
    return with_channels(cv2.cvtColor(cv2.merge(shifted), cv2.COLOR_HSV2RGB), 3)


def blur(image: Pixels, edges: Edges, kernel: int) -> Pixels:
    """Blur all but the objects (`kernel` 1), or the whole image.

    In the second case the kernel is an eighth of the smallest object at most, and an image that
    shows nothing stays sharp, as upstream.
    """
    height, width, channels = image.shape
    pixels = edges[:, :4] * np.array((width, height, width, height), np.float32)
    if kernel > 1:
        smallest = int((pixels[:, 2:] - pixels[:, :2]).min()) if len(pixels) else 0
        kernel = min(kernel, smallest // 8)
        if kernel == 1:  # upstream blurs the background with what is left of the kernel
            return blur(image, edges, 1)
        size = kernel // 2 * 2 + 1
        return with_channels(cv2.GaussianBlur(image, (size, size), 0), channels)
    size = _BACKGROUND_KERNEL
    blurred = with_channels(cv2.GaussianBlur(image, (size, size), 0), channels)
    for left, top, right, bottom in pixels.astype(int):
        blurred[top:bottom, left:right] = image[top:bottom, left:right]
    return blurred


def add_noise(image: Pixels, deviation: int, rng: np.random.Generator) -> Pixels:
    """Add Gaussian noise; only its brighter half, since upstream draws it into unsigned bytes."""
    scale = min(max(deviation, 0), 127)
    noise = rng.standard_normal(image.shape, np.float32) * scale
    brighter = np.rint(noise).clip(0, 255).astype(np.uint8)
    return with_channels(cv2.add(image, brighter), image.shape[2])


def _draw_factor(most: float, rng: np.random.Generator) -> float:
    factor = 1.0 + rng.random() * (most - 1.0)
    return float(factor if rng.integers(2) else 1.0 / factor)


def _scale(levels: NDArray[Any], factor: float) -> Pixels:
    return cv2.convertScaleAbs(levels, alpha=factor).view(np.uint8)
