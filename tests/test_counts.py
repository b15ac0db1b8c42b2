"""Counting the labels of a split: every figure here is counted by hand."""

from collections import Counter
from pathlib import Path

import pytest

from darknet_kit.dataset.counts import count_classes
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.errors import DatasetError

BOX = " .5 .5 .2 .2\n"


def write_set(folder: Path, labels: list[str | None]) -> Path:
    """Write a data set of a train list alone; each label names class ids, None is no file."""
    for number, ids in enumerate(labels):
        if ids is not None:
            text = "".join(f"{class_id}{BOX}" for class_id in ids.split())
            (folder / f"{number:04}.txt").write_text(text)
    listed = "".join(f"{folder}/{number:04}.jpg\n" for number in range(len(labels)))
    (folder / "train.txt").write_text(listed)
    (folder / "x.names").write_text("cat\ndog\nowl\n")
    (folder / "x.data").write_text("classes=3\ntrain=train.txt\nnames=x.names\n")
    return folder / "x.data"


def test_boxes_images_and_what_shows_nothing(tmp_path: Path) -> None:
    data = write_set(tmp_path, ["0", "1 0 1", "1", "", None, "2 2 2", "7", "0"])
    counts = count_classes(read_dataset(data), "train")
    assert counts.boxes == {0: 3, 1: 3, 2: 3, 7: 1}
    assert counts.images == {0: 3, 1: 2, 2: 1, 7: 1}
    assert (counts.negatives, counts.missing_labels, len(counts.shown)) == (1, 1, 8)
    assert counts.shown[1:5] == [{0, 1}, {1}, set(), None]


def test_many_images_in_two_processes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data = write_set(tmp_path, [str(number % 3) for number in range(600)])
    counts = count_classes(
        read_dataset(data),
        "train",
        workers=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert counts.boxes == Counter({0: 200, 1: 200, 2: 200})
    assert counts.shown[1::3] == [frozenset({1})] * 200
    assert len({id(classes) for classes in counts.shown}) == 3
    assert told[-1] == (600, 600)


def test_no_list_is_said(tmp_path: Path) -> None:
    data = write_set(tmp_path, [])
    (tmp_path / "train.txt").unlink()
    with pytest.raises(DatasetError, match="no such file"):
        count_classes(read_dataset(data), "train")
