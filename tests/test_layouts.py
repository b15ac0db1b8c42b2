"""Layouts of Pascal trees: which image belongs to which annotation and split."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.found import look_for_ilsvrc
from darknet_kit.errors import DatasetError
from darknet_kit.formats.classlist import find_class_list
from darknet_kit.formats.foldernames import split_of_folder
from darknet_kit.formats.ilsvrc import find_ilsvrc
from darknet_kit.formats.pairs import Pairs, find_pairs
from darknet_kit.formats.synsets import display_names, parse_mapping
from darknet_kit.formats.tree import walk_tree
from darknet_kit.formats.voc import find_voc
from tests.conftest import Ended

from .sets import pascal_xml, write_pair, write_picture, write_voc

TENCH, COBRA = "n01440764", "n01748264"


def splits(pairs: Pairs) -> dict[str, str]:
    """Return the split of each image by its stem."""
    return {Path(item.image).stem: item.split for item in pairs.items}


def matched(pairs: Pairs) -> dict[str, str]:
    """Return the annotation of each image, both below the root."""
    below = [(Path(item.image), Path(item.annotation)) for item in pairs.items]
    return {
        str(image.relative_to(pairs.root)): str(annotation.relative_to(pairs.root))
        for image, annotation in below
    }


def codes(pairs: Pairs) -> list[str]:
    return sorted(problem.code for problem in pairs.problems)


# --- VOC --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, {"1": "", "2": "", "3": "", "4": ""}),
        (
            {"train": "1 2", "val": "3", "trainval": "1 2 3", "test": "4"},
            {"1": "train", "2": "train", "3": "valid", "4": "test"},
        ),
        (
            {"train": "1 2", "val": "3 4", "trainval": "1 2 3 4"},
            {"1": "train", "2": "train", "3": "valid", "4": "valid"},
        ),
        # VOC2007 as Darknet's users have it: trained on trainval, validated on test
        (
            {"trainval": "1 2 3", "test": "4"},
            {"1": "train", "2": "train", "3": "train", "4": "test"},
        ),
        ({"trainval": "1 2 3", "val": "3"}, {"1": "train", "2": "train", "3": "valid"}),
        ({"val": "1", "test": "2"}, {"1": "valid", "2": "test"}),
        # some one's own, smaller train list counts, whatever trainval says
        ({"train": "1", "val": "2", "trainval": "1 2 3 4"}, {"1": "train", "2": "valid"}),
        # CVAT's names, and its list of images without a split
        (
            {"Train": "1", "Validation": "2", "Test": "3"},
            {"1": "train", "2": "valid", "3": "test"},
        ),
        (
            {"default": "3 4", "Train": "1", "Validation": "2"},
            {"1": "train", "2": "valid", "3": "", "4": ""},
        ),
        ({"default": "1 2", "trainval": "3 4"}, {"1": "", "2": "", "3": "train", "4": "train"}),
        ({"default": "1 2 3 4"}, {"1": "", "2": "", "3": "", "4": ""}),
        ({"train": ""}, {"1": "", "2": "", "3": "", "4": ""}),
    ],
)
def test_a_devkits_lists(tmp_path: Path, lists: dict[str, str], expected: dict[str, str]) -> None:
    found = find_voc(write_voc(tmp_path, "1 2 3 4", **lists))
    assert splits(found) == expected
    assert codes(found) == ["not-in-split"] * (4 - len(expected))


def test_lists_by_class(tmp_path: Path) -> None:
    write_voc(tmp_path, "1 2 3")
    main = tmp_path / "ImageSets/Main"
    main.mkdir(parents=True)
    (main / "cat_train.txt").write_text("1  1\n2 -1\n\n")
    (main / "dog_train.txt").write_text("1 -1\n2  1\n")
    (main / "cat_val.txt").write_text("3  0\n")
    (main / "cat_trainval.txt").write_text("1  1\n2 -1\n3  0\n")
    assert splits(find_voc(tmp_path)) == {"1": "train", "2": "train", "3": "valid"}


def test_entries_of_lists_as_tools_write_them(tmp_path: Path) -> None:
    write_voc(tmp_path, "1 2 3 a.b 5")
    main = tmp_path / "ImageSets/Main"
    main.mkdir(parents=True)
    entries = "# a comment\n1.jpg\r\n  2 \nJPEGImages/3.jpg\n\na.b\n/home/joe/5.jpg"
    (main / "train.txt").write_bytes(entries.encode())
    found = find_voc(tmp_path)
    assert splits(found) == dict.fromkeys(["1", "2", "3", "a.b", "5"], "train")
    assert codes(found) == []


def test_listed_but_not_there_and_there_but_not_listed(tmp_path: Path) -> None:
    found = find_voc(write_voc(tmp_path, "1 2 3", train="1 7 8", val="2"))
    assert splits(found) == {"1": "train", "2": "valid"}
    assert codes(found) == ["missing-in-tree", "missing-in-tree", "not-in-split"]


def test_lists_that_name_images_with_their_folders(tmp_path: Path) -> None:
    """As CVAT and Datumaro do, where frames of several films have the same names."""
    for folder, stem in (("cam1", "a"), ("cam1", "b c"), ("cam2", "a"), ("cam2", "b c")):
        image = tmp_path / f"JPEGImages/{folder}/{stem}.jpg"
        write_pair(image, tmp_path / f"Annotations/{folder}/{stem}.xml")
    write_picture(tmp_path / "JPEGImages/cam3/a.jpg")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("cam1/a\ncam2/b c\ncam3/a\n")
    (tmp_path / "ImageSets/Main/val.txt").write_text("cam2/a\nJPEGImages/cam1/b c.jpg\ncam9/a\n")
    found = find_voc(tmp_path)
    assert {item.name: item.split for item in (*found.items, *found.unlabelled)} == {
        "cam1/a": "train",
        "cam1/b c": "valid",
        "cam2/a": "valid",
        "cam2/b c": "train",
        "cam3/a": "train",
    }
    assert codes(found) == ["missing-in-tree"]


def test_a_list_may_name_images_without_annotation(tmp_path: Path) -> None:
    """CVAT and Datumaro write no XML for an image that shows nothing, and list it."""
    write_voc(tmp_path, "1 2", train="1 3", val="2 4")
    for stem in "345":
        write_picture(tmp_path / f"JPEGImages/{stem}.jpg")
    found = find_voc(tmp_path)
    assert splits(found) == {"1": "train", "2": "valid"}
    bare = {item.stem: item.split for item in found.unlabelled}
    assert bare == {"3": "train", "4": "valid", "5": ""}
    assert codes(found) == []


def write_apart(root: Path) -> Path:
    """Write a devkit whose images lie elsewhere; in their place are others of the same names."""
    write_voc(root / "kit", "1 2", train="1", val="2")
    (root / "kit/JPEGImages").rename(root / "fast")
    write_voc(root / "kit", "2")
    (root / "fast/1.xml").write_text("an annotation of something else")
    return root / "fast"


@pytest.mark.parametrize("given", ["", "Annotations"])
def test_the_images_of_a_devkit_elsewhere(tmp_path: Path, given: str) -> None:
    """Its lists hold, also where only its folder of annotations is named."""
    images = write_apart(tmp_path)
    found = find_voc(tmp_path / "kit" / given, images)
    assert splits(found) == {"1": "train", "2": "valid"}
    assert {item.image: item.annotation for item in found.items} == {
        f"{images}/{stem}.jpg": f"{tmp_path}/kit/Annotations/{stem}.xml" for stem in "12"
    }
    assert (found.root, codes(found), found.unlabelled) == (str(tmp_path / "kit" / given), [], [])


COMPOSED, APART = "K\u00e4fer", "Ka\u0308fer"  # one and the same, to macOS


@pytest.mark.parametrize(
    ("image", "annotation"),
    [
        (f"{APART}.jpg", f"{COMPOSED}.xml"),
        (f"{COMPOSED}.jpg", f"{APART}.xml"),
        ("IMG_1.JPG", "img_1.XML"),
        ("1.jpg", "1.jpg.xml"),
        ("a.b.PNG", "a.b.png.xml"),
    ],
)
def test_names_that_are_one_on_another_machine(
    tmp_path: Path, dkit: Callable[..., Ended], image: str, annotation: str
) -> None:
    kit = write_voc(tmp_path / "kit", "2", train="2", val=Path(annotation).stem)
    write_pair(kit / f"JPEGImages/{image}", kit / f"Annotations/{annotation}")
    found = find_voc(kit)
    assert sorted(item.split for item in found.items) == ["train", "valid"]
    assert matched(found)[f"JPEGImages/{image}"] == f"Annotations/{annotation}"
    assert codes(found) == []
    assert dkit("convert", "voc", kit, "--out", tmp_path / "out").exit_code == 0
    labels = {path.read_text() for path in tmp_path.rglob("out/*/*.txt")}
    assert labels == {"0 0.350000 0.400000 0.500000 0.400000\n"}  # as write_pair's box is, by hand


def test_names_that_would_be_one_are_not_guessed(tmp_path: Path) -> None:
    for stem in ("a", "A", COMPOSED):
        write_picture(tmp_path / f"{stem}.jpg")
    for stem in (APART, COMPOSED.upper()):  # of one image
        (tmp_path / f"{stem}.xml").write_text(pascal_xml())
    found = find_voc(tmp_path)
    assert len(found.items) == 1
    assert codes(found) == ["missing-image"]
    write_picture(tmp_path / "b.jpg")
    (tmp_path / "B.jpg.xml").write_text(pascal_xml())
    (tmp_path / "A.jpg.xml").write_text(pascal_xml())  # of either
    found = find_voc(tmp_path)
    assert {item.stem for item in found.items} == {COMPOSED, "b"}
    assert codes(found) == ["missing-image"] * 2


@pytest.mark.parametrize(
    ("image", "annotation"),
    [
        ("{}_images", "{}_annotations"),
        ("images_{}", "xml-{}"),
        ("{} images/cam", "Annotations {}/cam"),
        ("{}_images", "{}"),
    ],
)
def test_folders_of_a_split_and_a_kind(tmp_path: Path, image: str, annotation: str) -> None:
    """The same names in both splits."""
    for split in ("train", "val"):
        folders = (tmp_path / image.format(split), tmp_path / annotation.format(split))
        write_pair(folders[0] / "1.jpg", folders[1] / "1.xml")
    found = find_voc(tmp_path)
    assert sorted((Path(item.image).parts, item.split) for item in found.items) == [
        ((tmp_path / image.format(split) / "1.jpg").parts, ours)
        for split, ours in (("train", "train"), ("val", "valid"))
    ]
    assert codes(found) == []


def test_folders_that_only_sound_like_a_split(tmp_path: Path) -> None:
    for folder in ("train_station", "test-tube", "my_test", "images_2"):
        write_pair(tmp_path / folder / "1.jpg", tmp_path / folder / "1.xml")
    assert {item.split for item in find_voc(tmp_path).items} == {""}


def test_the_split_of_the_annotations_where_images_have_none(tmp_path: Path) -> None:
    for split, stem in (("train", "1"), ("val", "2")):
        write_pair(tmp_path / f"images/{stem}.jpg", tmp_path / f"annotations/{split}/{stem}.xml")
    assert splits(find_voc(tmp_path)) == {"1": "train", "2": "valid"}


def test_lists_left_over_from_another_set_decide_nothing(tmp_path: Path) -> None:
    found = find_voc(write_voc(tmp_path, "1 2", train="x y", val="z"))
    assert splits(found) == {"1": "", "2": ""}
    assert codes(found) == ["missing-in-tree"] * 3


def test_two_years_in_one_devkit(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOCdevkit/VOC2007", "000001 000002", trainval="000001", test="000002")
    write_voc(tmp_path / "VOCdevkit/VOC2012", "2012_1 2012_2", train="2012_1", val="2012_2")
    found = find_voc(tmp_path / "VOCdevkit")
    expected = {"000001": "train", "000002": "test", "2012_1": "train", "2012_2": "valid"}
    assert splits(found) == expected
    assert [item.name for item in found.items][:2] == ["VOC2007/000001", "VOC2007/000002"]


def test_masks_are_neither_images_nor_rivals(tmp_path: Path) -> None:
    write_voc(tmp_path, "1", train="1")
    for folder in ("SegmentationClass", "SegmentationObject"):
        write_picture(tmp_path / folder / "1.png")
    found = find_voc(tmp_path)
    assert matched(found) == {"JPEGImages/1.jpg": "Annotations/1.xml"}
    assert found.unlabelled == []
    assert codes(found) == []


@pytest.mark.parametrize(
    ("image", "annotation"),
    [
        ("a.jpg", "a.xml"),
        ("a.JPEG", "a.XML"),
        ("JPEGImages/a.jpg", "Annotations/a.xml"),
        ("images/a.jpg", "labels/a.xml"),
        ("images/train/a.jpg", "annotations/train/a.xml"),
        ("train/images/a.jpg", "train/annotations/a.xml"),
        ("deep/er/a.jpg", "deep/er/a.xml"),
        ("pictures/a.jpg", "boxes/a.xml"),  # apart: nothing but the stem says so
        ("a b/ü.png", "a b/ü.xml"),
    ],
)
def test_an_image_and_its_annotation(tmp_path: Path, image: str, annotation: str) -> None:
    write_pair(tmp_path / image, tmp_path / annotation)
    found = find_pairs(tmp_path)
    assert matched(found) == {image: annotation}
    assert codes(found) == []
    assert found.unlabelled == []


def test_the_right_place_comes_before_the_stem_alone(tmp_path: Path) -> None:
    write_pair(tmp_path / "JPEGImages/1.jpg", tmp_path / "Annotations/1.xml")
    (tmp_path / "A_backup").mkdir()
    (tmp_path / "A_backup/1.xml").write_text(pascal_xml())
    found = find_pairs(tmp_path)
    assert matched(found) == {"JPEGImages/1.jpg": "Annotations/1.xml"}
    assert codes(found) == ["missing-image"]


def test_numbered_images_of_two_sets_are_not_mixed_up(tmp_path: Path) -> None:
    """b/2.jpg must not get the boxes that a/2.xml has for an image that is missing."""
    write_pair(tmp_path / "a/1.jpg", tmp_path / "a/1.xml")
    (tmp_path / "a/2.xml").write_text(pascal_xml())
    write_pair(tmp_path / "b/1.jpg", tmp_path / "b/1.xml")
    write_picture(tmp_path / "b/2.jpg")
    found = find_pairs(tmp_path)
    assert matched(found) == {"a/1.jpg": "a/1.xml", "b/1.jpg": "b/1.xml"}
    assert codes(found) == ["missing-image"]
    assert [Path(item.image).name for item in found.unlabelled] == ["2.jpg"]


def test_an_annotation_of_two_possible_images(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_picture(tmp_path / folder / "a.jpg")
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes/a.xml").write_text(pascal_xml())
    found = find_pairs(tmp_path)
    assert found.items == []
    assert codes(found) == ["ambiguous-image"]
    assert len(found.unlabelled) == 2


def test_two_annotations_of_one_image_and_two_images_of_one_stem(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.jpg", tmp_path / "a.xml")
    (tmp_path / "a.XML").write_text(pascal_xml())
    write_picture(tmp_path / "a.png")
    found = find_pairs(tmp_path)
    assert matched(found) == {"a.jpg": "a.XML"}
    assert codes(found) == ["duplicate-image", "same-stem"]


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("val", "valid"),
        ("validation", "valid"),
        ("TEST", "test"),
        ("train2017", "train"),
        ("val2014", "valid"),
        ("trainer", ""),
        ("train1", ""),
        ("2017", ""),
        ("", ""),
    ],
)
def test_folders_that_are_splits(folder: str, split: str) -> None:
    assert split_of_folder(folder) == split


def test_a_voc_folder_of_splits(tmp_path: Path) -> None:
    """As Roboflow exports Pascal VOC."""
    for split in ("train", "valid", "test"):
        write_pair(tmp_path / split / f"{split}1.jpg", tmp_path / split / f"{split}1.xml")
    expected = {"train1": "train", "valid1": "valid", "test1": "test"}
    assert splits(find_voc(tmp_path)) == expected


# --- ILSVRC -----------------------------------------------------------------------------------


def write_ilsvrc(root: Path) -> Path:
    """Write a tree with the genuine habits: train nested, val flat, test and some without XML."""
    top = root / "ILSVRC"
    for folder, stem in (
        (f"train/{TENCH}", f"{TENCH}_1"),
        (f"train/{COBRA}", f"{COBRA}_7"),
        ("val", "ILSVRC2012_val_00000001"),
    ):
        write_pair(
            top / f"Data/CLS-LOC/{folder}/{stem}.JPEG",
            top / f"Annotations/CLS-LOC/{folder}/{stem}.xml",
            (TENCH, 0, 0, 50, 40),
        )
    write_picture(top / f"Data/CLS-LOC/train/{TENCH}/{TENCH}_2.JPEG")
    write_picture(top / "Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG")
    (top / "ImageSets/CLS-LOC").mkdir(parents=True)
    (top / "ImageSets/CLS-LOC/train_loc.txt").write_text(f"{TENCH}/{TENCH}_1 1\n")
    return top


@pytest.mark.parametrize("given", ["", "ILSVRC"])
@pytest.mark.parametrize(
    ("mapping", "names"),
    [
        (
            f"{TENCH} tench, Tinca tinca\n{COBRA} Indian cobra, Naja naja\n",
            ["tench", "Indian cobra"],
        ),
        (f"{TENCH} : tench, Tinca tinca\r\n{COBRA} : Indian cobra\r\n", ["tench", "Indian cobra"]),
        (f"\ufeff{COBRA} crane\n\n{TENCH} crane\n", [f"crane {COBRA}", f"crane {TENCH}"]),
    ],
)
def test_a_genuine_tree(tmp_path: Path, given: str, mapping: str, names: list[str]) -> None:
    write_ilsvrc(tmp_path)
    (tmp_path / "LOC_synset_mapping.txt").write_bytes(mapping.encode())
    found = find_ilsvrc(tmp_path / given)
    assert splits(found.pairs) == {
        f"{TENCH}_1": "train",
        f"{COBRA}_7": "train",
        "ILSVRC2012_val_00000001": "valid",
    }
    assert all(Path(item.image).stem == Path(item.annotation).stem for item in found.pairs.items)
    assert {item.split for item in found.pairs.unlabelled} == {"train", "test"}
    assert found.pairs.problems == []
    assert display_names(found.synsets) == names


@pytest.mark.parametrize("below", ["", "CLS-LOC", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC"])
@pytest.mark.parametrize("given", ["", "ILSVRC"])
def test_the_images_of_a_tree_elsewhere(tmp_path: Path, given: str, below: str) -> None:
    top = write_ilsvrc(tmp_path / "a")
    there = tmp_path / "b" / below
    there.parent.mkdir(parents=True, exist_ok=True)
    (top / "Data/CLS-LOC").rename(there)
    with pytest.raises(DatasetError, match="the images are not") as raised:
        find_ilsvrc(tmp_path / "a" / given)
    assert "--images DIR" in raised.value.hint
    found = find_ilsvrc(tmp_path / "a" / given, images=tmp_path / "b").pairs
    assert splits(found) == {
        f"{TENCH}_1": "train",
        f"{COBRA}_7": "train",
        "ILSVRC2012_val_00000001": "valid",
    }
    assert {item.folder.startswith(f"{tmp_path}/b") for item in found.items} == {True}
    assert (found.root, found.problems) == (str(top), [])
    assert {item.split for item in found.unlabelled} == {"train", "test"}


def test_a_part_of_the_images_elsewhere(tmp_path: Path) -> None:
    """Named deeper than the tree begins, they are found by stem, and split as the XML is."""
    top = write_ilsvrc(tmp_path / "a")
    (top / "Data/CLS-LOC/val").rename(tmp_path / "ILSVRC2012_img_val")
    found = find_ilsvrc(top, images=tmp_path / "ILSVRC2012_img_val").pairs
    assert splits(found) == {"ILSVRC2012_val_00000001": "valid"}
    assert codes(found) == ["missing-image", "missing-image"]


def test_without_a_mapping_the_folders_are_the_classes(tmp_path: Path) -> None:
    found = find_ilsvrc(write_ilsvrc(tmp_path))
    assert [synset.wnid for synset in found.synsets] == [TENCH, COBRA]
    assert found.mapping == ""


def test_without_a_mapping_and_without_train(tmp_path: Path) -> None:
    write_pair(tmp_path / "Data/CLS-LOC/val/a.JPEG", tmp_path / "Annotations/CLS-LOC/val/a.xml")
    found = look_for_ilsvrc(tmp_path)
    assert (found.keys, found.names) == (["cat"], ["cat"])
    assert found.notes == ["no LOC_synset_mapping.txt: classes are named by wnid"]


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    mapping = tmp_path / "mine.txt"
    mapping.write_text(f"{COBRA} snake\n{TENCH} fish\n")
    found = find_ilsvrc(write_ilsvrc(tmp_path), mapping)
    assert display_names(found.synsets) == ["snake", "fish"]


def test_the_genuine_mapping_of_a_thousand_classes(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("B_ilsvrc/LOC_synset_mapping.txt")
    synsets = parse_mapping(path.read_text(), path)
    assert len(synsets) == len({synset.wnid for synset in synsets}) == 1000
    assert [synset.wnid for synset in synsets] == sorted(synset.wnid for synset in synsets)
    names = display_names(synsets)
    assert len(set(names)) == 1000
    assert names[:2] == ["tench", "goldfish"]
    # grep -c in the file: two synsets begin with crane, two with maillot
    twice = [name for name in names if name.split()[-1].startswith("n0")]
    assert sorted(name.split()[0] for name in twice) == ["crane", "crane", "maillot", "maillot"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        ("\n\n", None),
        ("tench\n", 1),
        (f"{TENCH} tench\nn0144 goldfish\n", 2),
        (f"{TENCH}\n", 1),
        (f"{TENCH},tench\n", 1),
        (f"{TENCH} tench\n{TENCH} again\n", 2),
        ("ImageId,PredictionString\n", 1),
    ],
)
def test_a_mapping_that_is_none(text: str, line: int | None) -> None:
    with pytest.raises(DatasetError) as caught:
        parse_mapping(text, "map.txt")
    assert (caught.value.code, caught.value.line) == ("bad-mapping", line)


def test_names_of_odd_mappings() -> None:
    synsets = parse_mapping(f"{TENCH} ,\n{COBRA} : a,  b \t c ,,\n", "map.txt")
    assert [synset.names for synset in synsets] == [(TENCH,), ("a", "b c")]


@pytest.mark.parametrize("kind", ["voc", "coco", "empty", "file", "missing"])
def test_other_folders_are_refused(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "set"
    if kind == "voc":
        write_voc(root, "1 2")
    elif kind == "coco":
        write_picture(root / "train2017/1.jpg")
    elif kind == "empty":
        root.mkdir()
    elif kind == "file":
        root.write_text("")
    with pytest.raises(DatasetError) as caught:
        find_ilsvrc(root)
    expected = {"missing": "missing-folder", "file": "not-a-folder"}
    assert caught.value.code == expected.get(kind, "wrong-layout")


def test_voc_refuses_an_ilsvrc_tree_and_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        find_voc(write_ilsvrc(tmp_path))
    assert caught.value.code == "wrong-layout"
    assert caught.value.hint == f"dkit convert ilsvrc {tmp_path}/ILSVRC"


# --- any tree ---------------------------------------------------------------------------------


def test_hidden_files_of_macs_are_passed_over(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.jpg", tmp_path / "a.xml")
    for name in (".DS_Store", "._a.xml", "._a.jpg", ".hidden/b.xml", "__MACOSX/._a.xml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    found = find_pairs(tmp_path)
    assert matched(found) == {"a.jpg": "a.xml"}
    assert codes(found) == []


def test_loops_of_links_end(tmp_path: Path) -> None:
    write_pair(tmp_path / "a/1.jpg", tmp_path / "a/1.xml")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "self.xml").symlink_to("self.xml")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    found = find_pairs(tmp_path)
    assert matched(found) == {"a/1.jpg": "a/1.xml"}
    assert codes(found) == ["missing-image"]  # of self.xml
    assert found.unlabelled == []


def test_linked_folders_and_images_are_followed(tmp_path: Path) -> None:
    write_picture(tmp_path / "disk/1.jpg")
    write_picture(tmp_path / "disk2/2.jpg")
    root = tmp_path / "set"
    root.mkdir()
    (root / "JPEGImages").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/2.jpg").symlink_to(tmp_path / "disk2/2.jpg")
    (root / "Annotations").mkdir()
    for stem in "12":
        (root / f"Annotations/{stem}.xml").write_text(pascal_xml())
    assert list(matched(find_pairs(root))) == ["JPEGImages/1.jpg", "JPEGImages/2.jpg"]


def test_pipes_and_sockets_are_no_images(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.jpg", tmp_path / "a.xml")
    os.mkfifo(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "b.xml")
    (folder,) = walk_tree(tmp_path)
    assert (folder.images, folder.annotations) == (["a.jpg"], ["a.xml"])


def test_a_very_deep_tree(tmp_path: Path) -> None:
    """Deeper than Python may recurse."""
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    folders = list(walk_tree(tmp_path))
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # shutil.rmtree recurses
    assert len(folders) == 1501
    assert not folders[-1].unreadable


def test_a_view_that_dkit_made_is_passed_over_and_a_converted_folder_is_not(
    tmp_path: Path,
) -> None:
    for name, view in (("view", "true"), ("in_place", "false")):
        write_pair(tmp_path / name / f"{name}.jpg", tmp_path / name / f"{name}.xml")
        (tmp_path / name / "conversion.json").write_text(f'{{"settings": {{"view": {view}}}}}')
    assert list(matched(find_pairs(tmp_path))) == ["in_place/in_place.jpg"]
    assert list(matched(find_pairs(tmp_path / "view"))) == ["view.jpg"]


def test_a_folder_that_may_not_be_read_is_a_problem_and_the_rest_stays(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.jpg", tmp_path / "a.xml")
    closed = tmp_path / "lost+found"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("root may read everything")
    try:
        found = find_pairs(tmp_path)
        with pytest.raises(DatasetError) as caught:
            find_pairs(closed)
    finally:
        closed.chmod(0o700)
    assert matched(found) == {"a.jpg": "a.xml"}
    assert codes(found) == ["cannot-read"]
    assert caught.value.code == "cannot-read"


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "images"])
def test_nothing_to_convert(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "set"
    if kind == "file":
        root.write_text("")
    elif kind == "empty":
        root.mkdir()
    elif kind == "images":
        write_picture(root / "a.jpg")
    with pytest.raises(DatasetError) as caught:
        find_voc(root)
    expected = {"missing": "missing-folder", "file": "not-a-folder"}
    assert caught.value.code == expected.get(kind, "no-annotations")
    assert caught.value.path == str(root)


# --- class lists ------------------------------------------------------------------------------

CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:128,0,0:head:\ncat:0,128,0::run\n"
VOTT = "item {\n id: 2\n name: 'cat'\n}\nitem {\n  name: \"dog\"\n  id: 1\n}\n"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (None, "", ["cat", "dog"]),
        ("classes.txt", "dog\ncat\n", ["dog", "cat"]),
        ("my.names", "dog\ncat\nowl\n", ["dog", "cat", "owl"]),
        ("class_names.txt", "__ignore__\n_background_\ndog\ncat\n", ["dog", "cat"]),
        ("classes.txt", "dog\r\n  cat \r\n\r\n", ["dog", "cat"]),
        ("notes.txt", "dog\ncat\n", ["cat", "dog"]),
        ("labelmap.txt", CVAT, ["dog", "cat"]),
        ("x-PascalVOC-export/pascal_label_map.pbtxt", VOTT, ["dog", "cat"]),
        ("data/predefined_classes.txt", "dog\ncat\nowl\n", ["dog", "cat", "owl"]),
        ("Annotations/classes.txt", "dog\ncat\n", ["dog", "cat"]),
        ("train/dogs/n1/classes.txt", "dog\ncat\n", ["cat", "dog"]),
    ],
)
def test_the_order_of_classes(
    tmp_path: Path, file: str | None, text: str, expected: list[str]
) -> None:
    (tmp_path / "a_folder.names").mkdir()
    if file:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(text.encode())
    write_pair(tmp_path / "a.jpg", tmp_path / "a.xml")
    there = find_pairs(tmp_path).class_lists
    assert find_class_list(str(tmp_path), ["dog", "cat", "dog"], there) == (expected, "")


@pytest.mark.parametrize(
    ("text", "why"), [("dog\n", "has no 'cat'"), ("dog\ncat\ndog\n", "names a class twice")]
)
def test_a_list_that_does_not_fit_is_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    names, note = find_class_list(str(tmp_path), ["dog", "cat"], ["classes.txt"])
    assert names == ["cat", "dog"]
    assert note.startswith(f"{tmp_path}/classes.txt is not the class list: it {why}")


# --- exports of other tools -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "annotation", "split"),
    [
        ("JPEGImages/a.png", "Annotations/a.xml", ""),  # CVAT, with ImageSets/Main/default.txt
        ("data/a.jpg", "labels/a.xml", ""),  # FiftyOne
        ("train/a_jpg.rf.0c1f.jpg", "train/a_jpg.rf.0c1f.xml", "train"),  # Roboflow
        ("valid/a_jpg.rf.0c1f.jpg", "valid/a_jpg.rf.0c1f.xml", "valid"),
        ("x-PascalVOC-export/JPEGImages/a.jpg", "x-PascalVOC-export/Annotations/a.xml", ""),
        ("images/a.jpg", "a.xml", ""),  # labelImg, told to save elsewhere
        ("a.JPG", "a.xml", ""),
        ("train/images/a.jpg", "train/labels/a.xml", "train"),
        ("images/val/a.jpg", "Annotations/val/a.xml", "valid"),
    ],
)
def test_where_tools_put_an_image_and_its_annotation(
    tmp_path: Path, image: str, annotation: str, split: str
) -> None:
    write_pair(tmp_path / image, tmp_path / annotation)
    for name in ("Main", "Layout"):
        lists = tmp_path / "ImageSets" / name
        lists.mkdir(parents=True)
        (lists / "default.txt").write_text("a\n")
    found = find_voc(tmp_path)
    assert matched(found) == {image: annotation}
    assert set(splits(found).values()) == {split}
    assert codes(found) == []
