"""Cfg files: kept to the byte, read as Darknet reads them, edited one line at a time.

Expected readings follow upstream's `strip`, `read_option`, `option_find` and C's `atoi`, `atof`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import (
    Section,
    format_cfg,
    parse_cfg,
    read_cfg,
    set_value,
    write_cfg,
)

SMALL = """# a small one
[net]
batch=64 # big
subdivisions = 16
width =416
batch=8
; half a comment
learning_rate=.001

[convolutional]
filters=32
activation=leaky # x

[yolo]
mask = 0, 1,2
anchors = 10,14,  23,27 # two
"""


def section_of(body: str) -> Section:
    return parse_cfg(f"[net]\n{body}\n").net


@pytest.mark.parametrize(
    "content",
    [
        SMALL.encode(),
        SMALL.replace("\n", "\r\n").encode(),
        SMALL.rstrip("\n").encode(),
        b"\xef\xbb\xbf" + SMALL.encode(),
        b"\n\n# only a comment first\n\t[net]\t\nbatch\t=\t64\n\n\n",
        b"[net]\nbatch=1\nbatch=2\nbatch=3\n",
        b"[network]\n[conv]\n[net]\nno equals sign\nempty=\n",
        "[net]\n# größer, in Latin-1\n".encode("latin-1"),
        b"[net]\n\x0c\x0b\x1c\nbatch=1\rsubdivisions=2\n\xe2\x80\xa8\n",
    ],
    ids=["plain", "crlf", "no-final-newline", "bom", "tabs", "twice", "odd", "latin-1", "breaks"],
)
def test_a_file_survives_reading_and_writing_to_the_byte(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.cfg"
    path.write_bytes(content)
    copy = tmp_path / "copy.cfg"
    assert write_cfg(copy, read_cfg(path))
    assert copy.read_bytes() == content
    assert not write_cfg(copy, read_cfg(path))


@pytest.mark.parametrize("folder", ["E_cfg_data_names", "F_weights"])
def test_real_files_survive(shared_data: Callable[[str], Path], folder: str) -> None:
    paths = sorted(shared_data(folder).glob("*.cfg"))
    assert paths
    for path in paths:
        text = format_cfg(read_cfg(path))
        assert text.encode("utf-8", "surrogateescape") == path.read_bytes(), path.name


@given(st.text())
def test_any_text_is_kept_or_refused(text: str) -> None:
    try:
        cfg = parse_cfg(text)
    except CfgError:
        return
    assert format_cfg(cfg) == text


LINES = st.text(alphabet="[]=#;,ab01 .-\t\r\n", max_size=80)


@given(LINES)
def test_any_lines_after_net_are_kept(body: str) -> None:
    text = f"[net]\n{body}"
    cfg = parse_cfg(text)
    assert format_cfg(cfg) == text
    lines = text.split("\n")
    for section in cfg.sections:
        for entry in section.entries:
            kept = "".join(lines[entry.line - 1].split())
            assert kept == f"{entry.key}={entry.value}"


@pytest.mark.parametrize(
    ("body", "key", "expected"),
    [
        ("batch=64", "batch", 64),
        ("batch=64 # big", "batch", 64),
        ("b a t c h = 6 4", "batch", 64),
        ("batch=64\nbatch=8", "batch", 64),
        ("#batch=1\nbatch=8", "batch", 8),
        ("batch=\nbatch=8", "batch", 8),
        ("batch 64\nbatch=8", "batch", 8),
        ("batch=1e3", "batch", 1),
        ("batch=1.9", "batch", 1),
        ("batch=-4", "batch", -4),
        ("batch=many", "batch", 0),
        ("Batch=64", "batch", 7),
        ("", "batch", 7),
    ],
)
def test_whole_numbers_are_read_as_atoi_does(body: str, key: str, expected: int) -> None:
    assert section_of(body).integer(key, 7) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("rate=.001", 0.001),
        ("rate=5e-4", 0.0005),
        ("rate=1.", 1.0),
        ("rate=0.00261#tiny", 0.00261),
        ("rate=-1.5x", -1.5),
        ("rate=x", 0.0),
        ("", 3.0),
    ],
)
def test_numbers_are_read_as_atof_does(body: str, expected: float) -> None:
    assert section_of(body).number("rate", 3.0) == expected


def test_lists_end_at_a_comment() -> None:
    yolo = parse_cfg(SMALL).layers[1]
    assert yolo.integers("mask") == (0, 1, 2)
    assert yolo.numbers("anchors") == (10, 14, 23, 27)
    assert yolo.integers("steps") == ()


def test_a_comment_after_a_word_belongs_to_the_word() -> None:
    assert parse_cfg(SMALL).layers[0].text("activation") == "leaky#x"


def test_sections_and_entries_know_their_lines() -> None:
    cfg = parse_cfg(SMALL)
    assert [(section.kind, section.line) for section in cfg.sections] == [
        ("net", 2),
        ("convolutional", 10),
        ("yolo", 14),
    ]
    entry = cfg.net.find("learning_rate")
    assert entry is not None
    assert entry.line == 8


def test_a_comment_after_a_header_belongs_to_the_name() -> None:
    assert parse_cfg("[net]\n[yolo] # head\n").layers[0].kind == "yolo]#head"


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "not-a-cfg", None),
        (b"\n \r\n", "not-a-cfg", None),
        (b"<!DOCTYPE html><html>", "not-a-cfg", None),
        (b"\x00\x00\x00\x00\x02\x00", "not-a-cfg", None),
        ("[net]\n".encode("utf-16"), "not-a-cfg", None),
        (b"# comments only\n", "not-a-cfg", None),
        (b"the road goes ever on\n", "not-a-cfg", None),
        (b"\n\nbatch=64\n[net]\n", "key-before-section", 3),
        (b"\n[convolutional]\nfilters=8\n", "no-net-section", 2),
        (b"[net] # main\nbatch=64\n", "no-net-section", 1),
        (b"[Net]\nbatch=64\n", "no-net-section", 1),
    ],
)
def test_what_is_no_cfg_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, code: str, line: int | None
) -> None:
    path = tmp_path / "x.cfg"
    path.write_bytes(content)
    with pytest.raises(CfgError) as caught:
        read_cfg(path)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert caught.value.path == str(path)
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match="no such file"):
        read_cfg(tmp_path / "none.cfg")
    with pytest.raises(CfgError, match="cannot read"):
        read_cfg(tmp_path)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.cfg"
    with path.open("wb") as stream:
        stream.truncate(1 << 32)
    with pytest.raises(CfgError) as caught:
        read_cfg(path)
    assert caught.value.code == "not-a-cfg"


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("[net]\nbatch=64\n", "batch", 8, "[net]\nbatch=8\n"),
        ("[net]\n batch =  64  # big\r\n", "batch", 8, "[net]\n batch =  8  # big\r\n"),
        ("[net]\na=leaky # x\n", "a", "mish", "[net]\na=mish\n"),
        ("[net]\na=1,2 # x\n", "a", "3,4", "[net]\na=3,4 # x\n"),
        ("[net]\nbatch=64\nbatch=2\n", "batch", 8, "[net]\nbatch=8\nbatch=2\n"),
        ("[net]\nbatch=64", "batch", 8, "[net]\nbatch=8"),
        ("[net]\nbatch=6 4\n", "batch", 8, "[net]\nbatch=8\n"),
        ("[net]\na=1\n# end\n\n[yolo]\n", "b", 2, "[net]\na=1\nb=2\n# end\n\n[yolo]\n"),
        ("[net]\r\na=1", "b", 2, "[net]\r\na=1\r\nb=2"),
        ("[net]", "b", 2, "[net]\nb=2"),
        ("\ufeff[net]\nsteps=1,2\n", "steps", "8,9", "\ufeff[net]\nsteps=8,9\n"),
    ],
)
def test_an_edit_changes_its_line_only(before: str, key: str, value: object, after: str) -> None:
    cfg = parse_cfg(before)
    edited = set_value(cfg, cfg.net, key, value)
    assert format_cfg(edited) == after
    assert edited.net.text(key).partition("#")[0] == str(value)


@pytest.mark.parametrize("value", ["", "1\n[yolo]", "leaky # x", "a\0b"])
def test_a_value_that_is_more_than_one_is_refused(value: str) -> None:
    cfg = parse_cfg(SMALL)
    with pytest.raises(CfgError) as caught:
        set_value(cfg, cfg.net, "batch", value)
    assert caught.value.code == "bad-value"


@given(LINES, st.integers(0, 10**6))
def test_an_edit_of_any_file_touches_one_line(body: str, value: int) -> None:
    text = f"[net]\n{body}\n[yolo]\nmask=0\n"
    cfg = parse_cfg(text)
    section = cfg.sections[-1]
    edited = format_cfg(set_value(cfg, section, "mask", value))
    assert edited == text[: -len("mask=0\n")] + f"mask={value}\n"
