"""COCO as tools export it and as real sets have it, converted to the end."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from darknet_kit.dataset.conversion import Conversion
from darknet_kit.dataset.convert import convert_coco
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.errors import DatasetError
from tests.sets import lines, write_picture

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
LABEL = "0 0.250000 0.600000 0.300000 0.400000"
"""A cat at 10, 20, 30 wide and 20 high, in 100 x 50 pixels: centre 25, 30."""


def image(number: Any, file_name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "width": 100, "height": 50, **more}


def cat(image_id: Any, **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": [10, 20, 30, 20], **more}


def write_json(
    path: Path,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    categories: list[dict[str, Any]] = CATEGORIES,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))
    return path


def convert(source: Path, out: Path, **options: Any) -> Conversion:
    chosen = ConvertOptions(out=str(out), workers=1, valid_fraction=0, **options)
    return convert_coco(source, chosen)


def labels(out: Path) -> dict[str, list[str]]:
    """Return the label lines of a view by the path of the label."""
    found = (path for split in ("train", "valid", "test") for path in out.glob(f"{split}/**/*.txt"))
    return {str(path.relative_to(out)): lines(path) for path in found}


# --- as tools export it -----------------------------------------------------------------------


def test_roboflow(tmp_path: Path) -> None:
    above = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        *({**one, "supercategory": "pets"} for one in CATEGORIES),
    ]
    for split in ("train", "valid", "test"):
        write_picture(tmp_path / f"set/{split}/a_jpg.rf.1.jpg")
        json_path = tmp_path / f"set/{split}/_annotations.coco.json"
        write_json(json_path, [image(0, "a_jpg.rf.1.jpg", license=1)], [cat(0, id=0)], above)
    result = convert(tmp_path / "set", tmp_path / "out")
    assert result.names == ["cat", "dog"]
    assert labels(tmp_path / "out") == {
        f"{split}/a_jpg.rf.1.txt": [LABEL] for split in ("train", "valid", "test")
    }


def test_cvat(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/images/a.jpg")
    write_json(
        tmp_path / "set/annotations/instances_default.json",
        [image(1, "a.jpg", coco_url="", date_captured=0)],
        [cat(1, attributes={"occluded": False}, segmentation=[], area=600.0)],
    )
    convert(tmp_path / "set", tmp_path / "out")
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL]}


@pytest.mark.parametrize("there", ["images/0b5c1f9e-a.jpg", "images/a.jpg", "a.jpg"])
@pytest.mark.parametrize("before", ["images/", "images\\", ""])
def test_label_studio(tmp_path: Path, there: str, before: str) -> None:
    """It puts eight digits before the name of an upload; the user's own images have none."""
    write_picture(tmp_path / "set" / there)
    (tmp_path / "set/notes.json").write_text("{}")
    entry = image(0, f"{before}0b5c1f9e-a.jpg")
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    write_json(tmp_path / "set/result.json", [entry], [cat(0, category_id=0)], categories)
    convert(tmp_path / "set", tmp_path / "out")
    assert list(labels(tmp_path / "out").values()) == [[LABEL]]


def test_labelme(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "Visualization"):  # as labelme2coco leaves them
        write_picture(tmp_path / f"set/{folder}/a.jpg")
    write_json(
        tmp_path / "set/annotations.json",
        [image(0, "JPEGImages/a.jpg")],
        [cat(0)],
        [{"id": 0, "name": "_background_"}, *CATEGORIES],
    )
    result = convert(tmp_path / "set", tmp_path / "out")
    assert result.names == ["cat", "dog"]
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL]}


def test_peoples_keypoints_alone(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_picture(tmp_path / f"set/{split}2017/a.jpg")
        person = cat(1, keypoints=[0] * 51, num_keypoints=0)
        file = tmp_path / f"set/annotations/person_keypoints_{split}2017.json"
        write_json(file, [image(1, "a.jpg")], [person], [{"id": 1, "name": "person"}])
    convert(tmp_path / "set", tmp_path / "out")
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL], "valid/a.txt": [LABEL]}


def test_panoptic_masks_are_no_images(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/val2017/a.jpg")
    write_picture(tmp_path / "set/annotations/panoptic_val2017/a.png")
    write_json(tmp_path / "set/annotations/instances_val2017.json", [image(1, "a.jpg")], [cat(1)])
    assert convert(tmp_path / "set", tmp_path / "out").unlabelled == 0


# --- odd content ------------------------------------------------------------------------------


def test_an_image_without_annotations_shows_nothing(tmp_path: Path) -> None:
    for name in "abc":
        write_picture(tmp_path / f"set/{name}.jpg")
    images = [image(1, "a.jpg"), image(2, "b.jpg")]
    write_json(tmp_path / "set/annotations.json", images, [cat(1)])
    result = convert(tmp_path / "set", tmp_path / "out")
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL], "train/b.txt": []}
    assert result.problems == Counter({"no-annotation": 1})  # c.jpg, which the file does not list


def test_the_same_box_twice_is_one_label(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/a.jpg")
    entries = [cat(1, id=1), cat(1, id=2), cat(1, id=3, category_id=2)]
    write_json(tmp_path / "set/annotations.json", [image(1, "a.jpg")], entries)
    result = convert(tmp_path / "set", tmp_path / "out")
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL, LABEL.replace("0", "1", 1)]}
    assert result.problems == Counter({"duplicate-box": 1})


@pytest.mark.parametrize(
    ("bbox", "code", "label"),
    [
        ([10, 20, 0, 20], "empty-box", None),
        ([40, 40, -30, -20], "inverted-box", LABEL),
        ([-50, 20, 60, 20], "clipped-box", "0 0.050000 0.600000 0.100000 0.400000"),
        ([200, 20, 30, 20], "empty-box", None),
        ([10, 20, 1e308, 1e308], "clipped-box", "0 0.550000 0.700000 0.900000 0.600000"),
        ([10, 20, 30], "bad-record", None),
    ],
)
def test_boxes_that_are_none(
    tmp_path: Path, bbox: list[float], code: str, label: str | None
) -> None:
    write_picture(tmp_path / "set/a.jpg")
    entries = [cat(1, bbox=bbox), {**cat(1), "category_id": 2}]
    write_json(tmp_path / "set/annotations.json", [image(1, "a.jpg")], entries)
    result = convert(tmp_path / "set", tmp_path / "out")
    found = labels(tmp_path / "out")["train/a.txt"]
    assert found == [*([label] if label else []), LABEL.replace("0", "1", 1)]
    assert result.problems == Counter({code: 1})


@pytest.mark.parametrize("size", [{}, {"width": 0, "height": -1}, {"width": None, "height": 50}])
def test_a_size_that_is_missing_is_the_images(tmp_path: Path, size: dict[str, Any]) -> None:
    write_picture(tmp_path / "set/a.jpg")
    entry = {"id": 1, "file_name": "a.jpg", **size}
    write_json(tmp_path / "set/annotations.json", [entry], [cat(1)])
    result = convert(tmp_path / "set", tmp_path / "out")
    assert labels(tmp_path / "out") == {"train/a.txt": [LABEL]}
    assert result.problems == Counter({"no-size": 1})


def test_an_image_that_is_stored_on_its_side(tmp_path: Path) -> None:
    """Annotated as shown, 50 x 100; stored, as Darknet sees it, 100 x 50 with orientation 6."""
    (tmp_path / "set").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "set/a.jpg", exif=exif)
    entry = image(1, "a.jpg", width=50, height=100)
    write_json(tmp_path / "set/annotations.json", [entry], [cat(1)])
    result = convert(tmp_path / "set", tmp_path / "out", verify_images=True)
    assert result.problems == Counter({"exif-orientation": 1, "wrong-size": 1})


@pytest.mark.parametrize("name", ["$(touch hacked).jpg", "a'b\".jpg", "a\nb.jpg", "a;b.jpg"])
def test_names_that_a_shell_would_run(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "set" / name)
    categories = [{"id": 1, "name": "cat\n$(touch hacked)"}]
    file = write_json(tmp_path / "set/annotations.json", [image(1, name)], [cat(1)], categories)
    result = convert(tmp_path / "set", tmp_path / "out")
    listed = lines(tmp_path / "out/train.txt")
    assert len(listed) == 1
    assert not set("$'\"\n;()") & set(listed[0].removeprefix(str(tmp_path)))
    assert lines(tmp_path / "out/set.names") == ["cat $(touch hacked)"]
    assert result.problems == Counter()
    with pytest.raises(DatasetError) as caught:  # in place, the name would stand in the list
        convert_coco(file, ConvertOptions(workers=1))
    assert caught.value.code == "nothing-left"


def test_images_that_are_all_there_twice(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/one/a.jpg")
    write_picture(tmp_path / "set/two/a.jpg")
    write_json(tmp_path / "set/annotations.json", [image(1, "a.jpg")], [cat(1)])
    with pytest.raises(DatasetError) as caught:
        convert(tmp_path / "set", tmp_path / "out")
    assert caught.value.code == "ambiguous-image"
    assert "one/a.jpg" in caught.value.message


# --- real sets --------------------------------------------------------------------------------


def read_plainly(path: Path, there: Callable[[str], bool]) -> dict[str, list[tuple[float, ...]]]:
    """Read an instances file with `json` alone: class_id, centre and size of what is no crowd."""
    document = json.loads(path.read_text())
    used = {entry["category_id"] for entry in document["annotations"]}
    ids = sorted(one["id"] for one in document["categories"] if one["id"] or one["id"] in used)
    found: dict[str, list[tuple[float, ...]]] = {}
    for one in document["images"]:
        if not there(one["file_name"]):
            continue
        width, height = one["width"], one["height"]
        entries = [entry for entry in document["annotations"] if entry["image_id"] == one["id"]]
        found[Path(one["file_name"]).stem] = [
            (
                ids.index(entry["category_id"]),
                (max(x, 0) + min(x + w, width)) / 2 / width,
                (max(y, 0) + min(y + h, height)) / 2 / height,
                (min(x + w, width) - max(x, 0)) / width,
                (min(y + h, height) - max(y, 0)) / height,
            )
            for entry in entries
            for x, y, w, h in [entry["bbox"]]
            if not entry.get("iscrowd")
        ]
    return found


@pytest.mark.parametrize(
    ("name", "file", "images", "count"),
    [
        ("tiny_coco", "annotations/instances_val2017.json", "val2017", 50),
        ("tiny_coco", "annotations/person_keypoints_val2017.json", "val2017", 50),
        ("fizyr_coco", "annotations/instances_val2017.json", "images/val2017", 1),
        ("labelme_coco", "annotations.json", ".", 3),
    ],
)
def test_real_sets_against_a_plain_reading(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    file: str,
    images: str,
    count: int,
) -> None:
    root = shared_data(f"C_coco/{name}")
    expected = read_plainly(root / file, lambda one: (root / images / one).exists())
    assert len(expected) == count
    convert_coco(root / file, ConvertOptions(out=str(tmp_path), workers=1))
    found = {Path(path).stem: entries for path, entries in labels(tmp_path).items()}
    with_boxes = {stem for stem, entries in expected.items() if entries}
    assert with_boxes <= found.keys() <= expected.keys()
    for stem, entries in found.items():
        numbers = [tuple(map(float, line.split())) for line in entries]
        assert len(numbers) == len(expected[stem])
        for one, other in zip(numbers, expected[stem], strict=True):
            assert one == pytest.approx(other, abs=1e-6)
