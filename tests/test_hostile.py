"""Trees that mean harm: nothing is read, run, overwritten or waited for that should not be."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from darknet_kit.core.problems import iter_problems
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.errors import DatasetError
from darknet_kit.formats.image import read_image_header
from darknet_kit.formats.yolo import Label, read_labels

from .conftest import Ended
from .sets import CAT, lines, pascal_xml, write_pair, write_picture

Dkit = Callable[..., Ended]
Spoil = Callable[[Path], None]
WHOLE = pascal_xml(CAT)
PRECIOUS = "somebody's only copy\n"
CAT_LABEL = Label(0, 0.35, 0.4, 0.5, 0.4)  # by hand: 10 to 60 of 100, 10 to 30 of 50


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Fail what waits for ever, at a pipe or in a loop."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("this takes for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def xml(content: str) -> Spoil:
    """Annotate b.jpg in these words."""

    def write(root: Path) -> None:
        write_picture(root / "b.jpg")
        (root / "b.xml").write_text(content)

    return write


def pipe(*names: str) -> Spoil:
    def write(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(root / name)

    return write


def link(name: str, target: str) -> Spoil:
    """Link from the set to somewhere; `../precious` is somebody's."""

    def write(root: Path) -> None:
        (root.parent / "precious").write_text(PRECIOUS)
        (root / name).symlink_to(target)

    return write


def link_to_pipe(root: Path) -> None:
    write_picture(root / "b.jpg")
    os.mkfifo(root.parent / "pipe")
    (root / "b.xml").symlink_to("../pipe")


def socket_for_xml(root: Path) -> None:
    write_picture(root / "b.jpg")
    here = os.getcwd()
    os.chdir(root)  # its path would be too long
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("b.xml")
    os.chdir(here)


def picture_and(spoil: Spoil) -> Spoil:
    def write(root: Path) -> None:
        write_picture(root / "b.jpg")
        spoil(root)

    return write


def annotation_and(spoil: Spoil) -> Spoil:
    def write(root: Path) -> None:
        (root / "b.xml").write_text(WHOLE)
        spoil(root)

    return write


def sparse(root: Path) -> None:
    """A terabyte that takes no room."""
    xml("")(root)
    os.truncate(root / "b.xml", 1 << 40)


BOMB = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12))
ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "{}">]>' + WHOLE.replace("cat", "&x;")
INCLUDE = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{}" parse="text"/>'
NO_NAME = ["no-box-left", "no-name"]

# What is wrong with b, or around it; the problems; whether b is listed; the exit code.
CASES: dict[str, tuple[Spoil, list[str], bool, int]] = {
    "a billion laughs": (
        xml(f'<!DOCTYPE a [<!ENTITY a "ha">{BOMB}]>' + WHOLE.replace("cat", "&m;")),
        ["bad-xml"],
        False,
        3,
    ),
    "quadratic laughs": (
        xml(f'<!DOCTYPE a [<!ENTITY a "{"h" * 100_000}">]>' + WHOLE.replace("cat", "&a;" * 9999)),
        ["bad-xml"],
        False,
        3,
    ),
    "an entity that is a file": (xml(ENTITY.format("../precious")), NO_NAME, False, 3),
    "an entity of the net": (xml(ENTITY.format("http://127.0.0.1:9/")), NO_NAME, False, 3),
    "an inclusion": (xml(WHOLE.replace("cat", INCLUDE.format("../precious"))), NO_NAME, False, 3),
    "100 MB of text": (xml(WHOLE.replace("cat", "a" * (100 << 20))), ["cannot-read"], False, 3),
    "2 MB of blanks": (xml(WHOLE.replace("<object>", "<object>" + " " * 2_000_000)), [], True, 0),
    "a class of 10,000 letters": (xml(WHOLE.replace("cat", "x" * 10_000)), NO_NAME, False, 3),
    "a class of 10,000 odd letters": (xml(WHOLE.replace("cat", "é" * 10_000)), NO_NAME, False, 3),
    "a terabyte": (sparse, ["cannot-read"], False, 3),
    "100,000 deep": (xml("<annotation>" + "<a>" * 100_000), ["bad-xml"], False, 3),
    "a pipe for XML": (picture_and(pipe("b.xml")), ["no-annotation"], False, 0),
    "a pipe": (annotation_and(pipe("b.jpg")), ["missing-image"], False, 3),
    "a link to a pipe": (link_to_pipe, ["cannot-read"], False, 3),
    "a socket": (socket_for_xml, ["no-annotation"], False, 0),
    "zeroes without end": (picture_and(link("b.xml", "/dev/zero")), ["cannot-read"], False, 3),
    "a device for an image": (
        annotation_and(link("b.jpg", "/dev/zero")),
        ["missing-image"],
        False,
        3,
    ),
    "somebody's file": (picture_and(link("b.xml", "../precious")), ["bad-xml"], False, 3),
    "a link to itself": (picture_and(link("b.xml", "b.xml")), ["cannot-read"], False, 3),
    "a loop of folders": (link("loop", "."), [], False, 0),
    "pipes for lists": (
        pipe("ImageSets/Main/train.txt", "classes.txt", "x.names", "sub/conversion.json"),
        [],
        False,
        0,
    ),
    "pipes in the way": (pipe(".train.txt.part", ".set.names.part", ".a.txt.part"), [], False, 0),
    "a link in the way of a list": (link(".train.txt.part", "../precious"), [], False, 0),
    "a link in the way of a record": (link(".conversion.json.part", "../precious"), [], False, 0),
}


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
@pytest.mark.parametrize("case", CASES)
def test_the_rest_is_converted_and_nothing_else_is_touched(
    tmp_path: Path, dkit: Dkit, case: str, view: bool
) -> None:
    spoil, codes, kept, exit_code = CASES[case]
    source = tmp_path / "set"
    for stem in "ac":
        write_pair(source / f"{stem}.jpg", source / f"{stem}.xml")
    (tmp_path / "precious").write_text(PRECIOUS)
    spoil(source)
    out = tmp_path / "out" if view else source
    ended = dkit("convert", "voc", source, *(["--out", out] if view else []))
    assert ended.exit_code == exit_code, ended.stderr
    assert sorted(one.code for one in iter_problems(out / "problems.csv")) == codes
    expected = ["a", "b", "c"] if kept else ["a", "c"]
    assert listed_labels(out) == dict.fromkeys(expected, CAT_LABEL)
    assert PRECIOUS.strip() not in (out / "set.names").read_text() + ended.stdout
    assert (tmp_path / "precious").read_text() == PRECIOUS


def listed_labels(folder: Path) -> dict[str, Label]:
    """Return the label of each listed image; each has one."""
    images = [Path(line) for name in ("train", "valid") for line in lines(folder / f"{name}.txt")]
    return {image.stem: (read_labels(str(image.with_suffix(".txt"))) or [])[0] for image in images}


def test_an_image_that_is_a_pipe_by_now_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DatasetError) as caught:
        read_image_header(tmp_path / "a.jpg")
    assert caught.value.code == "unreadable-image"


@pytest.mark.parametrize("annotation", ["../pipe", "/dev/zero"])
def test_a_source_of_another_layout_is_not_waited_for(
    tmp_path: Path, dkit: Dkit, annotation: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    write_pair(tmp_path / "set/b.jpg", tmp_path / "set/b.xml", ("n01440764", 11, 11, 60, 30))
    link("a.xml", annotation)(tmp_path / "set")
    write_picture(tmp_path / "set/a.jpg")
    ended = dkit("convert", "ilsvrc", tmp_path / "set", "--out", tmp_path / "out")
    assert ended.exit_code == 3
    assert [one.code for one in iter_problems(tmp_path / "out/problems.csv")] == ["cannot-read"]


NAMES = [
    "../../etc",
    '""',
    "#x",
    "a\nb",
    "k=v",
    "$(touch x)",
    "`x`",
    "%s%n",
    "\x9b2J",
    "\u202ex",
    "a,b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_odd_name_is_a_line_of_its_own(tmp_path: Path, dkit: Dkit, name: str) -> None:
    write_pair(tmp_path / "set/a.jpg", tmp_path / "set/a.xml", (name, 11, 11, 60, 30))
    ended = dkit("convert", "voc", tmp_path / "set", "--out", tmp_path / "out")
    assert ended.exit_code == 0
    assert (tmp_path / "out/set.names").read_text() == " ".join(name.split()) + "\n"
    assert read_dataset(tmp_path / "out/set.data").names == [" ".join(name.split())]
    assert not set("\x9b\u202e") & set(ended.stdout)


def test_a_long_name_in_a_class_list_is_refused(tmp_path: Path, dkit: Dkit) -> None:
    write_pair(tmp_path / "set/a.jpg", tmp_path / "set/a.xml")
    (tmp_path / "my.names").write_text("cat\n" + "é" * 128 + "\n")  # 256 bytes
    words = ["convert", "voc", tmp_path / "set", "--names", tmp_path / "my.names"]
    ended = dkit(*words)
    assert (ended.exit_code, "my.names:2: " in ended.stderr) == (1, True)
    (tmp_path / "my.names").write_text("cat\n" + "é" * 127 + "x\n")
    assert dkit(*words).exit_code == 0


def test_labels_are_not_taken_for_lists(tmp_path: Path, dkit: Dkit) -> None:
    """A picture of a train, in a flat folder: in place its label would be the list of images."""
    source, out = tmp_path / "set", tmp_path / "out"
    for stem in ("train", "valid", "test", "difficult", "x.txt", "problems.csv", "a"):
        write_pair(source / f"{stem}.jpg", source / f"{stem}.xml")
    for _ in range(2):
        assert dkit("convert", "voc", source).exit_code == 3
        found = [(one.code, Path(one.path).stem) for one in iter_problems(source / "problems.csv")]
        assert found == [("unsafe-path", name) for name in ("difficult", "test", "train", "valid")]
        assert listed_labels(source).keys() == {"a", "x.txt", "problems.csv"}
    for _ in range(2):
        assert dkit("convert", "voc", source, "--out", out).exit_code == 0
        labels = listed_labels(out)
        assert len(labels) == 7
        assert set(labels.values()) == {CAT_LABEL}


def test_a_path_that_engines_have_no_room_for(tmp_path: Path, dkit: Dkit) -> None:
    """4096 bytes are too long for Linux, 4000 for what engines add to a path."""
    source, out = tmp_path / "set", tmp_path / "out"
    write_pair(source / "a.jpg", source / "a.xml")
    deep = source
    while len(str(deep)) < 3700:
        deep /= "d" * 200
    deep /= "e" * (3985 - len(str(deep)) - 1)
    deep.mkdir(parents=True)
    write_pair(deep / "b.jpg", deep / "b.xml")  # 3991 bytes in place, more in the view
    assert dkit("convert", "voc", source).exit_code == 0
    assert listed_labels(source).keys() == {"a", "b"}
    ended = dkit("convert", "voc", source, "--out", out / "x/y")
    assert ended.exit_code == 3
    assert [one.code for one in iter_problems(out / "x/y/problems.csv")] == ["unsafe-path"]
    assert listed_labels(out / "x/y").keys() == {"a"}


@pytest.mark.parametrize(
    "words",
    [
        *(["stats", "pipe.data"], ["anchors", "pipe.data"], ["subset", "pipe.data", "--top", "1"]),
        *(["stats", "names.data"], ["show", "train.data"], ["show", "pipe.cfg"]),
        ["make-cfg", "--classes", "1", "--base", "pipe.cfg"],
        ["show", "good.data", "--problems", "pipe.csv"],
    ],
    ids=" ".join,
)
def test_no_command_waits_for_a_pipe_in_place_of_a_file(
    dkit: Dkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pipe("pipe.data", "pipe.cfg", "pipe.csv", "pipe.txt")(tmp_path)
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "a.names").write_text("cat\n")
    (tmp_path / "train.txt").write_text(f"{tmp_path}/a.jpg\n")
    for name, names, train in (
        ("good", "a.names", "train.txt"),
        ("names", "pipe.txt", "train.txt"),
        ("train", "a.names", "pipe.txt"),
    ):
        (tmp_path / f"{name}.data").write_text(f"names = {names}\ntrain = {train}\n")
    out = ["--out", "out"] if words[0] == "subset" else []
    ended = dkit(*words, *out)
    assert (ended.exit_code, "this is a pipe or a device, no file" in ended.stderr) == (1, True)
