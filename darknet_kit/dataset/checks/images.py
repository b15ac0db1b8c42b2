"""What is wrong with the entries of an image list: path, image, and where the label is."""

import array
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from darknet_kit.core.findings import Finding, fault
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.checks.labels import LabelRules, check_label_file
from darknet_kit.errors import DatasetError
from darknet_kit.formats.image import ImageHeader, decode_small, read_image_header
from darknet_kit.formats.imagelook import look_of
from darknet_kit.formats.yolo import is_safe, label_path

Entry = tuple[int, str]
"""Line, 1-based, and path of an image in a list."""

# What stb_image and OpenCV both read; seen with builds of each.
_READ_BY_ALL = frozenset(("JPEG", "MPO", "PNG", "BMP", "PPM"))
_PLAIN_MODES = frozenset(("RGB", "L", "P", "1"))
_TINY = 32  # pixels; the stride of the usual networks
_LARGE = 20_000_000  # pixels
# AlexeyAB's src/data.c writes `echo LABEL "Wrong annotation: …"` into 256 bytes.
_LONG = 160
_HEAD_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class ImageRules:
    """How closely entries are looked at.

    `pictures` reads the header of every image, `decode` all its pixels. Without `images`, labels
    alone matter, as in AlexeyAB's list of difficult objects; `links` asks for labels beside what
    an image links to, too.
    """

    labels: LabelRules
    listing: str
    images: bool = True
    pictures: bool = True
    decode: bool = False
    links: bool = False


@dataclass(slots=True)
class Entries:
    """What the entries of a list, or of a piece of it, hold.

    `files` and `contents` run parallel to the entries: equal numbers stand for one file, and for
    files whose size and beginning are equal; 0 where the file is not there or was not asked for.
    So do `looks`, as in `look_of`, 0 where the image was not decoded.
    """

    images: int = 0
    labels: int = 0
    negatives: int = 0
    boxes: int = 0
    files: "array.array[int]" = field(default_factory=lambda: array.array("Q"))
    contents: "array.array[int]" = field(default_factory=lambda: array.array("Q"))
    looks: "array.array[int]" = field(default_factory=lambda: array.array("Q"))
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Entries") -> None:
        """Add counts; findings stay with their piece."""
        self.images += other.images
        self.labels += other.labels
        self.negatives += other.negatives
        self.boxes += other.boxes
        self.files.extend(other.files)
        self.contents.extend(other.contents)
        self.looks.extend(other.looks)


def check_entries(entries: Sequence[Entry], *, rules: ImageRules) -> Entries:
    """Look at entries of a list, their images and their labels."""
    result = Entries()
    for entry in entries:
        result.images += 1
        result.findings += _check_path(entry, rules)
        header = _check_image(entry, rules, result) if rules.images else None
        if not rules.images or result.files[-1]:  # of an image that is not there, that is enough
            _check_label(entry, rules, header, result)
    return result


def _check_path(entry: Entry, rules: ImageRules) -> Iterator[Finding]:
    line, path = entry
    flavor = rules.labels.flavor
    if not is_safe(path):
        message = f"{path} has characters that a shell would act on"
        yield fault("unsafe-path", flavor, rules.listing, message, line)
    if not os.path.isabs(path):
        yield fault("relative-path", flavor, rules.listing, path, line)
    if (length := len(os.fsencode(path))) > _LONG:
        yield fault("long-path", flavor, rules.listing, f"{length} bytes: {path}", line)


def _check_image(entry: Entry, rules: ImageRules, result: Entries) -> ImageHeader | None:
    """Look at the image itself; return its header where that can be read."""
    line, path = entry
    flavor = rules.labels.flavor
    file = content = look = 0
    header = None
    try:
        about = os.stat(path)
        file = _number(b"%d %d" % (about.st_dev, about.st_ino))
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
            message = "this is a folder, a pipe or a device"
            result.findings.append(fault("unreadable-image", flavor, path, message))
        elif rules.pictures:
            content = _number(b"%d " % about.st_size + _beginning(path))
            header = read_image_header(path)
            result.findings += _check_header(path, header, flavor)
            if rules.decode:
                look = look_of(decode_small(path))
    except OSError as error:
        message = f"{os.path.basename(rules.listing)}:{line} lists it: {error.strerror}"
        beside = os.path.join(os.path.dirname(rules.listing), path)
        if not os.path.isabs(path) and os.path.isfile(beside):
            message = f"{message}; there is {os.path.abspath(beside)}"
        code = "unreadable-image" if os.path.exists(path) else "missing-image"
        result.findings.append(fault(code, flavor, path, message))
    except DatasetError as error:
        result.findings.append(fault(error.code, flavor, path, error.message))
        content = content if header else 0  # what is no image is no copy of one
    result.files.append(file)
    result.contents.append(content)
    result.looks.append(look)
    return header


def _number(text: bytes) -> int:
    """Return a number of 64 bits that no other text is likely to have, and that is not 0."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") or 1


def _beginning(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read(_HEAD_BYTES)


def _check_header(path: str, header: ImageHeader, flavor: Flavor) -> Iterator[Finding]:
    size = f"{header.width} x {header.height} pixels"
    if header.format not in _READ_BY_ALL:
        yield fault("image-format", flavor, path, f"this is {header.format}")
    if header.mode not in _PLAIN_MODES:
        yield fault("pixel-format", flavor, path, f"its pixels are {header.mode}")
    if header.orientation != 1:
        yield fault("exif-orientation", flavor, path, f"EXIF orientation {header.orientation}")
    if min(header.width, header.height) < _TINY:
        yield fault("tiny-image", flavor, path, size)
    if header.width * header.height > _LARGE:
        yield fault("large-image", flavor, path, size)


def _check_label(
    entry: Entry, rules: ImageRules, header: ImageHeader | None, result: Entries
) -> None:
    """Look for the label where the chosen engine does, then where the others do."""
    line, path = entry
    flavor = rules.labels.flavor
    expected = label_path(path, flavor)
    if expected is None:
        message = f"{os.path.basename(rules.listing)}:{line} lists it"
        result.findings.append(fault("unsupported-image", flavor, path, message))
        return
    size = (header.width, header.height) if header and header.width and header.height else None
    label = check_label_file(expected, rules.labels, size)
    if label is None:
        result.findings.append(fault("missing-label", flavor, expected, _whereabouts(entry, rules)))
        return
    result.labels += 1
    result.negatives += not label.boxes and not label.findings
    result.boxes += label.boxes
    result.findings += label.findings
    if rules.links:
        result.findings += _check_links(path, flavor)
    for other in Flavor:
        place = label_path(path, other)
        if place != expected and not (place and os.path.isfile(place)):
            looks = f"looks for {place}" if place else "takes the image for its own label"
            message = f"{other} darknet {looks}"
            result.findings.append(fault("label-elsewhere", flavor, expected, message))


def _check_links(path: str, flavor: Flavor) -> Iterator[Finding]:
    target = os.path.realpath(path)
    if target != path and not os.path.exists(label_path(target, flavor) or ""):
        yield fault("labels-behind-links", flavor, path, f"there is no label beside {target}")


def follows_links(flavor: Flavor, split: str) -> bool:
    """Tell whether labels of a list are looked for beside what its images link to.

    hank-ai's mAP makes each path canonical first (src-lib/detector_map.cpp).
    """
    return flavor is Flavor.HANK_AI and split == "valid"


def _whereabouts(entry: Entry, rules: ImageRules) -> str:
    """Say which line is without a label, and where one lies that the engine does not see."""
    line, path = entry
    said = f"{os.path.basename(rules.listing)}:{line} needs it"
    folder, name = os.path.split(os.path.splitext(path)[0] + ".txt")
    up, last = os.path.split(folder)
    places = [label_path(path, other) for other in Flavor]
    places += [os.path.join(folder, name), os.path.join(up, "labels", name)]
    places.append(os.path.join(os.path.dirname(up), "labels", last, name))
    there = next((place for place in places if place and os.path.isfile(place)), None)
    return f"{said}; the engine does not look at {there}" if there else said
