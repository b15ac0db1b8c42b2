"""One scene as every tool writes it: the same labels from all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .sets import lines, write_picture

SIZE = (200, 100)
TENCH, COBRA = "n01440764", "n01748264"
WNIDS = {"tench": TENCH, "cobra": COBRA}
Things = list[tuple[str, int, int, int, int]]
# Image: its objects as class and edges in pixels from the top-left corner.
SCENE: dict[str, Things] = {
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
LIST = "tench\ncobra\n"
OBJECT = """
  <object><name>{0}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
    <bndbox><xmin>{1}</xmin><ymin>{2}</ymin><xmax>{3}</xmax><ymax>{4}</ymax></bndbox></object>"""
SIZED = "<size><width>200</width><height>100</height><depth>3</depth></size>"


def write_pairs(
    root: Path, image: str, annotation: str, head: str = SIZED, entry: str = OBJECT, first: int = 0
) -> None:
    """Write images and XML, both named by a pattern; `first` is the number of the first pixel."""
    for stem, things in SCENE.items():
        write_picture(root / image.format(stem), SIZE)
        path = root / annotation.format(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        shifted = [(name, x1 + first, y1 + first, x2, y2) for name, x1, y1, x2, y2 in things]
        objects = "".join(entry.format(*thing) for thing in shifted)
        path.write_text(f"<annotation>{head.format(stem)}{objects}\n</annotation>\n")


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def voc_devkit(root: Path) -> None:
    """Two years, lists, pixel numbers from 1."""
    head = (
        "<folder>VOC2007</folder><filename>{}.jpg</filename><owner><name>x</name></owner>" + SIZED
    )
    kit = root / "VOCdevkit/VOC2007"
    write_pairs(kit, "JPEGImages/{}.jpg", "Annotations/{}.xml", head, first=1)
    for year, stems in (("VOC2012", ("one", "none")), ("VOC2007", ("two", "three"))):
        for stem in stems:
            for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
                place = kit.parent / year / kind / f"{stem}.{suffix}"
                place.parent.mkdir(parents=True, exist_ok=True)
                (kit / kind / f"{stem}.{suffix}").rename(place)
        write_text(kit.parent / year / "ImageSets/Main/trainval.txt", "\n".join(stems))
    write_text(root / "classes.txt", LIST)


def flat_folder(root: Path) -> None:
    write_pairs(root, "{}.JPG", "{}.xml", first=1)
    write_text(root / "my.names", LIST)


def labelimg(root: Path) -> None:
    """Edges from 0; folder and path are of the machine where it ran."""
    head = r"<folder>x</folder><filename>{0}.png</filename><path>C:\x\{0}.png</path>" + SIZED
    write_pairs(root, "{}.png", "{}.xml", head)
    write_text(root / "predefined_classes.txt", LIST)


def cvat_voc(root: Path) -> None:
    """Floats with two digits; background first in the label map."""
    entry = OBJECT.replace("</xmin>", ".00</xmin>").replace("</ymax>", ".0</ymax>")
    head = "<folder></folder><filename>{}.jpg</filename><source/>" + SIZED
    write_pairs(root, "JPEGImages/{}.jpg", "Annotations/{}.xml", head, entry)
    write_text(root / "ImageSets/Main/default.txt", "\n".join(SCENE))
    head = "# label:color_rgb:parts:actions\n"
    write_text(root / "labelmap.txt", f"{head}background:0,0,0::\ntench:1,1,1::\ncobra:2,2,2::\n")


def vott(root: Path) -> None:
    """An export folder of its own; floats of 16 digits."""
    entry = OBJECT.replace("</xmax>", ".0000000000000001</xmax>")
    folder = root / "x-PascalVOC-export"
    write_pairs(folder, "JPEGImages/{}.jpg", "Annotations/{}.xml", SIZED, entry)
    items = "item {\n id: 1\n name: 'tench'\n}\nitem {\n id: 2\n name: 'cobra'\n}\n"
    write_text(folder / "pascal_label_map.pbtxt", items)
    write_text(folder / "ImageSets/Main/tench_train.txt", "")


def roboflow_voc(root: Path) -> None:
    """A digest in each name; xmin before xmax before ymin."""
    entry = (
        "<object><name>{0}</name><bndbox><xmin>{1}</xmin><xmax>{3}</xmax><ymin>{2}</ymin>"
        "<ymax>{4}</ymax></bndbox></object>"
    )
    write_pairs(root, "train/{}_jpg.rf.jpg", "train/{}_jpg.rf.xml", SIZED, entry)
    write_text(root / "classes.txt", LIST)


def fiftyone_voc(root: Path) -> None:
    write_pairs(root, "data/{}.jpg", "labels/{}.xml")
    write_text(root / "classes.txt", LIST)


def ilsvrc(root: Path) -> None:
    """Edges from 0; objects are called by wnid, `<filename>` has no suffix."""
    place, entry = f"CLS-LOC/train/{TENCH}/{{}}", OBJECT
    write_pairs(root, f"Data/{place}.JPEG", f"Annotations/{place}.xml", SIZED, entry)
    for path in (root / "Annotations").rglob("*.xml"):
        text = path.read_text()
        for name, wnid in WNIDS.items():
            text = text.replace(f"<name>{name}<", f"<name>{wnid}<")
        path.write_text(text)
    write_text(root / "LOC_synset_mapping.txt", f"{TENCH} tench, fish\n{COBRA} cobra\n")


def kaggle_csv(root: Path) -> None:
    """No XML, and no size."""
    rows = ["ImageId,PredictionString"]
    for stem, things in SCENE.items():
        write_picture(root / f"Data/CLS-LOC/train/{TENCH}/{stem}.JPEG", SIZE)
        words = [str(word) for thing in things for word in (WNIDS[thing[0]], *thing[1:])]
        rows.append(f"{stem},{' '.join(words)}")
    write_text(root / "LOC_train_solution.csv", "\n".join(rows) + "\n")
    write_text(root / "LOC_synset_mapping.txt", f"{TENCH} tench, fish\n{COBRA} cobra\n")


def coco_document(pattern: str, categories: list[tuple[int, str]], above: str = "") -> str:
    numbers = {stem: 70 + index for index, stem in enumerate(SCENE)}
    ids = {name: number for number, name in categories}
    images = [
        {"id": number, "file_name": pattern.format(stem), "width": SIZE[0], "height": SIZE[1]}
        for stem, number in numbers.items()
    ]
    annotations = [
        {
            "id": 1,
            "image_id": numbers[stem],
            "category_id": ids[name],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        for stem, things in SCENE.items()
        for name, x1, y1, x2, y2 in things
    ]
    listed = [
        {"id": number, "name": name, "supercategory": "none" if name == above else above}
        for number, name in categories
    ]
    document = {"images": images, "annotations": annotations, "categories": listed}
    return json.dumps(document)


def write_pictures(root: Path, pattern: str) -> None:
    for stem in SCENE:
        write_picture(root / pattern.format(stem), SIZE)


def coco_instances(root: Path) -> None:
    """Sparse category ids, in no order."""
    write_pictures(root, "train2017/{}.jpg")
    text = coco_document("{}.jpg", [(90, "cobra"), (3, "tench")])
    write_text(root / "annotations/instances_train2017.json", text)


def roboflow_coco(root: Path) -> None:
    """The file lies beside the images; category 0 is what all are, and has no object."""
    write_pictures(root, "train/{}_jpg.rf.jpg")
    text = coco_document("{}_jpg.rf.jpg", [(0, "fishes"), (1, "tench"), (2, "cobra")], "fishes")
    write_text(root / "train/_annotations.coco.json", text)


def labelme_coco(root: Path) -> None:
    """Images are named with their folder; category 0 is the background."""
    write_pictures(root, "JPEGImages/{}.jpg")
    names = [(0, "_background_"), (1, "tench"), (2, "cobra")]
    write_text(root / "annotations.json", coco_document("JPEGImages/{}.jpg", names))


PLAIN = ["--box-convention", "plain"]


@pytest.mark.parametrize(
    ("kind", "write", "options"),
    [
        ("voc", voc_devkit, []),
        ("voc", flat_folder, []),
        ("voc", labelimg, PLAIN),
        ("voc", cvat_voc, PLAIN),
        ("voc", vott, PLAIN),
        ("voc", roboflow_voc, PLAIN),
        ("voc", fiftyone_voc, PLAIN),
        ("coco", fiftyone_voc, []),
        ("coco", flat_folder, ["--box-convention", "inclusive"]),
        ("ilsvrc", ilsvrc, []),
        ("ilsvrc", kaggle_csv, []),
        ("coco", coco_instances, []),
        ("coco", roboflow_coco, []),
        ("coco", labelme_coco, []),
    ],
)
def test_every_tool_gives_the_same_labels(
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
    images = [Path(line) for line in lines(out / "train.txt")]
    labels = {image.stem.split("_jpg")[0]: lines(image.with_suffix(".txt")) for image in images}
    assert lines(out / "scene.names") == NAMES
    assert labels == LABELS
    assert len(images) == len(SCENE)
    assert lines(out / "valid.txt") == []
    assert lines(out / "problems.csv")[1:] == []
    if kind == "ilsvrc":
        assert lines(out / "scene.wnids") == [TENCH, COBRA]
