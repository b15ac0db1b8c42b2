"""`.data`, `.names` and image lists: read as engines read them, splits drawn once and for all."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.records import Item, Split
from darknet_kit.dataset.check import check_list, require_trainable
from darknet_kit.dataset.reading import iter_images, read_dataset
from darknet_kit.dataset.splits import assign_splits, draw_split
from darknet_kit.errors import DatasetError, UsageError
from darknet_kit.formats.datafile import (
    can_hold,
    format_data,
    iter_image_list,
    one_line,
    parse_data,
    parse_names,
    read_data,
    read_names,
)

from .engines import alexeyab, run_engine, write_tiny_cfg

# Text of a .data file; the file of class names that it leads to.
NAMES_LINES = [
    ("names=a.names\n", "a.names"),
    ("names = a.names\r\n", "a.names"),
    ("\tnames\t=\ta.names", "a.names"),
    ("names = a .na mes\n", "a.names"),
    ("names=a.names\nnames=b.names\n", "a.names"),
    ("#names=b.names\nnames=a.names\n", "a.names"),
    (";names=b.names\nnames=a.names\n", "a.names"),
    ("  # names=b.names\nnames=a.names\n", "a.names"),
    ("name=b.names\nnames=a.names\n", "a.names"),
    ("names=c=d.names\n", "c=d.names"),
    ("names=e\u3000f.names\n", "e\u3000f.names"),
    ("names=a.names#x\n", "a.names#x"),
]


@pytest.mark.parametrize(("text", "names"), NAMES_LINES)
def test_what_a_data_file_says(text: str, names: str) -> None:
    assert parse_data(text)["names"] == names


@pytest.mark.parametrize(("text", "names"), NAMES_LINES)
def test_alexeyab_reads_it_so(tmp_path: Path, text: str, names: str) -> None:
    """`detector map` prints the class names that it found."""
    engine = alexeyab()
    write_tiny_cfg(tmp_path / "net.cfg", classes=1)
    for name in ("a.names", "b.names", "c=d.names", "e\u3000f.names", "a.names#x"):
        (tmp_path / name).write_text(f"<{name}>\n")
    Image.new("RGB", (40, 40)).save(tmp_path / "1.jpg")
    (tmp_path / "1.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "list.txt").write_text("1.jpg\n")
    (tmp_path / "x.data").write_bytes(b"classes=1\nvalid=list.txt\n" + text.encode())
    printed = run_engine(engine, ["detector", "map", "x.data", "net.cfg"], tmp_path)
    assert f"name = <{names}>" in printed


@given(st.dictionaries(st.sampled_from(["train", "valid", "names"]), st.text(min_size=1)))
def test_values_that_can_be_held_come_back(options: dict[str, str]) -> None:
    kept = {key: value for key, value in options.items() if can_hold(value)}
    assert parse_data(format_data(kept)) == kept


@pytest.mark.parametrize("value", ["a b", "a\tb", "a\nb", " a", "a\r"])
def test_values_that_cannot_be_held(value: str) -> None:
    assert not can_hold(value)


def write_data(folder: Path, **options: str) -> Path:
    path = folder / "x.data"
    path.write_text(format_data(options))
    return path


def test_relative_paths_mean_the_current_folder_else_the_files_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "here").mkdir()
    for name in ("set/train.txt", "set/x.names", "here/train.txt"):
        (tmp_path / name).write_text("a\n")
    data = write_data(tmp_path / "set", train="train.txt", names="x.names", valid="valid.txt")
    monkeypatch.chdir(tmp_path / "here")
    found = read_data(data)
    assert found.train == tmp_path / "here/train.txt"
    assert found.names == tmp_path / "set/x.names"
    assert found.valid == tmp_path / "here/valid.txt"
    assert (found.backup, found.classes) == (None, None)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "not-a-data-file"),
        ({"train": "a"}, "not-a-data-file"),
        ({"train": "a", "names": ""}, "not-a-data-file"),
        ({"train": "a", "names": "b", "classes": "two"}, "bad-classes"),
        ({"train": "a", "names": "b", "classes": "-1"}, "bad-classes"),
        ({"train": "a", "names": "b", "classes": "٣"}, "bad-classes"),
    ],
)
def test_what_is_no_data_file(tmp_path: Path, options: dict[str, str], code: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_data(write_data(tmp_path, **options))
    assert caught.value.code == code


def test_only_who_trains_needs_images_to_train_on(tmp_path: Path) -> None:
    for options in ({"names": "b"}, {"names": "b", "train": ""}):
        data = read_data(write_data(tmp_path, **options))
        with pytest.raises(DatasetError, match="no line `train = ") as caught:
            data.require_train()
        assert caught.value.code == "no-train-list"


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    parse_data(text)
    parse_names(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("\ufeffcat\r\n dog \r\n", ["cat", "dog"]),
        ("traffic light\n\n\n", ["traffic light"]),
        ("cat", ["cat"]),
        ("", []),
        ("cat\n\ndog\n", ["cat", "", "dog"]),
    ],
)
def test_class_names(text: str, names: list[str]) -> None:
    assert parse_names(text) == names


@pytest.mark.parametrize(
    ("text", "code", "line"), [("\n", "no-classes", None), ("a\n\nb", "blank-class", 2)]
)
def test_class_names_that_cannot_be(tmp_path: Path, text: str, code: str, line: int | None) -> None:
    path = tmp_path / "x.names"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_names(path)
    assert (caught.value.code, caught.value.line) == (code, line)


@given(st.text())
def test_any_name_fits_on_one_line_of_a_names_file(name: str) -> None:
    line = one_line(name)
    assert parse_names(f"{line}\n") == ([line] if line else [])
    assert one_line(line) == line
    line.encode()


def test_image_lists(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"/a/1.jpg\r\n\n  /a b/2.jpg  \n/caf\xe9/3.jpg")
    assert list(iter_image_list(path)) == ["/a/1.jpg", "/a b/2.jpg", "/caf\udce9/3.jpg"]
    for missing, code in ((tmp_path / "none", "missing-file"), (tmp_path, "cannot-read")):
        with pytest.raises(DatasetError) as caught:
            list(iter_image_list(missing))
        assert caught.value.code == code


# --- a data set read back ---------------------------------------------------------------------


def write_dataset(folder: Path, labels: str, names: str = "cat\n") -> Path:
    Image.new("RGB", (20, 10)).save(folder / "1.jpg")
    (folder / "1.txt").write_text(labels)
    (folder / "train.txt").write_text(f"{folder}/1.jpg\n")
    (folder / "x.names").write_text(names)
    return write_data(folder, classes="1", train="train.txt", names="x.names")


def test_names_and_classes_must_agree(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_dataset(write_dataset(tmp_path, "", names="cat\ndog\n"))
    assert caught.value.code == "classes-differ"


@pytest.mark.parametrize(
    ("record", "flavor"),
    [
        ('{"settings": {"flavor": "original"}}', Flavor.ORIGINAL),
        ('{"settings": {"flavor": "klingon"}}', Flavor.ALEXEYAB),
        ('{"settings": []}', Flavor.ALEXEYAB),
        ("[" * 100_000, Flavor.ALEXEYAB),
        ("", Flavor.ALEXEYAB),
    ],
)
def test_the_flavor_is_that_of_the_record(tmp_path: Path, record: str, flavor: Flavor) -> None:
    (tmp_path / "conversion.json").write_text(record)
    data = write_dataset(tmp_path, "")
    assert read_dataset(data).flavor is flavor
    assert read_dataset(data, Flavor.HANK_AI).flavor is Flavor.HANK_AI


def test_splits_that_a_set_does_not_have(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path, "0 .5 .5 .5 .5"))
    assert len(list(iter_images(dataset, "train"))) == 1
    assert list(iter_images(dataset, "valid")) == list(iter_images(dataset, "test")) == []
    (tmp_path / "test.txt").write_text(f"{tmp_path}/1.jpg\n")
    assert len(list(iter_images(dataset, "test"))) == 1


def no_image(folder: Path) -> None:
    (folder / "1.jpg").unlink()


def no_label(folder: Path) -> None:
    (folder / "1.txt").unlink()


def no_entry(folder: Path) -> None:
    (folder / "train.txt").write_text("\n")


def no_box(folder: Path) -> None:
    (folder / "1.txt").write_text("")


def wrong_class(folder: Path) -> None:
    (folder / "1.txt").write_text("0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n")


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (no_entry, "empty-list", "is empty"),
        (no_image, "missing-image", "1 of 1 train images are not there"),
        (no_label, "no-boxes", "looked for as"),
        (no_box, "no-boxes", "none of 1 train images has a box"),
        (wrong_class, "class-out-of-range", "beyond the 1 in use"),
    ],
)
def test_a_list_that_would_waste_a_run(
    tmp_path: Path, spoil: Callable[[Path], None], code: str, said: str
) -> None:
    dataset = read_dataset(write_dataset(tmp_path, "0 .5 .5 .5 .5"))
    require_trainable(dataset, check_list(dataset, "train"))
    spoil(tmp_path)
    with pytest.raises(DatasetError) as caught:
        require_trainable(dataset, check_list(dataset, "train"))
    assert caught.value.code == code
    assert said in caught.value.message


# --- splits -----------------------------------------------------------------------------------


Stated = Split | Literal[""]


def items(**splits: Stated) -> list[Item]:
    return [Item("", f"{name}.jpg", split=split) for name, split in splits.items()]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (
            {"a": "train", "b": "valid", "c": "", "d": "test"},
            {"a": "train", "b": "valid", "c": "train", "d": "test"},
        ),
        ({"a": "train", "b": "test"}, {"a": "train", "b": "valid"}),
        ({"a": "", "b": "test"}, {"a": "train", "b": "valid"}),
        ({"a": "test", "b": "test"}, {"a": "test", "b": "test"}),
    ],
)
def test_stated_splits_hold(stated: dict[str, Stated], expected: dict[str, str]) -> None:
    assert {item.name: item.split for item in assign_splits(items(**stated), 0.5, 0)} == expected


def test_a_share_is_drawn_by_name_and_stays_when_images_are_added() -> None:
    names = [f"image{number}" for number in range(10_000)]
    drawn = {name: draw_split(name, 0.1, 0) for name in names}
    # Binomial, n = 10,000, p = 0.1: 1000, standard deviation 30
    assert 850 < list(drawn.values()).count("valid") < 1150
    stated: dict[str, Stated] = {
        name: "train" if number % 2 else "" for number, name in enumerate(names[:200])
    }
    some = items(**stated)
    assert {item.name: item.split for item in assign_splits(some, 0.1, 0)} == {
        name: drawn[name] for name in names[:200]
    }
    other = {name: draw_split(name, 0.1, 1) for name in names}
    assert other != drawn
    more = {name: draw_split(name, 0.2, 0) for name in names}
    assert all(more[name] == "valid" for name in names if drawn[name] == "valid")
    assert {draw_split(name, 0, 0) for name in names} == {"train"}


@pytest.mark.parametrize("fraction", [-0.1, 1, 2, float("nan"), float("inf")])
def test_a_share_that_is_none(fraction: float) -> None:
    with pytest.raises(UsageError) as caught:
        assign_splits(items(a=""), fraction, 0)
    assert caught.value.code == "bad-fraction"
