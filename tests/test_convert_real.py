"""Real sets of others: counts and labels equal those of a second, independent reading.

The second reading is xml.etree or json and plain arithmetic, a few lines a format; literals are
from `grep -c` and from the sets' own descriptions.
"""

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darknet_kit.core.boxes import BoxConvention
from tests.conftest import Ended

from .sets import lines

Dkit = Callable[..., Ended]
Shared = Callable[[str], Path]
Labels = dict[str, list[tuple[str, float, float, float, float]]]
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def converted(dkit: Dkit, out: Path, kind: str, source: Path, *options: str) -> Any:
    """Convert into a view and return what --json says, all splits together."""
    ended = dkit("convert", kind, source, "--out", out, "--name", "x", "--json", *options)
    document = json.loads(ended.stdout)
    assert ended.exit_code in (0, 3), document
    assert document["exit_code"] == ended.exit_code
    for key in ("images", "negatives", "boxes"):
        document[key] = sum(split[key] for split in document["splits"].values())
    document["by_class"] = sum(
        (Counter(split["boxes_by_class"]) for split in document["splits"].values()), Counter()
    )
    return document


def written(out: Path) -> Labels:
    """Return the labels of every listed image by its stem, with class names."""
    names = lines(out / "x.names")
    found: Labels = {}
    for name in ("train", "valid", "test"):
        for image in lines(out / f"{name}.txt") if (out / f"{name}.txt").exists() else ():
            rows = [line.split() for line in lines(Path(image).with_suffix(".txt"))]
            found[Path(image).stem] = [
                (names[int(row[0])], float(row[1]), float(row[2]), float(row[3]), float(row[4]))
                for row in rows
            ]
    return found


def second_reading(root: Path, shift: float) -> Labels:
    """Read every XML that has an image: VOC's defaults, xmin and ymin less `shift` px."""
    stems = {path.stem for path in root.rglob("*") if path.suffix.lower() in SUFFIXES}
    found: Labels = {}
    for path in sorted(root.rglob("*.xml")):
        if path.stem not in stems:
            continue
        tree = ET.parse(path)
        width, height = (float(tree.findtext(f"size/{tag}") or 0) for tag in ("width", "height"))
        found[path.stem] = []
        for entry in tree.findall("object"):
            if (entry.findtext("difficult") or "").strip() == "1":
                continue
            x1, y1, x2, y2 = (
                float(entry.findtext(f"bndbox/{tag}") or "nan")
                for tag in ("xmin", "ymin", "xmax", "ymax")
            )
            if x1 == x2 or y1 == y2:
                continue
            x1, y1, x2, y2 = max(x1 - shift, 0), max(y1 - shift, 0), min(x2, width), min(y2, height)
            found[path.stem].append(
                (
                    entry.findtext("name") or "",
                    (x1 + x2) / 2 / width,
                    (y1 + y2) / 2 / height,
                    (x2 - x1) / width,
                    (y2 - y1) / height,
                )
            )
    return found


def same(found: Labels, expected: Labels) -> None:
    assert found.keys() == expected.keys()
    for stem, labels in expected.items():
        assert [label[0] for label in found[stem]] == [label[0] for label in labels], stem
        for one, other in zip(found[stem], labels, strict=True):
            assert one[1:] == pytest.approx(other[1:], abs=6e-7), stem


VOC = {
    "bccd_100": (100, 1318 - 2, 3, {"empty-box": 2, "missing-in-tree": 264}),
    "voc2012_100": (100, 273 - 38, 20, {}),
    "damage2d": (97, 309, 2, {"missing-image": 5, "other-filename": 97}),
    "cards_upper_JPG": (70, 100, 6, {}),
    "voc2012_cats_toy": (10, 12, 1, {"no-annotation": 2}),
    "voc2012_person_part": (1, 1, 1, {}),
    "labelme_voc_empty_tags": (3, 9, 20, {}),
}


@pytest.mark.parametrize("name", VOC)
def test_voc_sets(tmp_path: Path, dkit: Dkit, shared_data: Shared, name: str) -> None:
    images, boxes, classes, problems = VOC[name]
    source = shared_data(f"A_voc/{name}")
    found = converted(dkit, tmp_path / "out", "voc", source)
    assert (found["images"], found["boxes"]) == (images, boxes)
    assert len(found["classes"]) == classes
    assert found["problems"] == problems
    expected = second_reading(source, shift=1)
    same(written(tmp_path / "out"), expected)
    assert found["by_class"] == Counter(name for row in expected.values() for name, *_ in row)
    assert found["negatives"] == sum(not row for row in expected.values())


def test_floats_of_vott(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    source = shared_data("A_voc/vott_float")
    found = converted(dkit, tmp_path / "out", "voc", source, "--box-convention", "plain")
    assert (found["images"], found["boxes"], found["by_class"]) == (20, 21, {"dog": 21})
    assert (found["problems"], found["notes"]) == ({}, [])
    same(written(tmp_path / "out"), second_reading(source, shift=0))
    # grep: <xmin> or <ymin> below 1 in four files; taken for pixel numbers they reach out.
    found = converted(dkit, tmp_path / "inclusive", "voc", source)
    assert found["problems"] == {"box-at-edge": 4}
    assert [note for note in found["notes"] if note.startswith("4 boxes begin at 0")]


def test_images_as_they_are_stored(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    """Of damage2d one image has an EXIF orientation, which only a look at all of them shows."""
    from PIL import Image

    source = shared_data("A_voc/damage2d")
    found = converted(dkit, tmp_path / "out", "voc", source, "--verify-images")
    expected = {"missing-image": 5, "other-filename": 97, "exif-orientation": 1}
    assert found["problems"] == expected
    turned = []
    for path in (source / "JPEGImages").iterdir():
        with Image.open(path) as image:
            turned += [path] if image.getexif().get(0x0112, 1) != 1 else []
    rows = [line for line in lines(tmp_path / "out/problems.csv") if "exif-orientation" in line]
    assert [str(path) in row for path, row in zip(turned, rows, strict=True)] == [True]
    same(written(tmp_path / "out"), second_reading(source, shift=1))


def test_names_of_owners_are_no_classes(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    """Three VOC2007 records; their lists name one of them, so they are laid out without."""
    source = shared_data("A_voc/voc_few")
    (tmp_path / "set").mkdir()
    for kind in ("Annotations", "JPEGImages"):
        (tmp_path / "set" / kind).symlink_to(source / kind)
    found = converted(dkit, tmp_path / "out", "voc", tmp_path / "set")
    expected = second_reading(source, shift=1)
    same(written(tmp_path / "out"), expected)
    assert found["classes"] == sorted({name for rows in expected.values() for name, *_ in rows})
    assert found["images"] == 3


def test_cvat_without_images_and_with_them(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    """The images of voc2012_100 in CVAT's export: no <difficult>, floats, a label map."""
    export, voc = shared_data("B_ilsvrc/cvat_imagenet_format"), shared_data("A_voc/voc2012_100")
    ended = dkit("convert", "voc", export, "--out", tmp_path / "none")
    assert ended.exit_code == 1
    assert "none of the annotations has its image here (100 are without)" in ended.stderr
    root = tmp_path / "set"
    root.mkdir()
    for name in ("Annotations", "ImageSets", "labelmap.txt"):
        (root / name).symlink_to(export / name)
    (root / "JPEGImages").symlink_to(voc / "JPEGImages")
    found = converted(dkit, tmp_path / "out", "voc", root, "--difficult", "drop")
    assert (found["images"], found["boxes"], found["problems"]) == (100, 273, {})
    named = [line.split(":")[0] for line in lines(export / "labelmap.txt")[1:]]
    assert found["classes"] == named[1:]  # the background is none
    kept = converted(dkit, tmp_path / "voc", "voc", voc, "--difficult", "keep")
    assert kept["by_class"] == found["by_class"]
    ours, theirs = written(tmp_path / "out"), written(tmp_path / "voc")
    same(
        {stem: sorted(rows) for stem, rows in ours.items()},
        {stem: sorted(rows) for stem, rows in theirs.items()},
    )


def test_a_name_that_is_not_ascii(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    (image,) = shared_data("A_voc/nonascii_image_name").iterdir()
    ended = dkit("convert", "voc", image.parent)
    assert "1 image, but no XML annotation" in ended.stderr
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / image.name).symlink_to(image)
    text = "<annotation><object><name>臉</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
    text += "<ymax>9</ymax></bndbox></object></annotation>"
    (tmp_path / f"set/{image.stem}.xml").write_text(text)
    found = converted(dkit, tmp_path / "out", "voc", tmp_path / "set")
    assert (found["images"], found["classes"]) == (1, ["臉"])
    assert found["problems"] == {"no-size": 1}


def test_labels_equal_those_of_roboflows_yolo_export(
    tmp_path: Path, dkit: Dkit, shared_data: Shared
) -> None:
    """The same three images as VOC, COCO and YOLO labels: VOC's numbers are edges from 0."""
    root = shared_data("C_coco/datumaro_assets/roboflow_dataset")
    theirs = {
        path.stem: sorted([float(word) for word in line.split()] for line in lines(path))
        for path in (root / "yolo").rglob("labels/*.txt")
    }
    assert len(theirs) == 3
    for kind, options in (("voc", ["--box-convention", "plain"]), ("coco", ["--crowd", "keep"])):
        out = tmp_path / kind
        converted(dkit, out, kind, root / kind, *options)
        names = lines(out / "x.names")
        ours = {
            stem: sorted([float(names.index(row[0])), *row[1:]] for row in rows)
            for stem, rows in written(out).items()
        }
        assert ours == theirs


def test_split_lists_of_bccd(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    source = shared_data("A_voc/bccd_100")
    converted(dkit, tmp_path / "out", "voc", source)
    there = {path.stem for path in (source / "JPEGImages").iterdir()}
    for ours, theirs in (("train", "train"), ("valid", "val"), ("test", "test")):
        expected = there & set(lines(source / f"ImageSets/Main/{theirs}.txt"))
        assert {Path(line).stem for line in lines(tmp_path / f"out/{ours}.txt")} == expected


def test_a_list_that_names_one_of_three_images(
    tmp_path: Path, dkit: Dkit, shared_data: Shared
) -> None:
    found = converted(dkit, tmp_path / "out", "voc", shared_data("A_voc/voc_few"))
    assert found["images"] == 1
    assert found["problems"] == {"not-in-split": 2}


def test_labels_equal_those_of_the_upstream_script(
    tmp_path: Path, dkit: Dkit, shared_data: Shared
) -> None:
    """voc_label.py, `convert`: x = ((xmin + xmax)/2.0 - 1)/w, w = (xmax - xmin)/w."""
    source = shared_data("A_voc/voc2012_100")
    convention = ["--box-convention", BoxConvention.VOC_LABEL.value]
    found = converted(dkit, tmp_path / "out", "voc", source, *convention)
    labels = written(tmp_path / "out")
    checked = 0
    for path in source.rglob("*.xml"):
        tree = ET.parse(path)
        width, height = (int(tree.findtext(f"size/{tag}") or 0) for tag in ("width", "height"))
        entries = [one for one in tree.findall("object") if one.findtext("difficult") == "0"]
        for entry, label in zip(entries, labels[path.stem], strict=True):
            x1, x2, y1, y2 = (
                float(entry.findtext(f"bndbox/{tag}") or 0)
                for tag in ("xmin", "xmax", "ymin", "ymax")
            )
            x, y = ((x1 + x2) / 2.0 - 1) * (1.0 / width), ((y1 + y2) / 2.0 - 1) * (1.0 / height)
            w, h = (x2 - x1) * (1.0 / width), (y2 - y1) * (1.0 / height)
            assert label[0] == entry.findtext("name")
            assert label[1:] == pytest.approx((x, y, w, h), abs=6e-7)
            checked += 1
    assert checked == found["boxes"] == 235


def coco_boxes(path: Path) -> tuple[int, Counter[str]]:
    """Return the number of images of a file, and its boxes by class, without crowds."""
    document = json.loads(path.read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    boxes = Counter(
        names[entry["category_id"]] for entry in document["annotations"] if not entry["iscrowd"]
    )
    return len(document["images"]), boxes


def test_tiny_coco(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    source = shared_data("C_coco/tiny_coco")
    found = converted(dkit, tmp_path / "out", "coco", source)
    images, boxes = coco_boxes(source / "annotations/instances_val2017.json")
    assert found["splits"].keys() == {"valid"}
    assert (found["images"], found["by_class"]) == (images, boxes)
    assert images == 50
    assert found["negatives"] == 2
    assert found["excluded"] == {"crowd": 5}
    assert found["problems"] == {"missing-image": 50}
    assert len(found["classes"]) == 80
    document = json.loads((source / "annotations/instances_val2017.json").read_text())
    sizes = {image["id"]: image for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    expected: Labels = {Path(image["file_name"]).stem: [] for image in document["images"]}
    for entry in document["annotations"]:
        if not entry["iscrowd"]:
            image = sizes[entry["image_id"]]
            width, height = image["width"], image["height"]
            x, y, w, h = entry["bbox"]
            expected[Path(image["file_name"]).stem].append(
                (
                    names[entry["category_id"]],
                    (x + w / 2) / width,
                    (y + h / 2) / height,
                    w / width,
                    h / height,
                )
            )
    same(written(tmp_path / "out"), expected)


def test_one_file_of_tiny_coco_alone(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    """Named by itself it is divided into train and valid, whatever it is called."""
    source = shared_data("C_coco/tiny_coco/annotations/instances_val2017.json")
    found = converted(dkit, tmp_path / "out", "coco", source, "--crowd", "keep")
    assert found["images"] == 50
    assert found["boxes"] == sum(coco_boxes(source)[1].values()) + 5
    assert found["splits"].keys() == {"train", "valid"}


def test_fizyr_coco(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    source = shared_data("C_coco/fizyr_coco")
    found = converted(dkit, tmp_path / "out", "coco", source)
    assert (found["images"], found["boxes"], found["problems"]) == (2, 23, {})
    files = [source / f"annotations/instances_{name}2017.json" for name in ("train", "val")]
    assert found["by_class"] == coco_boxes(files[0])[1] + coco_boxes(files[1])[1]


def test_labelme_coco(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    source = shared_data("C_coco/labelme_coco")
    found = converted(dkit, tmp_path / "out", "coco", source)
    assert (found["images"], found["boxes"], found["problems"]) == (3, 12, {})
    assert "_background_" not in found["classes"]
    assert found["by_class"] == coco_boxes(source / "annotations.json")[1]


def test_labelme_says_the_same_in_voc_and_coco(
    tmp_path: Path, dkit: Dkit, shared_data: Shared
) -> None:
    """Three photographs, annotated once as boxes and once as polygons, exported twice."""
    voc = converted(dkit, tmp_path / "voc", "voc", shared_data("A_voc/labelme_voc_empty_tags"))
    coco = converted(dkit, tmp_path / "coco", "coco", shared_data("C_coco/labelme_coco"))
    assert voc["classes"] == coco["classes"]
    assert written(tmp_path / "voc").keys() == written(tmp_path / "coco").keys()


def test_roboflow_says_the_same_in_voc_and_coco(
    tmp_path: Path, dkit: Dkit, shared_data: Shared
) -> None:
    """Datumaro's test assets: 10 x 5 px, xmin before xmax before ymin, one crowd."""
    root = shared_data("C_coco/datumaro_assets/roboflow_dataset")
    plain = ["--box-convention", "plain"]
    voc = converted(dkit, tmp_path / "voc", "voc", root / "voc", *plain)
    coco = converted(dkit, tmp_path / "coco", "coco", root / "coco", "--crowd", "keep")
    assert voc["by_class"] == coco["by_class"] == {"label_0": 2, "label_1": 2}
    labels = {stem: sorted(row) for stem, row in written(tmp_path / "voc").items()}
    assert labels == {stem: sorted(row) for stem, row in written(tmp_path / "coco").items()}
    assert labels.keys() == {"train_001", "train_002", "val_001"}


@pytest.mark.parametrize(
    ("kind", "name", "images", "boxes", "problems"),
    [
        ("voc", "voc_dataset/voc_dataset1", 1, 2, {"no-annotation": 1}),
        ("voc", "voc_dataset/voc_dataset3", 1, 1, {}),
        ("voc", "kaggle_dataset/relaxed_voc1", 1, 2, {"no-annotation": 1}),
        ("voc", "kaggle_dataset/relaxed_voc2", 1, 2, {"no-annotation": 1}),
        ("coco", "coco_dataset/coco_instances", 2, 2, {}),
        ("coco", "kaggle_dataset/relaxed_coco", 2, 2, {}),
    ],
)
def test_datumaros_assets(
    tmp_path: Path,
    dkit: Dkit,
    shared_data: Shared,
    kind: str,
    name: str,
    images: int,
    boxes: int,
    problems: dict[str, int],
) -> None:
    source = shared_data(f"C_coco/datumaro_assets/{name}")
    found = converted(dkit, tmp_path / "out", kind, source)
    assert (found["images"], found["boxes"], found["problems"]) == (images, boxes, problems)


def test_genuine_ilsvrc_annotations(tmp_path: Path, dkit: Dkit, shared_data: Shared) -> None:
    """Two genuine files in their tree, and the genuine mapping; images of the size they state."""
    from PIL import Image

    genuine = shared_data("B_ilsvrc/xml")
    root = tmp_path / "ILSVRC"
    expected: Labels = {}
    for path, folder in ((genuine / "n01440764", "train/n01440764"), (genuine / "val", "val")):
        for xml in path.glob("*.xml"):
            tree = ET.parse(xml)
            size = [int(tree.findtext(f"size/{tag}") or 0) for tag in ("width", "height")]
            for kind, suffix in (("Annotations", "xml"), ("Data", "JPEG")):
                place = root / kind / "CLS-LOC" / folder / f"{xml.stem}.{suffix}"
                place.parent.mkdir(parents=True, exist_ok=True)
                if suffix == "xml":
                    place.write_bytes(xml.read_bytes())
                else:
                    Image.new("RGB", (size[0], size[1])).save(place)
            expected[xml.stem] = []
    mapping = shared_data("B_ilsvrc/LOC_synset_mapping.txt")
    found = converted(dkit, tmp_path / "out", "ilsvrc", tmp_path, "--mapping", str(mapping))
    assert (found["images"], len(found["classes"])) == (2, 1000)
    wnids = dict(zip(lines(tmp_path / "out/x.names"), lines(tmp_path / "out/x.wnids"), strict=True))
    labels = {
        stem: [(wnids[row[0]], *row[1:]) for row in rows]
        for stem, rows in written(tmp_path / "out").items()
    }
    same(labels, second_reading(root, shift=0))
    assert labels.keys() == expected.keys()
