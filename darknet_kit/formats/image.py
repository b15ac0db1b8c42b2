"""Image files by their header: size and orientation, without decoding a pixel.

Pillow is imported where an image is opened: most conversions open none.
"""

import struct
import warnings
import zlib
from dataclasses import dataclass

from darknet_kit.errors import AnyPath, DatasetError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".gif")
)
"""In lower case. What counts as an image in a data set; engines read fewer."""

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


def read_image_header(path: AnyPath) -> ImageHeader:
    """Read the size of an image. Raises DatasetError (`unreadable-image`)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Size is asked, not pixels: Pillow's warnings on huge pictures do not apply.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
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
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        reason = str(error)
    raise DatasetError(
        f"cannot read the image's header: {reason}",
        code="unreadable-image",
        hint="Open it in a viewer; replace or delete it.",
        path=path,
    )


def decode_image(path: AnyPath) -> None:
    """Decode all pixels, to see whether they are there. Raises DatasetError (`broken-image`)."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                # An eighth of the size: all of a JPEG is still read, most arithmetic is spared.
                image.draft("L", (image.width // 8, image.height // 8))
                image.load()
    except (OSError, *_DAMAGED, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"the pixels cannot be decoded: {error}",
            code="broken-image",
            hint="Fetch the file again, or delete it.",
            path=path,
        ) from error
