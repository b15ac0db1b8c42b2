"""JSON that is no instances file, is damaged, or is meant to do harm."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from darknet_kit.core.problems import KINDS
from darknet_kit.errors import DatasetError
from darknet_kit.formats import coco
from darknet_kit.formats.coco import CocoFile, read_coco

GOOD: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 20]}],
    "categories": [{"id": 1, "name": "cat"}],
}
TEXT = json.dumps(GOOD).encode()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], CocoFile]:
    def read_content(content: bytes) -> CocoFile:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return read_coco(path)

    return read_content


Read = Callable[[bytes], CocoFile]


def refused(read: Read, content: bytes) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(content)
    assert caught.value.code == "not-coco"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("document", "message"),
    [
        # pycocotools' loadRes takes this list
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "detections"),
        # captions_val2017.json
        ({**GOOD, "annotations": [{"image_id": 1, "id": 1, "caption": "A cat."}]}, "captions"),
        # panoptic_val2017.json
        (
            {**GOOD, "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": []}]},
            "panoptic",
        ),
        # image_info_test2017.json
        ({"images": GOOD["images"], "categories": GOOD["categories"]}, "no list of annotations"),
        ({"annotations": GOOD["annotations"]}, "no list of images and no categories"),
        ({"version": "5.0", "shapes": [], "imagePath": "a.jpg"}, "labelme's own JSON"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VGG Image Annotator"),
        ([{"image": "a.jpg", "annotations": []}], "CreateML"),
        ([{"id": 1, "annotations": [{"result": []}], "data": {}}], "list of images"),
    ],
)
def test_another_kind_of_json_is_named(read: Read, document: Any, message: str) -> None:
    assert message in refused(read, json.dumps(document).encode()).message


def test_a_file_cut_off_anywhere_is_told_as_such(read: Read) -> None:
    for size in range(1, len(TEXT)):
        error = refused(read, TEXT[:size])
        assert f"cut off: it ends too early, after {size} bytes" in error.message


@pytest.mark.parametrize("content", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file(read: Read, content: bytes) -> None:
    assert "empty" in refused(read, content).message


def test_a_packed_file(read: Read) -> None:
    assert "gzip" in refused(read, gzip.compress(TEXT)).message


def test_the_line_of_a_mistake(read: Read) -> None:
    lines = json.dumps(GOOD, indent=1).encode().split(b"\n")
    broken = b"\n".join([*lines[:2], b"oops", *lines[3:]])
    assert refused(read, broken).line == 3


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a.json")
    with pytest.raises(DatasetError) as caught:
        read_coco(tmp_path / "a.json")
    assert caught.value.code == "cannot-read"


def test_too_little_memory_is_told(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(coco, "decode_coco", decode)
    with pytest.raises(DatasetError) as caught:
        read(TEXT)
    assert caught.value.code == "out-of-memory"


def with_objects(*entries: dict[str, Any]) -> bytes:
    return json.dumps({**GOOD, "annotations": [*GOOD["annotations"], *entries]}).encode()


def test_a_record_that_does_not_fit_is_its_images_however_the_id_is_written(read: Read) -> None:
    for image_id in (1, 1.0, "1"):
        found = read(with_objects({"image_id": image_id, "category_id": 1, "bbox": [1, 2, 3]}))
        assert [problem.code for problem in found.entries[0].parse().problems] == ["bad-record"]
        assert len(found.entries[0].parse().objects) == 1
        assert found.problems == []


def test_a_record_that_does_not_fit_is_told_though_its_image_is_not_there(read: Read) -> None:
    found = read(with_objects({"image_id": 9, "category_id": 1, "bbox": [1, 2, 3]}))
    assert [problem.code for problem in found.problems] == ["bad-record"]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_numbers_that_are_none(read: Read, number: str) -> None:
    found = read(TEXT.replace(b"[10,", f"[{number},".encode()))
    assert [problem.code for problem in found.entries[0].parse().problems] == ["bad-coordinate"]


@pytest.mark.parametrize("number", ["1e308", "123456789012345678901234567890"])
def test_huge_numbers_are_numbers(read: Read, number: str) -> None:
    found = read(TEXT.replace(b"[10,", f"[{number},".encode()))
    assert found.entries[0].parse().objects[0].box.left == float(number)


def test_ids_beyond_64_bits(read: Read) -> None:
    huge = str(2**70).encode()
    content = TEXT.replace(b'"id": 1, "file', b'"id": ' + huge + b', "file')
    found = read(content.replace(b'"image_id": 1', b'"image_id": ' + huge))
    assert [entry.name for entry in found.entries[0].parse().objects] == ["cat"]


def test_a_crowds_encoding_and_deep_polygons_are_passed_over(read: Read) -> None:
    deep = "[" * 500 + "1" + "]" * 500
    masks = ('{"counts": "RX1f0", "size": [50, 100]}', '{"counts": [3, 4], "size": [1, 7]}', deep)
    for mask in masks:
        found = read(TEXT.replace(b'"bbox"', b'"segmentation": ' + mask.encode() + b', "bbox"'))
        assert len(found.entries[0].parse().objects) == 1


@settings(max_examples=200)
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 20), st.binary(max_size=6))
@example(TEXT.index(b"a.jpg"), 0, b"\x80")  # no UTF-8, in one record
def test_any_damage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, start: int, gone: int, put: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(TEXT[:start] + put + TEXT[start + gone :])
    try:
        found = read_coco(path)
    except DatasetError as error:
        assert (error.code, "\n" in error.message) == ("not-coco", False)  # noqa: PT017
    else:
        of_images = [problem for entry in found.entries for problem in entry.parse().problems]
        assert {problem.code for problem in (*found.problems, *of_images)} <= KINDS.keys()
