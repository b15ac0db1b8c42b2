"""`dkit show`: the picture itself, pixel by pixel, and what is said beside it."""

import contextlib
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from darknet_kit.core.boxes import Box
from darknet_kit.errors import DatasetError
from darknet_kit.formats.image import decode_small, read_image_header
from darknet_kit.report import lettering, sheet
from darknet_kit.report.drawing import DrawnBox, draw_boxes, open_picture, place_tags
from darknet_kit.report.palette import class_color
from darknet_kit.report.sheet import contact_sheet
from tests.conftest import Ended

from .sets import digests, lines, write_pair, write_picture

Dkit = Callable[..., Ended]
GRAY = (128, 128, 128)


def colored(picture: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Return the box around all pixels of a colour: left, top, and one beyond right and bottom."""
    plain = Image.new("RGB", picture.size, color)
    different = ImageChops.difference(picture, plain).convert("L").point(lambda v: 255 * (v == 0))
    return different.getbbox()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(20, 10, 60, 40), (20, 10, 60, 40)),
        (Box(0, 0, 100, 50), (0, 0, 100, 50)),
        (Box(-30, -5, 60, 40), (0, 0, 60, 40)),
        (Box(50, 20, 300, 90), (50, 20, 100, 50)),
        (Box(20.4, 10.4, 60.4, 40.4), (20, 10, 60, 40)),
    ],
)
def test_a_box_is_drawn_at_its_edges(box: Box, expected: tuple[int, int, int, int]) -> None:
    picture = draw_boxes(Image.new("RGB", (100, 50), GRAY), [DrawnBox(box, 3, "")])
    assert colored(picture, class_color(3)) == expected


@pytest.mark.parametrize("box", [Box(99, 49, 100, 50), Box(30, 20, 30.2, 20.2), Box(9, 9, 9, 9)])
def test_the_smallest_boxes_can_be_seen(box: Box) -> None:
    picture = draw_boxes(Image.new("RGB", (100, 50), GRAY), [DrawnBox(box, 3, "")])
    assert colored(picture, class_color(3))


def test_a_box_is_a_frame_of_two_pixels_in_a_dark_line() -> None:
    picture = draw_boxes(Image.new("RGB", (100, 50), GRAY), [DrawnBox(Box(20, 10, 60, 40), 1, "")])
    color = class_color(1)
    for x, y in ((20, 10), (59, 39), (21, 25), (58, 25), (40, 11), (40, 38)):
        assert picture.getpixel((x, y)) == color
    for x, y in ((19, 25), (60, 25), (40, 9), (40, 40)):
        assert picture.getpixel((x, y)) == (20, 20, 20)
    for x, y in ((18, 25), (61, 25), (22, 25), (57, 25), (40, 12), (40, 37), (40, 8), (40, 41)):
        assert picture.getpixel((x, y)) == GRAY


def letters(picture: Image.Image) -> int:
    """Return how many pixels are neither background nor of the class."""
    known = (GRAY, class_color(0), (20, 20, 20))
    return sum(count for count, color in picture.getcolors(9999) or () if color not in known)


@pytest.mark.parametrize("box", [Box(80, 30, 99, 49), Box(0, 0, 10, 10), Box(95, 0, 100, 50)])
def test_a_caption_stays_inside_the_picture(box: Box) -> None:
    def draw(one: Box) -> Image.Image:
        return draw_boxes(Image.new("RGB", (100, 50), GRAY), [DrawnBox(one, 0, "caption")])

    assert letters(draw(box)) == letters(draw(Box(10, 20, 60, 40))) > 50


captions = st.text(st.sampled_from("aWm 臉Ж"), max_size=60)
edges = st.floats(-50, 350, allow_nan=False)
drawn_boxes = st.lists(
    st.builds(DrawnBox, st.builds(Box, edges, edges, edges, edges), st.integers(-1, 99), captions),
    max_size=30,
)


@settings(max_examples=60)
@given(drawn_boxes, st.tuples(st.integers(40, 300), st.integers(40, 300)))
def test_names_lie_inside_and_hardly_over_each_other(
    boxes: list[DrawnBox], size: tuple[int, int]
) -> None:
    tags = place_tags(boxes, size, 10)
    for tag in tags:
        assert tag.left >= 0 <= tag.top
        assert tag.left + tag.width <= size[0]
        assert tag.top + tag.height <= size[1]
    for one, other in itertools.combinations(tags, 2):
        width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
        height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
        assert max(0, width) * max(0, height) < 0.2 * max(
            one.width * one.height, other.width * other.height
        )


def test_two_boxes_in_one_place_have_both_names() -> None:
    boxes = [DrawnBox(Box(50, 50, 150, 150), number, name) for number, name in enumerate("ab")]
    one, other = place_tags(boxes, (200, 200), 10)
    assert {one.text, other.text} == {"a", "b"}
    assert (one.left, one.top) != (other.left, other.top)


def test_a_long_name_is_cut() -> None:
    (tag,) = place_tags([DrawnBox(Box(0, 0, 200, 200), 0, "hippopotamus " * 9)], (200, 200), 10)
    assert tag.text.startswith("hippo")
    assert tag.text.endswith("...")
    assert tag.width <= 0.6 * 200 + 2


@pytest.fixture
def fontless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the machine's fonts away; Pillow's own knows little more than ASCII."""
    monkeypatch.setattr(lettering, "_fonts", lambda: ())
    lettering._find_font.cache_clear()
    yield
    lettering._find_font.cache_clear()


@pytest.mark.usefixtures("fontless")
def test_a_name_that_no_font_has_is_a_number(dkit: Dkit, data: Path) -> None:
    Path("out/set.names").write_text("臉\ndog\n", encoding="utf-8")
    (tag,) = place_tags([DrawnBox(Box(0, 0, 200, 200), 7, "臉")], (200, 200), 10)
    assert tag.text == "#7"
    boxes = [DrawnBox(Box(0, 0, 200, 200), 7, "臉書" * number) for number in (1, 99)]
    long, short = place_tags(boxes, (200, 200), 10, elsewhere=True)  # in a browser, with its fonts
    assert (short.text, short.width) == ("臉書", 2 * 10 + 2 * 2)
    assert long.text.startswith("臉書臉書")
    assert long.width <= 0.6 * 200 + 2
    assert "for want of a font: 1 class name;" in dkit("show", data).stdout


def test_a_font_is_found_for_other_scripts() -> None:
    font = lettering.font_for("Ж", 20)
    if font is None:
        pytest.skip("no font on this machine has Cyrillic letters")
    assert bytes(font.getmask("Ж")) != bytes(font.getmask("Я")) != bytes(font.getmask("\uffff"))


def test_classes_have_colors_of_their_own() -> None:
    colors = [class_color(class_id) for class_id in range(80)]
    assert len(set(colors)) == 80
    assert class_color(-1) in colors
    for one, other in itertools.combinations(colors[:12], 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 60


def test_tiles_are_laid_out_in_rows() -> None:
    tiles = [(Image.new("RGB", (100, 50), (10 * n, 0, 0)), str(n)) for n in range(5)]
    sheet = contact_sheet(tiles, columns=2, size=100)
    assert sheet.width == 2 * 100 + 3 * 8
    boxes = [colored(sheet, (10 * n, 0, 0)) for n in range(1, 5)]
    lefts = [box and box[0] for box in boxes]
    tops = [box and box[1] for box in boxes]
    assert lefts == [116, 8, 116, 8]
    assert tops[1] == tops[2]
    assert (tops[0] or 0) < (tops[1] or 0) < (tops[3] or 0)


def test_pictures_of_every_mode_are_opened(tmp_path: Path) -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        Image.new(mode, (30, 20)).save(tmp_path / "a.png")
        opened = open_picture(str(tmp_path / "a.png"))
        assert (opened.mode, opened.size) == ("RGB", (30, 20))
    Image.new("CMYK", (300, 200)).save(tmp_path / "a.jpg")
    assert open_picture(str(tmp_path / "a.jpg"), most=100).size == (100, 67)


def test_sixteen_bits_of_grey_are_not_clipped(tmp_path: Path) -> None:
    Image.new("I;16", (4, 4), 128 * 256 + 77).save(tmp_path / "a.png")
    assert open_picture(str(tmp_path / "a.png")).getpixel((1, 1)) == GRAY


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 20).convert("RGB").save(stream, kind)
    return stream.getvalue()


@settings(max_examples=60)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]).map(encoded),
    st.integers(0, 200),
    st.binary(min_size=1, max_size=8),
    st.integers(0, 400),
)
def test_a_damaged_image_is_an_error_of_one_kind(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, put: bytes, cut: int
) -> None:
    """Neither a warning nor anything but the one error that is announced."""
    path = tmp_path_factory.getbasetemp() / "damaged"
    damaged = content[:at] + put + content[at + len(put) :]
    path.write_bytes(damaged[: len(damaged) - cut])
    with contextlib.suppress(OSError):
        assert open_picture(str(path), most=100).mode == "RGB"
    with contextlib.suppress(DatasetError):
        assert read_image_header(path).width > 0
    with contextlib.suppress(DatasetError):
        decode_small(path)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (8, 8), (300, 7)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_smallest_images_are_decoded(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    path = tmp_path / "small"
    Image.new("RGB", size).save(path, kind)
    decode_small(path)
    assert open_picture(str(path), most=100).width <= size[0]


def test_of_the_largest_images_the_header_is_read_and_no_pixel(tmp_path: Path) -> None:
    path = tmp_path / "large.ppm"
    path.write_bytes(b"P6 90000 60000 255\n")
    header = read_image_header(path)
    assert (header.width, header.height) == (90_000, 60_000)
    for decode in (decode_small, open_picture):
        with pytest.raises((DatasetError, OSError), match="90000 x 60000 pixels are too many"):
            decode(str(path))


@pytest.fixture
def data(tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the .data file of three images, in a folder of their own."""
    source = tmp_path / "set"
    for number, name in enumerate(("cat", "dog", "cat")):
        thing = (name, 20, 10, 60, 40)
        write_pair(source / f"{number}.jpg", source / f"{number}.xml", thing)
    options = ["--box-convention", "plain", "--valid-fraction", "0"]
    dkit("convert", "voc", source, "--out", tmp_path / "out", *options)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out/set.data"


def test_the_sheet_shows_each_box_in_its_color(dkit: Dkit, data: Path) -> None:
    ended = dkit("show", data, "--tile", "200", "--columns", "3")
    assert ended.exit_code == 0
    assert "Drew 3 of 3 train images with 3 boxes" in ended.stdout
    sheet = Image.open("set_train.png").convert("RGB")
    assert sheet.width == 3 * 200 + 4 * 8
    for column, class_id in enumerate((0, 1, 0)):
        left = 8 + column * 208
        tile = sheet.crop((left, 8, left + 200, 8 + 100))  # 100 x 50 px, twice as large
        for x, y in ((41, 50), (118, 50), (80, 78)):
            assert tile.getpixel((x, y)) == class_color(class_id)
        assert tile.getpixel((80, 50)) not in (class_color(0), class_color(1))


def test_one_class_and_a_sample(dkit: Dkit, data: Path) -> None:
    ended = dkit("show", data, "--class", "dog", "-o", "dog.png", "--json")
    document = json.loads(ended.stdout)
    assert (document["images"], document["picture"]) == (1, str(Path("dog.png").absolute()))
    pictures = []
    for seed in ("0", "0", "1", "2", "3", "4"):
        assert dkit("show", data, "--count", "1", "--seed", seed, "--overwrite").exit_code == 0
        pictures.append(Path("set_train.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert len(set(pictures)) > 1


def test_again_is_fine_and_another_picture_is_not_replaced(dkit: Dkit, data: Path) -> None:
    assert dkit("show", data).exit_code == 0
    before = digests(Path("."))
    assert dkit("show", data).exit_code == 0
    assert digests(Path(".")) == before
    ended = dkit("show", data, "--count", "1")
    assert (ended.exit_code, "[file-exists]" in ended.stderr) == (2, True)
    assert digests(Path(".")) == before
    assert dkit("show", data, "--count", "1", "--overwrite").exit_code == 0


def test_an_unreadable_image_is_told(dkit: Dkit, data: Path) -> None:
    for content in (b"no image", Path("set/1.jpg").read_bytes()[:300]):
        Path("set/1.jpg").write_bytes(content)
        ended = dkit("show", data, "--overwrite")
        assert ended.exit_code == 1
        assert "CANNOT BE READ: 1 of them" in ended.stdout
        assert Path("set_train.png").exists()
    Path("set/1.jpg").unlink()
    assert dkit("show", data, "--overwrite").exit_code == 1


def test_a_missing_label_is_told(dkit: Dkit, data: Path) -> None:
    (data.parent / "train/1.txt").unlink()
    ended = dkit("show", data)
    assert ended.exit_code == 1
    assert "NO LABEL FILE where alexeyab darknet looks: 1 of them" in ended.stdout
    assert json.loads(dkit("show", data, "--json").stdout)["without_label"] == 1


def test_the_eyes_of_another_engine(dkit: Dkit, data: Path, tmp_path: Path) -> None:
    """Labels lie right for one flavour; another one would find none."""
    root = tmp_path / "images"
    write_pair(root / "1.jpg", root / "1.xml")
    dkit("convert", "voc", root, "--flavor", "original", "--valid-fraction", "0")
    assert dkit("show", root / "images.data").exit_code == 0
    ended = dkit("show", root / "images.data", "--flavor", "hank-ai", "--overwrite")
    assert (ended.exit_code, "hank-ai darknet looks" in ended.stdout) == (1, True)


def test_labels_that_make_no_sense_are_drawn_all_the_same(dkit: Dkit, data: Path) -> None:
    label = data.parent / "train/1.txt"
    label.write_text("9 .5 .5 .5 .5\n-1 5 5 9 9\n0 .5 .5 -.5 0\n1 1e30 0 1 1\n")
    assert dkit("show", data).exit_code == 0


def test_negatives_are_shown_without_boxes(dkit: Dkit, data: Path) -> None:
    for number in range(3):
        (data.parent / f"train/{number}.txt").write_text("")
    assert "with 0 boxes" in dkit("show", data).stdout


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["none.data"], 1, "missing-file"),
        ([], 2, "usage"),
        ([""], 2, "usage"),
        (["out/set.data", "--class", "owl"], 2, "unknown-class"),
        (["out/set.data", "--split", "valid"], 1, "no-images"),
        (["out/set.data", "--split", "test"], 1, "no-images"),
        (["out/set.data", "--split", "none"], 2, "usage"),
        (["out/set.data", "--count", "0"], 2, "usage"),
        (["out/set.data", "--count", "401"], 2, "too-many"),
        (["out/set.data", "--negatives"], 1, "no-images"),
        (["out/set.data", "--negatives", "--class", "dog"], 2, "contradiction"),
        (["out/set.data", "-o", "a.html", "--columns", "3"], 2, "contradiction"),
        (["out/set.data", "--problem", "empty-box", "--split", "train"], 2, "contradiction"),
        (["out/set.data", "--problem", "empty-box"], 2, "no-such-problem"),
        (["out/set.data", "--problems", "none.csv"], 1, "no-problem-list"),
        (["out/set.data", "--problems", "out/set.data"], 1, "no-problem-list"),
        (["yolov4.cfg"], 1, "missing-file"),
        (["out/set.data", "-o", "set.jpg"], 2, "unknown-suffix"),
        (["out/set.data", "-o", "a.png"], 2, "is-a-folder"),
        (["out/set.data", "-o", "a.png", "--overwrite"], 2, "is-a-folder"),
        (["out/set.data", "-o", ""], 2, "usage"),
    ],
)
def test_what_cannot_be_shown(
    dkit: Dkit, data: Path, words: list[str], exit_code: int, code: str
) -> None:
    Path("a.png").mkdir()
    ended = dkit("show", *words)
    assert ended.exit_code == exit_code
    assert f"[{code}]" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert json.loads(dkit("show", *words, "--json").stdout)["error"]["code"] == code


def test_a_real_set(tmp_path: Path, dkit: Dkit, shared_data: Callable[[str], Path]) -> None:
    source = shared_data("A_voc/damage2d")
    dkit("convert", "voc", source, "--out", tmp_path / "out", "--name", "x")
    sheet = tmp_path / "x.png"
    ended = dkit("show", tmp_path / "out/x.data", "-o", sheet, "--count", "6", "--columns", "3")
    assert ended.exit_code == 0
    with Image.open(sheet) as picture:
        assert picture.width == 3 * 280 + 4 * 8
    assert len(lines(tmp_path / "out/train.txt")) > 6


def test_a_list_of_others(tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows line ends, blank lines, relative paths."""
    monkeypatch.chdir(tmp_path)
    write_picture(Path("a b/1.jpg"))
    Path("a b/1.txt").write_text("0 .5 .5 .5 .5\r\n")
    Path("list.txt").write_bytes(b"a b/1.jpg\r\n\r\n")
    Path("x.names").write_bytes(b"cat\r\n")
    Path("x.data").write_bytes(b"classes= 1\r\ntrain = list.txt\r\nnames=x.names\r\n")
    ended = dkit("show", "x.data")
    assert (ended.exit_code, "with 1 box\n" in ended.stdout) == (0, True)


def test_a_box_of_a_coco_file_leads_to_its_image(dkit: Dkit, tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.jpg")
    write_picture(tmp_path / "images/b.jpg")
    document = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 50} for n in "ab"],
        "annotations": [
            {"id": 1, "image_id": "a", "category_id": 1, "bbox": [10, 10, 20, 20]},
            {"id": 2, "image_id": "b", "category_id": 1, "bbox": [10, 10, 900, 20]},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(document))
    words = ("--images", tmp_path / "images", "--out", tmp_path / "out", "--name", "x")
    dkit("convert", "coco", tmp_path / "instances.json", *words)
    page = tmp_path / "x.html"
    ended = dkit("show", tmp_path / "out/x.data", "--problem", "clipped-box", "-o", page)
    assert ended.exit_code == 0
    assert "Drew 1 of 1 images" in ended.stdout
    assert 'alt="b.jpg"' in page.read_text()


def test_a_hebrew_name_does_not_turn_the_words_behind_it() -> None:
    """Its own letters, which are read from the right, stay at the left of the line."""
    name, font = lettering.drawable("\u05e9\u05dc\u05d5\u05dd", 12)
    if lettering.direction_with(font) is None:
        pytest.skip("no font here has Hebrew letters, or Pillow has no libraqm")
    width = int(font.getlength(name)) - 1

    def written(line: str) -> bytes:
        picture = Image.new("RGB", (200, 20), "white")
        sheet._write(picture, [line], 0, 0, 200)
        return picture.crop((0, 0, width, 20)).tobytes()

    assert written(f"{name}.jpg: 3 boxes") == written(name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "test"], "there is no image in the test list"),
        (["--negatives"], "no image in the train list is without a box"),
        (["--negatives", "--split", "all"], "no image in any list is without a box"),
        (["--split", "test", "--class", "cat"], "no image in the test list shows 'cat'"),
    ],
)
def test_what_is_not_there_is_said(dkit: Dkit, data: Path, words: list[str], message: str) -> None:
    assert f"{message}  [no-images]" in dkit("show", data, *words).stderr
