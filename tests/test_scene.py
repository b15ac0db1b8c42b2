"""One scene in every format: four conversions, the same labels."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .sets import lines, pascal_xml, write_picture

SIZE = (200, 100)
TENCH, COBRA = "n01440764", "n01748264"
# Image: its objects as class and edges in pixels from the top-left corner.
SCENE: dict[str, list[tuple[str, int, int, int, int]]] = {
    "one": [("tench", 0, 0, 200, 100)],
    "two": [("cobra", 20, 10, 60, 50), ("tench", 100, 50, 102, 54)],
    "none": [],
    "three": [("tench", 5, 5, 195, 95), ("cobra", 198, 98, 200, 100), ("tench", 0, 50, 50, 100)],
}
# By hand: (left + right) / 2 / 200, (top + bottom) / 2 / 100, width / 200, height / 100.
LABELS = {
    "one": ["0 0.500000 0.500000 1.000000 1.000000"],
    "two": ["1 0.200000 0.300000 0.200000 0.400000", "0 0.505000 0.520000 0.010000 0.040000"],
    "none": [],
    "three": [
        "0 0.500000 0.500000 0.950000 0.900000",
        "1 0.995000 0.990000 0.010000 0.020000",
        "0 0.125000 0.750000 0.250000 0.500000",
    ],
}
NAMES = ["tench", "cobra"]


def write_as_voc(root: Path) -> None:
    """Pixel numbers from 1, both ends inside."""
    for stem, things in SCENE.items():
        write_picture(root / f"JPEGImages/{stem}.jpg", SIZE)
        shifted = [(name, x1 + 1, y1 + 1, x2, y2) for name, x1, y1, x2, y2 in things]
        write_xml(root / f"Annotations/{stem}.xml", shifted)
    (root / "classes.txt").write_text("\n".join(NAMES))


def write_as_ilsvrc(root: Path) -> None:
    """Edges from 0; objects are called by wnid."""
    wnids = {"tench": TENCH, "cobra": COBRA}
    for stem, things in SCENE.items():
        write_picture(root / f"Data/CLS-LOC/train/{TENCH}/{stem}.JPEG", SIZE)
        named = [(wnids[name], x1, y1, x2, y2) for name, x1, y1, x2, y2 in things]
        write_xml(root / f"Annotations/CLS-LOC/train/{TENCH}/{stem}.xml", named)
    (root / "LOC_synset_mapping.txt").write_text(f"{TENCH} tench, fish\n{COBRA} cobra\n")


def write_as_coco(root: Path) -> None:
    """Corner and size from 0; sparse category ids."""
    for stem in SCENE:
        write_picture(root / f"train2017/{stem}.jpg", SIZE)
    numbers = {stem: 70 + index for index, stem in enumerate(SCENE)}
    document = {
        "images": [
            {"id": number, "file_name": f"{stem}.jpg", "width": SIZE[0], "height": SIZE[1]}
            for stem, number in numbers.items()
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": numbers[stem],
                "category_id": {"tench": 3, "cobra": 90}[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            for stem, things in SCENE.items()
            for name, x1, y1, x2, y2 in things
        ],
        "categories": [{"id": 90, "name": "cobra"}, {"id": 3, "name": "tench"}],
    }
    (root / "annotations").mkdir()
    path = root / "annotations/instances_train2017.json"
    path.write_text(json.dumps(document))


def write_as_coco_in_pascal(root: Path) -> None:
    """Edges from 0 in Pascal XML, as tools export COCO."""
    for stem, things in SCENE.items():
        write_picture(root / f"train/{stem}.jpg", SIZE)
        write_xml(root / f"train/{stem}.xml", things)
    (root / "classes.txt").write_text("\n".join(NAMES))


def write_xml(path: Path, things: list[tuple[str, int, int, int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pascal_xml(*things, size=SIZE))


@pytest.mark.parametrize(
    ("kind", "write", "options"),
    [
        ("voc", write_as_voc, []),
        ("voc", write_as_coco_in_pascal, ["--box-convention", "plain"]),
        ("coco", write_as_voc, ["--box-convention", "inclusive"]),
        ("ilsvrc", write_as_ilsvrc, []),
        ("coco", write_as_coco, []),
        ("coco", write_as_coco_in_pascal, []),
    ],
)
def test_every_format_gives_the_same_labels(
    tmp_path: Path,
    dkit: Callable[..., object],
    kind: str,
    write: Callable[[Path], None],
    options: list[str],
) -> None:
    root, out = tmp_path / "set", tmp_path / "out"
    root.mkdir()
    write(root)
    dkit("convert", kind, root, "--out", out, "--name", "scene", "--valid-fraction", "0", *options)
    assert lines(out / "scene.names") == NAMES
    images = [Path(line) for line in lines(out / "train.txt")]
    assert {image.stem for image in images} == SCENE.keys()
    assert {image.stem: lines(image.with_suffix(".txt")) for image in images} == LABELS
    assert lines(out / "valid.txt") == []
    assert lines(out / "problems.csv")[1:] == []
    if kind == "ilsvrc":
        assert lines(out / "scene.wnids") == [TENCH, COBRA]
