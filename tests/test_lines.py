"""Files that grow line by line."""

from pathlib import Path

import pytest

from darknet_kit.core.lines import open_lines


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (b"", b""),
        (b"a\n", b"a\n"),
        (b"a\nbc", b"a\n"),
        (b"iteration,lo", b""),
        (b"a\n" + b"x" * 200_000, b"a\n"),
        (b"x" * 200_000 + b"\nb", b"x" * 200_000 + b"\n"),
    ],
)
def test_nothing_is_glued_to_an_unfinished_line(tmp_path: Path, there: bytes, kept: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(there)
    with open_lines(path) as stream:
        stream.write("ä\n")
    assert path.read_bytes() == kept + "ä\n".encode()


def test_a_line_is_there_at_once(tmp_path: Path) -> None:
    with open_lines(tmp_path / "metrics.csv") as stream:
        stream.write("1,2\n")
        assert (tmp_path / "metrics.csv").read_text() == "1,2\n"
