"""A made-up ILSVRC tree: drawn shapes on varied backgrounds, for demos, tests and first steps.

It has the genuine layout and habits: train nested by class, val flat, one class an image, `.JPEG`,
a share of the train images without XML, `<filename>` without a suffix, a synset mapping.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from darknet_kit.core.files import make_folder, replacing, write_text
from darknet_kit.core.progress import Progress, no_progress
from darknet_kit.errors import AnyPath

SHAPES = ("disc", "square", "triangle", "star", "cross")
_WNID_BASE = 90_000_000  # far above WordNet's own offsets
_SMOOTH = 3  # drawn this many times larger, then reduced


@dataclass(frozen=True, slots=True)
class DrawnShape:
    """A shape in an image: its class and its edges in pixels, xyxy, from 0."""

    class_id: int
    left: int
    top: int
    right: int
    bottom: int


def wnid_of(class_id: int) -> str:
    """Return the made-up WordNet id of a shape."""
    return f"n{_WNID_BASE + class_id:08d}"


def draw_ilsvrc(
    root: AnyPath,
    *,
    train: int = 90,
    valid: int = 20,
    unannotated: float = 0.2,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Path:
    """Draw a tree with `train` and `valid` images a class; return the folder ILSVRC in it.

    Images that are there already stay, so that a broken-off tree is completed. Raises WriteError.
    """
    top = Path(root) / "ILSVRC"
    names = ", ".join
    mapping = [f"{wnid_of(i)} {names((name, f'drawn {name}'))}\n" for i, name in enumerate(SHAPES)]
    plan = list(_plan(train, valid, unannotated))
    for number, (folder, stem, class_id, annotated) in enumerate(plan):
        image_path = top / "Data" / "CLS-LOC" / folder / f"{stem}.JPEG"
        xml_path = top / "Annotations" / "CLS-LOC" / folder / f"{stem}.xml"
        if not image_path.exists() or (annotated and not xml_path.exists()):
            picture, shapes = draw_scene(class_id, random.Random(f"{seed}:{stem}"))
            make_folder(xml_path.parent)
            if annotated:
                write_text(xml_path, _annotation(folder, stem, picture.size, shapes))
            make_folder(image_path.parent)
            with replacing(image_path, binary=True) as stream:
                picture.save(stream, format="JPEG", quality=90)
        progress(number + 1, len(plan))
    write_text(Path(root) / "LOC_synset_mapping.txt", "".join(mapping))
    return top


def _plan(train: int, valid: int, unannotated: float) -> Iterator[tuple[str, str, int, bool]]:
    """Yield folder, stem, class_id and whether there is an annotation, for every image."""
    for class_id in range(len(SHAPES)):
        wnid = wnid_of(class_id)
        for index in range(train):
            annotated = index >= round(train * unannotated)
            yield f"train/{wnid}", f"{wnid}_{index + 1}", class_id, annotated
    for number in range(valid * len(SHAPES)):
        yield "val", f"ILSVRC2012_val_{number + 1:08d}", number % len(SHAPES), True


def draw_scene(class_id: int, chance: random.Random) -> tuple[Image.Image, list[DrawnShape]]:
    """Return a picture of one to three shapes of a class that do not overlap, and their edges."""
    width, height = chance.randint(120, 200), chance.randint(120, 200)
    picture, tone = _background(width, height, chance)
    shapes: list[DrawnShape] = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        radius = chance.uniform(0.12, 0.24) * min(width, height)
        for _attempt in range(20):
            x = chance.uniform(radius + 1, width - radius - 1)
            y = chance.uniform(radius + 1, height - radius - 1)
            if all(not _near(shape, x, y, radius) for shape in shapes):
                shapes.append(_draw_shape(picture, class_id, x, y, radius, tone, chance))
                break
    return picture, shapes


def _near(shape: DrawnShape, x: float, y: float, radius: float) -> bool:
    return (
        shape.left - radius - 2 < x < shape.right + radius + 2
        and shape.top - radius - 2 < y < shape.bottom + radius + 2
    )


def _background(width: int, height: int, chance: random.Random) -> tuple[Image.Image, int]:
    """Return a blurred patchwork with a gradient over it, and its brightness from 0 to 255."""
    tone = chance.choice((chance.randint(40, 90), chance.randint(165, 215)))
    coarse = Image.new("RGB", (chance.randint(2, 7), chance.randint(2, 7)))
    pixels = [
        tuple(max(0, min(255, tone + chance.randint(-45, 45))) for _ in range(3))
        for _ in range(coarse.width * coarse.height)
    ]
    coarse.putdata(pixels)
    picture = coarse.resize(
        (width, height), chance.choice((Image.Resampling.BICUBIC, Image.Resampling.NEAREST))
    )
    picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0, 4)))
    grain = Image.new("RGB", (width, height))
    grain.putdata([(v, v, v) for v in (chance.randint(0, 24) for _ in range(width * height))])
    return ImageChops.add(picture, grain, offset=-12), tone


def _draw_shape(
    picture: Image.Image,
    class_id: int,
    x: float,
    y: float,
    radius: float,
    tone: int,
    chance: random.Random,
) -> DrawnShape:
    color = _color(tone, chance)
    mask = Image.new("L", (picture.width * _SMOOTH, picture.height * _SMOOTH))
    points = _outline(class_id, x, y, radius, chance.uniform(-0.35, 0.35))
    ImageDraw.Draw(mask).polygon([(px * _SMOOTH, py * _SMOOTH) for px, py in points], fill=255)
    mask = mask.resize(picture.size, Image.Resampling.BOX)
    picture.paste(color, (0, 0), mask)
    # What is seen of the shape, not what was meant: pixels that are more shape than background.
    left, top, right, bottom = mask.point(lambda value: 255 * (value > 127)).getbbox() or (
        0,
        0,
        1,
        1,
    )
    return DrawnShape(class_id, left, top, right, bottom)


def _color(tone: int, chance: random.Random) -> tuple[int, int, int]:
    """Return a colour that stands out from the background."""
    while True:
        color = (chance.randint(0, 255), chance.randint(0, 255), chance.randint(0, 255))
        if abs(sum(color) / 3 - tone) > 70:
            return color


def _outline(
    class_id: int, x: float, y: float, radius: float, turn: float
) -> list[tuple[float, float]]:
    name = SHAPES[class_id]
    if name == "disc":
        polar = [(step / 48, 1.0) for step in range(48)]
    elif name == "square":
        polar = [((step + 0.5) / 4, 1.0) for step in range(4)]
    elif name == "triangle":
        polar = [(step / 3 - 0.25, 1.0) for step in range(3)]
    elif name == "star":
        polar = [(step / 10 - 0.25, 1.0 if step % 2 == 0 else 0.42) for step in range(10)]
    else:
        corners = [(0.3, 1), (0.3, 0.3), (1, 0.3), (1, -0.3), (0.3, -0.3), (0.3, -1)]
        corners += [(-a, -b) for a, b in corners]
        polar = [(math.atan2(b, a) / math.tau, math.hypot(a, b)) for a, b in corners]
    return [
        (
            x + radius * length * math.cos(math.tau * angle + turn),
            y + radius * length * math.sin(math.tau * angle + turn),
        )
        for angle, length in polar
    ]


def _annotation(folder: str, stem: str, size: tuple[int, int], shapes: list[DrawnShape]) -> str:
    objects = "".join(
        f"""\t<object>
\t\t<name>{wnid_of(shape.class_id)}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>{shape.left}</xmin>
\t\t\t<ymin>{shape.top}</ymin>
\t\t\t<xmax>{shape.right}</xmax>
\t\t\t<ymax>{shape.bottom}</ymax>
\t\t</bndbox>
\t</object>
"""
        for shape in shapes
    )
    return f"""<annotation>
\t<folder>{folder.rpartition("/")[2]}</folder>
\t<filename>{stem}</filename>
\t<source>
\t\t<database>drawn by dkit</database>
\t</source>
\t<size>
\t\t<width>{size[0]}</width>
\t\t<height>{size[1]}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""
