"""COCO instances JSON: decoding, classes, and finding images, with the quirks of real exports."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from darknet_kit.core.boxes import Box
from darknet_kit.core.problems import KINDS
from darknet_kit.core.records import Annotation, LabelledObject
from darknet_kit.errors import DatasetError
from darknet_kit.formats.coco import CocoFile, class_names, read_coco
from darknet_kit.formats.cocotree import CocoSet, find_coco

Json = dict[str, Any]


def image(number: Any = 1, file_name: Any = "a.jpg", **more: Any) -> Json:
    return {"id": number, "file_name": file_name, "width": 100, "height": 50, **more}


def thing(image_id: Any = 1, category_id: Any = 1, **more: Any) -> Json:
    return {"image_id": image_id, "category_id": category_id, "bbox": [10, 20, 30, 20], **more}


def category(number: Any = 1, name: Any = "cat", **more: Any) -> Json:
    return {"id": number, "name": name, **more}


def document(
    images: list[Any] | None = None,
    annotations: list[Any] | None = None,
    categories: list[Any] | None = None,
) -> Json:
    return {
        "info": {"year": 2017},
        "images": [image()] if images is None else images,
        "annotations": [thing()] if annotations is None else annotations,
        "categories": [category()] if categories is None else categories,
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], CocoFile]:
    def read_document(content: Any) -> CocoFile:
        path = tmp_path / "a.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_coco(path)

    return read_document


Read = Callable[[Any], CocoFile]


def annotations(file: CocoFile) -> list[Annotation]:
    return [entry.parse() for entry in file.entries]


def codes(file: CocoFile) -> list[str]:
    """Return the codes of all problems, the file's and the images'."""
    of_images = [problem for annotation in annotations(file) for problem in annotation.problems]
    return [problem.code for problem in (*file.problems, *of_images)]


def test_a_plain_file(read: Read) -> None:
    found = read(document())
    assert annotations(found)[0].objects == (LabelledObject("cat", Box(10, 20, 40, 40)),)
    assert (annotations(found)[0].width, annotations(found)[0].height) == (100, 50)
    assert codes(found) == []


def test_sparse_and_shuffled_ids_count_from_0_in_their_order(read: Read) -> None:
    categories = [category(90, "toothbrush"), category(1, "person"), category(13, "stop sign")]
    assert class_names([read(document(categories=categories))]) == [
        "person",
        "stop sign",
        "toothbrush",
    ]


def test_the_order_of_coco_is_that_of_darknets_coco_names(
    shared_data: Callable[[str], Path],
) -> None:
    found = read_coco(shared_data("C_coco/tiny_coco/annotations/instances_val2017.json"))
    # weiliu89/caffe's copy of COCO's own table: category_id, class 1 to 80, name
    table = shared_data("C_coco/coco_labels.txt").read_text().split("\n")
    expected = [line.split(",")[2] for line in table if line]
    assert class_names([found]) == expected
    assert expected[0] == "person"
    assert len(expected) == 80


@pytest.mark.parametrize(
    ("categories", "used", "names"),
    [
        # labelme: category 0 is the background that no object has
        ([category(0, "_background_"), category(1, "cat")], 1, ["cat"]),
        ([category(0, "_background_"), category(1, "cat")], 0, ["_background_", "cat"]),
        # Roboflow: category 0 repeats the supercategory of the others
        ([category(0, "pets"), category(1, "cat", supercategory="pets")], 1, ["cat"]),
        ([category(0, "pets"), category(1, "cat", supercategory="pets")], 0, ["pets", "cat"]),
        # other tools count from 0 and mean it
        ([category(0, "cat"), category(1, "dog")], 1, ["cat", "dog"]),
        ([category(0, "cat", supercategory="cat"), category(1, "dog")], 0, ["cat", "dog"]),
        ([category("10", "b"), category("9", "a")], "10", ["a", "b"]),
        ([category("x", "b"), category(7, "a"), category("m", "c")], 7, ["a", "c", "b"]),
        ([category(1, " traffic\n light ")], 1, ["traffic light"]),
        ([category(1, "cat"), category(2, "cat")], 2, ["cat"]),
        ([category(1, ""), category(2, "cat")], 2, ["cat"]),
    ],
)
def test_class_names(read: Read, categories: list[Json], used: Any, names: list[str]) -> None:
    found = read(document(annotations=[thing(category_id=used)], categories=categories))
    assert class_names([found]) == names
    assert annotations(found)[0].objects[0].name in names


def test_classes_of_two_files_that_number_them_differently(tmp_path: Path) -> None:
    for name, categories in (
        ("a", [category(1, "cat"), category(2, "dog")]),
        ("b", [category(1, "dog"), category(2, "owl")]),
    ):
        content = document(annotations=[thing(category_id=1)], categories=categories)
        (tmp_path / name).write_text(json.dumps(content))
    files = [read_coco(tmp_path / "a"), read_coco(tmp_path / "b")]
    assert class_names(files) == ["cat", "dog", "owl"]
    assert [annotations(file)[0].objects[0].name for file in files] == ["cat", "dog"]


@pytest.mark.parametrize("iscrowd", [1, True, "1", 1.0])
def test_crowds(read: Read, iscrowd: Any) -> None:
    rle = {"counts": [0, 5], "size": [50, 100]}
    found = read(document(annotations=[thing(iscrowd=iscrowd, segmentation=rle)]))
    assert annotations(found)[0].objects[0].iscrowd
    assert codes(found) == []


@pytest.mark.parametrize("iscrowd", [0, False, None, "0"])
def test_no_crowds(read: Read, iscrowd: Any) -> None:
    found = read(document(annotations=[thing(iscrowd=iscrowd), thing()]))
    assert [entry.iscrowd for entry in annotations(found)[0].objects] == [False, False]


@pytest.mark.parametrize(
    ("image_id", "named", "category_id", "used"),
    [
        ("7", "7", "3", "3"),
        ("7", 7, 3, "3"),
        (7, "7", "3", 3),
        (7.0, 7, 3, 3.0),
        ("a7", "a7", 3, 3),
    ],
)
def test_ids_as_text_and_mixed(
    read: Read, image_id: Any, named: Any, category_id: Any, used: Any
) -> None:
    content = document([image(image_id)], [thing(named, used)], [category(category_id)])
    assert [entry.name for entry in annotations(read(content))[0].objects] == ["cat"]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (thing(bbox=None), "no-box"),
        ({"image_id": 1, "category_id": 1}, "no-box"),
        (thing(bbox=[]), "bad-record"),
        (thing(bbox=[1, 2, 3]), "bad-record"),
        (thing(bbox=[1, 2, 3, 4, 5]), "bad-record"),
        (thing(bbox=["a", 2, 3, 4]), "bad-record"),
        (thing(bbox=[1, None, 3, 4]), "bad-record"),
        (thing(bbox={"x": 1}), "bad-record"),
        (thing(category_id=None), "bad-record"),
        ({"image_id": 1, "bbox": [1, 2, 3, 4]}, "bad-record"),
        (thing(bbox=[float("nan"), 2, 3, 4]), "bad-coordinate"),
        (thing(bbox=[1, 2, float("inf"), 4]), "bad-coordinate"),
        (thing(category_id=99), "unknown-class"),
    ],
)
def test_an_object_that_cannot_be_used_spoils_its_image_only(
    read: Read, entry: Json, code: str
) -> None:
    """It must stay with its image: an image without a label would be taken for an empty one."""
    found = read(document([image(1), image(2, "b.jpg")], [entry, thing(2)]))
    first, second = annotations(found)
    assert [problem.code for problem in first.problems] == [code]
    assert (first.objects, second.problems) == ((), ())
    assert len(second.objects) == 1
    assert found.problems == []


@pytest.mark.parametrize("entry", [7, None, "x", [1], {}, {"category_id": 1}])
def test_what_is_no_object_is_a_problem_of_the_file(read: Read, entry: Any) -> None:
    found = read(document(annotations=[thing(), entry]))
    assert [problem.code for problem in found.problems] == ["bad-record"]
    assert "annotations[1]" in found.problems[0].message
    assert len(annotations(found)[0].objects) == 1


def test_an_object_of_a_missing_image(read: Read) -> None:
    found = read(document(annotations=[thing(2), thing(1)]))
    assert codes(found) == ["unknown-image"]


def test_a_category_without_a_name(read: Read) -> None:
    found = read(document(categories=[category(1, " ")]))
    assert codes(found) == ["no-name"]


def test_an_image_id_that_is_there_twice(read: Read) -> None:
    found = read(document([image(1, "a.jpg"), image(1, "a.jpg")]))
    assert codes(found) == ["duplicate-image"]
    assert [entry.file_name for entry in found.entries] == ["a.jpg"]


def test_an_image_under_several_ids_is_put_together(read: Read) -> None:
    """Where another size is stated, it is another image of that name."""
    images = [image(1, "a.jpg"), image(2, "b.jpg"), image(3, "a.jpg"), image(4, "b.jpg", width=9)]
    found = read(document(images, [thing(3, bbox=[2, 3, 4, 5]), thing(1), thing(4), thing(3)]))
    assert codes(found) == ["image-in-parts"]
    assert [image.id for image in found.images] == [1, 2, 4]
    boxes = [entry.box for entry in annotations(found)[0].objects]
    assert len(boxes) == 3
    assert boxes[1] == Box(2, 3, 6, 8)
    assert boxes[0] == boxes[2]


def test_an_image_id_of_two_images(read: Read) -> None:
    """Two files were put together: nobody knows which image shows the object."""
    found = read(document([image(1, "a.jpg"), image(2, "b.jpg"), image(1, "c.jpg")], [thing(1)]))
    assert codes(found) == ["ambiguous-image"]
    assert [entry.file_name for entry in found.entries] == ["b.jpg"]


def test_an_image_that_does_not_fit_and_its_objects(read: Read) -> None:
    found = read(document([{"id": 1}, image(2), 5], [thing(1), thing(2)]))
    assert codes(found) == ["bad-record", "bad-record", "unknown-image"]
    assert len(annotations(found)) == 1


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ({"width": 0}, (0, 50)),
        ({"width": None, "height": None}, (0, 0)),
        ({"width": "100"}, (100, 50)),
        ({"width": 100.0}, (100, 50)),
        ({"height": -50}, (100, 0)),
        ({"width": float("nan")}, (0, 50)),
        ({"width": 1e300}, (0, 50)),
    ],
)
def test_sizes(read: Read, more: Json, size: tuple[int, int]) -> None:
    found = read(document([image(**more)]))
    assert (annotations(found)[0].width, annotations(found)[0].height) == size
    assert codes(found) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_encodings(read: Read, encoding: str) -> None:
    content = json.dumps(document(categories=[category(1, "猫")]), ensure_ascii=False)
    assert class_names([read(content.encode(encoding))]) == ["猫"]


def test_half_a_surrogate_in_a_name_can_be_written(read: Read) -> None:
    content = json.dumps(document(categories=[category(1, "cat\ud800")])).encode()
    for name in class_names([read(content)]):
        name.encode()  # raised UnicodeEncodeError when it came to write the .names file


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b"\xff\xd8\xff",
        b'{"images": [], "annotations": []}',
        b'{"images": {}, "annotations": [], "categories": []}',
        b'{"images": [], "annotations": [], "categories": [{"id": 1}]}',
        json.dumps(document()).encode()[:-9],
        b"[" * 1_000_000,
        b'{"images": [], "annotations": [], "categories": [], "x": ' + b"[" * 1_000_000,
        json.dumps(document(categories=[category(1, "café")]), ensure_ascii=False).encode("cp1252"),
    ],
    ids=range(13),
)
def test_a_json_that_is_no_coco_is_one_error(read: Read, content: bytes) -> None:
    with pytest.raises(DatasetError) as caught:
        read(content)
    assert caught.value.code == "not-coco"
    assert caught.value.hint
    assert len(str(caught.value)) < 400


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=4), below),
    max_leaves=8,
)
keys = st.sampled_from(["id", "image_id", "category_id", "file_name", "name", "bbox", "width"])
records = st.dictionaries(keys, values | st.lists(st.floats(), min_size=4, max_size=4))


@settings(max_examples=80)
@given(st.lists(records | values), st.lists(records | values), st.lists(records))
def test_any_document_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    images: list[Any],
    annotations: list[Any],
    categories: list[Any],
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    content = document([image(), *images], [thing(), *annotations], [category(), *categories])
    path.write_text(json.dumps(content))
    try:
        found = read_coco(path)
    except DatasetError as error:
        assert error.code == "not-coco"  # noqa: PT017
    else:
        assert set(codes(found)) <= KINDS.keys()
        for name in class_names([found]):
            name.encode()


# --- where the images are -------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Write images, and JSON documents, by their paths: tree("a.jpg", **{"x.json": {...}})."""

    def write(*images: str, **documents: Json) -> Path:
        root = tmp_path / "set"
        for name in images:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (100, 50)).save(path)
        for name, content in documents.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return root

    return write


Tree = Callable[..., Path]


def found_in(root: Path, images: Path | None = None) -> CocoSet:
    found = find_coco(root, images)
    assert found is not None
    return found


def places(found: CocoSet) -> list[tuple[str, str]]:
    return [(str(Path(item.image).relative_to(found.root)), item.split) for item in found.items]


def test_coco_2017(tree: Tree) -> None:
    root = tree(
        "train2017/1.jpg",
        "val2017/2.jpg",
        "val2017/3.jpg",
        **{
            "annotations/instances_train2017.json": document([image(1, "1.jpg")]),
            "annotations/instances_val2017.json": document([image(1, "2.jpg")]),
            "annotations/captions_val2017.json": {"images": [], "annotations": []},
            "annotations/person_keypoints_val2017.json": document([image(1, "2.jpg")]),
        },
    )
    found = found_in(root)
    assert places(found) == [("train2017/1.jpg", "train"), ("val2017/2.jpg", "valid")]
    assert [item.image for item in found.unlabelled] == [f"{root}/val2017/3.jpg"]
    assert found.problems == []


def test_the_same_names_in_train_and_val(tree: Tree) -> None:
    root = tree(
        "images/train2017/1.jpg",
        "images/val2017/1.jpg",
        **{
            "annotations/instances_train2017.json": document([image(1, "1.jpg")]),
            "annotations/instances_val2017.json": document([image(1, "1.jpg")]),
        },
    )
    found = found_in(root)
    assert places(found) == [
        ("images/train2017/1.jpg", "train"),
        ("images/val2017/1.jpg", "valid"),
    ]


def test_roboflow(tree: Tree) -> None:
    root = tree(
        "train/a.jpg",
        "valid/a.jpg",
        "test/b.jpg",
        **{
            f"{split}/_annotations.coco.json": document([image(0, name)], [thing(0)])
            for split, name in (("train", "a.jpg"), ("valid", "a.jpg"), ("test", "b.jpg"))
        },
    )
    assert sorted(places(found_in(root))) == [
        ("test/b.jpg", "test"),
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "valid"),
    ]


def test_files_called_train_and_val(tree: Tree) -> None:
    root = tree(
        "1.jpg",
        "2.jpg",
        **{
            "train.json": document([image(1, "1.jpg")]),
            "val.json": document([image(1, "2.jpg")]),
        },
    )
    assert places(found_in(root)) == [("1.jpg", "train"), ("2.jpg", "valid")]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train_annotations", "val_annotations"),
        ("coco_train2017", "coco_val2017"),
        ("my.Train", "my.Val"),
        ("x-train-v2", "x-valid-v2"),
        ("train2017", "val2017"),
    ],
)
def test_files_that_people_called_by_their_splits(tree: Tree, train: str, val: str) -> None:
    files = {
        f"{train}.json": document([image(1, "1.jpg")]),
        f"{val}.json": document([image(1, "2.jpg")]),
        "retrained.json": {"loss": [1, 2]},
    }
    root = tree("images/1.jpg", "images/2.jpg", **files)
    assert places(found_in(root)) == [("images/1.jpg", "train"), ("images/2.jpg", "valid")]


@pytest.mark.parametrize(
    "file_name",
    [
        "a.jpg",
        "deep/a.jpg",
        "images/deep/a.jpg",
        "deep\\a.jpg",
        "/home/joe/a.jpg",
        "C:\\x\\a.jpg",
        "elsewhere/a.jpg",
        "./deep/a.jpg",
    ],
)
def test_images_in_folders_are_found_by_the_end_of_their_path(tree: Tree, file_name: str) -> None:
    root = tree("images/deep/a.jpg", **{"x.json": document([image(1, file_name)])})
    assert places(found_in(root)) == [("images/deep/a.jpg", "")]


def test_of_two_images_the_one_whose_path_ends_so(tree: Tree) -> None:
    root = tree("one/a.jpg", "two/a.jpg", **{"x.json": document([image(1, "two/a.jpg")])})
    assert places(found_in(root)) == [("two/a.jpg", "")]
    root = tree(**{"x.json": document([image(1, "./one/a.jpg")])})
    assert places(found_in(root)) == [("one/a.jpg", "")]
    root = tree(**{"x.json": document([image(1, str(root / "two/a.jpg"))])})
    assert places(found_in(root)) == [("two/a.jpg", "")]


@pytest.mark.parametrize(
    ("there", "file_name"),
    [
        ("Ka\u0308fer.jpg", "K\u00e4fer.jpg"),
        ("K\u00e4fer.jpg", "x/Ka\u0308fer.jpg"),
        ("IMG_1.JPG", "img_1.jpg"),
    ],
)
def test_names_that_are_one_on_another_machine(tree: Tree, there: str, file_name: str) -> None:
    root = tree(there, "2.jpg", **{"x.json": document([image(1, file_name)])})
    assert places(found_in(root)) == [(there, "")]


@pytest.mark.parametrize(
    ("train", "val"), [("train_images", "val_images"), ("Training", "validation")]
)
def test_of_two_images_the_one_of_the_split(tree: Tree, train: str, val: str) -> None:
    files = {f"annotations/{name}.json": document([image(1, "a.jpg")]) for name in ("train", "val")}
    root = tree(f"{train}/a.jpg", f"{val}/a.jpg", **files)
    assert places(found_in(root)) == [(f"{train}/a.jpg", "train"), (f"{val}/a.jpg", "valid")]


@pytest.mark.parametrize(
    "file_name", ["../two/a.jpg", "..\\two\\a.jpg", "x/../../one/../two/a.jpg"]
)
def test_names_counted_from_the_file_that_stay_in_the_set(tree: Tree, file_name: str) -> None:
    root = tree("one/a.jpg", "two/a.jpg", **{"notes/x.json": document([image(1, file_name)])})
    assert places(found_in(root)) == [("two/a.jpg", "")]
    assert places(found_in(root / "notes/x.json", root / "two")) == [("a.jpg", "")]
    assert places(found_in(root / "notes/x.json", root / "one")) == []


@pytest.mark.parametrize(
    ("file_name", "code"),
    [
        ("../outside.jpg", "outside-root"),
        ("one/../../outside.jpg", "outside-root"),
        ("..\\outside.jpg", "outside-root"),
        ("/etc/passwd", "missing-image"),
        ("none.jpg", "missing-image"),
        ("", "missing-image"),
        (".hidden.jpg", "missing-image"),
        ("a.jpg", "ambiguous-image"),
        ("\x00.jpg", "missing-image"),
        ("a\ud800.jpg", "missing-image"),
    ],
)
def test_names_that_lead_nowhere(tree: Tree, file_name: str, code: str) -> None:
    root = tree("one/a.jpg", "two/a.jpg", "one/b.jpg", ".hidden.jpg")
    (root.parent / "outside.jpg").write_bytes((root / "one/a.jpg").read_bytes())
    tree(**{"x.json": document([image(1, file_name), image(2, "b.jpg")])})
    found = found_in(root)
    assert [problem.code for problem in found.problems] == [code]
    assert places(found) == [("one/b.jpg", "")]


def test_an_image_under_two_ids_or_in_two_files(tree: Tree) -> None:
    root = tree(
        "a.jpg",
        "b.jpg",
        **{
            "train.json": document([image(1, "a.jpg"), image(2, "a.jpg")]),
            "val.json": document([image(1, "a.jpg"), image(2, "b.jpg")]),
        },
    )
    found = found_in(root)
    assert places(found) == [("a.jpg", "train"), ("b.jpg", "valid")]
    assert [problem.code for problem in found.problems] == ["image-in-parts", "duplicate-image"]


def test_one_file_alone_is_the_whole_set(tree: Tree) -> None:
    root = tree("val2017/a.jpg", **{"annotations/instances_val2017.json": document()})
    found = found_in(root / "annotations/instances_val2017.json")
    assert found.root == str(root)
    assert places(found) == [("val2017/a.jpg", "")]


def test_images_apart(tree: Tree, tmp_path: Path) -> None:
    root = tree(**{"x.json": document()})
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (100, 50)).save(tmp_path / "pictures" / "a.jpg")
    for source in (root, root / "x.json"):
        found = found_in(source, tmp_path / "pictures")
        assert [item.image for item in found.items] == [str(tmp_path / "pictures/a.jpg")]


def test_coco_as_pascal_is_left_to_others(tree: Tree) -> None:
    root = tree("a.jpg")
    (root / "a.xml").write_text("<annotation/>")
    assert find_coco(root) is None


@pytest.mark.parametrize("names", [(), ("one.json", "two.json")])
def test_no_instances_file(tree: Tree, names: tuple[str, ...]) -> None:
    root = tree("a.jpg", **{name: document() for name in names})
    with pytest.raises(DatasetError) as caught:
        find_coco(root)
    assert caught.value.code == "no-annotations"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        find_coco(tmp_path / "none")
    assert caught.value.code == "missing-folder"


def test_dkits_own_record_is_no_instances_file(tree: Tree) -> None:
    root = tree("a.jpg", **{"my.json": document(), "conversion.json": {"settings": {}}})
    assert places(found_in(root)) == [("a.jpg", "")]
