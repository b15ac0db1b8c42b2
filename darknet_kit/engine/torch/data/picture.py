"""Image files as arrays of uint8 [height, width, channels], RGB or gray."""

import os

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# As stored, whatever EXIF says: labels are fractions of the stored image everywhere in dkit.
_AS_STORED = cv2.IMREAD_IGNORE_ORIENTATION
_COLOUR = cv2.IMREAD_COLOR | _AS_STORED
_GRAY = cv2.IMREAD_GRAYSCALE | _AS_STORED


class UnreadableImageError(Exception):
    """An image file that cannot be used; the text says why."""


def prepare_opencv() -> None:
    """Let OpenCV use this thread alone and be silent: who calls it has threads and words."""
    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(path: str, channels: int) -> Pixels:
    """Read an image file, as 3 channels (RGB) or 1 (gray). Raises UnreadableImageError."""
    # A pipe would be waited for; it is no image file.
    if not os.path.isfile(path):
        found = os.path.lexists(path)
        raise UnreadableImageError("this is no file" if found else "no such file")
    try:
        encoded = np.fromfile(path, np.uint8)
        image = cv2.imdecode(encoded, _GRAY if channels == 1 else _COLOUR) if encoded.size else None
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    except cv2.error as error:
        too_large = "MAX_IMAGE" in str(error)
        said = "it has more pixels than 16,384 x 16,384" if too_large else str(error).strip()
        raise UnreadableImageError(said) from error
    if image is None:
        raise UnreadableImageError("this is no image that OpenCV can read")
    if channels == 1:
        return _as_pixels(image.reshape(*image.shape[:2], 1))
    return _as_pixels(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def with_channels(image: NDArray[np.generic], channels: int) -> Pixels:
    """Give back the last dimension, which OpenCV drops from gray images."""
    return _as_pixels(image.reshape(*image.shape[:2], channels))


def _as_pixels(image: NDArray[np.generic]) -> Pixels:
    return image.view(np.uint8)
