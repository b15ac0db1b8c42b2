"""Progress as people see it: on a terminal of any width, in a pipe, and of short work."""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pytest

from darknet_kit.cli import bar
from darknet_kit.cli.bar import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what lets some seconds pass."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_in_a_pipe_each_tenth_is_a_line(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("convert", "images") as tell:
        for done in range(0, 5001, 250):
            tell(done, 5000)
            clock(1.0)
        for done in range(3):  # a second round, at another pace
            tell(done, 4)
            clock(40.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "convert: 10% (750 of 5,000 images, 250 a second, 17 s left)"
    assert lines[8] == "convert: 90% (4,500 of 5,000 images, 250 a second, 2 s left)"
    assert lines[10] == "convert: 20% (1 of 4 images, 0.025 a second, 2 min left)"
    assert len(lines) == 12


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("convert", "images") as tell:
        tell(5, 10)
        tell(10, 10)
    assert capsys.readouterr().err == ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], int]]:
    """Return what makes stderr a terminal of some columns; it returns where its text comes out."""
    monkeypatch.setattr(bar, "_PATIENCE_SECONDS", 0.0)
    opened = []

    def make(columns: int) -> int:
        outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        stream = os.fdopen(inner, "w")
        opened.append(stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return outer

    yield make
    for stream in opened:
        stream.close()


def read_all(terminal: int) -> str:
    """Return what a terminal was sent that nobody writes to any more."""
    content = b""
    try:
        while piece := os.read(terminal, 1 << 16):
            content += piece
    except OSError:  # its other end is closed, says Linux
        os.close(terminal)
    return content.decode()


@pytest.mark.parametrize(("columns", "has_counts"), [(40, False), (80, True), (0, True)])
def test_a_terminal_shows_rate_and_time_left(
    terminal: Callable[[int], int], columns: int, has_counts: bool
) -> None:
    outer = terminal(columns)
    with progress_bar("convert", "images") as tell:
        tell(0, 544_546)
        time.sleep(0.15)
        tell(200_000, 544_546)
    sys.stderr.close()
    shown = read_all(outer).split("\r")
    (line,) = (text for text in shown if "37%" in text)
    assert line.startswith("convert")
    assert "images/s" in line
    assert line.rstrip().endswith("left")
    assert ("200k of 545k images" in line) is has_counts
    assert len(line) <= (columns or 80)


def test_a_terminal_shows_the_second_round_at_its_own_pace(
    terminal: Callable[[int], int],
) -> None:
    outer = terminal(80)
    with progress_bar("convert", "images") as tell:
        tell(5_000, 0)  # found
        tell(10, 5_000)
        time.sleep(0.15)
        tell(1_000, 5_000)
    sys.stderr.close()
    shown = read_all(outer)
    assert "20%" in shown
    assert ", -" not in shown  # images a second since it began anew
