"""`dkit check`: each mistake is found, in a set where nothing else is wrong."""

import ast
import csv
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from darknet_kit.core.faults import FAULTS, Level
from darknet_kit.core.findings import Finding
from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.checks.labels import LabelRules, check_label
from darknet_kit.dataset.checks.whole import HowToCheck, check_data
from darknet_kit.train.checks.inspection import OTHER_CODES
from tests.conftest import PROJECT, Ended

from .engines import alexeyab, run_engine, write_tiny_cfg
from .sets import write_picture

Dkit = Callable[..., Ended]
Spoil = Callable[[Path], object]
COLORS = ("red", "lime", "blue", "cyan", "gold")
BOX = "0 .5 .5 .4 .4\n"


def write_set(root: Path) -> Path:
    """Write three images to train on and two to validate on; return the .data file."""
    for number, color in enumerate(COLORS):
        image = write_picture(root / f"{number}.jpg", color=color)
        image.with_suffix(".txt").write_text(f"{number % 2} .5 .5 .4 .4\n")
    for name, numbers in (("train.txt", (0, 1, 2)), ("valid.txt", (3, 4))):
        (root / name).write_text("".join(f"{root / str(number)}.jpg\n" for number in numbers))
    (root / "s.names").write_text("cat\ndog\n")
    (root / "backup").mkdir()
    keys = {"train": "train.txt", "valid": "valid.txt", "names": "s.names", "backup": "backup"}
    lines = [f"{key} = {root / value}\n" for key, value in keys.items()]
    (root / "s.data").write_text("".join(["classes = 2\n", *lines]))
    return root / "s.data"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_set(tmp_path)


def codes(ended: Ended) -> dict[str, tuple[str, int]]:
    """Return level and count of each code that a `--json` run found."""
    document = json.loads(ended.stdout)
    return {one["code"]: (one["level"], one["count"]) for one in document["findings"]}


def edit(name: str, old: str, new: str) -> Spoil:
    """Return what replaces text in a file; it must be there."""

    def spoil(root: Path) -> None:
        text = (root / name).read_bytes().decode()
        assert old in text
        (root / name).write_bytes(text.replace(old, new, 1).encode())

    return spoil


def put(name: str, content: str | bytes) -> Spoil:
    def spoil(root: Path) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (root / name).write_bytes(raw)

    return spoil


def add(name: str, line: str) -> Spoil:
    """Return what adds a line; `ROOT` in it stands for the set's folder."""

    def spoil(root: Path) -> None:
        with open(root / name, "a", encoding="utf-8") as stream:
            stream.write(line.replace("ROOT", str(root)) + "\n")

    return spoil


def both(*spoils: Spoil) -> Spoil:
    return lambda root: [spoil(root) for spoil in spoils]


def picture(mode: str = "RGB", size: tuple[int, int] = (100, 50), kind: str = "PNG") -> Spoil:
    """Return what makes another picture of the first."""
    return lambda root: Image.new(mode, size, 1).save(root / "0.jpg", kind)


def cut(root: Path) -> None:
    content = (root / "0.jpg").read_bytes()
    (root / "0.jpg").write_bytes(content[: len(content) - 20])


def turn(root: Path) -> None:
    image = Image.new("RGB", (100, 50), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(root / "0.jpg", exif=exif)


def link(name: str, target: str) -> Spoil:
    def spoil(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(root / target)

    return spoil


def copy(name: str, source: str) -> Spoil:
    return lambda root: (root / name).write_bytes((root / source).read_bytes())


def pipe(root: Path) -> None:
    (root / "0.jpg").unlink()
    os.mkfifo(root / "0.jpg")


def folder(root: Path) -> None:
    (root / "0.txt").unlink()
    (root / "0.txt").mkdir()


def rename(new: str) -> Spoil:
    """Return what gives the first image and its label another name."""

    def spoil(root: Path) -> None:
        (root / new).parent.mkdir(exist_ok=True, parents=True)
        (root / "0.jpg").rename(root / new)
        (root / "0.txt").rename((root / new).with_suffix(".txt"))
        edit("train.txt", f"{root}/0.jpg", f"{root}/{new}")(root)

    return spoil


def large(root: Path) -> None:
    (root / "0.txt").unlink()
    with open(root / "0.txt", "wb") as stream:
        stream.truncate(1 << 30)  # takes no space


MISTAKES: list[tuple[str, Spoil, str]] = [
    ("missing-file", lambda root: (root / "s.names").unlink(), "s.names"),
    ("missing-file", lambda root: (root / "train.txt").unlink(), "train.txt"),
    ("cannot-read", folder, "0.txt"),
    ("byte-order-mark", edit("s.data", "classes", "\ufeffclasses"), "s.data:1"),
    ("byte-order-mark", edit("s.names", "cat", "\ufeffcat"), "s.names:1"),
    ("byte-order-mark", edit("train.txt", "/", "\ufeff/"), "train.txt:1"),
    ("byte-order-mark", edit("0.txt", "0", "\ufeff0"), "0.txt:1"),
    ("crlf", edit("s.data", "= 2\n", "= 2\r\n"), "s.data"),
    ("crlf", edit("s.names", "cat\n", "cat\r\n"), "s.names"),
    ("crlf", edit("train.txt", "0.jpg\n", "0.jpg\r\n"), "train.txt:1"),
    ("bad-value", add("s.data", "results = ROOT # here"), "s.data:6"),
    ("bad-value", add("s.data", "results = ~/results"), "s.data:6"),
    ("unknown-key", add("s.data", "vaild = ROOT/valid.txt"), "s.data:6"),
    ("duplicate-key", add("s.data", "classes = 3"), "s.data:6"),
    ("relative-path", add("s.data", "results = out"), "s.data:6"),
    ("no-valid", edit("s.data", "valid =", "# valid ="), "s.data"),
    ("no-valid", put("valid.txt", ""), "valid.txt"),
    ("valid-is-train", copy("valid.txt", "train.txt"), "valid.txt"),
    ("no-backup", lambda root: (root / "backup").rmdir(), "s.data"),
    ("no-backup", edit("s.data", "backup =", "# backup ="), "s.data"),
    ("classes-differ", edit("s.data", "classes = 2", "classes = 3"), "s.data"),
    (
        "difficult-list",
        both(add("s.data", "difficult = ROOT/d.txt"), add("d.txt", "ROOT/3.jpg")),
        "d.txt",
    ),
    ("blank-class", add("s.names", ""), "s.names:3"),
    ("duplicate-class", edit("s.names", "dog", "cat"), "s.names:2"),
    ("odd-name", edit("s.names", "dog", "dog/wolf"), "s.names:2"),
    ("odd-name", edit("s.names", "dog", "dog "), "s.names:2"),
    ("other-order", put("classes.txt", "dog\ncat\n"), "s.names:1"),
    (
        "other-order",
        put("conversion.json", '{"settings": {"classes": ["dog", "cat"]}}'),
        "s.names:1",
    ),
    ("empty-list", put("train.txt", ""), "train.txt"),
    ("blank-line", edit("train.txt", "0.jpg\n", "0.jpg\n\n"), "train.txt:2"),
    ("blank-at-end", edit("train.txt", "0.jpg\n", "0.jpg \n"), "train.txt:1"),
    ("bad-line", add("train.txt", "a\0b.jpg"), "train.txt:4"),
    ("bad-line", add("train.txt", "x" * 100_000), "train.txt:4"),
    ("unsafe-path", rename("$(id).jpg"), "train.txt:1"),
    ("long-path", rename("x" * 200 + ".jpg"), "train.txt:1"),
    ("duplicate-image", add("train.txt", "ROOT/0.jpg"), "train.txt:4"),
    ("duplicate-image", both(link("1.jpg", "0.jpg")), "train.txt:2"),
    ("same-content", copy("1.jpg", "0.jpg"), "train.txt:2"),
    ("leaked-image", add("valid.txt", "ROOT/0.jpg"), "valid.txt:3"),
    ("leaked-image", link("3.jpg", "0.jpg"), "valid.txt:1"),
    ("leaked-image", copy("3.jpg", "0.jpg"), "valid.txt:1"),
    ("missing-image", lambda root: (root / "0.jpg").unlink(), "0.jpg"),
    ("missing-image", link("0.jpg", "0.jpg"), "0.jpg"),
    ("unreadable-image", put("0.jpg", ""), "0.jpg"),
    ("unreadable-image", pipe, "0.jpg"),
    ("broken-image", cut, "0.jpg"),
    ("unsupported-image", rename("0.webp"), "0.webp"),
    ("image-format", picture(kind="GIF", mode="P"), "0.jpg"),
    ("pixel-format", picture("CMYK", kind="JPEG"), "0.jpg"),
    ("pixel-format", picture("I;16"), "0.jpg"),
    ("exif-orientation", turn, "0.jpg"),
    ("tiny-image", picture(size=(31, 100)), "0.jpg"),
    ("large-image", picture("1", (5000, 4001)), "0.jpg"),
    ("missing-label", lambda root: (root / "0.txt").unlink(), "0.txt"),
    ("label-elsewhere", rename("0.jpeg"), "0.txt"),
    ("unlisted-label", copy("more.txt", "0.txt"), "."),
    ("label-columns", put("0.txt", BOX + "1 .5 .5 .2 .2 .9\n"), "0.txt:2"),
    ("label-columns", put("0.txt", BOX + "1 .1 .1 .9 .1 .9 .9\n"), "0.txt:2"),
    ("label-number", put("0.txt", BOX + "0 0,5 0,5 0,2 0,2\n"), "0.txt:2"),
    ("label-number", put("0.txt", "0.0 .5 .5 .2 .2\n"), "0.txt:1"),
    ("label-number", put("0.txt", "# a comment\n" + BOX), "0.txt:1"),
    ("large-label", large, "0.txt"),
    ("class-out-of-range", put("0.txt", "\n2 .5 .5 .2 .2\n"), "0.txt:2"),
    ("class-out-of-range", put("0.txt", "-1 .5 .5 .2 .2\n"), "0.txt:1"),
    ("bad-coordinate", put("0.txt", "0 nan .5 .2 .2\n"), "0.txt:1"),
    ("empty-box", put("0.txt", "0 .5 .5 0 .2\n"), "0.txt:1"),
    ("outside-box", put("0.txt", "0 48 25 20 10\n"), "0.txt:1"),
    ("outside-box", put("0.txt", "0 0 0 .2 .2\n"), "0.txt:1"),
    ("clipped-box", put("0.txt", "0 .5 .5 1.28 .2\n"), "0.txt:1"),
    ("clipped-box", put("0.txt", "0 .1 .5 .222 .2\n"), "0.txt:1"),  # 1.1 of 100 pixels
    ("small-box", put("0.txt", "0 .5 .5 .0009 .2\n"), "0.txt:1"),
    ("two-classes", put("0.txt", BOX + "1 0.5 0.50 .4 .40\n"), "0.txt:2"),
    ("duplicate-box", put("0.txt", BOX + "0 0.5 0.50 .4 .40\n"), "0.txt:2"),
    (
        "many-boxes",
        put("0.txt", "".join(f"0 .5 .5 .4 .{number}\n" for number in range(200, 401))),
        "0.txt",
    ),
    ("no-boxes", lambda root: [put(f"{n}.txt", "")(root) for n in (0, 1, 2)], "train.txt"),
]


def test_nothing_is_found_in_a_good_set(dkit: Dkit, data: Path) -> None:
    (data.parent / "2.txt").write_text("")
    (data.parent / "notes.txt").write_text("Taken on a sunny day.\n")
    ended = dkit("check", data, "--decode", "--strict")
    assert ended.exit_code == 0, ended.stdout
    assert "Nothing is wrong" in ended.stdout
    document = json.loads(dkit("check", data, "--json").stdout)
    assert document["lists"] == {
        "train": {"images": 3, "labels": 3, "negatives": 1, "boxes": 2},
        "valid": {"images": 2, "labels": 2, "negatives": 0, "boxes": 2},
    }
    assert (document["classes"], document["findings"]) == (2, [])


@pytest.mark.parametrize(
    ("code", "spoil", "where"),
    MISTAKES,
    ids=[f"{code}{number}" for number, (code, _, _) in enumerate(MISTAKES)],
)
def test_a_mistake_is_found_where_it_is_and_nothing_else(
    dkit: Dkit, data: Path, code: str, spoil: Spoil, where: str
) -> None:
    spoil(data.parent)
    # A label is left over wherever a list breaks.
    ignored = "" if code == "unlisted-label" else "unlisted-label"
    ended = dkit("check", data, "--decode", "--ignore", ignored, "--json")
    document = json.loads(ended.stdout)
    found = {one["code"]: one for one in document["findings"]}
    assert set(found) == {code}
    assert found[code]["count"] == 1
    example = found[code]["examples"][0]
    line = f":{example['line']}" if example["line"] else ""
    assert os.path.relpath(example["path"], data.parent) + line == where
    assert found[code]["level"] == str(FAULTS[code].level)
    assert ended.exit_code == (1 if found[code]["level"] == "error" else 0)


def test_every_mistake_of_the_table_is_made_in_a_test() -> None:
    assert FAULTS.keys() - {code for code, _, _ in MISTAKES} == {
        "little-space",
        "lookalike",  # tests/test_lookalikes.py
        "labels-behind-links",
    }


def test_pages_saved_in_place_of_images_are_no_copies(dkit: Dkit, data: Path) -> None:
    """A download that failed leaves many of one content, in every list."""
    for number in (0, 1, 3):
        (data.parent / f"{number}.jpg").write_text("<html>404 Not Found</html>")
    assert codes(dkit("check", data, "--json")) == {"unreadable-image": ("error", 3)}


def test_little_space_for_weights(dkit: Dkit, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1 << 30

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert codes(dkit("check", data, "--json")) == {"little-space": ("warning", 1)}


def test_a_box_may_stand_over_two_lines(dkit: Dkit, data: Path) -> None:
    """Engines read with fscanf, to which a line feed is a blank like any other."""
    (data.parent / "0.txt").write_text("0 .5 .5\n.2 .2 1\n\n.5 .5 .1 .1\n")
    (data.parent / "1.txt").write_text("0 .5 .5 .2 .2 1 .5\n.5 nan .1\n")
    document = json.loads(dkit("check", data, "--json").stdout)
    assert document["lists"]["train"]["boxes"] == 2 + 2 + 1
    assert codes(dkit("check", data, "--json")) == {"bad-coordinate": ("error", 1)}
    (data.parent / "1.txt").write_text("0 .5 .5 .2\n1 .5 .5 .2 .2\n0 .5 .5 .2 .2 .2\n")
    assert codes(dkit("check", data, "--json")) == {"label-columns": ("error", 1)}


@pytest.mark.parametrize(
    ("spoil", "code", "fatal_to"),
    [
        (edit("train.txt", "0.jpg\n", "0.jpg\r\n"), "crlf", {"original"}),
        (edit("train.txt", "0.jpg\n", "0.jpg\n\n"), "blank-line", {"original", "hank-ai"}),
    ],
)
def test_what_one_engine_bears_ends_another(
    dkit: Dkit, data: Path, spoil: Spoil, code: str, fatal_to: set[str]
) -> None:
    spoil(data.parent)
    for flavor in Flavor:
        level = "error" if flavor.value in fatal_to else "warning"
        found = codes(dkit("check", data, "--flavor", flavor.value, "--json"))
        assert found == {code: (level, 1)}


@pytest.mark.parametrize(
    ("flavor", "found"),
    [
        # /JPEGImages/ is /labels/ to AlexeyAB's and the original, and nothing to hank-ai's
        ("alexeyab", {"missing-label": ("error", 1)}),
        ("original", {"missing-label": ("error", 1)}),
        ("hank-ai", {"label-elsewhere": ("note", 2)}),
    ],
)
def test_labels_are_looked_for_where_each_flavor_does(
    dkit: Dkit, data: Path, flavor: str, found: dict[str, tuple[str, int]]
) -> None:
    rename("JPEGImages/0.jpg")(data.parent)
    ended = dkit("check", data, "--flavor", flavor, "--json")
    assert codes(ended) == found
    if "missing-label" in found:
        (example,) = json.loads(ended.stdout)["findings"][0]["examples"]
        assert example["path"] == str(data.parent / "labels/0.txt")
        assert f"does not look at {data.parent / 'JPEGImages/0.txt'}" in example["message"]


def test_labels_behind_links_are_lost_to_hank_ais_map(dkit: Dkit, data: Path) -> None:
    root = data.parent
    (root / "elsewhere").mkdir()
    for number in (0, 3):  # one of train, one of valid
        (root / f"{number}.jpg").rename(root / f"elsewhere/{number}.jpg")
        link(f"{number}.jpg", f"elsewhere/{number}.jpg")(root)
    ended = dkit("check", data, "--flavor", "hank-ai", "--json")
    assert codes(ended) == {"labels-behind-links": ("warning", 1)}
    assert codes(dkit("check", data, "--json")) == {}


def test_hank_ais_map_refuses_an_image_listed_twice(dkit: Dkit, data: Path) -> None:
    add("valid.txt", "ROOT/3.jpg")(data.parent)
    for flavor, level in (("hank-ai", "error"), ("alexeyab", "warning")):
        found = codes(dkit("check", data, "--flavor", flavor, "--json"))
        assert found == {"duplicate-image": (level, 1)}


def test_of_a_relative_path_it_is_said_where_the_image_is(
    dkit: Dkit, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = data.parent
    edit("train.txt", f"{root}/0.jpg", "0.jpg")(root)
    ended = dkit("check", data, "--ignore", "unlisted-label", "--json")
    assert codes(ended) == {"missing-image": ("error", 1), "relative-path": ("warning", 1)}
    assert f"there is {root / '0.jpg'}" in ended.stdout
    monkeypatch.chdir(root)
    assert codes(dkit("check", "s.data", "--json")) == {"relative-path": ("warning", 1)}


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (lambda source, path: path.write_bytes(source.read_bytes()), "has the same content as"),
        (lambda source, path: path.hardlink_to(source), "is the same file as"),
    ],
)
def test_each_image_to_validate_on_that_is_trained_on_is_a_leak(
    dkit: Dkit, data: Path, again: Callable[[Path, Path], object], words: str
) -> None:
    root = data.parent
    for name in ("3.jpg", "4.jpg"):
        (root / name).unlink()
        again(root / "1.jpg", root / name)
    ended = dkit("check", data, "--json")
    twice = "same-content" if "content" in words else "duplicate-image"
    assert codes(ended) == {"leaked-image": ("error", 2), twice: ("warning", 1)}
    assert f"{root}/4.jpg {words} {root}/1.jpg in train.txt:2" in ended.stdout


def test_only_and_ignore_choose_what_counts(dkit: Dkit, data: Path) -> None:
    both(put("0.txt", "7 .5 .5 0 .2\n"), add("s.data", "x = y"))(data.parent)
    found = {"class-out-of-range": ("error", 1), "empty-box": ("error", 1)}
    assert codes(dkit("check", data, "--ignore", "unknown-key", "--json")) == found
    only = dkit("check", data, "--only", "unknown-key, empty-box", "--json")
    assert codes(only) == {"unknown-key": ("warning", 1), "empty-box": ("error", 1)}
    none = dkit("check", data, "--ignore", "unknown-key,empty-box,class-out-of-range")
    assert none.exit_code == 0
    assert (
        "nothing but empty-box was looked for" in dkit("check", data, "--only", "empty-box").stdout
    )
    assert "unknown-key passed over" in dkit("check", data, "--ignore", "unknown-key").stdout
    contrary = dkit("check", data, "--only", "unknown-key,empty-box", "--ignore", "empty-box")
    assert (contrary.exit_code, contrary.stderr.splitlines()[0]) == (
        2,
        "error: --only and --ignore both name empty-box  [contradiction]",
    )
    wrong = dkit("check", data, "--only", "emptybox")
    assert wrong.exit_code == 2
    assert "Did you mean empty-box?" in wrong.stderr


def test_strict_makes_warnings_count(dkit: Dkit, data: Path) -> None:
    add("s.data", "x = y")(data.parent)
    assert dkit("check", data).exit_code == 0
    assert dkit("check", data, "--strict").exit_code == 1
    assert dkit("check", data, "--strict", "--ignore", "unknown-key").exit_code == 0


def test_the_csv_lists_what_the_screen_cuts_short(dkit: Dkit, data: Path, tmp_path: Path) -> None:
    for number in range(5):
        put(f"{number}.txt", f"9 .5 .5 .{number + 1} .2\n")(tmp_path)
    ended = dkit("check", data, "-o", tmp_path / "found.csv")
    assert "class-out-of-range x 5" in ended.stdout
    assert ended.stdout.count("class 9; there are 0 to 1") == 3
    with open(tmp_path / "found.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["path"]).name for row in rows] == [f"{n}.txt" for n in range(5)]
    assert {(row["code"], row["level"], row["line"]) for row in rows} == {
        ("class-out-of-range", "error", "1")
    }
    assert dkit("check", data, "-o", tmp_path / "found.csv").exit_code == 1  # its own: replaced
    refused = dkit("check", data, "-o", data)
    assert refused.exit_code == 2
    assert "classes = 2" in data.read_text()


def test_show_pictures_what_the_csv_lists(
    dkit: Dkit, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("0.txt", BOX + "9 .5 .5 .2 .2\n")(tmp_path)
    monkeypatch.chdir(tmp_path)
    words: list[str | Path] = ["check", data, "--flavor", "hank-ai", "--json"]
    for _ in range(2):  # list them all, then show them
        ended = dkit(*words)
        words = [*shlex.split(json.loads(ended.stdout)["next_command"])[1:], "--json"]
    drawn = dkit(*words, "-o", tmp_path / "seen.png")
    assert drawn.exit_code == 0
    document = json.loads(drawn.stdout)
    assert (document["images"], document["of"]) == (1, 1)


def test_a_leak_is_pictured(dkit: Dkit, data: Path, tmp_path: Path) -> None:
    copy("3.jpg", "0.jpg")(tmp_path)
    dkit("check", data, "-o", tmp_path / "found.csv")
    drawn = dkit("show", data, "--problems", tmp_path / "found.csv", "-o", tmp_path / "seen.png")
    assert "Drew 1 of 1 images" in drawn.stdout
    assert "with 1 box" in drawn.stdout


def test_many_mistakes_of_one_file_are_one_finding(dkit: Dkit, data: Path) -> None:
    put("0.txt", "".join(f"9 .5 .5 .{number} .2\n" for number in range(1, 8)))(data.parent)
    ended = dkit("check", data)
    assert "class 9; there are 0 to 1 (and 6 more in this file)" in ended.stdout


def test_names_cannot_play_with_the_terminal(dkit: Dkit, data: Path) -> None:
    rename("\x1b[31mred.jpg")(data.parent)
    ended = dkit("check", data)
    assert "\x1b" not in ended.stdout
    assert "\\x1b[31mred.jpg" in ended.stdout


def test_the_most_boxes_are_those_of_the_last_head(dkit: Dkit, data: Path, tmp_path: Path) -> None:
    put("0.txt", BOX + "1 .5 .5 .2 .2\n0 .4 .4 .2 .2\n")(data.parent)
    cfg = tmp_path / "n.cfg"
    write_tiny_cfg(cfg, 2)
    assert "many-boxes" not in codes(dkit("check", data, cfg, "--json"))
    cfg.write_text(cfg.read_text().replace("[yolo]", "[yolo]\nmax=2"))
    assert "many-boxes" in codes(dkit("check", data, cfg, "--json"))


def fake_engine(folder: Path) -> Path:
    program = folder / "darknet"
    script = Path(__file__).with_name("fake_darknet.py")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    return program


def test_a_training_warns_of_labels_that_an_engine_misreads(
    dkit: Dkit, data: Path, tmp_path: Path
) -> None:
    put("0.txt", BOX + "1 .5 .5 .2 .2 .9\n")(tmp_path)
    write_tiny_cfg(tmp_path / "n.cfg", 2)
    words = (data, tmp_path / "n.cfg", "--dry-run", "--engine", fake_engine(tmp_path))
    ended = dkit("train", *words)
    assert ended.exit_code == 0
    assert f"{tmp_path / '0.txt'}:2 (has 6 numbers); `dkit check` lists them" in ended.stderr


def test_files_together_are_held_against_each_other_as_before_a_training(
    dkit: Dkit, data: Path, tmp_path: Path
) -> None:
    cfg, weights = tmp_path / "n.cfg", tmp_path / "n.weights"
    write_tiny_cfg(cfg, 3)
    weights.write_bytes(bytes(20) + b"\0\0\x80\x3f" * 7)
    alone = codes(dkit("check", cfg, "--json"))
    assert {code for code, (level, _) in alone.items() if level == "error"} == set()
    found = codes(dkit("check", weights, cfg, data, "--json"))  # in any order
    assert found["wrong-classes"][0] == found["weights-do-not-fit"][0] == "error"
    refused = dkit("train", data, cfg, "--dry-run", "--json", "--engine", fake_engine(tmp_path))
    assert json.loads(refused.stdout)["error"]["code"] == "wrong-classes"
    assert found.keys() - alone.keys() <= OTHER_CODES | FAULTS.keys()


def test_files_are_known_by_content_where_the_suffix_does_not_say(
    dkit: Dkit, data: Path, tmp_path: Path
) -> None:
    write_tiny_cfg(tmp_path / "n.cfg", 2)
    for old, new in (("n.cfg", "n.txt"), ("s.data", "s.txt")):
        (tmp_path / old).rename(tmp_path / new)
    (tmp_path / "n.conv.5").write_bytes(bytes(20) + b"\0\0\x80\x3f")
    words = [tmp_path / name for name in ("n.txt", "s.txt", "n.conv.5")]
    files = json.loads(dkit("check", *words, "--json").stdout)["files"]
    assert files == {"cfg": str(words[0]), "data": str(words[1]), "weights": str(words[2])}


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("train.txt", "unknown-file", ".data file that names them"),
        ("0.jpg", "unknown-file", ".data file that names them"),
        (".", "is-a-folder", "s.data"),
        ("absent.data", "missing-file", "Check the path"),
        ("pipe.data", "not-a-file", ".data"),
    ],
)
def test_other_files_are_refused_in_a_sentence(
    dkit: Dkit, data: Path, name: str, code: str, said: str
) -> None:
    os.mkfifo(data.parent / "pipe.data")
    error = json.loads(dkit("check", data.parent / name, "--json").stdout)["error"]
    assert error["code"] == code
    assert said in error["hint"]
    two = dkit("check", data, data)
    assert (two.exit_code, "two-of-a-kind" in two.stderr) == (2, True)


def test_workers_find_what_one_process_finds(dkit: Dkit, data: Path) -> None:
    add("train.txt", "\n".join(f"ROOT/absent{number}.jpg" for number in range(600)))(data.parent)
    one, two = (json.loads(dkit("check", data, "--workers", n, "--json").stdout) for n in "12")
    assert one == two
    (found,) = (group for group in one["findings"] if group["code"] == "missing-image")
    assert found["count"] == 600
    assert Path(found["examples"][0]["path"]).name == "absent0.jpg"


def test_difficult_labels_are_read_and_their_images_are_not(dkit: Dkit, data: Path) -> None:
    both(
        add("s.data", "difficult = ROOT/d.txt"),
        put("hard.txt", "0 .5 .5 .2 .2 .9\n"),
        add("d.txt", "ROOT/hard.jpg\nROOT/hard.jpg"),
    )(data.parent)
    assert codes(dkit("check", data, "--json")) == {"label-columns": ("error", 1)}


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text("0123456789.-+eEnaif \n\r\t,#", max_size=200).map(str.encode),
    )
)
def test_no_content_upsets_the_check_of_a_label(content: bytes) -> None:
    found = check_label(content, "x.txt", LabelRules(Flavor.ALEXEYAB, 2), (640, 480))
    assert 5 * found.boxes <= len(content.split())
    for finding in found.findings:
        assert finding.code in FAULTS
        assert 0 <= finding.line <= content.count(b"\n") + 1


@settings(max_examples=60)
@example("s.data", [b"="], False)
@given(
    st.sampled_from(("s.data", "s.names", "train.txt", "0.txt", "0.jpg")),
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                (b"train = ", b"valid=", b"backup=/proc\n", b"difficult=0.txt\n", b"/")
            ),
            st.sampled_from((b"names = s.names\n", b"classes=9\n", b"\r\n", b"0.jpg\n", b"\0")),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_no_content_upsets_the_check_of_a_set(name: str, parts: list[bytes], keep: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = write_set(Path(folder))
        before = Path(folder, name).read_bytes() if keep else b""
        Path(folder, name).write_bytes(before + b"".join(parts))
        found: list[Finding] = []
        check_data(data, found.append, HowToCheck(decode=True, workers=1))
        assert all(finding.message and finding.cure for finding in found)


# How many boxes AlexeyAB's `detector calc_anchors` reads of it (its count of boxes), where that
# is what is meant; None where it reads something else than was written.
READ_BY_ALEXEYAB: list[tuple[bytes, int | None]] = [
    (b"0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n", 2),
    (b"0 .5 .5 .2 .2\r\n\r\n 1\t.5 .5 .2 .2", 2),
    (b"0 .5 .5 .2 .2 1 .5 .5 .2 .2\n", 2),
    (b"+1 5e-1 .5 1.e-1 .2\n", 1),
    (b"0 .5 .5 .2 .2 .9\n1 .5 .5 .2 .2 .8\n", None),
    (b"0 .5 .5 .2 .2\n1.0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n", None),
    (b"0 .5 .5 .2 .2\n1 0,5 0,5 .2 .2\n0 .5 .5 .2 .2\n", None),
    (b"0 .5 .5 .2 .2\n# two more\n1 .5 .5 .2 .2\n0 .5 .5 .2 .2\n", None),
]


@pytest.mark.parametrize(("content", "boxes"), READ_BY_ALEXEYAB)
def test_a_label_is_faulted_where_alexeyab_misreads_it(
    tmp_path: Path, content: bytes, boxes: int | None
) -> None:
    found = check_label(content, "x.txt", LabelRules(Flavor.ALEXEYAB, 2))
    misread = [one for one in found.findings if one.level > Level.NOTE]
    assert bool(misread) is (boxes is None)
    assert boxes is None or found.boxes == boxes
    engine = alexeyab()
    write_picture(tmp_path / "0.jpg")
    (tmp_path / "0.txt").write_bytes(content)
    (tmp_path / "l.txt").write_text("0.jpg\n")
    (tmp_path / "s.names").write_text("cat\ndog\n")
    (tmp_path / "s.data").write_text("classes=2\ntrain=l.txt\nvalid=l.txt\nnames=s.names\n")
    words = ("detector", "calc_anchors", "s.data", "-num_of_clusters", "1")
    said = run_engine(engine, [*words, "-width", "32", "-height", "32"], tmp_path)
    read = int(said.rpartition("box:")[2].split()[0])
    meant = len([line for line in content.split(b"\n") if line.strip()])
    assert read == boxes if boxes is not None else read != meant


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("A_voc/bccd_100", "voc", {}),
        ("A_voc/cards_upper_JPG", "voc", {}),
        # SOURCES.md: one image with EXIF orientation 3
        ("A_voc/damage2d", "voc", {"exif-orientation": ("warning", 1)}),
        # VOC's own class "tv/monitor"
        ("A_voc/labelme_voc_empty_tags", "voc", {"odd-name": ("warning", 1)}),
        ("C_coco/tiny_coco/annotations/instances_val2017.json", "coco", {}),
    ],
)
def test_what_was_converted_from_real_data_is_right(
    dkit: Dkit,
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    kind: str,
    found: dict[str, tuple[str, int]],
) -> None:
    source = shared_data(name)
    dkit("convert", kind, source, "--out", tmp_path / "view")
    (data,) = (tmp_path / "view").glob("*.data")
    ended = dkit("check", data, "--decode", "--json")
    assert codes(ended) == found
    record = json.loads((tmp_path / "view/conversion.json").read_text())["counts"]["splits"]
    lists = json.loads(ended.stdout)["lists"]
    assert {one: lists[one]["boxes"] for one in lists} == {
        one: record[one]["boxes"] for one in lists
    }


def test_every_code_of_a_network_can_be_asked_for() -> None:
    package = PROJECT / "darknet_kit"
    sources = [*package.glob("network/check*.py"), package / "train/checks/start.py"]
    calls = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    named = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "code"]
    first = [
        call.args[0]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("CfgProblem", "warning")
    ]
    codes = {node.value for node in (*named, *first) if isinstance(node, ast.Constant)}
    assert len(codes) > 20
    assert codes <= OTHER_CODES | FAULTS.keys()


def test_the_document_lists_every_code() -> None:
    document = (PROJECT / "docs/checking.md").read_text(encoding="utf-8")
    for code, row in FAULTS.items():
        level = f"{row.level}" + "".join(f", error to {flavor}" for flavor in row.fatal)
        assert f"| `{code}` | {level} | {row.meaning} |" in document
