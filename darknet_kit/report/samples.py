"""Validation images with the truth and what the network says, in two colours."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from darknet_kit.core.boxes import Box
from darknet_kit.evaluate.detect import Detection
from darknet_kit.evaluate.matching import Truth, match_all
from darknet_kit.report.drawing import letter_size, open_picture

_MOST_PX = 640
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class SampleBox:
    """A box in px of the sample's picture; `kind` is truth or found."""

    kind: str
    left: float
    top: float
    width: float
    height: float
    caption: str


@dataclass(frozen=True, slots=True)
class Sample:
    """An image as a page shows it: `source` is its JPEG as a data URL, `letters` the height of
    words in px of the picture."""

    name: str
    source: str
    width: int
    height: int
    letters: int
    boxes: tuple[SampleBox, ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A validation image, what is on it, and what was found; boxes in pixels of the image."""

    image: str
    truths: Sequence[Truth]
    detections: Sequence[Detection]


def draw_samples(examined: Iterable[Examined], names: Sequence[str]) -> Iterator[Sample]:
    """Yield the samples that can be decoded; `names` are those of the classes."""
    for one in examined:
        try:
            full = open_picture(one.image)
        except OSError:
            continue
        picture = full.copy()
        picture.thumbnail((_MOST_PX, _MOST_PX))
        scale = picture.width / full.width
        stream = io.BytesIO()
        picture.save(stream, format="JPEG", quality=_QUALITY)
        source = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
        yield Sample(
            one.image.rpartition("/")[2],
            source,
            picture.width,
            picture.height,
            letter_size(picture.size),
            tuple(_place_boxes(one, names, scale)),
            _caption(one),
        )


def _place_boxes(one: Examined, names: Sequence[str], scale: float) -> Iterator[SampleBox]:
    for class_id, box in one.truths:
        yield _scaled("truth", box, scale, _name(names, class_id))
    for found in one.detections:
        caption = f"{_name(names, found.class_id)} {found.confidence:.0%}"
        yield _scaled("found", found.box, scale, caption)


def _scaled(kind: str, box: Box, scale: float, caption: str) -> SampleBox:
    small = box.scaled(scale)
    return SampleBox(kind, small.left, small.top, small.width, small.height, caption)


def _name(names: Sequence[str], class_id: int) -> str:
    return names[class_id] if 0 <= class_id < len(names) else f"#{class_id}"


def _caption(one: Examined) -> str:
    matches = match_all([(one.detections, one.truths)])
    if not matches.truths and not matches.claimed:
        return "nothing there, nothing found"
    wrong = matches.claimed - matches.found
    return f"{matches.found} of {matches.truths} found" + (f", {wrong} wrong" if wrong else "")
