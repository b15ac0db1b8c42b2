"""The data commands one after the other, as somebody who follows what each says next."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended

from .sets import pascal_xml, write_pair, write_picture, write_voc

Dkit = Callable[..., Ended]
READERS = ("stats", "show", "check", "subset")


def follow(dkit: Dkit, ended: Ended) -> Ended:
    """Run the command that another one says comes next."""
    line = ended.stdout.splitlines()[-1]
    assert line.startswith("Next:  dkit "), ended.stdout
    return dkit(*shlex.split(line.removeprefix("Next:  dkit ")))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("lists", [{"train": "1 2", "val": "3"}, {"val": "1 2 3"}])
@pytest.mark.parametrize("place", ["set", "with blanks/my set"])
def test_the_next_command_can_be_pasted(dkit: Dkit, lists: dict[str, str], place: str) -> None:
    write_voc(Path(place), "1 2 3", **lists)
    shown = follow(dkit, dkit("convert", "voc", place, "--name", "x", "--flavor", "hank-ai"))
    assert shown.exit_code == 0
    split, count = next(iter(lists.items()))
    kind = "valid" if split == "val" else "train"
    assert f"of {len(count.split())} {kind} images" in shown.stdout
    assert follow(dkit, dkit("stats", f"{place}/x.data", "--workers", "1")).exit_code == 0


def test_the_splits_that_a_training_lacks_are_told(dkit: Dkit) -> None:
    write_voc(Path("set"), "1 2 3", train="1 2", val="3")
    write_pair(Path("set/JPEGImages/1.jpg"), Path("set/Annotations/1.xml"), ("dog", 1, 1, 50, 50))
    dkit("convert", "voc", "set", "--out", "view")
    ended = dkit("subset", "view/set.data", "--classes", "dog", "--out", "dogs")
    assert "  valid   is EMPTY: there is nothing to validate on\n" in ended.stdout
    negatives = dkit(
        "convert", "voc", "set", "--classes", "dog", "--keep-unlabelled", "--out", "all"
    )
    assert "  valid   has no box: there is nothing to validate on\n" in negatives.stdout


def test_the_summary_has_boxes_an_image_and_shares(dkit: Dkit) -> None:
    write_voc(Path("set"), "1 2 3", train="1 2", val="3")
    for stem in "45":
        write_picture(Path(f"set/JPEGImages/{stem}.jpg"))
    said = dkit("convert", "voc", "set", "--out", "view").stdout.splitlines()
    lines = [line.split() for line in said]
    assert lines[1] == ["train", "2", "images", "2", "boxes", "1.0", "an", "image"]
    unlabelled = ["unlabelled:", "2,", "40%", "of", "5", "images"]
    assert unlabelled in [line[:6] for line in lines]
    kept = dkit("convert", "voc", "set", "--keep-unlabelled", "--out", "all").stdout.splitlines()
    assert kept[1].split()[5:7] == ["0.5", "an"]
    assert kept[1].endswith("(2, 50%, without an object)")
    assert not [line for line in kept if "unlabelled:" in line]


def test_a_set_without_any_object_has_no_class_to_learn(dkit: Dkit) -> None:
    for stem in "12":
        write_picture(Path(f"set/{stem}.jpg"))
        Path(f"set/{stem}.xml").write_text(pascal_xml())
    ended = dkit("convert", "voc", "set", "--out", "view")
    assert (ended.exit_code, "[no-classes]" in ended.stderr) == (1, True)
    Path("names").write_text("cat\n")
    assert dkit("convert", "voc", "set", "--out", "other", "--names", "names").exit_code == 0


@pytest.mark.parametrize("command", READERS)
def test_a_folder_in_place_of_its_data_file(dkit: Dkit, command: str) -> None:
    write_voc(Path("set"), "1 2")
    dkit("convert", "voc", "set", "--out", "view")
    more = ("--out", "some", "--top", "1") if command == "subset" else ()
    ended = dkit(command, "view", *more)
    assert (ended.exit_code, "[is-a-folder]" in ended.stderr) == (2, True)
    assert "view/set.data" in ended.stderr


def test_blanks_in_the_path_are_told_where_darknet_would_drop_them(dkit: Dkit) -> None:
    write_voc(Path("a set"), "1 2")
    for out, told in (("my view", 1), ("view", 0)):
        ended = dkit("convert", "voc", "a set", "--out", out, "--name", "x")
        assert ended.stdout.count("an engine must start in") == told
    ended = dkit("subset", "view/x.data", "--top", "1", "--out", "my cats")
    assert ended.stdout.count("an engine must start in") == 1


def test_what_was_left_out_names_the_option_that_takes_it(dkit: Dkit) -> None:
    write_voc(Path("set"), "1")
    for stem, flag in (("2", "difficult"), ("3", "truncated")):
        path = Path(f"set/Annotations/{stem}.xml")
        write_pair(Path(f"set/JPEGImages/{stem}.jpg"), path, flags=f"<{flag}>1</{flag}>")
    ended = dkit("convert", "voc", "set", "--out", "view")
    assert "1 difficult (--difficult keep takes them)\n" in ended.stdout
    assert "--truncated" not in ended.stdout


def test_a_data_file_whose_lists_were_replaced_is_told(dkit: Dkit) -> None:
    for name in ("cats", "dogs"):
        write_voc(Path(name), "1 2")
    dkit("convert", "voc", "cats", "--out", "view")
    ended = dkit("convert", "voc", "dogs", "--out", "view", "--overwrite")
    told = "  note: cats.data is of the set that was here; its lists are now this one's\n"
    assert told in ended.stdout
    assert "cats.data" not in dkit("convert", "voc", "dogs", "--out", "view").stdout


@pytest.mark.parametrize("command", READERS)
def test_another_data_file_in_the_folder_is_named(dkit: Dkit, command: str) -> None:
    write_voc(Path("VOCdevkit"), "1 2")
    dkit("convert", "voc", "VOCdevkit", "--out", "voc")
    more = ("--out", "some", "--top", "1") if command == "subset" else ()
    ended = dkit(command, "voc/voc.data", *more)
    assert (ended.exit_code, "[missing-file]" in ended.stderr) == (1, True)
    assert "there is voc/VOCdevkit.data." in ended.stderr
