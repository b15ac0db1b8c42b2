"""A full disk, a read-only one, no permission: a sentence, no half file, and later the rest."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.files import is_part

from .conftest import PROJECT, Ended
from .sets import contents
from .trees import WNIDS, Words, write_tree

Dkit = Callable[..., Ended]
DKIT = [sys.executable, "-m", "darknet_kit", "convert"]
# In a room of its own: convert, look, make room, convert again, and carry it all out.
SCRIPT = """
mount -t tmpfs -o "$1" none "$3" || exit 77
keep=$4 more=$2 room=$3
shift 4
"$@" --out "$room/out" --workers 2 2>&1; echo "exit $?"
find "$room" -name '*.part'
mount -o "remount,$more" "$room"
"$@" --out "$room/out" --workers 2 >/dev/null 2>&1; echo "exit $?"
cp -a "$room/out" "$keep"
"""


@pytest.mark.parametrize(
    ("kind", "room", "more", "code"),
    [
        ("voc", "size=100k", "size=9m", "disk-full"),
        ("coco", "nr_inodes=60", "nr_inodes=9999", "disk-full"),
        ("ilsvrc", "ro", "rw", "read-only"),
    ],
)
def test_a_disk_without_room(
    tmp_path: Path, dkit: Dkit, kind: str, room: str, more: str, code: str
) -> None:
    source = write_tree(kind, tmp_path / "set", 300)
    (tmp_path / "room").mkdir()
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare(1)")
    words: Words = [
        *("bash", "-c", SCRIPT, "bash", room, more, tmp_path / "room", tmp_path / "kept"),
        *DKIT,
    ]
    ended = subprocess.run(
        [unshare, "-rm", *words, kind, source],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    if not (tmp_path / "kept").exists() and "exit" not in ended.stdout:
        pytest.skip(f"no mounting here: {ended.stderr.strip()}")
    error, hint, *rest = ended.stdout.splitlines()
    assert error.startswith(f"error: {tmp_path}/room/out")
    assert f"[{code}]" in error
    assert hint.startswith("  ")
    assert rest == ["exit 1", "exit 0"]
    dkit("convert", kind, source, "--out", tmp_path / "wanted")
    kept, wanted = contents(tmp_path / "kept"), contents(tmp_path / "wanted")
    assert kept.keys() == wanted.keys()
    assert all(kept[name] == wanted[name] for name in wanted if "/" in name)
    assert json.loads((tmp_path / "kept/conversion.json").read_text())["finished"]


def convert_as_anybody(*words: str | Path) -> tuple[int, str]:
    """Convert without root's right to pass over permissions; return exit code and stderr."""
    prefix: Words = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv(1)")
        prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    ended = subprocess.run(
        [*prefix, *DKIT, *words, "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("kind", ["voc", "ilsvrc", "coco"])
@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_a_folder_that_may_not_be_written_to(tmp_path: Path, kind: str, view: bool) -> None:
    source = write_tree(kind, tmp_path / "set", 12)
    closed = tmp_path if view else source
    before = contents(tmp_path)
    closed.chmod(0o500)
    out: Words = ["--out", tmp_path / "out"]
    words: Words = [kind, source, *(out if view else [])]
    exit_code, told = convert_as_anybody(*words)
    closed.chmod(0o700)
    assert exit_code == 1
    assert "[no-permission]" in told
    assert len(told.splitlines()) == 2
    assert contents(tmp_path) == before
    assert convert_as_anybody(*words)[0] in (0, 3)


def test_a_label_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    """Found out by a worker, in the midst of the work."""
    source = write_tree("ilsvrc", tmp_path / "set", 600)
    closed = source / "Data/CLS-LOC/val"
    closed.chmod(0o500)
    exit_code, told = convert_as_anybody("ilsvrc", source)
    closed.chmod(0o700)
    assert (exit_code, told.count("[no-permission]")) == (1, 1)
    assert "Traceback" not in told
    assert not any(is_part(Path(name).name) for name in contents(source))
    assert convert_as_anybody("ilsvrc", source)[0] == 0


def test_what_may_not_be_read_is_listed_and_the_rest_is_converted(tmp_path: Path) -> None:
    source = write_tree("voc", tmp_path / "set", 12)
    (source / "Annotations/3.xml").chmod(0)
    (source / "more").mkdir(0)
    exit_code, told = convert_as_anybody("voc", source, "--out", tmp_path / "out")
    assert (exit_code, told) == (3, "")
    listed = (tmp_path / "out/problems.csv").read_text()
    assert listed.count("\ncannot-read,") == 2
    assert (tmp_path / "out/train/2.txt").exists()
    (source / "more").chmod(0o700)


@pytest.mark.parametrize(
    ("kind", "closed", "option", "code"),
    [
        ("ilsvrc", "Annotations/CLS-LOC/val", "--keep-unlabelled", 1),
        ("ilsvrc", "Annotations/CLS-LOC/val", "--strict", 1),
        ("ilsvrc", "Annotations/CLS-LOC/val", "--json", 3),
        ("voc", "ImageSets", "--json", 1),
        ("voc", "ImageSets/Main", "--json", 1),
    ],
)
def test_a_folder_that_may_not_be_read_makes_no_image_a_negative_and_no_other_split(
    tmp_path: Path, kind: str, closed: str, option: str, code: int
) -> None:
    """By hand: of the 12 images 0, 5 and 10 are to validate on, and 0 alone shows nothing."""
    source, out = write_tree(kind, tmp_path / "set", 12), tmp_path / "out"
    (source / closed).chmod(0)
    assert convert_as_anybody(kind, source, "--out", out, option)[0] == code
    assert not [path for path in out.glob("valid/*.txt") if not path.read_text()]
    assert not [stem for stem in (0, 5, 10) if (out / f"train/{stem}.txt").exists()]
    (source / closed).chmod(0o755)


def test_labels_of_difficult_objects_that_cannot_be_read_are_told(
    tmp_path: Path, dkit: Dkit
) -> None:
    source = write_tree("voc", tmp_path / "set", 12)
    dkit("convert", "voc", source, "--out", tmp_path / "all", "--name", "x")
    (hard,) = (tmp_path / "all/difficult_objects/valid").iterdir()
    hard.unlink()
    hard.mkdir()  # no file: nobody, not even root, reads that
    data = tmp_path / "all/x.data"
    ended = dkit("subset", data, "--classes", ",".join(WNIDS), "--out", tmp_path / "some")
    assert ended.exit_code == 3
    assert f"cannot-read,skipped,{hard}," in (tmp_path / "some/problems.csv").read_text()


def test_few_files_may_be_open(tmp_path: Path) -> None:
    """Fewer than are read ahead where there is room: none of them may be missing for that."""
    source = write_tree("voc", tmp_path / "set", 90)
    limited: Words = ["bash", "-c", 'ulimit -n 20; exec "$@"', "bash", *DKIT, "voc", source]
    for more in ([], ["--overwrite", "--box-convention", "plain"]):
        ended = subprocess.run(
            [*limited, "--out", tmp_path / "out", "--workers", "1", *more],
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        assert ended.stderr == ""
        assert "cannot-read" not in (tmp_path / "out/problems.csv").read_text()


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (OSError(errno.EIO, "Input/output error", "/x/y"), "/x/y: the system refused: Input"),
        (MemoryError(), "there is not enough memory  [out-of-memory]"),
        (
            ImportError("PLEASE READ\n\nx.so: failed to map\n"),
            "a library of Python cannot be loaded: x",
        ),
    ],
)
def test_what_nobody_expects_of_a_machine(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch, failure: Exception, told: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    source = write_tree("voc", tmp_path / "set", 6)
    monkeypatch.setattr("darknet_kit.dataset.convert.convert_shard", fail)
    ended = dkit("convert", "voc", source, "--workers", "1")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"error: {told}")
    assert len(ended.stderr.splitlines()) == 2


def test_a_list_larger_than_files_may_be(tmp_path: Path) -> None:
    source = write_tree("voc", tmp_path / "set", 60)
    limited: Words = ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", *DKIT, "voc", source]
    ended = subprocess.run(
        [*limited, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert (ended.returncode, "[file-too-large]" in ended.stderr) == (1, True)
    assert not (tmp_path / "out/train.txt").exists()
    assert not any(is_part(Path(name).name) for name in contents(tmp_path / "out"))
