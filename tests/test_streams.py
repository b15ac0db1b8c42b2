"""What is printed: to a reader that leaves, to a full disk, with names that hold controls."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.cli.streams import echo

from .conftest import PROJECT, Ended
from .sets import write_voc

PRINTING = [
    ["--help"],
    ["--version"],
    ["make-cfg", "--help"],
    ["make-cfg", "--list"],
    ["make-cfg", "--list", "--json"],
]


def run(*words: str | Path, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Run a real dkit; return its exit code and what it said on stderr."""
    command = [sys.executable, "-m", "darknet_kit", *words]
    ended = subprocess.run(command, stdout=stdout, stderr=stderr, text=True, check=False)
    return ended.returncode, ended.stderr or ""


def unread() -> int:
    """Return the writing end of a pipe that its reader has closed."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_reader_that_left_is_no_failure(words: list[str]) -> None:
    pipe = unread()
    assert run(*words, stdout=pipe) == (0, "")
    os.close(pipe)


def test_the_work_is_done_although_nobody_reads(tmp_path: Path) -> None:
    """And the exit code is that of the work: the image without XML is a note, the XML is not."""
    source = write_voc(tmp_path / "set", "1 2", train="1 2 3")
    (source / "Annotations/3.xml").write_text("<")
    pipe = unread()
    assert run("convert", "voc", source, stdout=pipe, stderr=pipe) == (3, "")
    os.close(pipe)
    assert json.loads((source / "conversion.json").read_text())["finished"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_failure_and_no_file_takes_its_place(
    tmp_path: Path, closed: str
) -> None:
    source = write_voc(tmp_path / "set", "1 2", train="1", val="2")
    shell = ["bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-m", "darknet_kit"]
    ended = subprocess.run([*shell, "convert", "voc", source, "--workers", "2"], check=False)
    assert ended.returncode == 0
    assert json.loads((source / "conversion.json").read_text())["finished"]


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_results_that_cannot_be_printed_are_a_failure(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        exit_code, told = run(*words, stdout=full.fileno())
    assert exit_code == 1
    assert told.startswith("error: cannot print the result: No space left on device")
    assert len(told.splitlines()) == 2


def test_a_failure_that_cannot_be_printed_as_json_is_told_in_words() -> None:
    with open("/dev/full", "w") as full:
        exit_code, told = run("nonsense", "--json", stdout=full.fileno())
    assert (exit_code, told.count("[usage]")) == (2, 1)


def test_controls_in_a_name_do_not_reach_the_terminal(
    tmp_path: Path, dkit: Callable[..., Ended]
) -> None:
    """A title, a colour, a C1 control, text turned round, a forged second line."""
    name = "a\x1b]0;owned\x07\x1b[31m\x9b2J\u202egpj\u2066\x7f\r\nerror: forged"
    source = write_voc(tmp_path / name, "1")
    for words in (["voc", source], ["coco", source / "none.json"], ["voc", source, "--json"]):
        ended = dkit("convert", *words)
        assert ended.exit_code in (1, 2)
        printed = ended.stdout + ended.stderr
        assert not any(character in printed for character in "\x1b\x07\x9b\x7f\r\u202e\u2066")
        assert "\nerror: forged" not in printed
    assert json.loads(ended.stdout)["error"]["path"] == str(source)


def test_other_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("臉書 é\t|\n", "नमस्\u200dते", "👩\u200d🔬"):
        echo(text)
        assert capsys.readouterr().out == f"{text}\n"


def test_ctrl_c_while_modules_are_loaded_is_an_exit_code(tmp_path: Path) -> None:
    """A background job ignores SIGINT; so may these tests, and what they start."""
    fake = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    (tmp_path / "click.py").write_text(fake)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{PROJECT}"}
    command = [sys.executable, "-m", "darknet_kit", "--help"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_ctrl_c_when_all_is_said_changes_nothing() -> None:
    """Python itself would complain of what interrupts its end."""
    program = (
        "import atexit, os, signal, sys; from darknet_kit.cli.start import run\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['nonsense', '--json']; run()"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "")
