"""Image files by their header: size and orientation, without decoding a pixel.

Pillow is imported where an image is opened: most conversions open none.
"""

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darknet_kit.core.contents import open_ordinary
from darknet_kit.errors import AnyPath, DatasetError

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".gif")
)
"""In lower case. What counts as an image in a data set; engines read fewer."""

_MOST_PIXELS = 1 << 28  # to be decoded; the embedded engine's OpenCV takes no more either
_SMALL = 64  # pixels, of which something can be seen
_ORIENTATION = 0x0112  # EXIF tag
# What Pillow's plugins raise for damaged files, beside OSError.
_DAMAGED = (
    *(ValueError, SyntaxError, OverflowError, LookupError, EOFError),
    *(struct.error, zlib.error),
)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Width and height in pixels as stored; `orientation` is EXIF's, 1 when upright.

    `format` and `mode` are Pillow's names, such as JPEG and RGB.
    """

    width: int
    height: int
    orientation: int = 1
    format: str = ""
    mode: str = ""


def is_image(name: str) -> bool:
    """Tell by its suffix whether a file is an image."""
    return name[max(name.rfind("."), 0) :].lower() in IMAGE_SUFFIXES


@contextlib.contextmanager
def open_image(path: AnyPath) -> Iterator["Image.Image"]:
    """Open an image of any size with Pillow, no pixel decoded as yet; odd tags are no matter.

    Raises what Pillow's plugins do for damaged files, and that is nearly anything.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # it guards headers too; `require_decodable` is for pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open(open_ordinary(path), "rb") as stream, Image.open(stream) as image:
            yield image


def require_decodable(image: "Image.Image") -> None:
    """Raises OSError where the pixels, after a `draft` those that are left, are far too many."""
    if image.width * image.height > _MOST_PIXELS:
        raise OSError(f"{image.width} x {image.height} pixels are too many to be decoded here")


def read_image_header(path: AnyPath) -> ImageHeader:
    """Read the size of an image. Raises DatasetError (`unreadable-image`)."""
    from PIL import UnidentifiedImageError

    try:
        with open_image(path) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            known = isinstance(orientation, int) and 1 <= orientation <= 8
            return ImageHeader(
                image.width,
                image.height,
                orientation if known else 1,
                image.format or "",
                image.mode,
            )
    except UnidentifiedImageError:
        reason = "this is no image that can be read"
    except OSError as error:
        reason = error.strerror or str(error)
    except _DAMAGED as error:
        reason = str(error)
    raise DatasetError(
        f"cannot read the image's header: {reason}",
        code="unreadable-image",
        hint="Open it in a viewer; replace or delete it.",
        path=path,
    )


def decode_small(path: AnyPath) -> "Image.Image":
    """Decode all pixels, to see whether they are there; return the image, grey and small if a JPEG.

    Raises DatasetError (`broken-image`).
    """
    try:
        with open_image(path) as image:
            # An eighth of the size: all of a JPEG is still read, most arithmetic is spared.
            image.draft("L", (max(_SMALL, image.width // 8), max(_SMALL, image.height // 8)))
            require_decodable(image)
            image.load()
            return image
    except (OSError, *_DAMAGED) as error:
        raise DatasetError(
            f"the pixels cannot be decoded: {error}",
            code="broken-image",
            hint="Fetch the file again, or delete it.",
            path=path,
        ) from error
