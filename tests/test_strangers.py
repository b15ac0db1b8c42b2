"""Sources named wrongly: each is told for what it is, with what to type instead."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended

from .sets import pascal_xml, write_pair, write_picture, write_voc

Dkit = Callable[..., Ended]


def zipped(root: Path) -> None:
    with zipfile.ZipFile(root / "voc.zip", "w") as archive:
        archive.writestr("a.xml", pascal_xml())


def voc(root: Path) -> None:
    write_voc(root / "VOC2007", "1 2")


def images(root: Path) -> None:
    write_picture(root / "a.jpg")
    write_picture(root / "below/b.png")


def yolo(root: Path) -> None:
    """As Roboflow and Ultralytics export it."""
    for split in ("train", "valid"):
        write_picture(root / split / "images/a.jpg")
        (root / split / "labels").mkdir()
        (root / split / "labels/a.txt").write_text("0 0.5 0.5 1 1\n3 0.25 0.5 0.1 2e-1\n")
    (root / "data.yaml").write_text("nc: 1\nnames: ['cat']\n")
    (root / "README.roboflow.txt").write_text("An export\n")


def labelme(root: Path) -> None:
    for stem in "ab":
        write_picture(root / f"{stem}.jpg")
        record = {"version": "5.0.1", "shapes": [{"label": "cat"}], "imagePath": f"{stem}.jpg"}
        (root / f"{stem}.json").write_text(json.dumps(record))


def createml(root: Path) -> None:
    write_picture(root / "a.jpg")
    label = {"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}}
    records = [{"image": "a.jpg", "annotations": [label]}]
    (root / "_annotations.createml.json").write_text(json.dumps(records))


def datumaro(root: Path) -> None:
    record = {"dm_format_version": "1.0", "infos": {}, "categories": {"label": {}}, "items": []}
    (root / "annotations").mkdir()
    (root / "annotations/train.json").write_text(json.dumps(record))


def yolo_of_label_studio(root: Path) -> None:
    (root / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}], "info": {}}')
    (root / "labels").mkdir()
    (root / "labels/a.txt").write_text("0 0.5 0.5 1 1\n")


def yolo_for_darknet(root: Path) -> None:
    """As CVAT exports it."""
    write_picture(root / "obj_train_data/a.jpg")
    (root / "obj_train_data/a.txt").write_text("0 0.5 0.5 1 1\n")
    (root / "obj.data").write_text("classes = 1\ntrain = train.txt\nnames = obj.names\n")


def coco(root: Path) -> None:
    write_picture(root / "val2017/1.jpg")
    (root / "annotations").mkdir()
    text = json.dumps({"info": {}, "images": [], "annotations": [], "categories": []})
    (root / "annotations/instances_val2017.json").write_text(text)


def cvat_for_images(root: Path) -> None:
    write_picture(root / "images/a.jpg")
    text = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<image id="0"/></annotations>'
    (root / "annotations.xml").write_text(text)


def nothing(root: Path) -> None:
    (root / ".hidden").write_text("")


@pytest.mark.parametrize(
    ("write", "kind", "source", "code", "said"),
    [
        (zipped, "voc", "voc.zip", "not-a-folder", "archive [] Unpack it: unzip /voc.zip"),
        (zipped, "coco", "voc.zip", "not-a-folder", "archive [] Unpack it: unzip /voc.zip"),
        (zipped, "ilsvrc", "voc.zip", "not-a-folder", "archive [] Unpack it: unzip /voc.zip"),
        (zipped, "voc", "", "no-annotations", "archives in this folder are not unpacked [] "),
        (voc, "voc", "VOC2007/Annotations/1.xml", "not-a-folder", "dkit convert voc /VOC2007\n"),
        (voc, "ilsvrc", "", "wrong-layout", "dkit convert voc \n"),
        (voc, "voc", "VOC2007/JPEGImages", "no-annotations", "2 images [] convert voc /VOC2007\n"),
        (voc, "voc", "VOC2007/Annotations", "no-images", "(2 are without) [] voc /VOC2007\n"),
        (images, "voc", "", "no-annotations", "2 images, but no XML annotation here or"),
        (images, "coco", "", "no-annotations", "2 images, but no COCO instances file"),
        (images, "ilsvrc", "", "wrong-layout", "2 images, but no ILSVRC tree here"),
        (nothing, "voc", "", "no-annotations", "there is no XML annotation here or below"),
        (nothing, "voc", "gone", "missing-folder", "there is no such folder"),
        (yolo, "voc", "", "already-yolo", "YOLO labels already: 3 text files as /train/labels/a"),
        (yolo, "coco", "train", "already-yolo", "Darknet reads them beside their images"),
        (labelme, "voc", "", "wrong-layout", "labelme's own JSON: /a.json [] labelme2voc"),
        (labelme, "coco", "", "wrong-layout", "labelme's own JSON: /a.json [] labelme2coco"),
        (createml, "voc", "", "wrong-layout", "CreateML's JSON: /_annotations.createml.json"),
        (datumaro, "voc", "", "wrong-layout", "Datumaro's own JSON: /annotations/train.json"),
        (datumaro, "coco", "", "not-coco", "Datumaro's own JSON [] Export it as COCO."),
        (yolo_of_label_studio, "voc", "", "already-yolo", "already: 1 text file as /labels/a.txt"),
        (yolo_for_darknet, "voc", "", "already-yolo", "set already [] dkit check /obj.data\n"),
        (coco, "voc", "", "wrong-layout", "this is COCO data: [] dkit convert coco \n"),
        (coco, "ilsvrc", "", "wrong-layout", "this is COCO data: [] dkit convert coco \n"),
        (coco, "voc", "annotations/instances_val2017.json", "not-a-folder", "convert coco /anno"),
        (cvat_for_images, "voc", "", "not-pascal", "CVAT's own XML for images [] PASCAL VOC 1.1"),
    ],
)
def test_a_source_that_cannot_be_converted_so(
    tmp_path: Path,
    dkit: Dkit,
    write: Callable[[Path], None],
    kind: str,
    source: str,
    code: str,
    said: str,
) -> None:
    """`said` is in what is printed, paths below the test's folder; [] stands for some words."""
    root = tmp_path / "set"
    root.mkdir()
    write(root)
    ended = dkit("convert", kind, root / source, "--out", tmp_path / "out")
    assert ended.exit_code == 1
    printed = ended.stderr.replace(str(root), "")
    assert f"[{code}]" in printed
    for part in said.split(" [] "):
        assert part in printed
    assert len(printed.splitlines()) <= 3
    assert not (tmp_path / "out").exists()


def test_what_dkit_made_is_told(tmp_path: Path, dkit: Dkit) -> None:
    write_pair(tmp_path / "set/a.jpg", tmp_path / "set/a.xml")
    out = tmp_path / "out"
    dkit("convert", "voc", tmp_path / "set", "--out", out, "--name", "x")
    for source in (out, out / "x.data"):
        ended = dkit("convert", "voc", source, "--out", tmp_path / "again")
        assert ended.exit_code == 1
        assert f"dkit show {out}/x.data" in ended.stderr
