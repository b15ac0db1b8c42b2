"""Writes: whole or absent, never twice for nothing, and a sentence where they cannot be done."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.contents import digest, holds, iter_contents
from darknet_kit.core.files import (
    WriteError,
    is_part,
    link,
    make_folder,
    open_append,
    replacing,
    write_bytes,
    write_text,
)
from darknet_kit.core.newfiles import NewFiles


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def break_off(path: Path, error: BaseException) -> None:
    with replacing(path) as stream:
        stream.write("half")
        raise error


def test_an_exception_inside_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(ZeroDivisionError):
        break_off(path, ZeroDivisionError())
    assert names_in(tmp_path) == []


def test_an_exception_inside_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        break_off(path, KeyboardInterrupt())
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_a_second_identical_write_leaves_the_time(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert write_text(path, "same")
    os.utime(path, (1, 1))
    assert not write_text(path, "same")
    with replacing(path) as stream:
        stream.write("same")
    assert path.stat().st_mtime == 1
    assert write_text(path, "other")
    assert path.stat().st_mtime != 1


def test_quick_writes_of_one_size_all_arrive(tmp_path: Path) -> None:
    """Files written within one tick of the clock have the same size and time, and differ."""
    path = tmp_path / "a.txt"
    for text in ("0000", "0000", "0001", "0001", "0000"):
        with replacing(path) as stream:
            stream.write(text)
            stream.flush()
            os.utime(stream.fileno(), (1, 1))
        assert path.read_text() == text


def test_replacing_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    original, place = tmp_path / "original.txt", tmp_path / "link.txt"
    original.write_text("theirs")
    place.symlink_to(original)
    write_text(place, "ours")
    assert original.read_text() == "theirs"
    assert place.read_text() == "ours"
    assert not place.is_symlink()


def test_text_is_utf8_with_line_feeds_and_keeps_foreign_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = "é\n" + b"caf\xe9".decode("utf-8", "surrogateescape")
    write_text(path, text)
    assert path.read_bytes() == b"\xc3\xa9\ncaf\xe9"
    with replacing(tmp_path / "b.txt") as stream:
        stream.write(text)
    assert (tmp_path / "b.txt").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "字" * 83 + ".txt"])
def test_a_name_of_full_length_can_be_written(tmp_path: Path, name: str) -> None:
    assert len(name.encode()) in (253, 255)
    assert write_text(tmp_path / name, "a")
    assert names_in(tmp_path) == [name]


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "a.txt"


def in_no_folder(folder: Path) -> Path:
    return folder / "none" / "a.txt"


def a_folder(folder: Path) -> Path:
    (folder / "a.txt").mkdir()
    return folder / "a.txt"


def a_circle(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop" / "a.txt"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (too_long, "name-too-long"),
        (below_a_file, "not-a-folder"),
        (in_no_folder, "missing-folder"),
        (a_folder, "is-a-folder"),
        (a_circle, "link-loop"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    tmp_path: Path, place: Callable[[Path], Path], code: str
) -> None:
    path = place(tmp_path)
    before = names_in(tmp_path)
    with pytest.raises(WriteError) as caught:
        write_bytes(path, b"a")
    assert caught.value.code == code
    assert caught.value.path == str(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == before


def test_a_link_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WriteError) as caught:
        link("/x", in_no_folder(tmp_path))
    assert caught.value.code == "missing-folder"


def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root may write everywhere")
    try:
        for write in (
            lambda: write_text(tmp_path / "a", ""),
            lambda: make_folder(tmp_path / "b"),
            lambda: link("/x", tmp_path / "c"),
            lambda: open_append(tmp_path / "d"),
        ):
            with pytest.raises(WriteError, match="permission denied") as caught:
                write()
            assert caught.value.code == "no-permission"
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    """`ulimit -f` refuses large files as a full disk does; Python is told by EFBIG."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    ended = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -f 8; exec "$0" -c "$1" "$2"',
            sys.executable,
            "import sys; from darknet_kit.core.files import *\n"
            "try: write_bytes(sys.argv[1], bytes(1 << 20))\n"
            "except WriteError as error: print(error.code, error)",
            str(path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith(f"file-too-large {path}: cannot write: ")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


def test_killed_while_writing_leaves_no_half_file(tmp_path: Path) -> None:
    """The file is large, so that the kill falls into a write; then a second run mends all."""
    path = tmp_path / "a.bin"
    program = (
        "import sys; from darknet_kit.core.files import *\n"
        "for number in range(1000): write_bytes(sys.argv[1], bytes([number % 7]) * (8 << 20))"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)])
    while not path.exists():
        time.sleep(0.01)
    time.sleep(0.05)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    content = path.read_bytes()
    assert len(content) == 8 << 20
    assert len(set(content)) == 1
    assert all(name == "a.bin" or is_part(name) for name in names_in(tmp_path))
    write_bytes(path, b"done")
    assert names_in(tmp_path) == ["a.bin"]


def test_killed_among_many_small_writes_leaves_whole_files_alone(tmp_path: Path) -> None:
    program = (
        "import sys; from darknet_kit.core.files import *\n"
        "for number in range(10**6): write_bytes(f'{sys.argv[1]}/{number}', b'0 .5 .5 .5 .5\\n')"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    while not (tmp_path / "100").exists():
        time.sleep(0.001)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert {path.read_bytes() for path in tmp_path.iterdir() if not is_part(path.name)} == {
        b"0 .5 .5 .5 .5\n"
    }


@pytest.mark.parametrize("missing", [errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT])
def test_a_file_system_without_nameless_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    """open(2) names EOPNOTSUPP, EISDIR and ENOENT for kernels and file systems without them."""
    usual = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(missing, os.strerror(missing))
        return usual(path, flags, mode, dir_fd=dir_fd)

    with_names, without = tmp_path / "named", tmp_path / "nameless"
    assert write_bytes(without, b"a")
    monkeypatch.setattr(os, "open", refuse)
    assert write_bytes(with_names, b"a")
    assert not write_bytes(with_names, b"a")
    assert with_names.read_bytes() == without.read_bytes() == b"a"
    assert with_names.stat().st_mode == without.stat().st_mode
    assert names_in(tmp_path) == ["named", "nameless"]


def test_new_files_in_one_folder_after_another(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    wanted = {f"{folder}/{number}": b"x" * number for number in range(3) for folder in "abba"}
    for folder in "ab":
        (tmp_path / folder).mkdir()
    with NewFiles() as files:
        for name, content in wanted.items():
            assert files.put(f"{tmp_path}/{name}", content)
            assert not files.put(f"{tmp_path}/{name}", b"another")
            assert not files.put(f"{tmp_path}/none/{name}", content)
    assert {name: (tmp_path / name).read_bytes() for name in wanted} == wanted
    assert os.listdir("/proc/self/fd") == before


def test_a_new_file_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with NewFiles() as files:
        assert files.put("a", b"a")
        assert not files.put("/", b"a")
    assert names_in(tmp_path) == ["a"]


def test_a_folder_that_was_made_anew_between_new_files(tmp_path: Path) -> None:
    """The one held open is gone: `put` says so, and others write by the path."""
    folder = tmp_path / "a"
    folder.mkdir()
    with NewFiles() as files:
        assert files.put(f"{folder}/1", b"1")
        (folder / "1").unlink()
        folder.rmdir()
        folder.mkdir()
        assert not files.put(f"{folder}/2", b"2")
    assert names_in(folder) == []


def test_a_write_replaces_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    place = tmp_path / "a.txt"
    place.symlink_to("/no/such/file")
    assert holds(place, b"") is False
    assert write_bytes(place, b"a")
    assert not place.is_symlink()
    assert names_in(tmp_path) == ["a.txt"]


def test_a_link_is_made_once_and_follows_a_new_target(tmp_path: Path) -> None:
    place = tmp_path / "link"
    assert link("/old", place)
    assert not link("/old", place)
    (tmp_path / ".link.part").symlink_to("/leftover")
    assert link("/new", place)
    assert place.readlink() == Path("/new")
    assert names_in(tmp_path) == ["link"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_never_replaces_what_is_no_link(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "only-copy"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
    with pytest.raises(WriteError) as caught:
        link("/x", place)
    assert caught.value.code == "file-in-the-way"
    assert place.exists()


def test_contents_come_in_order_with_what_cannot_be_read_in_its_place(tmp_path: Path) -> None:
    written = {f"{number}": b"x" * number * 1000 for number in range(200)}  # read in two pieces
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "100").unlink()
    found = dict(
        zip(written, iter_contents([str(tmp_path / name) for name in written]), strict=True)
    )
    missing = found.pop("100")
    assert isinstance(missing, FileNotFoundError)
    del written["100"]
    assert found == written


def test_contents_that_nobody_asks_for_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    before = os.listdir("/proc/self/fd")
    contents = iter_contents([str(path)] * 10)
    assert next(contents) == b"a"
    contents.close()
    assert os.listdir("/proc/self/fd") == before


def test_make_folder(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WriteError) as caught:
            make_folder(path)
        assert caught.value.code == "not-a-folder"


def test_holds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert holds(path, b"") is None
    path.write_bytes(b"abc")
    assert holds(path, b"abc")
    assert not holds(path, b"ab")
    assert not holds(path, b"abcd")
    assert holds(tmp_path, b"") is False
    (tmp_path / "link").symlink_to(path)
    assert holds(tmp_path / "link", b"abc")
    path.write_bytes(b"")
    assert holds(path, b"")
    assert holds(path, b"a") is False


def test_what_is_no_file_holds_nothing(tmp_path: Path) -> None:
    """A device may be empty, and so is a pipe into which nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("pipe", "device"):
        assert holds(tmp_path / name, b"") is False
        assert holds(tmp_path / name, b"a") is False


def test_appending_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for line in ("one\n", "two\n"):
        with open_append(path) as stream:
            stream.write(line)
    with open_append(path, binary=True) as stream:
        stream.write(b"\xff")
    assert path.read_bytes() == b"one\ntwo\n\xff"
    # printf 'one\ntwo\n\377' | sha256sum
    assert digest(path) == "39ae6301897f82c618441d5fd4f8d2e349fbd5c728975ed99af68ed0496cc05e"
