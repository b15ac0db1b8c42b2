"""Label files: where real engines look for them, and what stands in them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.yolo import (
    Label,
    are_safe,
    defuse,
    format_label,
    is_beside,
    is_safe,
    label_path,
    parse_labels,
    read_labels,
)

from .engines import alexeyab, original, run_engine, write_tiny_cfg

ALEXEYAB, ORIGINAL, HANK_AI = Flavor.ALEXEYAB, Flavor.ORIGINAL, Flavor.HANK_AI

# Image; its label to AlexeyAB's and to the 2018 Darknet. The tests below hold each row against
# the engines themselves.
PLACES = [
    ("plain/a.jpg", "plain/a.txt", "plain/a.txt"),
    ("plain/a.JPG", "plain/a.txt", "plain/a.txt"),
    ("plain/a.png", "plain/a.txt", "plain/a.txt"),
    ("plain/a.jpeg", "plain/a.txt", None),
    ("plain/a.JPEG", "plain/a.txt", "plain/a.txt"),
    ("plain/a.PNG", "plain/a.txt", None),
    ("plain/a.bmp", "plain/a.txt", None),
    ("plain/a.BMP", "plain/a.txt", None),
    ("plain/a.tiff", "plain/a.txt", None),
    ("plain/a.Jpg", None, None),
    ("plain/a.tif", None, None),
    ("plain/a.jpg.jpg", "plain/a.jpg.txt", None),
    ("plain/a.png.jpg", "plain/a.png.txt", "plain/a.txt.txt"),
    ("some.jpg.d/a.png", "some.jpg.d/a.txt", "some.txt.d/a.txt"),
    ("dots.in.name/a.b.c.jpg", "dots.in.name/a.b.c.txt", "dots.in.name/a.b.c.txt"),
    ("a blank/a b.jpg", "a blank/a b.txt", "a blank/a b.txt"),
    ("é/臉.jpg", "é/臉.txt", "é/臉.txt"),
    ("images/a.jpg", "images/a.txt", "labels/a.txt"),
    ("images/train/a.jpg", "images/train/a.txt", "labels/train/a.txt"),
    ("images/train2017/a.jpg", "labels/train2017/a.txt", "labels/train2017/a.txt"),
    ("images/val2017/a.jpg", "labels/val2017/a.txt", "labels/val2017/a.txt"),
    ("images/train2014/a.jpg", "labels/train2014/a.txt", "labels/train2014/a.txt"),
    ("images/val2014/a.jpg", "labels/val2014/a.txt", "labels/val2014/a.txt"),
    ("images/test2017/a.jpg", "images/test2017/a.txt", "labels/test2017/a.txt"),
    ("train2017/a.jpg", "train2017/a.txt", "train2017/a.txt"),
    ("JPEGImages/a.jpg", "labels/a.txt", "labels/a.txt"),
    ("JPEGImages/JPEGImages/a.jpg", "labels/JPEGImages/a.txt", "labels/JPEGImages/a.txt"),
    ("myJPEGImages/a.jpg", "myJPEGImages/a.txt", "mylabels/a.txt"),
    ("my_images_old/a.jpg", "my_images_old/a.txt", "my_labels_old/a.txt"),
    ("strawberry/a.jpg", "strawberry/a.txt", "stlabelsberry/a.txt"),
    ("raw/raw/a.jpg", "raw/raw/a.txt", "labels/raw/a.txt"),
    ("images/JPEGImages/raw/a.jpg", "images/labels/raw/a.txt", "labels/labels/labels/a.txt"),
]


@pytest.mark.parametrize(("image", "to_alexeyab", "to_original"), PLACES)
def test_where_labels_are_looked_for(
    image: str, to_alexeyab: str | None, to_original: str | None
) -> None:
    assert label_path(f"/d/{image}", ALEXEYAB) == (to_alexeyab and f"/d/{to_alexeyab}")
    assert label_path(f"/d/{image}", ORIGINAL) == (to_original and f"/d/{to_original}")
    # hank-ai: std::filesystem's replace_extension, whatever the extension
    assert label_path(f"/d/{image}", HANK_AI) == "/d/" + image[: image.rindex(".")] + ".txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every image of the table, and none of the labels."""
    folder = tmp_path_factory.mktemp("places")  # a test's own name could hold `images`
    write_tiny_cfg(folder / "net.cfg", classes=1, batch=1)
    (folder / "a.names").write_text("thing\n")
    (folder / "a.data").write_text(
        "classes=1\ntrain=list.txt\nvalid=list.txt\nnames=a.names\nbackup=.\n"
    )
    for image, _, _ in PLACES:
        path = folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), "red").save(path, "JPEG")  # engines go by content
    return folder


def test_alexeyab_says_where_it_looks(folder: Path) -> None:
    engine = alexeyab()
    (folder / "list.txt").write_text("".join(f"{folder}/{image}\n" for image, _, _ in PLACES))
    printed = run_engine(engine, ["detector", "map", "a.data", "net.cfg"], folder)
    # Not by whole lines: other threads print into these.
    looked = re.findall(r"Can't open label file.*?: (/.*?\.txt)", printed)
    refused = re.findall(r"Failed to infer label file name.*?: (.*) $", printed, re.M)
    paths = [(f"{folder}/{image}", label) for image, label, _ in PLACES]
    assert looked == [label_path(image, ALEXEYAB) for image, label in paths if label]
    assert refused == [image for image, label in paths if label is None]


@pytest.mark.parametrize(("image", "_", "expected"), PLACES)
def test_the_original_says_where_it_looks(
    folder: Path, image: str, _: str, expected: str | None
) -> None:
    engine = original()
    (folder / "list.txt").write_text(f"{folder}/{image}\n")
    printed = run_engine(engine, ["detector", "train", "a.data", "net.cfg"], folder)
    looked = re.findall(r"^Couldn't open file: (.*)$", printed, re.M)
    if expected is None:  # it reads the image as a label, or looks for one that is no .txt
        assert not any(path.endswith(".txt") for path in looked)
    else:
        assert looked == [label_path(f"{folder}/{image}", ORIGINAL)]


@pytest.mark.parametrize(
    ("image", "flavor", "beside"),
    [
        ("/d/a.jpg", ALEXEYAB, True),
        ("/d/images/a.jpg", ALEXEYAB, True),
        ("/d/images/a.jpg", ORIGINAL, False),
        ("/d/JPEGImages/a.jpg", ALEXEYAB, False),
        ("/d/JPEGImages/a.jpg", HANK_AI, True),
        ("/d/a.gif", ALEXEYAB, False),
        ("/d/a.gif", HANK_AI, True),
    ],
)
def test_beside_the_image(image: str, flavor: Flavor, beside: bool) -> None:
    assert is_beside(image, flavor) is beside


@pytest.mark.parametrize(
    "name",
    ["$(touch x)", "`touch x`", "caf\udce9", *(f"a{sign}b" for sign in ";&|<>'\"\\\n\r\t\0*?\x7f")],
)
def test_a_path_that_a_shell_or_a_list_would_mangle_is_unsafe(name: str) -> None:
    assert not is_safe(f"/d/{name}.jpg")
    assert not are_safe(["/d/a.jpg", f"/d/{name}.jpg"])
    assert is_safe(f"/d/{defuse(name)}.jpg")
    assert len(defuse(name)) == len(name)


@pytest.mark.parametrize(
    "name", ["a b", "臉書", "é", "a#b", "~a", "a%s", "a,b", "[a]", "a=b", "a!"]
)
def test_odd_names_that_do_no_harm_are_safe(name: str) -> None:
    assert is_safe(f"/d/{name}.jpg")
    assert are_safe(["/d/a.jpg", f"/d/{name}.jpg"])
    assert defuse(name) == name


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_path_longer_than_an_engine_keeps_is_unsafe(letter: str) -> None:
    """4096 bytes, of which some go to what an engine makes of it."""
    longest, too_long = (f"/{letter * (count // len(letter.encode()))}" for count in (3990, 4010))
    assert [is_safe(longest), are_safe([longest, "/a.jpg"])] == [True, True]
    assert [is_safe(too_long), are_safe([too_long, "/a.jpg"])] == [False, False]
    assert are_safe([])


def test_a_safe_name_stays_words_in_the_engines_shell(tmp_path: Path) -> None:
    """AlexeyAB's runs `echo PATH >> bad_label.list` for each label that it dislikes."""
    engine = alexeyab()
    names = ["a b", "a#b", "~a", "a%s", "[a]", "a=b", "a!", "a{b,c}", "é", "-n"]
    write_tiny_cfg(tmp_path / "net.cfg", classes=1, batch=64)
    (tmp_path / "a.names").write_text("thing\n")
    (tmp_path / "a.data").write_text(
        "classes=1\ntrain=list.txt\nvalid=list.txt\nnames=a.names\nbackup=.\n"
    )
    for name in names:
        image = tmp_path / f"{name}.jpg"
        assert is_safe(str(image))
        Image.new("RGB", (40, 40), "red").save(image)
        image.with_suffix(".txt").write_text("7 .5 .5 .5 .5\n")  # an unknown class
    (tmp_path / "list.txt").write_text("".join(f"{tmp_path}/{name}.jpg\n" for name in names))
    before = {path.name for path in tmp_path.iterdir()} | {"bad_label.list"}
    words = ["detector", "train", "a.data", "net.cfg", "-dont_show"]
    printed = run_engine(engine, words, tmp_path)
    told = set(re.findall(r"Wrong annotation: class_id = 7.*/(.*)\.txt *$", printed, re.M))
    assert len(told & set(names)) > len(names) / 2  # it draws 64 images of ten
    made = {path.name for path in tmp_path.iterdir()} - before
    assert all(name.endswith((".weights", ".png")) for name in made)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", []),
        ("0 .5 .5 .25 .125\n", [Label(0, 0.5, 0.5, 0.25, 0.125)]),
        ("3 1e-1 0.5 1 1", [Label(3, 0.1, 0.5, 1, 1)]),
        ("0 .1 .1 .1 .1\r\n\r\n1 .2 .2 .2 .2\r\n", [Label(0, *[0.1] * 4), Label(1, *[0.2] * 4)]),
        ("0\t.1 .1\n.1 .1 1 .2 .2 .2 .2", [Label(0, *[0.1] * 4), Label(1, *[0.2] * 4)]),
        ("0 .1 .1 .1 .1\n1 .2 .2", [Label(0, *[0.1] * 4)]),
        ("0 .1 .1 .1 .1\nx .2 .2 .2 .2\n0 .1 .1 .1 .1", [Label(0, *[0.1] * 4)]),
        ("0 .1 .1 .1 .1\n1 .2 nan .2 .2", [Label(0, *[0.1] * 4)]),
        ("0 .1 .1 .1 .1\n1 .2 inf .2 .2", [Label(0, *[0.1] * 4)]),
        ("\ufeff0 .1 .1 .1 .1", []),
        ("# a comment\n0 .1 .1 .1 .1", []),
        ("-1 .1 .1 .1 .1", [Label(-1, *[0.1] * 4)]),
    ],
)
def test_labels_are_a_stream_of_tokens(text: str, labels: list[Label]) -> None:
    """As `fscanf(file, "%d %f %f %f %f")` reads them until it fails, in every engine."""
    assert parse_labels(text) == labels


def test_a_line_holds_six_decimals() -> None:
    assert format_label(3, 0.5, 1 / 3, 1.0, 2e-6) == "3 0.500000 0.333333 1.000000 0.000002\n"


fractions = st.floats(0, 1)


@given(st.lists(st.tuples(st.integers(0, 9999), fractions, fractions, fractions, fractions)))
def test_what_is_written_is_read(rows: list[tuple[int, float, float, float, float]]) -> None:
    labels = parse_labels("".join(format_label(*row) for row in rows))
    assert [label.class_id for label in labels] == [row[0] for row in rows]
    for label, row in zip(labels, rows, strict=True):
        found = (label.cx, label.cy, label.width, label.height)
        assert found == pytest.approx(row[1:], abs=5.1e-7)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_labels(text)


def test_reading_label_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert read_labels(str(path)) is None
    assert read_labels(str(tmp_path)) is None
    path.write_bytes(b"0 .1 .1 .1 .1\n\xff\xfe")
    assert read_labels(str(path)) == [Label(0, *[0.1] * 4)]


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0\n"), min_size=1, max_size=30))
def test_every_flavour_agrees_on_every_name_in_a_view(name: str) -> None:
    """What `dkit convert --out` lists has its label beside it, for all."""
    from darknet_kit.core.records import Item
    from darknet_kit.dataset.place import view_path

    item = Item("/source", f"{name}.jpg", split="train")
    listed = view_path("/view", item)
    assert is_safe(listed)
    assert listed.startswith("/view/train/")
    assert all(is_beside(listed, flavor) for flavor in Flavor)
