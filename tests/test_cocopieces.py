"""An instances file decoded in pieces says what it says as a whole, wherever it is cut."""

import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_kit.core.pool import begin_shards
from darknet_kit.errors import DatasetError
from darknet_kit.formats import cocotree
from darknet_kit.formats.coco import CocoFile, outline_coco, read_coco
from darknet_kit.formats.cocopieces import CutFile, Piece, cut_file, decode_frame, decode_piece
from darknet_kit.formats.cocotree import find_coco

Json = dict[str, Any]

IMAGES = [{"id": number, "file_name": f"{number}.jpg", "width": 9} for number in (3, 1, 2, 4)]
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 8, "name": " "}]
TRAP = '}, {"] }, {\\'


def thing(image_id: Any = 1, category_id: Any = 7, **more: Any) -> Json:
    return {"image_id": image_id, "category_id": category_id, "bbox": [1, 2, 3.5, 4], **more}


THINGS = [
    thing(2, note=TRAP),
    thing(9),
    thing(1, 1, iscrowd=1, segmentation={"counts": "]},{", "size": [3, 4]}),
    thing(2, 99, attributes=[{"a": [{}, {}]}, {"annotations": [{}, {}]}]),
    thing(1, 8),
    thing(1, bbox=None),
    thing(2, iscrowd=False),
]


def told(file: CocoFile) -> Any:
    """Return all that comes of a file."""
    return (
        file.path,
        [(entry.file_name, entry.parse()) for entry in file.entries],
        file.categories,
        file.problems,
    )


def read_whole(path: Path) -> Any:
    try:
        return told(read_coco(path))
    except DatasetError as error:
        return str(error)


def read_cut(path: Path, cut: CutFile | None) -> Any:
    outline = outline_coco(cut, str(path)) if cut else None
    try:
        return told(read_coco(path, outline, map(decode_piece, cut.pieces if cut else ())))
    except DatasetError as error:
        return str(error)


def is_plain(cut: CutFile | None) -> bool:
    """Tell whether a file can be put together from these pieces."""
    return bool(cut and decode_frame(cut) and all(map(decode_piece, cut.pieces)))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_order_of_keys_is_cut(tmp_path: Path) -> None:
    things = [thing(2), thing(9), thing(1, 99), thing(1, bbox=None), thing(4, 8, iscrowd=1)] * 9
    lists: Json = {"images": IMAGES, "categories": CATEGORIES, "annotations": things}
    for keys in itertools.permutations((*lists, "info")):
        document = {key: lists.get(key, {"year": 2017}) for key in keys}
        path = write(tmp_path / "a.json", json.dumps(document))
        cut = cut_file(str(path), 500)
        assert cut is not None
        assert len(cut.pieces) > 4
        assert is_plain(cut)
        assert read_cut(path, cut) == read_whole(path)


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("size", [500, 30])
def test_blanks(tmp_path: Path, indent: Any, bom: bytes, size: int) -> None:
    document = {"images": IMAGES, "annotations": [thing()] * 40, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", bom + json.dumps(document, indent=indent).encode())
    cut = cut_file(str(path), size)
    assert is_plain(cut)
    assert cut is not None
    parts = [part for part in map(decode_piece, cut.pieces) if part]
    assert sum(len(part.image_ids) for part in parts) == 40
    assert read_cut(path, cut) == read_whole(path)


def cuts_at_commas(path: Path) -> list[CutFile]:
    """Return a file cut at each single comma of its annotations, the ends as they are found."""
    content = path.read_bytes()
    cut = cut_file(str(path), len(content) // 2)
    assert cut is not None
    start, end, changed = cut.head.end, cut.tail.start, cut.head.changed
    commas = [at for at in range(start, end) if content[at : at + 1] == b","]
    return [
        cut._replace(
            pieces=[Piece(str(path), *span, changed) for span in ((start, at), (at + 1, end))]
        )
        for at in commas
    ]


def test_a_cut_in_any_place_is_right_or_refused(tmp_path: Path) -> None:
    document = {"images": IMAGES, "annotations": THINGS, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", json.dumps(document))
    whole, plain = read_whole(path), 0
    for cut in cuts_at_commas(path):
        plain += is_plain(cut)
        assert read_cut(path, cut) == whole
    assert plain == len(THINGS) - 1  # a cut between two objects is right, and no other


@pytest.mark.parametrize(
    "text",
    [
        # the list is not that of the file
        '{"info": {"annotations": [%s]}, "images": %s, "annotations": [], "categories": %s}',
        '{"x\\"annotations": [%s], "images": %s, "annotations": [], "categories": %s}',
        '{"annotations" : null, "annotations": [%s], "images": %s, "categories": %s}',
        '{"images": [], "annotations": [%s], "images": %s, "categories": %s, "annotations": []}',
        '{"annotations": [%s], "images": %s, "categories": %s, "annot\\u0061tions": []}',
        '{"annotations": [%s], "images": %s, "categories": %s, "annotations": [{"image_id": 1}]}',
        # no document, or more than one
        '{"annotations": [%s], "images": %s, "categories": %s',
        '{"annotations": [%s], "images": %s, "categories": %s}}',
        '{"annotations": [%s], "images": %s, "categories": %s} {}',
        '{"annotations": [%s,], "images": %s, "categories": %s}',
        '{"annotations": [,%s], "images": %s, "categories": %s}',
        '[{"annotations": [%s], "images": %s, "categories": %s}]',
        # something does not fit
        '{"annotations": [%s, {}], "images": %s, "categories": %s}',
        '{"annotations": [%s, 7], "images": %s, "categories": %s}',
        '{"annotations": [%s], "images": %s, "categories": %s, "images": 7}',
        '{"annotations": [%s], "images": %s, "x": %s}',
    ],
)
def test_what_cannot_be_cut_is_read_as_a_whole(tmp_path: Path, text: str) -> None:
    things = ",".join(json.dumps(one) for one in [thing()] * 9)
    path = write(tmp_path / "a.json", text % (things, json.dumps(IMAGES), json.dumps(CATEGORIES)))
    for size in (100, 300):
        cut = cut_file(str(path), size)
        assert not is_plain(cut)
        assert read_cut(path, cut) == read_whole(path)
        assert not any(map(is_plain, cuts_at_commas(path) if cut else ()))


@pytest.mark.parametrize(
    "odd",
    [
        thing("1"),
        thing(1, "7"),
        thing(1.5),
        thing(2**70),
        thing(1, 2**70),
        thing(bbox=[1, 2, 3]),
        thing(bbox=[float("nan"), 2, 3, 4]),
        thing(note="\ud800"),
    ],
)
def test_objects_of_any_kind(tmp_path: Path, odd: Json) -> None:
    things = [thing()] * 5 + [odd] + [thing(2)] * 5
    document = {"images": IMAGES, "annotations": things, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", json.dumps(document))
    cut = cut_file(str(path), 200)
    assert cut is not None
    assert read_cut(path, cut) == read_whole(path)


@pytest.mark.parametrize("kind", ["images", "categories"])
def test_ids_that_are_text_beside_objects_with_numbers(tmp_path: Path, kind: str) -> None:
    document: Json = {"images": IMAGES, "annotations": [thing()] * 9, "categories": CATEGORIES}
    document[kind] = [{**one, "id": str(one["id"])} for one in document[kind]]
    path = write(tmp_path / "a.json", json.dumps(document))
    cut = cut_file(str(path), 200)
    assert cut is not None
    assert read_cut(path, cut) == read_whole(path)
    assert len(read_coco(path).entries[1].parse().objects) == 9


def test_utf_16(tmp_path: Path) -> None:
    document = {"images": IMAGES, "annotations": [thing()] * 9, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", json.dumps(document).encode("utf-16"))
    assert cut_file(str(path), 99) is None
    assert len(read_coco(path).entries[1].parse().objects) == 9


def test_what_is_no_file_is_not_cut(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "none", "."):
        assert cut_file(str(tmp_path / name), 1) is None
    assert cut_file(str(write(tmp_path / "a.json", b"")), 1) is None


def test_a_file_that_is_gone_meanwhile(tmp_path: Path) -> None:
    document = {"images": IMAGES, "annotations": [thing()] * 9, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", json.dumps(document))
    cut = cut_file(str(path), 300)
    assert cut is not None
    path.write_bytes(path.read_bytes()[:500])
    assert decode_piece(cut.pieces[-1]) is None
    path.unlink()
    assert decode_piece(cut.pieces[0]) is None


def test_a_file_that_is_written_anew_meanwhile(tmp_path: Path) -> None:
    """Its objects are all of the new one, not some of each, although all fit."""
    old, new = ([thing(1 + (number + turn) % 2) for number in range(9)] for turn in (0, 1))
    path = tmp_path / "a.json"
    for things in (old, new):
        document = {"images": IMAGES, "annotations": things, "categories": CATEGORIES}
        write(path, json.dumps(document))
        if things is old:
            cut = cut_file(str(path), 300)
    os.utime(path, ns=(0, 5))  # clocks of files are coarse
    assert cut is not None
    assert not any(map(decode_piece, cut.pieces))
    assert read_cut(path, cut) == read_whole(path)


def test_in_other_processes(tmp_path: Path) -> None:
    document = {"images": IMAGES, "annotations": THINGS * 99, "categories": CATEGORIES}
    path = write(tmp_path / "a.json", json.dumps(document))
    cut = cut_file(str(path), 9000)
    assert cut is not None
    assert len(cut.pieces) > 2
    with begin_shards(decode_piece, cut.pieces, workers=2) as parts:
        outline = outline_coco(cut, str(path))
        assert told(read_coco(path, outline, parts)) == read_whole(path)


blanks = st.text(" \n\t\r", max_size=3)
texts = st.sampled_from([TRAP, '"', "]}", '"annotations": [{', "\u732b", "\\", "annotations"])
values = st.recursive(
    texts | st.integers() | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=2),
    max_leaves=6,
)
ids = st.integers(1, 4)
objects = st.builds(
    lambda image_id, category_id, bbox, more: {
        **more,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": bbox,
    },
    ids,
    st.sampled_from([1, 7, 8, 99]),
    st.lists(st.floats(-9, 99), min_size=4, max_size=4) | st.none(),
    st.dictionaries(texts | st.sampled_from(["segmentation", "iscrowd"]), values, max_size=2),
)


@st.composite
def spelled(draw: Callable[..., Any]) -> str:
    """Return a document with odd blanks, its keys in some order."""
    lists = {
        "images": IMAGES,
        "annotations": draw(st.lists(objects, min_size=2, max_size=6)),
        "categories": CATEGORIES,
        "info": draw(values),
    }
    text = json.dumps({key: lists[key] for key in draw(st.permutations(list(lists)))})
    blank = draw(blanks)
    # Within strings as well: what counts is that both ways read the same text.
    return re.sub(r"[,:\[\]{}]", lambda match: blank.join(("", match[0], "")), text)


@settings(max_examples=100)
@given(spelled(), st.integers(1, 300))
def test_any_document(tmp_path_factory: pytest.TempPathFactory, text: str, size: int) -> None:
    path = write(tmp_path_factory.getbasetemp() / "pieces.json", text)
    whole = read_whole(path)
    cut = cut_file(str(path), size)
    assert read_cut(path, cut) == whole
    if cut:
        first, last = cut.pieces[0], cut.pieces[-1]
        content = path.read_bytes()
        commas = [at for at in range(first.start, last.end) if content[at : at + 1] == b","]
        for at in commas[:: max(len(commas) // 8, 1)]:
            two = [first._replace(end=at), last._replace(start=at + 1)]
            assert read_cut(path, cut._replace(pieces=two)) == whole


@pytest.mark.parametrize("odd", [[], [thing(bbox=[1, 2, 3])], [thing("1")]])
@pytest.mark.parametrize(("size", "small"), [(800, False), (200, True)])
def test_a_set_is_found_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: list[Json], size: int, small: bool
) -> None:
    """Though one of its files has something odd, or one is too small to be cut."""
    again = {"id": 5, "file_name": "3.jpg", "width": 9}
    train = {
        "images": [*IMAGES, {"id": 4, "file_name": "x.jpg"}, again],
        "annotations": [thing(number % 6) for number in range(40)] + odd,
        "categories": CATEGORIES,
    }
    valid = {**train, "images": IMAGES[:1], "annotations": [thing(3)]}
    for name, document in (("train", train), ("valid", valid)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "_annotations.coco.json", json.dumps(document))
        for number in (1, 3):
            (tmp_path / name / f"{number}.jpg").touch()
    (tmp_path / "train" / "8.jpg").touch()
    whole = find_coco(tmp_path)
    cuts = []

    def cut(path: str) -> CutFile | None:
        cuts.append(cut_file(path, size))
        return cuts[-1]

    monkeypatch.setattr(cocotree, "cut_file", cut)
    found = find_coco(tmp_path, workers=1 + small)
    assert found == whole
    assert [bool(one) for one in cuts] == [True, small]
    assert whole is not None
    assert [item.split for item in whole.items] == ["train", "train", "valid"]
    assert {problem.code for problem in whole.problems} >= {"image-in-parts", "unknown-image"}
