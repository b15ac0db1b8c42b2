"""Annotations that are read to learn the classes are not read again to be converted."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.core.boxes import Box, BoxConvention
from darknet_kit.core.contents import iter_contents
from darknet_kit.core.records import Annotation, LabelledObject, unpack
from darknet_kit.dataset import found, shard
from darknet_kit.dataset.convert import convert_ilsvrc, convert_voc
from darknet_kit.dataset.plan import ConvertOptions

from .sets import CAT, contents, write_picture

# As VOC's own files are; `formats/pascalfast` reads these.
PLAIN = """<annotation>
<filename>{stem}.jpg</filename>
<size><width>100</width><height>50</height><depth>3</depth></size>
<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}\
</ymax></bndbox></object>
</annotation>
"""
FLOATS = st.floats(allow_nan=False)
OBJECTS = st.builds(
    LabelledObject,
    st.text(),
    st.builds(Box, FLOATS, FLOATS, FLOATS, FLOATS),
    st.integers(0, 1 << 16),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(OBJECTS).map(tuple), st.integers(0, 10**8), st.integers(0, 10**8), st.text())
def test_what_is_packed_comes_out_as_it_was(
    objects: tuple[LabelledObject, ...], width: int, height: int, filename: str
) -> None:
    annotation = Annotation(objects, width, height, filename)
    assert unpack(annotation.pack()) == annotation


def plain(stem: str, name: str = CAT[0], box: Sequence[float] = CAT[1:]) -> str:
    return PLAIN.format(
        stem=stem, name=name, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    )


def write_odd(root: Path) -> Path:
    """Write pairs: most of the XML plain, one with a comment, one with an empty box, one torn."""
    texts = {f"{number}": plain(f"{number}", f"thing{number % 3}") for number in range(6)}
    texts["beyond"] = plain("beyond", box=(0, 1, 130.5, 50))
    texts["misnamed"] = plain("other")
    texts["comment"] = plain("comment").replace("<object>", "<!-- a cat --><object>")
    texts["empty"] = plain("empty", "dog", (5, 5, 5, 9))
    texts["torn"] = plain("torn")[:-20]
    for stem, text in texts.items():
        write_picture(root / f"{stem}.jpg")
        (root / f"{stem}.xml").write_text(text)
    return root


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each annotation is opened, by its stem."""
    counted: Counter[str] = Counter()

    def count(paths: Sequence[str]) -> Iterator[bytes | OSError]:
        counted.update(Path(path).stem for path in paths)
        return iter_contents(paths)

    monkeypatch.setattr(shard, "iter_contents", count)
    return counted


def test_plain_files_are_read_once(tmp_path: Path, opened: Counter[str]) -> None:
    convert_voc(write_odd(tmp_path), ConvertOptions(workers=1))
    assert {stem for stem, times in opened.items() if times > 1} == {"comment", "empty", "torn"}
    assert opened.total() == 11 + 3


def test_so_are_those_of_an_ilsvrc_tree_that_does_not_say_its_classes(
    tmp_path: Path, opened: Counter[str]
) -> None:
    for stem in ("a", "b"):
        write_picture(tmp_path / f"Data/CLS-LOC/val/{stem}.JPEG")
        path = tmp_path / f"Annotations/CLS-LOC/val/{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plain(stem))
    assert convert_ilsvrc(tmp_path, ConvertOptions(workers=1)).boxes == 2
    assert opened == {"a": 1, "b": 1}


@pytest.mark.parametrize("convention", [None, *BoxConvention])
def test_what_there_is_no_room_for_is_read_again(
    tmp_path: Path,
    opened: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    convention: BoxConvention | None,
) -> None:
    root, out = write_odd(tmp_path / "set"), tmp_path / "out"
    options = ConvertOptions(out=str(out), convention=convention, verify_images=True, workers=1)
    once = convert_voc(root, options), contents(out)
    shutil.rmtree(out)
    opened.clear()
    monkeypatch.setattr(found, "_ROOM", 0)
    assert (convert_voc(root, options), contents(out)) == once
    assert opened.total() == 22
