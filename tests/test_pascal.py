"""Pascal XML: every quirk of real files, and files made to do harm."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_kit.core.boxes import Box, BoxConvention
from darknet_kit.core.problems import KINDS
from darknet_kit.core.records import Annotation
from darknet_kit.errors import DatasetError
from darknet_kit.formats.pascal import find_names, parse_pascal, read_pascal

PLAIN = BoxConvention.PLAIN
BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def parse(body: str, convention: BoxConvention = PLAIN) -> Annotation:
    content = f"<annotation>{body}</annotation>".encode()
    return parse_pascal(content, "a.xml", convention)


def outcome(content: bytes, path: str = "a.xml") -> Annotation | DatasetError:
    """Return what is parsed, or the one error that may be raised."""
    try:
        return parse_pascal(content, path, BoxConvention.INCLUSIVE)
    except DatasetError as error:
        return error


def thing(box: str, name: str = "<name>thing</name>", more: str = "") -> str:
    return f"<object>{name}{more}{box}</object>"


def corners(xmin: str, ymin: str, xmax: str, ymax: str) -> str:
    values = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
    return (
        "<bndbox>" + "".join(f"<{tag}>{text}</{tag}>" for tag, text in values.items()) + "</bndbox>"
    )


def test_a_plain_annotation() -> None:
    found = parse(f"<filename>a.jpg</filename>{SIZE}{thing(BOX)}")
    assert (found.width, found.height, found.filename) == (100, 50, "a.jpg")
    (entry,) = found.objects
    assert (entry.name, entry.box) == ("thing", Box(10, 20, 30, 40))
    assert (entry.difficult, entry.truncated, entry.iscrowd) == (False, False, False)
    assert found.problems == ()


@pytest.mark.parametrize(
    ("convention", "box"),
    [
        (BoxConvention.PLAIN, Box(10, 20, 30, 40)),
        (BoxConvention.INCLUSIVE, Box(9, 19, 30, 40)),
        (BoxConvention.VOC_LABEL, Box(9, 19, 29, 39)),
    ],
)
def test_conventions(convention: BoxConvention, box: Box) -> None:
    assert parse(thing(BOX), convention).objects[0].box == box


@pytest.mark.parametrize(
    "box",
    [
        corners("10.0", "20.0", "30.0", "40.0"),
        corners(" 10\n", "\t20 ", "30", "40"),
        corners("1e1", "2e1", "3e1", "4e1"),
        corners("10.", "+20", "030", "40"),
        # Roboflow's order, and one that nobody wrote yet
        "<bndbox><xmin>10</xmin><xmax>30</xmax><ymin>20</ymin><ymax>40</ymax></bndbox>",
        "<bndbox><ymax>40</ymax><junk/><xmax>30</xmax><ymin>20</ymin><xmin>10</xmin></bndbox>",
        "<bndbox><xmin>1<!-- a comment -->0</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax>"
        "</bndbox>",
    ],
)
def test_ways_to_write_one_box(box: str) -> None:
    assert parse(thing(box)).objects[0].box == Box(10, 20, 30, 40)


def test_floats_keep_their_fractions() -> None:
    box = corners("10.123456789012345", "0.5", "30.25", "40.75")
    assert parse(thing(box)).objects[0].box == Box(10.123456789012345, 0.5, 30.25, 40.75)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (f"<object>{BOX}</object>", "no-name", "without a <name>"),
        (thing(BOX, "<name/>"), "no-name", "without a <name>"),
        (thing(BOX, "<name>  \n </name>"), "no-name", "without a <name>"),
        (thing(""), "no-box", "thing has no <bndbox>"),
        (thing("<polygon><x1>1</x1></polygon>"), "no-box", "thing has no <bndbox>"),
        (thing("<bndbox/>"), "bad-coordinate", "<xmin> is missing"),
        (thing(BOX.replace("ymax", "ymux")), "bad-coordinate", "<ymax> is missing"),
        (thing(corners("", "1", "2", "3")), "bad-coordinate", "<xmin> is ''"),
        (thing(corners("1", "two", "2", "3")), "bad-coordinate", "<ymin> is 'two'"),
        (thing(corners("1", "2", "3,5", "3")), "bad-coordinate", "<xmax> is '3,5'"),
        (thing(corners("1", "2", "3", "nan")), "bad-coordinate", "<ymax> is 'nan'"),
        (thing(corners("1", "-inf", "3", "4")), "bad-coordinate", "<ymin> is '-inf'"),
        (thing(corners("1", "2", "1e99", "4")), "bad-coordinate", "<xmax> is '1e99'"),
        (thing(corners("1", "2", "1_0", "4")), "bad-coordinate", "<xmax> is '1_0'"),
        (thing(corners("1", "2", "1 0", "4")), "bad-coordinate", "<xmax> is '1 0'"),
        (thing(corners("5", "2", "5", "4")), "empty-box", "5,2 to 5,4 has no area"),
        (thing(corners("1", "2", "3", "2")), "empty-box", "has no area"),
        (thing(corners("0", "0", "0", "0")), "empty-box", "has no area"),
    ],
)
def test_an_object_that_cannot_be_used_is_a_problem_and_the_others_stay(
    body: str, code: str, said: str
) -> None:
    found = parse(thing(BOX, "<name>first</name>") + body + thing(BOX, "<name>last</name>"))
    assert [entry.name for entry in found.objects] == ["first", "last"]
    (problem,) = found.problems
    assert (problem.code, problem.path) == (code, "a.xml")
    assert said in problem.message
    assert "\n" not in problem.message


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("<difficult>1</difficult>", True),
        ("<difficult> 1 </difficult>", True),
        ("<difficult>true</difficult>", True),
        ("<difficult>Yes</difficult>", True),
        ("<difficult>0</difficult>", False),
        ("<difficult></difficult>", False),
        ("<difficult/>", False),
        ("<difficult>Unspecified</difficult>", False),
        ("", False),
    ],
)
def test_flags(text: str, flag: bool) -> None:
    assert parse(thing(BOX, more=text)).objects[0].difficult is flag
    truncated = text.replace("difficult", "truncated")
    assert parse(thing(BOX, more=truncated)).objects[0].truncated is flag


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("", (0, 0)),
        ("<size/>", (0, 0)),
        ("<size><width>0</width><height>0</height></size>", (0, 0)),
        ("<size><width>100</width></size>", (0, 0)),
        ("<size><width>-100</width><height>50</height></size>", (0, 0)),
        ("<size><width>wide</width><height>50</height></size>", (0, 0)),
        ("<size><width>nan</width><height>50</height></size>", (0, 0)),
        ("<size><width>1e99</width><height>50</height></size>", (0, 0)),
        ("<size><width>100.0</width><height>50.0</height></size>", (100, 50)),
        ("<size><height>50</height><width>100</width><depth/></size>", (100, 50)),
    ],
)
def test_sizes(size: str, expected: tuple[int, int]) -> None:
    found = parse(thing(BOX) + size)
    assert (found.width, found.height) == expected


def test_names_of_owners_and_parts_are_no_objects() -> None:
    """As in VOC2007's <owner> and the person layout of 2007_000027.xml."""
    part = f"<part><name>head</name>{corners('1', '1', '5', '5')}</part>"
    body = (
        "<owner><flickrid>x</flickrid><name>Jane</name></owner>"
        f"{thing(BOX, '<name>person</name>', part)}{thing(part, '<name>nobody</name>')}"
    )
    found = parse(body)
    assert [entry.name for entry in found.objects] == ["person"]
    assert [problem.code for problem in found.problems] == ["no-box"]
    content = f"<annotation>{body}</annotation>".encode()
    assert list(find_names(content, "a.xml")) == ["person", "nobody"]


def test_the_first_of_two_boxes_is_taken() -> None:
    found = parse(thing(BOX + corners("1", "1", "2", "2")))
    assert found.objects[0].box == Box(10, 20, 30, 40)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("traffic light", "traffic light"),
        ("  dog\n", "dog"),
        ("two\n   lines", "two lines"),  # it has to fit on one line of a .names file
        ("R&amp;D &lt;b&gt;", "R&D <b>"),
        ("&#233;t&#xe9;", "été"),
        ("<![CDATA[a<b]]>", "a<b"),
        ("臉書", "臉書"),
        ("$(touch x)", "$(touch x)"),
    ],
)
def test_class_names(written: str, name: str) -> None:
    body = thing(BOX, f"<name>{written}</name>")
    assert parse(body).objects[0].name == name
    content = f"<annotation>{body}</annotation>".encode()
    assert list(find_names(content, "a.xml")) == [name]


def test_problems_and_objects_know_their_line() -> None:
    content = (
        b"<annotation>\n<object>\n<name>a</name>\n<bndbox>\n<xmin>1</xmin><ymin>2</ymin>\n"
        b"<xmax>x</xmax><ymax>4</ymax>\n</bndbox>\n</object>\n<object>\n<name>b</name>\n</object>\n"
        b"<object><name>c</name>\n\n" + BOX.encode() + b"</object></annotation>"
    )
    found = parse_pascal(content, "a.xml", PLAIN)
    assert [problem.line for problem in found.problems] == [4, 9]
    assert found.objects[0].line == 14


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff<annotation>{thing(BOX)}</annotation>".encode(),
        f"<?xml version='1.0' encoding='iso-8859-1'?><annotation>"
        f"{thing(BOX, '<name>café</name>')}</annotation>".encode("latin-1"),
        f"<?xml version='1.0' encoding='utf-16'?><annotation>{thing(BOX)}</annotation>".encode(
            "utf-16"
        ),
        f"<?xml version='1.0' encoding='gb2312'?><annotation>"
        f"{thing(BOX, '<name>车</name>')}</annotation>".encode("gb2312"),
        f"<?xml version='1.0' encoding='Shift_JIS'?><annotation>"
        f"{thing(BOX, '<name>車</name>')}</annotation>".encode("shift_jis"),
        f"<annotation>{thing(BOX, '<name>café</name>')}</annotation>".encode("utf-16"),
        f"<annotation>{thing(BOX, '<name>&#99;af&#233;</name>')}</annotation>".encode("ascii"),
        f"<annotation verified='yes'>\r\n\t{thing(BOX)}\r\n</annotation>\r\n".encode(),
        f"<!-- x --><?php x ?><annotation>{thing(BOX)}</annotation><!-- y -->".encode(),
        # What other parsers refuse: a wrong declaration, or one that is late.
        f"<?xml version='1.0' encoding='utf-16'?><annotation>"
        f"{thing(BOX, '<name>车</name>')}</annotation>".encode(),
        f"<?xml version='1.0' encoding='ascii'?><annotation>"
        f"{thing(BOX, '<name>café</name>')}</annotation>".encode(),
        f"<?xml version='1.0' encoding='latin-1'?><annotation>"
        f"{thing(BOX, '<name>café</name>')}</annotation>".encode("latin-1"),
        f"<?xml version='1.0' encoding='klingon'?><annotation>{thing(BOX)}</annotation>".encode(),
        f"\n<?xml version='1.0'?>\n<annotation>{thing(BOX)}</annotation>".encode(),
        f"<annotation><path>D:\\图片\\1.jpg</path>{thing(BOX)}</annotation>".encode("gbk"),
    ],
)
def test_encodings_and_decorations(content: bytes) -> None:
    (entry,) = parse_pascal(content, "a.xml", PLAIN).objects
    assert entry.name in ("thing", "café", "车", "車")


def test_lines_are_counted_from_the_top_whatever_is_passed_over() -> None:
    content = f"\n\n<?xml version='1.0'?>\n<annotation>\n{thing(BOX)}</annotation>".encode()
    assert parse_pascal(content, "a.xml", PLAIN).objects[0].line == 5


GENUINE = f"<annotation>{SIZE}{thing(BOX)}</annotation>".encode()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "bad-xml"),
        (b"\n", "bad-xml"),
        (b"\0\0\0\0", "bad-xml"),
        (GENUINE[:-20], "bad-xml"),
        (GENUINE[5:], "bad-xml"),
        (GENUINE + GENUINE, "bad-xml"),
        (GENUINE.replace(b"thing", b"th\0ing"), "bad-xml"),
        (GENUINE.replace(b"thing", b"th\xffing"), "bad-xml"),
        (GENUINE.replace(b"thing", b"a & b"), "bad-xml"),
        (GENUINE.replace(b"thing", b"&undefined;"), "bad-xml"),
        (b"<?xml version='1.0' encoding='gbk'?>" + GENUINE.replace(b"thing", b"\xff"), "bad-xml"),
        (b"<annotation>" * 100_000, "bad-xml"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "bad-xml"),
        (b'{"images": []}', "bad-xml"),
        (b"<html><body/></html>", "not-pascal"),
        (b"<annotations><image/></annotations>", "not-pascal"),
        (b"<a:annotation xmlns:a='b'/>", "not-pascal"),
    ],
)
def test_a_file_of_no_use_is_one_error(content: bytes, code: str) -> None:
    with pytest.raises(DatasetError) as caught:
        parse_pascal(content, "a.xml", PLAIN)
    assert caught.value.code == code
    assert caught.value.path == "a.xml"
    assert caught.value.hint
    assert "\n" not in str(caught.value)


LAUGHS = '<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10)
)


@pytest.mark.parametrize(
    "used",
    [
        thing(BOX, "<name>&e9;</name>"),
        f"<filename>&e9;</filename>{thing(BOX)}",
        f'<object kind="&e9;"><name>x</name>{BOX}</object>',
        "&e9;",
    ],
)
def test_an_entity_bomb_does_not_go_off(used: str) -> None:
    """Expanded, it is a billion times "ha"; refused or passed over, both will do."""
    content = f"<!DOCTYPE annotation [{LAUGHS}]><annotation>{used}</annotation>"
    assert len(repr(outcome(content.encode()))) < 500


def test_an_entity_bomb_in_default_attributes_does_not_go_off() -> None:
    declared = f'{LAUGHS}<!ATTLIST object kind CDATA "&e9;">'
    content = f"<!DOCTYPE annotation [{declared}]><annotation>{thing(BOX) * 50}</annotation>"
    found = outcome(content.encode())
    assert isinstance(found, DatasetError) or len(found.objects) == 50


@pytest.mark.parametrize(
    "declare",
    [
        lambda path: f'<!ENTITY e SYSTEM "{path}">',
        lambda path: f'<!ENTITY e SYSTEM "file://{path}">',
        lambda path: f'<!ENTITY e PUBLIC "x" "{path}">',
        lambda path: f'<!ENTITY % p SYSTEM "{path}"> %p; <!ENTITY e "x">',
    ],
)
def test_no_file_is_read_into_an_annotation(tmp_path: Path, declare: Callable[[Path], str]) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password")
    used = thing(BOX, "<name>x &e;</name>") + "<filename>&e;</filename>"
    content = f"<!DOCTYPE annotation [{declare(secret)}]><annotation>{used}</annotation>".encode()
    assert "password" not in repr(outcome(content, str(tmp_path / "a.xml")))


def test_an_external_document_type_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.dtd").write_text('<!ENTITY e "password">')
    content = (
        f'<!DOCTYPE annotation SYSTEM "{tmp_path}/a.dtd"><annotation>'
        f"{thing(BOX, '<name>x&e;</name>')}</annotation>"
    )
    assert "password" not in repr(outcome(content.encode(), str(tmp_path / "a.xml")))


@pytest.mark.parametrize(
    "declared", ['SYSTEM "http://127.0.0.1:9/a.dtd"', '[<!ENTITY e SYSTEM "http://127.0.0.1:9/">]']
)
def test_no_network_is_asked(declared: str) -> None:
    """Port 9 answers nobody: a parser that asked would say so, or hang."""
    content = f"<!DOCTYPE annotation {declared}><annotation>{thing(BOX)}</annotation>".encode()
    assert len(parse_pascal(content, "a.xml", PLAIN).objects) == 1


def test_deep_and_long_annotations() -> None:
    deep = "<part>" * 200 + "</part>" * 200
    assert len(parse(thing(BOX, more=deep)).objects) == 1
    found = parse(SIZE + thing(BOX) * 20_000)
    assert len(found.objects) == 20_000
    assert found.objects[-1].line == 1


def test_reading_files(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with pytest.raises(DatasetError) as caught:
        read_pascal(path)
    assert caught.value.code == "cannot-read"
    path.write_bytes(GENUINE)
    assert read_pascal(path).objects[0].box == Box(9, 19, 30, 40)
    with pytest.raises(DatasetError) as caught:
        read_pascal(tmp_path)
    assert caught.value.code == "cannot-read"


REAL = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation verified="no">
\t<folder>VOC2007</folder>
\t<filename>000001.jpg</filename>
\t<owner><flickrid>Fried Camels</flickrid><name>Jinky the Fruit Bat</name></owner>
\t<size><width>353</width><height>500</height><depth>3</depth></size>
\t<object>
\t\t<name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
\t\t<bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
\t</object>
</annotation>
"""


def survive(content: bytes) -> None:
    """Parse; nothing but a DatasetError may come out, and every problem has its row."""
    found = outcome(content)
    if isinstance(found, DatasetError):
        assert found.code in KINDS
        return
    assert all(problem.code in KINDS for problem in found.problems)
    assert all(entry.name == " ".join(entry.name.split()) for entry in found.objects)
    assert {entry.name for entry in found.objects} <= set(find_names(content, "a.xml"))


@settings(max_examples=400)
@given(st.integers(0, len(REAL) - 1), st.integers(0, 40), st.binary(max_size=12))
def test_any_mutation_of_a_genuine_file_is_survived(at: int, cut: int, put: bytes) -> None:
    survive(REAL[:at] + put + REAL[at + cut :])


FRAGMENTS = re.findall(
    r"\S+",
    """<object> </object> <name> </name> dog <bndbox> </bndbox> <xmin> </xmin> 5 <size> </size>
    <width> </width> &amp; &x; <!-- --> -1 <![CDATA[ ]]> <?x ?> <part> </part> \0 é 1e400 < > &""",
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40))
def test_any_pile_of_tags_is_survived(parts: list[str]) -> None:
    survive(f"<annotation>{''.join(parts)}</annotation>".encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(content: bytes) -> None:
    survive(content)
