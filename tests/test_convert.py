"""`dkit convert` as its users call it: bad input, promises about files, exit codes."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.formats.datafile import read_data
from tests.conftest import Ended

from .engines import alexeyab, original, run_engine, write_tiny_cfg
from .sets import (
    CAT,
    contents,
    digests,
    lines,
    pascal_xml,
    write_pair,
    write_picture,
    write_voc,
)

Dkit = Callable[..., Ended]
# By hand: 11..60 and 11..30 of 100 x 50, both ends inside: 10 to 60 and 10 to 30.
CAT_LABEL = "0 0.350000 0.400000 0.500000 0.400000"


def write_set(root: Path, stems: str = "a c") -> Path:
    """Write a flat folder of good pairs."""
    for stem in stems.split():
        write_pair(root / f"{stem}.jpg", root / f"{stem}.xml")
    return root


def listed(folder: Path) -> list[str]:
    """Return the stems of all images in the lists."""
    return sorted(
        Path(line).stem
        for name in ("train", "valid", "test")
        if (folder / f"{name}.txt").exists()
        for line in lines(folder / f"{name}.txt")
    )


def problems(folder: Path) -> list[tuple[str, str]]:
    """Return code and path of each row of problems.csv."""
    with (folder / "problems.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["message"] and row["action"] for row in rows)
    return [(row["code"], Path(row["path"]).name) for row in rows]


def label_of(folder: Path, stem: str) -> list[str]:
    (path,) = folder.rglob(f"{stem}.txt")
    return lines(path)


# --- bad input --------------------------------------------------------------------------------


def bad_xml(content: str | bytes) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        write_picture(root / "b.jpg")
        raw = content.encode() if isinstance(content, str) else content
        (root / "b.xml").write_bytes(raw)

    return write


def bad_box(xmin: float, ymin: float, xmax: float, ymax: float) -> Callable[[Path], None]:
    return bad_xml(pascal_xml(("cat", xmin, ymin, xmax, ymax)))


def without_annotation(root: Path) -> None:
    write_picture(root / "b.jpg")


def without_image(root: Path) -> None:
    (root / "b.xml").write_text(pascal_xml(CAT))


def link_to_nowhere(root: Path) -> None:
    without_image(root)
    (root / "b.jpg").symlink_to(root / "gone.jpg")


def unreadable_without_size(root: Path) -> None:
    (root / "b.jpg").write_bytes(b"no image")
    (root / "b.xml").write_text(pascal_xml(CAT, size=None))


def rotated_without_size(root: Path) -> None:
    from PIL import Image

    picture = Image.new("RGB", (100, 50))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(root / "b.jpg", exif=exif)
    (root / "b.xml").write_text(pascal_xml(CAT, size=None))


def two_of_one_stem(root: Path) -> None:
    write_pair(root / "b.jpg", root / "b.xml")
    write_picture(root / "b.png")


WHOLE = pascal_xml(CAT)
KEPT, LEFT_OUT = True, False
BAD_INPUT: dict[str, tuple[Callable[[Path], None], list[str], bool, int]] = {
    "truncated XML": (bad_xml(WHOLE[:60]), ["bad-xml"], LEFT_OUT, 3),
    "empty XML": (bad_xml(""), ["bad-xml"], LEFT_OUT, 3),
    "binary XML": (bad_xml(b"\0\xff" * 99), ["bad-xml"], LEFT_OUT, 3),
    "other XML": (bad_xml("<html/>"), ["not-pascal"], LEFT_OUT, 3),
    "no size": (bad_xml(pascal_xml(CAT, size=None)), ["no-size"], KEPT, 0),
    "zero size": (bad_xml(pascal_xml(CAT, size=(0, 0))), ["no-size"], KEPT, 0),
    "swapped size": (bad_xml(pascal_xml(CAT, size=(50, 100))), ["wrong-size"], KEPT, 0),
    "inverted": (bad_box(60, 30, 11, 11), ["inverted-box"], KEPT, 0),
    "twice": (bad_xml(pascal_xml(CAT, CAT, CAT)), ["duplicate-box"] * 2, KEPT, 0),
    "half outside": (bad_box(61, 11, 160, 30), ["clipped-box"], KEPT, 0),
    "a pixel outside": (bad_box(0, 11, 60, 30), ["box-at-edge"], KEPT, 0),
    "outside": (bad_box(200, 11, 260, 30), ["empty-box", "no-box-left"], LEFT_OUT, 3),
    "no area": (bad_box(11, 11, 11, 30), ["empty-box", "no-box-left"], LEFT_OUT, 3),
    "next to no area": (bad_box(100.99999, 11, 160, 30), ["empty-box", "no-box-left"], LEFT_OUT, 3),
    "NaN": (bad_box(float("nan"), 1, 2, 3), ["bad-coordinate", "no-box-left"], LEFT_OUT, 3),
    "words": (bad_xml(WHOLE.replace("60", "x")), ["bad-coordinate", "no-box-left"], LEFT_OUT, 3),
    "no box": (bad_xml(WHOLE.replace("bndbox", "box")), ["no-box", "no-box-left"], LEFT_OUT, 3),
    "no name": (bad_xml(WHOLE.replace("cat", "")), ["no-box-left", "no-name"], LEFT_OUT, 3),
    "unknown class": (
        bad_xml(WHOLE.replace("cat", "owl")),
        ["no-box-left", "unknown-class"],
        LEFT_OUT,
        3,
    ),
    "one of two": (
        bad_xml(pascal_xml(CAT, ("owl", 1, 1, 9, 9))),
        ["unknown-class"],
        KEPT,
        3,
    ),
    "difficult": (
        bad_xml(pascal_xml(CAT, flags="<difficult>1</difficult>")),
        ["only-excluded"],
        LEFT_OUT,
        0,
    ),
    "missing image": (without_image, ["missing-image"], LEFT_OUT, 3),
    "missing linked image": (link_to_nowhere, ["missing-image"], LEFT_OUT, 3),
    "missing annotation": (without_annotation, ["no-annotation"], LEFT_OUT, 0),
    "wrong filename": (bad_xml(pascal_xml(CAT, filename="a.jpg")), ["other-filename"], KEPT, 0),
    "unreadable": (unreadable_without_size, ["unreadable-image"], LEFT_OUT, 3),
    "rotated": (rotated_without_size, ["exif-orientation", "no-size"], KEPT, 0),
    "same stem": (two_of_one_stem, ["same-stem"], KEPT, 3),
}


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_listed_and_the_rest_is_converted(
    tmp_path: Path, dkit: Dkit, case: str, view: bool
) -> None:
    spoil, codes, kept, exit_code = BAD_INPUT[case]
    source = write_set(tmp_path / "set")
    spoil(source)
    names = tmp_path / "my.names"
    names.write_text("cat\n")
    before = digests(source)
    out = tmp_path / "out" if view else source
    options = ["--out", out] if view else []
    ended = dkit("convert", "voc", source, "--names", names, *options)
    assert ended.exit_code == exit_code, ended.stderr
    found = problems(out)
    assert sorted(code for code, _ in found) == codes
    assert all(name.startswith("b.") for _, name in found)
    assert all(f" {code}: " in ended.stdout for code in codes)
    assert listed(out) == (["a", "b", "c"] if kept else ["a", "c"])
    assert label_of(out, "a") == label_of(out, "c") == [CAT_LABEL]
    now = digests(source)
    assert {name: now[name] for name in before} == before
    if view:
        assert now == before


@pytest.mark.parametrize(
    ("case", "label"),
    [
        ("no size", CAT_LABEL),
        ("swapped size", CAT_LABEL),
        ("inverted", CAT_LABEL),
        ("twice", CAT_LABEL),
        ("wrong filename", CAT_LABEL),
        ("half outside", "0 0.800000 0.400000 0.400000 0.400000"),  # 60 to 100
        ("a pixel outside", "0 0.300000 0.400000 0.600000 0.400000"),  # 0 to 60
    ],
)
def test_what_is_repaired_is_right(tmp_path: Path, dkit: Dkit, case: str, label: str) -> None:
    source = write_set(tmp_path)
    BAD_INPUT[case][0](source)
    dkit("convert", "voc", source)
    assert label_of(source, "b") == [label]


@pytest.mark.parametrize(
    "filename", ["b", "b.png", "sub/b.jpg", "/home/joe/b.jpg", r"C:\x\b.jpg", "b&#46;jpg", ""]
)
def test_ways_to_name_the_image(tmp_path: Path, dkit: Dkit, filename: str) -> None:
    source = write_set(tmp_path)
    bad_xml(pascal_xml(CAT, filename=filename))(source)
    assert dkit("convert", "voc", source).exit_code == 0
    assert problems(source) == []


def test_strict_makes_problems_an_exit_1(tmp_path: Path, dkit: Dkit) -> None:
    for case, expected in (("wrong filename", 0), ("inverted", 1), ("truncated XML", 1)):
        source = write_set(tmp_path / case)
        BAD_INPUT[case][0](source)
        assert dkit("convert", "voc", source, "--strict").exit_code == expected


def test_verify_images_finds_what_the_annotations_do_not_say(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path)
    bad_xml(pascal_xml(CAT, size=(120, 60)))(source)
    write_pair(source / "d.jpg", source / "d.xml")
    (source / "d.jpg").write_bytes(b"no image")
    assert dkit("convert", "voc", source, "--dry-run").exit_code == 0
    ended = dkit("convert", "voc", source, "--verify-images")
    assert ended.exit_code == 3
    assert problems(source) == [("wrong-size", "b.jpg"), ("unreadable-image", "d.jpg")]
    assert label_of(source, "b") == [CAT_LABEL]


@pytest.mark.parametrize(
    ("option", "boxes"),
    [
        ([], 2),
        (["--difficult", "keep"], 3),
        (["--truncated", "drop"], 1),
        (["--difficult", "keep", "--truncated", "drop"], 2),
    ],
)
def test_flags_of_objects(tmp_path: Path, dkit: Dkit, option: list[str], boxes: int) -> None:
    for stem, flag in (("a", ""), ("b", "difficult"), ("c", "truncated")):
        flags = f"<{flag}>1</{flag}>" if flag else ""
        write_pair(tmp_path / f"{stem}.jpg", tmp_path / f"{stem}.xml", flags=flags)
    ended = dkit("convert", "voc", tmp_path, "--json", *option)
    splits = json.loads(ended.stdout)["splits"]
    assert sum(split["boxes"] for split in splits.values()) == boxes


def test_images_without_annotation_as_negatives(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path)
    write_picture(source / "n.jpg")
    (source / "e.xml").write_text(pascal_xml())
    write_picture(source / "e.jpg")
    assert dkit("convert", "voc", source, "--keep-unlabelled").exit_code == 0
    assert listed(source) == ["a", "c", "e", "n"]
    assert label_of(source, "n") == label_of(source, "e") == []
    assert problems(source) == []


# --- names ------------------------------------------------------------------------------------

ODD = ["a b", "臉書", "é", "a#b", "x" * 240, "字" * 80, " lead", "trail ", "a.jpg", "-o"]
HARMFUL = ["a$(touch x)", "`x`", "a;b", "a&b", "a'b", 'a"b', "a\nb", "a\\b", "a|b", "caf\udce9"]


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_odd_names_are_converted(tmp_path: Path, dkit: Dkit, view: bool) -> None:
    source, out = tmp_path / "set", tmp_path / "my out"
    for name in ODD:
        write_pair(source / f"{name}.jpg", source / f"{name}.xml")
    ended = dkit("convert", "voc", source, *(["--out", out] if view else []))
    assert ended.exit_code == 0, ended.stdout
    assert len(listed(out if view else source)) == len(ODD)
    if not view:
        assert {path.stem for path in source.glob("*.txt")} == {*ODD, "train", "valid"}


def test_harmful_names_are_refused_in_place_and_renamed_in_a_view(
    tmp_path: Path, dkit: Dkit
) -> None:
    source, out = write_set(tmp_path / "set"), tmp_path / "out"
    for name in HARMFUL:
        write_pair(source / f"{name}.jpg", source / f"{name}.xml")
    ended = dkit("convert", "voc", source)
    assert ended.exit_code == 3
    assert listed(source) == ["a", "c"]
    assert [code for code, _ in problems(source)] == ["unsafe-path"] * len(HARMFUL)
    ended = dkit("convert", "voc", source, "--out", out)
    assert ended.exit_code == 0
    assert len(listed(out)) == len(HARMFUL) + 2
    for stem in listed(out):
        assert label_of(out, stem) == [CAT_LABEL]
    targets = {os.readlink(path) for path in out.rglob("*.jpg")}
    assert targets == {f"{source}/{name}.jpg" for name in ["a", "c", *HARMFUL]}


@pytest.mark.parametrize("name", ["a$(touch x)", "a\nb"])
def test_a_source_of_harmful_name_is_left_for_a_view(tmp_path: Path, dkit: Dkit, name: str) -> None:
    source = write_set(tmp_path / name)
    before = digests(source)
    ended = dkit("convert", "voc", source)
    assert (ended.exit_code, "[unsafe-path]" in ended.stderr) == (2, True)
    assert digests(source) == before
    assert dkit("convert", "voc", source, "--out", tmp_path / "out").exit_code == 0
    assert listed(tmp_path / "out") == ["a", "c"]


def test_one_image_that_no_engine_knows(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path / "set")
    write_pair(source / "b.gif", source / "b.xml")
    assert dkit("convert", "voc", source).exit_code == 3
    assert problems(source) == [("unsupported-image", "b.gif")]


def test_what_a_view_would_mend_is_said(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path / "set")
    for suffix in ("gif", "jfif"):
        write_pair(source / f"{suffix}.{suffix}", source / f"{suffix}.xml")
    dkit("convert", "voc", source)
    gif, jfif = lines(source / "problems.csv")[1:]
    assert ("--out DIR" in gif, "--out DIR" in jfif) == (False, True)


@pytest.mark.parametrize("suffix", [".jpeg", ".JPG", ".JPEG", ".PNG", ".png", ".jfif", ".Jpg"])
def test_a_view_gives_every_suffix_a_form_that_all_engines_know(
    tmp_path: Path, dkit: Dkit, suffix: str
) -> None:
    write_pair(tmp_path / f"set/a{suffix}", tmp_path / "set/a.xml")
    for flavor in ("alexeyab", "original", "hank-ai"):
        out = tmp_path / flavor
        words = ["--out", out, "--flavor", flavor, "--valid-fraction", "0"]
        assert dkit("convert", "voc", tmp_path / "set", *words).exit_code == 0
        (image,) = lines(out / "train.txt")
        assert Path(image).suffix in (".jpg", ".png")
        assert lines(Path(image).with_suffix(".txt")) == [CAT_LABEL]


def test_a_file_of_class_names_in_latin_1(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path / "set")
    names = tmp_path / "latin.names"
    names.write_bytes(b"caf\xe9\ncat\n")
    assert dkit("convert", "voc", source, "--names", names, "--json").exit_code == 0
    assert dkit("convert", "voc", source, "--names", names).exit_code == 0
    assert lines(source / "set.names")[1] == "cat"


# --- wrong usage ------------------------------------------------------------------------------


def xml_only(root: Path) -> None:
    (root / "a.xml").write_text(pascal_xml(CAT))


def all_bad(root: Path) -> None:
    bad_xml("")(root)


def nothing(root: Path) -> None:
    pass


@pytest.mark.parametrize("kind", ["voc", "coco"])  # as COCO, XML is of edges from 0
@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_pictures_apart_from_their_annotations(
    tmp_path: Path, dkit: Dkit, kind: str, view: bool
) -> None:
    kit, images, out = tmp_path / "kit", tmp_path / "disk", tmp_path / "out"
    write_voc(kit, "1 2", train="1", val="2")
    (kit / "JPEGImages").rename(images)
    before = contents(kit)
    command = ["convert", kind, kit, "--images", images, *(["--out", out] if view else [])]
    ended = dkit(*command, "--name", "x", "--box-convention", "inclusive")
    assert (ended.exit_code, "note: there is XML" in ended.stdout) == (0, kind == "coco")
    assert "labels go" not in ended.stdout
    labels = (out / "train/1.txt", out / "valid/2.txt") if view else images.glob("*.txt")
    assert [label.read_text() for label in labels] == [f"{CAT_LABEL}\n"] * 2
    assert lines((out if view else kit) / "train.txt") == [
        f"{out / 'train' if view else images}/1.jpg"
    ]
    assert before.items() <= contents(kit).items()
    assert (before == contents(kit), contents(images).keys() == {"1.jpg", "2.jpg"}) == (view, view)
    assert dkit("convert", kind, kit, "--images", images, "--out", images).exit_code == 2


def test_linked_folders_get_labels_in_place_and_people_are_told(tmp_path: Path, dkit: Dkit) -> None:
    """Darknet looks beside an image as it is listed, so beside the link of a single image."""
    kit, disk = tmp_path / "kit", tmp_path / "disk"
    for stem in "12":
        write_pair(disk / f"more/{stem}.jpg", kit / f"more/{stem}.xml")
    write_pair(disk / "alone.jpg", kit / "alone.xml")
    (kit / "alone.jpg").symlink_to(disk / "alone.jpg")
    assert "note:" not in dkit("convert", "voc", kit).stdout
    assert (kit / "alone.txt").exists()
    (kit / "more/images").symlink_to(disk / "more")
    (kit / "twice").symlink_to(kit / "more")
    before = contents(tmp_path)
    told = (
        f"  note: labels go beside their images into {disk}/more/, where links lead out of SOURCE"
    )
    assert told in dkit("convert", "voc", kit, "--dry-run").stdout
    assert contents(tmp_path) == before
    assert "labels go" not in dkit("convert", "voc", kit, "--out", tmp_path / "out").stdout
    assert before.items() <= contents(tmp_path).items()
    assert not list(disk.rglob("*.txt"))
    assert told in dkit("convert", "voc", kit).stdout
    assert [path.name for path in sorted(disk.rglob("*.txt"))] == ["1.txt", "2.txt"]
    listed = [*lines(kit / "train.txt"), *lines(kit / "valid.txt")]
    assert sorted(listed) == [
        f"{kit}/{name}.jpg" for name in ("alone", "more/images/1", "more/images/2")
    ]


def test_pictures_apart_that_are_others(tmp_path: Path, dkit: Dkit) -> None:
    write_voc(tmp_path / "kit", "1 2")
    write_picture(tmp_path / "disk/3.jpg")
    ended = dkit("convert", "voc", tmp_path / "kit", "--images", tmp_path / "disk")
    assert ended.exit_code == 1
    said = f"none of the annotations has its image in {tmp_path}/disk (2 are without)"
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("write", "words", "exit_code", "code"),
    [
        (nothing, ["voc", "set"], 1, "no-annotations"),
        (nothing, ["ilsvrc", "set"], 1, "wrong-layout"),
        (nothing, ["coco", "set"], 1, "no-annotations"),
        (nothing, ["voc", "none"], 1, "missing-folder"),
        (nothing, ["ilsvrc", "none"], 1, "missing-folder"),
        (nothing, ["coco", "none"], 1, "missing-folder"),
        (xml_only, ["voc", "set"], 1, "no-images"),
        (xml_only, ["voc", "set/a.xml"], 1, "not-a-folder"),
        (xml_only, ["coco", "set/a.xml"], 1, "not-a-folder"),
        (xml_only, ["ilsvrc", "set/a.xml"], 1, "not-a-folder"),
        (without_annotation, ["voc", "set"], 1, "no-annotations"),
        (all_bad, ["voc", "set"], 1, "nothing-left"),
        (all_bad, ["voc", "set", "--dry-run"], 1, "nothing-left"),
        (write_set, ["ilsvrc", "set"], 1, "wrong-layout"),
        (write_set, ["voc"], 2, "usage"),
        (write_set, [], 2, "usage"),
        (write_set, ["yolo", "set"], 2, "usage"),
        (write_set, ["voc", "set", "--flavour", "x"], 2, "usage"),
        (write_set, ["voc", "set", "--flavor", "x"], 2, "usage"),
        (write_set, ["voc", "set", "--valid-fraction", "2"], 2, "usage"),
        (write_set, ["voc", "set", "--workers", "0"], 2, "usage"),
        (write_set, ["voc", "set", "--mapping", "x"], 2, "wrong-option"),
        (write_set, ["voc", "set", "--images", "x"], 1, "missing-folder"),
        (write_set, ["ilsvrc", "set", "--names", "x"], 2, "wrong-option"),
        (write_set, ["voc", ""], 2, "usage"),
        (write_set, ["voc", "set", "--out", ""], 2, "usage"),
        (write_set, ["voc", "set", "--out", "set"], 2, "out-is-source"),
        (write_set, ["voc", "set", "--out", "set/../set/"], 2, "out-is-source"),
        (write_set, ["voc", "set", "--out", "set", "--overwrite"], 2, "out-is-source"),
        (write_set, ["voc", "set", "--out", "a$b"], 2, "unsafe-path"),
        (write_set, ["voc", "set", "--out", "JPEGImages"], 2, "trap-in-path"),
        (write_set, ["voc", "set", "--out", "draw", "--flavor", "original"], 2, "trap-in-path"),
        (write_set, ["voc", "set", "--out", "set/a.jpg"], 2, "no-folder"),
        (write_set, ["voc", "set", "--out", "set/a.jpg/x"], 2, "no-folder"),
        (write_set, ["voc", "set", "--names", "none.names"], 1, "missing-file"),
        (write_set, ["voc", "set", "--names", "set"], 1, "cannot-read"),
        (write_set, ["voc", "set", "--names", "set/a.jpg"], 1, "blank-class"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_one_json(
    tmp_path: Path,
    dkit: Dkit,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], object],
    words: list[str],
    exit_code: int,
    code: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    write(tmp_path / "set")
    before = digests(tmp_path / "set")
    ended = dkit("convert", *words)
    assert ended.exit_code == exit_code
    assert ended.stderr.startswith("error: ")
    assert f"[{code}]" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.stdout == ""
    document = json.loads(dkit("convert", *words, "--json").stdout)
    assert (document["ok"], document["exit_code"]) == (False, exit_code)
    assert document["error"]["code"] == code
    now = digests(tmp_path / "set")
    assert {name: now[name] for name in before} == before


def test_a_set_with_a_class_twice(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path / "set")
    (tmp_path / "my.names").write_text("cat\ndog\ncat\n")
    ended = dkit("convert", "voc", source, "--names", tmp_path / "my.names")
    assert (ended.exit_code, "[duplicate-class]" in ended.stderr) == (1, True)


# --- what is written --------------------------------------------------------------------------


def test_a_data_set_is_complete(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths are shown from here
    source = write_voc(tmp_path / "VOC 2007", "1 2 3", train="1 2", val="3")
    out = tmp_path / "out"
    ended = dkit("convert", "voc", source, "--out", out)
    assert ended.exit_code == 0
    assert contents(out).keys() == {
        "conversion.json",
        "problems.csv",
        "train.txt",
        "valid.txt",
        "VOC_2007.data",
        "VOC_2007.names",
        *("train/1.jpg", "train/1.txt", "train/2.jpg", "train/2.txt"),
        *("valid/3.jpg", "valid/3.txt"),
    }
    assert lines(out / "train.txt") == [f"{out}/train/1.jpg", f"{out}/train/2.jpg"]
    assert lines(out / "VOC_2007.data") == [
        "classes = 1",
        f"train = {out}/train.txt",
        f"valid = {out}/valid.txt",
        f"names = {out}/VOC_2007.names",
        f"backup = {out}/backup",
    ]
    assert (out / "backup").is_dir()
    record = json.loads((out / "conversion.json").read_text())
    assert record["finished"]
    assert record["counts"]["splits"]["train"] == {
        "images": 2,
        "negatives": 0,
        "boxes": 2,
        "boxes_by_class": {"cat": 2},
    }
    assert ended.stdout.splitlines()[-1] == "Next:  dkit show out/VOC_2007.data"


def test_json_says_the_same(tmp_path: Path, dkit: Dkit) -> None:
    source = write_voc(tmp_path / "set", "1 2 3", train="1 2", val="3")
    ended = dkit("convert", "voc", source, "--out", tmp_path / "out", "--json")
    document = json.loads(ended.stdout)
    assert document["ok"]
    assert document["classes"] == ["cat"]
    assert document["splits"]["valid"]["images"] == 1
    assert document["labels_written"] == 3
    assert Path(document["data"]).exists()


@pytest.mark.parametrize("flavor", ["alexeyab", "original", "hank-ai"])
def test_in_place_each_label_lies_where_its_flavor_looks(
    tmp_path: Path, dkit: Dkit, flavor: str
) -> None:
    for kit in ("VOC", "images"):
        write_voc(tmp_path / kit, "1 2")
        ended = dkit("convert", "voc", tmp_path / kit, "--flavor", flavor)
        assert ended.exit_code == 0
        beside = flavor == "hank-ai"
        folder = {"VOC": "VOC", "images": "labels"}[kit] if flavor == "original" else kit
        labels = f"{folder}/{'JPEGImages' if beside else 'labels'}"
        if kit == "images" and flavor == "original":  # each first `images`, then `JPEGImages`
            labels = "labels/labels"
        for stem in "12":
            assert lines(tmp_path / labels / f"{stem}.txt") == [CAT_LABEL]
        assert ("do not lie beside" in ended.stdout) is not beside


def engine_sees(engine: Path, folder: Path, data: Path) -> str:
    write_tiny_cfg(folder / "net.cfg", classes=1)
    return run_engine(engine, ["detector", "train", data, "net.cfg"], folder)


@pytest.mark.parametrize("place", ["in place", "view", "view in a folder with blanks"])
@pytest.mark.parametrize("flavor", ["alexeyab", "original"])
def test_real_engines_find_every_label(tmp_path: Path, dkit: Dkit, flavor: str, place: str) -> None:
    engine = alexeyab() if flavor == "alexeyab" else original()
    source = write_voc(tmp_path / "my kit", "1 2 3", train="1 2 3", val="1")
    out = {"in place": source, "view": tmp_path / "out"}.get(place, tmp_path / "my out")
    options = [] if place == "in place" else ["--out", out]
    dkit("convert", "voc", source, "--flavor", flavor, "--name", "x", *options)
    printed = engine_sees(engine, out, Path("x.data"))
    assert "Couldn't open" not in printed
    assert "Can't open" not in printed
    assert "Cannot load" not in printed
    assert (out / "backup/net_final.weights").exists()


def test_a_folder_with_blanks_is_named_by_names_beside_it(tmp_path: Path, dkit: Dkit) -> None:
    """Darknet drops blanks inside values; U+3000, a blank to Unicode, it keeps."""
    for name, expected in (("a b", "train.txt"), ("a\u3000b", f"{tmp_path}/a\u3000b/train.txt")):
        out = tmp_path / name
        dkit("convert", "voc", write_set(tmp_path / "set"), "--out", out, "--name", "x")
        assert lines(out / "x.data")[1] == f"train = {expected}"
        data = read_data(out / "x.data")
        assert data.train == out / "train.txt"
        assert data.names == out / "x.names"


def test_relative_sources_and_slashes_make_the_same_set(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_set(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    found = []
    for number, given in enumerate((source, "set", "set/", "./set/../set//", f"{source}/")):
        out = tmp_path / f"out{number}"
        assert dkit("convert", "voc", given, "--out", f"out{number}/", "--name", "x").exit_code == 0
        texts = [(out / name).read_text() for name in ("train.txt", "conversion.json")]
        found.append([text.replace(f"out{number}", "out") for text in texts])
    assert all(texts == found[0] for texts in found)
    assert lines(tmp_path / "out1/train.txt")[0].startswith(str(tmp_path))
    monkeypatch.chdir(source)
    assert dkit("convert", "voc", ".").exit_code == 0
    assert (source / "set.data").exists()


def test_a_view_inside_the_source_is_no_source(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    first = dkit("convert", "voc", ".", "--out", "darknet")
    before = digests(Path("darknet"))
    second = dkit("convert", "voc", ".", "--out", "darknet")
    assert first.exit_code == second.exit_code == 0
    assert "2 right already" in second.stdout
    assert digests(Path("darknet")) == before
    assert problems(Path("darknet")) == []


# --- again, and after a kill ------------------------------------------------------------------


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path: Path, dkit: Dkit, view: bool) -> None:
    source = write_set(tmp_path / "set", "a b c d")
    bad_xml("")(source)
    options = ["--out", tmp_path / "out"] if view else []
    before = digests(tmp_path)
    dry = dkit("convert", "voc", source, "--dry-run", *options)
    assert digests(tmp_path) == before
    assert not (tmp_path / "out").exists()
    real = dkit("convert", "voc", source, *options)
    assert dry.exit_code == real.exit_code == 3
    assert "Nothing was written." in dry.stdout
    counts = [line for line in real.stdout.splitlines() if "images" in line or "bad-xml" in line]
    assert all(line in dry.stdout for line in counts)


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_a_second_run_writes_nothing(tmp_path: Path, dkit: Dkit, view: bool) -> None:
    source = write_set(tmp_path / "set", "a b c")
    bad_box(60, 30, 11, 11)(source)
    options = ["--out", tmp_path / "out"] if view else []
    dkit("convert", "voc", source, *options)
    before = digests(tmp_path)
    ended = dkit("convert", "voc", source, *options)
    assert digests(tmp_path) == before
    assert "0 written, 3 right already" in ended.stdout


def test_an_annotation_that_changed_is_told_and_converted_on_request(
    tmp_path: Path, dkit: Dkit
) -> None:
    source, out = write_set(tmp_path / "set", "a b"), tmp_path / "out"
    dkit("convert", "voc", source, "--out", out)
    (source / "b.xml").write_text(pascal_xml(("cat", 1, 1, 100, 50)))
    ended = dkit("convert", "voc", source, "--out", out)
    assert ended.exit_code == 3
    assert problems(out) == [("label-exists", "b.jpg")]
    assert label_of(out, "b") == [CAT_LABEL]
    ended = dkit("convert", "voc", source, "--out", out, "--overwrite")
    assert ended.exit_code == 0
    assert label_of(out, "b") == ["0 0.500000 0.500000 1.000000 1.000000"]


def test_labels_of_others_are_kept_run_after_run(tmp_path: Path, dkit: Dkit) -> None:
    source = write_set(tmp_path, "a b")
    (source / "b.txt").write_text("0 .1 .1 .1 .1\n")
    for _ in range(2):
        ended = dkit("convert", "voc", source)
        assert ended.exit_code == 3
        assert problems(source) == [("label-exists", "b.jpg")]
        assert (source / "b.txt").read_text() == "0 .1 .1 .1 .1\n"
        assert listed(source) == ["a"]
    assert dkit("convert", "voc", source, "--overwrite").exit_code == 0
    assert label_of(source, "b") == [CAT_LABEL]


@pytest.mark.parametrize(
    "name",
    ["set.data", "set.names", "train.txt", "valid.txt", "problems.csv", "conversion.json"],
)
def test_lists_of_others_are_kept(tmp_path: Path, dkit: Dkit, name: str) -> None:
    source = write_set(tmp_path / "set")
    (source / name).write_text("cat\n")
    before = digests(source)
    ended = dkit("convert", "voc", source)
    assert (ended.exit_code, "[not-empty]" in ended.stderr) == (2, True)
    assert digests(source) == before
    assert dkit("convert", "voc", source, "--overwrite").exit_code == 0


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, dkit: Dkit) -> None:
    source, out = write_set(tmp_path / "set"), tmp_path / "out"
    out.mkdir()
    assert dkit("convert", "voc", source, "--out", out, "--dry-run").exit_code == 0
    (out / "mine").write_text("")
    ended = dkit("convert", "voc", source, "--out", out)
    assert (ended.exit_code, "[not-empty]" in ended.stderr) == (2, True)
    assert contents(out).keys() == {"mine"}
    assert dkit("convert", "voc", source, "--out", out, "--overwrite").exit_code == 0
    assert (out / "mine").exists()


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        (["--flavor", "original"], "flavor"),
        (["--box-convention", "plain"], "box_convention"),
        (["--difficult", "keep"], "keep_difficult"),
        (["--valid-fraction", "0.5"], "valid_fraction"),
        (["--seed", "1"], "seed"),
        (["--keep-unlabelled"], "keep_unlabelled"),
    ],
)
def test_other_settings_are_refused(
    tmp_path: Path, dkit: Dkit, option: list[str], changed: str
) -> None:
    source, out = write_set(tmp_path / "set"), tmp_path / "out"
    dkit("convert", "voc", source, "--out", out)
    before = digests(out)
    ended = dkit("convert", "voc", source, "--out", out, *option)
    assert ended.exit_code == 2
    assert f"other settings ({changed})" in ended.stderr
    assert digests(out) == before
    assert dkit("convert", "voc", source, "--out", out, "--overwrite", *option).exit_code == 0


def test_two_coco_files_do_not_replace_each_other(tmp_path: Path, dkit: Dkit) -> None:
    write_picture(tmp_path / "set/a.jpg")
    for name in ("one", "two"):
        document = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 1, "name": "cat"}],
        }
        (tmp_path / f"set/{name}.json").write_text(json.dumps(document))
    out = tmp_path / "out"
    assert dkit("convert", "coco", tmp_path / "set/one.json", "--out", out).exit_code == 0
    ended = dkit("convert", "coco", tmp_path / "set/two.json", "--out", out)
    assert (ended.exit_code, "(source)" in ended.stderr) == (2, True)


def test_a_path_that_is_no_utf8_can_be_told(tmp_path: Path) -> None:
    """Through the console script's own streams, with all that comes before and after."""
    source = write_set(tmp_path / "caf\udce9")
    for options, exit_code in (([], 2), (["--json"], 2), (["--out", tmp_path / "out"], 0)):
        ended = start("convert", "voc", source, *options)
        printed, told = ended.communicate(timeout=60)
        assert ended.returncode == exit_code
        assert "caf\\udce9" in printed + told
        assert "Traceback" not in told


def start(*words: str | Path) -> subprocess.Popen[str]:
    """Start a real dkit, the leader of its own process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "darknet_kit", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_labels(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if folder.is_dir() and sum(name.endswith(".txt") for name in os.listdir(folder)) >= count:
            return
        time.sleep(0.005)
    pytest.fail("no labels in a minute")


def wait_for_the_end_of_group(leader: subprocess.Popen[str]) -> None:
    """Wait until no process of the group is left; workers must not outlive their parent."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(leader.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("workers are left")


LARGE = 5000


@pytest.fixture(scope="module")
def large_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of so many images that converting them can be met midway."""
    root = tmp_path_factory.mktemp("large")
    write_pair(root / "0.jpg", root / "0.xml")
    for number in range(1, LARGE):
        os.link(root / "0.jpg", root / f"{number}.jpg")
        os.link(root / "0.xml", root / f"{number}.xml")
    return root


def test_two_workers_write_the_same_files_as_one(
    large_set: Path, tmp_path: Path, dkit: Dkit
) -> None:
    made = []
    for workers in "12":
        out = tmp_path / workers
        words = ["--out", out, "--workers", workers, "--name", "x", "--json"]
        ended = dkit("convert", "voc", large_set, *words)
        assert ended.exit_code == 0
        texts = (out / "train.txt").read_text(), (out / "valid.txt").read_text()
        made.append([text.replace(str(out), "") for text in texts])
        document = json.loads(ended.stdout.replace(str(out), ""))
        document.pop("next_command")  # its path is as seen from the current folder
        made[-1].append(json.dumps(document))
        made[-1].extend(sorted(contents(out)))
    assert made[0] == made[1]
    assert len(made[0][0].splitlines()) + len(made[0][1].splitlines()) == LARGE


def test_killed_midway_and_run_again_is_as_if_nothing_happened(
    large_set: Path, tmp_path: Path, dkit: Dkit
) -> None:
    words: list[str | Path] = [
        "convert",
        "voc",
        large_set,
        "--out",
        tmp_path / "out",
        "--workers",
        "2",
    ]
    killed = start(*words)
    wait_for_labels(tmp_path / "out/train", 50)
    killed.kill()
    killed.communicate()
    wait_for_the_end_of_group(killed)
    halfway = contents(tmp_path / "out")
    assert 50 <= sum(name.endswith(".txt") for name in halfway) < LARGE
    assert not json.loads((tmp_path / "out/conversion.json").read_text())["finished"]
    assert not (tmp_path / "out/train.txt").exists()
    assert dkit(*words).exit_code == 0
    resumed = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "resumed")
    assert dkit(*words).exit_code == 0
    assert resumed == contents(tmp_path / "out")
    assert not any(name.endswith(".part") for name in resumed)


def test_killed_before_the_record_is_whole(tmp_path: Path, dkit: Dkit) -> None:
    source, out = write_set(tmp_path / "set"), tmp_path / "out"
    out.mkdir()
    (out / ".conversion.json.part").write_text('{"sett')
    assert dkit("convert", "voc", source, "--out", out).exit_code == 0
    assert not (out / ".conversion.json.part").exists()


def test_ctrl_c_midway_is_a_sentence_and_goes_on_later(
    large_set: Path, tmp_path: Path, dkit: Dkit
) -> None:
    words: list[str | Path] = [
        "convert",
        "voc",
        large_set,
        "--out",
        tmp_path / "out",
        "--workers",
        "2",
    ]
    stopped = start(*words)
    wait_for_labels(tmp_path / "out/train", 50)
    os.killpg(stopped.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, told = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    wait_for_the_end_of_group(stopped)
    assert dkit(*words).exit_code == 0
    assert len(listed(tmp_path / "out")) == LARGE


def servers_of_group(leader: subprocess.Popen[str]) -> list[int]:
    """Return the worker processes of a group and, before them, the one that forks them."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            command = Path("/proc", process, "cmdline").read_bytes()
            if os.getpgid(int(process)) == leader.pid and b"forkserver" in command:
                found.append(int(process))
    return sorted(found)


def test_a_worker_that_is_killed_is_a_sentence(large_set: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "convert",
        "voc",
        large_set,
        "--out",
        tmp_path / "out",
        "--workers",
        "2",
    ]
    parent = start(*words)
    wait_for_labels(tmp_path / "out/train", 50)
    os.killpg(parent.pid, signal.SIGSTOP)  # or it might be done before the workers are found
    _, *workers = servers_of_group(parent)  # the first one forks the others
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    os.killpg(parent.pid, signal.SIGCONT)
    _, told = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "[worker-died]" in told
    assert "Traceback" not in told


def test_labels_that_are_there_between_new_ones(tmp_path: Path, dkit: Dkit) -> None:
    """After a new label none is looked for; what is there is found all the same, and stays."""
    root = write_voc(tmp_path / "set", "1 2 3 4 5 6")
    labels = root / "labels"
    labels.mkdir()
    dkit("convert", "voc", root, "--dry-run")
    (labels / "3.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (labels / "5.txt").symlink_to("/no/such/file")
    ended = dkit("convert", "voc", root, "--json")
    document = json.loads(ended.stdout)
    assert document["problems"] == {"label-exists": 2}
    assert document["labels_written"] == 4
    assert (labels / "3.txt").read_text() == "0 0.5 0.5 0.5 0.5\n"
    assert (labels / "5.txt").is_symlink()
    (labels / "4.txt").unlink()
    again = json.loads(dkit("convert", "voc", root, "--json").stdout)
    assert again["labels_written"] == 1


def test_an_image_called_like_its_split(tmp_path: Path, dkit: Dkit) -> None:
    write_voc(tmp_path / "set", "train val a", train="train val", val="a")
    dkit("convert", "voc", tmp_path / "set", "--out", tmp_path / "view")
    assert (tmp_path / "view/train/train.txt").is_file()
    assert (tmp_path / "view/train/val.txt").is_file()


def test_images_without_annotation_are_listed_among_the_problems(
    tmp_path: Path, dkit: Dkit
) -> None:
    root = write_voc(tmp_path / "set", "1 3 5")
    for stem in "24":
        write_picture(root / f"JPEGImages/{stem}.jpg")
    (root / "Annotations/3.xml").write_text("<annotation>")
    dkit("convert", "voc", root, "--out", tmp_path / "view")
    rows = [line.split(",")[0] for line in lines(tmp_path / "view/problems.csv")[1:]]
    assert rows == ["bad-xml", "no-annotation", "no-annotation"]
