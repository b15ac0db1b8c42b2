"""Darknet's label files: where each engine looks for them, and what it reads there.

A label is `class_id cx cy w h`, class_id from 0, the rest fractions of the image. Every engine
reads a stream of tokens: line ends mean nothing to it, and one token too many shifts all the rest.
"""

import functools
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.core.flavor import Flavor

_ALEXEYAB, _ORIGINAL = Flavor.ALEXEYAB, Flavor.ORIGINAL  # a million times found in an Enum

# AlexeyAB src/utils.c, replace_image_to_label; the backslash forms for Windows are left out.
_ALEXEYAB_FOLDERS = (
    ("/images/train2017/", "/labels/train2017/"),
    ("/images/val2017/", "/labels/val2017/"),
    ("/JPEGImages/", "/labels/"),
    ("/images/train2014/", "/labels/train2014/"),
    ("/images/val2014/", "/labels/val2014/"),
)
_ALEXEYAB_SUFFIXES = ("jpg", "jpeg", "png", "bmp", "ppm", "tiff")
_ALEXEYAB_SUFFIXES_BOTH = frozenset(
    (*_ALEXEYAB_SUFFIXES, *(suffix.upper() for suffix in _ALEXEYAB_SUFFIXES))
)
# pjreddie src/data.c, fill_truth_detection: each first occurrence, wherever it stands.
_ORIGINAL_WORDS = ("images", "JPEGImages", "raw")
_ORIGINAL_SUFFIXES = (".jpg", ".png", ".JPG", ".JPEG")

# AlexeyAB's src/data.c hands the path of a label that it dislikes to a shell, unquoted; a blank
# is harmless there, a line feed breaks the image list in every engine.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f$`\"'\\;&|<>()*?\ud800-\udfff]")
_UNSAFE_ASCII = bytes(code for code in range(128) if _UNSAFE.match(chr(code)))

_LONGEST = 4000  # bytes; engines keep paths in 4096, some with a few letters more


def label_path(image: str, flavor: Flavor) -> str | None:
    """Return where this engine looks for the label of an image.

    None where it would open the image itself as a label, because it does not know the suffix.
    """
    if flavor is _ALEXEYAB:
        stem, _, suffix = image.rpartition(".")
        if suffix not in _ALEXEYAB_SUFFIXES_BOTH:
            return None
        if "mages/" in stem:  # images/ or JPEGImages/
            folder, slash, name = stem.rpartition("/")
            return f"{_alexeyab_folder(folder + slash)}{name}.txt"
        return f"{stem}.txt"
    if flavor is _ORIGINAL:
        path = image
        for word in _ORIGINAL_WORDS:
            path = path.replace(word, "labels", 1)
        for suffix in _ORIGINAL_SUFFIXES:
            path = path.replace(suffix, ".txt", 1)
        return path if path.endswith(".txt") else None
    return os.path.splitext(image)[0] + ".txt"


@functools.lru_cache(maxsize=1 << 12)
def _alexeyab_folder(folder: str) -> str:
    for old, new in _ALEXEYAB_FOLDERS:
        folder = folder.replace(old, new, 1)
    return folder


def is_beside(image: str, flavor: Flavor) -> bool:
    """Tell whether the engine looks for the label right beside the image, under the same stem."""
    return label_path(image, flavor) == os.path.splitext(image)[0] + ".txt"


def is_safe(path: str) -> bool:
    """Tell whether a path can stand in an image list and survive the engine's shell."""
    if _UNSAFE.search(path):
        return False
    return len(path) < _LONGEST // 4 or len(path.encode()) < _LONGEST


def are_safe(paths: Sequence[str]) -> bool:
    """Tell, with one look, whether all paths are safe; where not, `is_safe` says which are."""
    text = "/".join(paths)
    if not text.isascii() or max(map(len, paths), default=0) >= _LONGEST:
        return all(map(is_safe, paths))
    return len(text.encode().translate(None, _UNSAFE_ASCII)) == len(text)


def defuse(name: str) -> str:
    """Return a file name with what could hurt an engine replaced by underscores."""
    return _UNSAFE.sub("_", name)


@dataclass(frozen=True, slots=True)
class Label:
    """One object: class_id from 0, centre and size as fractions of the image (cxcywh_norm)."""

    class_id: int
    cx: float
    cy: float
    width: float
    height: float


SMALLEST = 1e-6
"""A width or height below this fraction would be written as zero, or as good as zero."""

# Such a format takes two thirds of the time of an f-string.
_LINE = "%d %.6f %.6f %.6f %.6f\n"


def format_label(class_id: int, cx: float, cy: float, width: float, height: float) -> str:
    """Return one label line. Six decimals are a thousandth of a pixel at 1000 pixels."""
    return _LINE % (class_id, cx, cy, width, height)


def parse_labels(text: str) -> list[Label]:
    """Return the labels as the engines read them: up to the first token that is no number."""
    tokens = text.split()
    labels = []
    for start in range(0, len(tokens) - 4, 5):
        try:
            class_id = int(tokens[start])
            cx, cy, width, height = map(float, tokens[start + 1 : start + 5])
        except ValueError:
            break
        if not all(map(math.isfinite, (cx, cy, width, height))):
            break
        labels.append(Label(class_id, cx, cy, width, height))
    return labels


def read_labels(path: str) -> list[Label] | None:
    """Read a label file; None where there is none."""
    text = read_label_text(path)
    return None if text is None else parse_labels(text)


def read_label_text(path: str) -> str | None:
    """Return what stands in a label file; None where there is none."""
    # A pipe would be waited for; it is no label file.
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None
