"""`detector test`: what is in single images, as text, JSON, labels and a picture.

AlexeyAB `src/detector.c`, `test_detector`, and `src/image.c`, `draw_detections_v3`.
"""

import colorsys
import contextlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image, ImageDraw

from darknet_kit.core.files import replacing, write_text
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.torch.data.picture import decode
from darknet_kit.engine.torch.detection.detections import Detections, pixel_edges
from darknet_kit.engine.torch.detection.meanap import format_layers
from darknet_kit.engine.torch.detection.observation import Look, Observation, observe, require_names
from darknet_kit.engine.torch.network import Network
from darknet_kit.formats.datafile import DataFile, read_names
from darknet_kit.formats.yolo import label_path

_NMS_THRESH = 0.45
_JSON_THRESH = 0.005
_HIDDEN = "dont_show"
_PICTURE = "predictions.jpg"
_GOLDEN = 0.618034  # steps around the colour circle that never come near each other


@dataclass(frozen=True, slots=True)
class TestOptions:
    """What `detector test` is told.

    Without `images` their paths are read from stdin. `out` is a file for JSON; `save_labels`
    writes what is found as the image's label file, over one that is there; `draw` leaves
    `predictions.jpg` in the current folder.
    """

    __test__ = False  # nothing for pytest

    images: tuple[str, ...] = ()
    thresh: float = 0.25
    letter_box: bool = False
    ext_output: bool = False
    out: str | None = None
    save_labels: bool = False
    draw: bool = True


def run_test(network: Network, data: DataFile, options: TestOptions) -> int:
    """Look at images one by one; return 1 where one could not be read, else 0.

    Raises DatasetError where the names are fewer than the classes, and WriteError.
    """
    names = read_names(data.names)
    require_names(network, names, data.names)
    look = Look(options.thresh, _NMS_THRESH, options.letter_box, batch=1)
    unread = 0
    with _open_json(options.out) as stream:
        written = 0
        for path in options.images or _ask_paths():
            seen = next(observe(network, [path], look), None)
            if seen is None:
                unread += 1
                continue
            sys.stdout.write(format_layers(network.heads))
            sys.stdout.write(f"{path}: Predicted in {seen.seconds * 1000:f} milli-seconds.\n")
            sys.stdout.write(format_found(seen, names, options.thresh, options.ext_output))
            sys.stdout.flush()
            if stream is not None:
                written += 1
                separator = ", \n" if written > 1 else ""
                stream.write(separator + format_json(seen, names, written))
            _leave_files(seen, names, options)
    return 1 if unread else 0


def _ask_paths() -> Iterator[str]:
    while True:
        sys.stdout.write("Enter Image Path: ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        if path := line.rstrip("\r\n"):
            yield path


@contextlib.contextmanager
def _open_json(path: str | None) -> Iterator[IO[Any] | None]:
    if path is None:
        yield None
        return
    with replacing(path) as stream:
        stream.write("[\n")
        yield stream
        stream.write("\n]")


def _leave_files(seen: Observation, names: Sequence[str], options: TestOptions) -> None:
    if options.draw:
        _draw(seen, names, options.thresh)
    label = label_path(seen.path, Flavor.ALEXEYAB) if options.save_labels else None
    if label is not None:
        write_text(label, format_found_labels(seen.detections))


def format_found(
    seen: Observation, names: Sequence[str], thresh: float, ext_output: bool = False
) -> str:
    """Return a line for each class of each box, the boxes from left to right.

    A box comes with its best class first. `ext_output` adds corner and size in pixels.
    """
    boxes, scores = seen.detections.boxes, seen.detections.scores
    lines = []
    for row, best in sorted(
        _iter_shown(seen.detections, names, thresh),
        key=lambda one: boxes[one[0], 0] - boxes[one[0], 2] / 2,
    ):
        above = np.flatnonzero(scores[row] > thresh).tolist()
        place = _format_place(boxes[row], seen.size) if ext_output else ""
        for class_id in (best, *(other for other in above if other != best)):
            percent = scores[row, class_id] * np.float32(100)
            lines.append(f"{names[class_id]}: {percent:.0f}%{place}\n")
    return "".join(lines)


def _iter_shown(
    found: Detections, names: Sequence[str], thresh: float
) -> Iterator[tuple[int, int]]:
    """Yield row and best class of each box that has one whose name may be shown."""
    shown = [not name.startswith(_HIDDEN) for name in names[: found.scores.shape[1]]]
    scores = np.where(shown, found.scores, np.float32(0))
    for row, best in enumerate(scores.argmax(1)):
        if scores[row, best] > thresh:
            yield row, int(best)


def _format_place(box: np.ndarray, size: tuple[int, int]) -> str:
    width, height = np.float32(size[0]), np.float32(size[1])
    left, top = (box[0] - box[2] / 2) * width, (box[1] - box[3] / 2) * height
    numbers = (left, top, box[2] * width, box[3] * height)
    words = ("left_x", "top_y", "width", "height")
    pairs = zip(words, map(_round_as_c, numbers), strict=True)
    return f"\t({'   '.join(f'{word}: {number:4.0f}' for word, number in pairs)})"


def _round_as_c(value: float) -> float:
    """Round halves away from zero; zero keeps its sign, and infinity is itself."""
    if not math.isfinite(value):
        return float(value)
    return math.copysign(math.floor(abs(float(value)) + 0.5), value)


def format_json(seen: Observation, names: Sequence[str], number: int) -> str:
    """Return an image's detections as AlexeyAB's JSON; `number` counts the images from 1.

    AlexeyAB `src/network.c`, `detection_to_json`, which leaves quotes in names as they are.
    """
    objects = []
    for row, class_id in zip(*np.nonzero(seen.detections.scores > _JSON_THRESH), strict=True):
        cx, cy, width, height = box = seen.detections.boxes[row]
        if names[class_id].startswith(_HIDDEN) or not np.isfinite(box).all():
            continue
        objects.append(
            f'  {{"class_id":{class_id}, "name":{_quote(names[class_id])}, '
            f'"relative_coordinates":{{"center_x":{cx:f}, "center_y":{cy:f}, '
            f'"width":{width:f}, "height":{height:f}}}, '
            f'"confidence":{seen.detections.scores[row, class_id]:f}}}'
        )
    listed = ", \n".join(objects)
    return (
        f'{{\n "frame_id":{number}, \n "filename":{_quote(seen.path)}, \n "objects": [ \n'
        f"{listed}\n ] \n}}"
    )


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def format_found_labels(found: Detections) -> str:
    """Return the boxes as lines of a label file, each with its best class."""
    return "".join(
        f"{best} {' '.join(f'{number:2.4f}' for number in box)}\n"
        for best, box in zip(found.scores.argmax(1), found.boxes, strict=True)
    )


def _draw(seen: Observation, names: Sequence[str], thresh: float) -> None:
    """Write `predictions.jpg`: the image with boxes and names, the most confident on top."""
    edges = pixel_edges(seen.detections.boxes, seen.size)
    shown = _iter_shown(seen.detections, names, thresh)
    picture = Image.fromarray(decode(seen.path, 3))
    pen = ImageDraw.Draw(picture)
    width = max(1, round(picture.height * 0.002))
    for row, best in sorted(shown, key=lambda one: float(seen.detections.scores[one])):
        color = _class_color(best)
        left, top, right, bottom = (float(edge) for edge in edges[row])
        if not left < right or not top < bottom:
            continue  # a box beside the image, or one that is infinite
        caption = f"{names[best]}: {seen.detections.scores[row, best]:.2f}"
        pen.rectangle((left, top, right - 1, bottom - 1), outline=color, width=width)
        pen.rectangle(pen.textbbox((left + width, top + width), caption), fill=color)
        pen.text((left + width, top + width), caption, fill="black")
    with replacing(_PICTURE, binary=True) as stream:
        picture.save(stream, "JPEG", quality=90)


def _class_color(class_id: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN % 1, 0.7, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)
