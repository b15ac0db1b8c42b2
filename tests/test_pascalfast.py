"""The short way through Pascal XML: where it takes a file, a parser says the same of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_kit.core.boxes import BoxConvention
from darknet_kit.errors import DatasetError
from darknet_kit.formats.pascal import parse_any
from darknet_kit.formats.pascalfast import find_plain_names, parse_plain

PLAIN = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation verified="no">
\t<folder>VOC2007</folder>
\t<filename>000001.jpg</filename>
\t<path>C:\\Users\\a b\\000001.jpg</path>
\t<source><database>The VOC2007 Database</database><image>flickr</image></source>
\t<owner><flickrid>Fried Camels</flickrid><name>Jinky the Fruit Bat</name></owner>
\t<size><width>353</width><height>500</height><depth>3</depth></size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
\t\t<bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
\t</object>
\t<object>
\t\t<name>potted plant</name>
\t\t<bndbox><xmin>8.5</xmin><xmax>95.25</xmax><ymin>-2</ymin><ymax>37</ymax></bndbox>
\t\t<difficult>1</difficult>
\t</object>
</annotation>
"""


def same(content: bytes, convention: BoxConvention = BoxConvention.INCLUSIVE) -> bool:
    """Hold the short way to the parser; return whether it took the file."""
    found, names = parse_plain(content, convention), find_plain_names(content)
    if names is None:
        assert found is None
        return False
    expected = parse_any(content, "a.xml", convention)
    if found is None:
        assert "empty-box" in {problem.code for problem in expected.problems}
        return False
    assert found == expected
    assert names == [entry.name for entry in expected.objects]
    return True


@pytest.mark.parametrize("convention", BoxConvention)
def test_a_file_as_tools_write_it_is_taken(convention: BoxConvention) -> None:
    assert same(PLAIN, convention)
    found = parse_plain(PLAIN, convention)
    assert found is not None
    assert [entry.line for entry in found.objects] == [12, 16]
    assert [(entry.truncated, entry.difficult) for entry in found.objects] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"dog", b"do&amp;g"),
        (b"dog", b"d\xc3\xb6g"),
        (b"dog", b" dog"),
        (b"dog", b""),
        (b"dog", b"d<!-- x -->og"),
        (b"dog", b"d\0og"),
        (b"</pose>", b"</occluded>"),
        (b"<pose>", b"<name>cat</name><pose>"),
        (b"<pose>", b"<bndbox></bndbox><pose>"),
        (b"<pose>", b"<part><name>head</name></part><pose>"),
        (b"<truncated>1", b"<truncated>true"),
        (b"<xmin>48", b"<xmin>nan"),
        (b"<xmin>48", b"<xmin>4_8"),
        (b"<xmin>48", b"<xmin>1e3"),
        (b"<xmin>48", b"<xmin>4800000000"),
        (b"<xmin>48", b"<xmin></xmin><xmin>48"),
        (b"<xmin>48", b"<xmin>195"),
        (b"<xmin>48", b"<xmin>-0"),
        (b"<xmax>195</xmax>", b""),
        (b"<ymin>240", b"<xmax>9</xmax><ymin>240"),
        (b"<width>353", b"<width>353.0"),
        (b"<size>", b"<size><width>9</width><height>9</height></size><size>"),
        (b"<segmented>", b"<filename>b.jpg</filename><segmented>"),
        (b"</annotation>", b""),
        (b"</annotation>", b"</annotation><annotation/>"),
        (b"<?xml", b"\n<?xml"),
        (b"utf-8", b"utf-16"),
        (b"<annotation", b"<!DOCTYPE annotation><annotation"),
        (b"\n", b"\r\n"),
        (b"VOC2007<", b"x" * 70_000 + b"<"),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(old: bytes, new: bytes) -> None:
    assert old in PLAIN
    assert parse_plain(PLAIN.replace(old, new, 1), BoxConvention.PLAIN) is None


def test_an_image_without_a_size_of_use() -> None:
    assert same(PLAIN.replace(b"353", b"0"))


PIECES = b"""1 .5 - <name> </name> <difficult>1</difficult> <object> </object> <size> </size>
<pose>x</pose> <filename>b</filename> <bndbox> &lt; <?x?> </annotation>""".split()


@settings(max_examples=400)
@given(
    st.integers(0, len(PLAIN)),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=4),
        st.sampled_from(PIECES),
    ),
    st.sampled_from(BoxConvention),
)
def test_whatever_is_taken_reads_as_a_parser_reads_it(
    at: int, cut: int, put: bytes, convention: BoxConvention
) -> None:
    content = PLAIN[:at] + put + PLAIN[at + cut :]
    try:
        same(content, convention)
    except DatasetError as error:  # the parser refuses what the short way took
        raise AssertionError(error) from error


def test_real_files(shared_data: Callable[[str], Path]) -> None:
    """Left to the parser: parts, empty tags, files without a size, boxes without an area."""
    paths = sorted(shared_data(".").rglob("*.xml"))
    taken = sum(same(path.read_bytes()) for path in paths)
    assert taken > 0.95 * len(paths)
