"""What real engines say when they end, and how it is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.train.health.causes import find_said
from tests import engines
from tests.engines import run_engine, write_tiny_cfg
from tests.sets import write_picture

Find = Callable[[], Path]
# Which engine ends at what; the others put up with it.
ENDS = [
    (engines.original, "label", "missing-label"),
    (engines.hank_ai, "label", "missing-label"),
    (engines.hank_ai, "class", "bad-label"),
    (engines.hank_ai, "coordinate", "bad-label"),
    (engines.hank_ai, "image", "unreadable-image"),
    (engines.original, "list", "missing-file"),
    (engines.alexeyab, "list", "missing-file"),
    (engines.alexeyab, "filters", "wrong-cfg"),
    (engines.hank_ai, "filters", "wrong-cfg"),
    (engines.original, "filters", "wrong-cfg"),
    (engines.hank_ai, "weights", "wrong-weights"),
]


@pytest.mark.parametrize(("find_engine", "what", "code"), ENDS)
def test_an_engines_last_words_are_understood(
    tmp_path: Path, find_engine: Find, what: str, code: str
) -> None:
    engine, words = find_engine(), write_broken(tmp_path, what)
    if find_engine is engines.hank_ai:
        words = ["-nocolour", "-dont_show", *words]
    said = run_engine(engine, ["detector", "train", *words], tmp_path, stdin="yes\n")
    cause = find_said([line.strip() for line in said.splitlines()][-60:])
    assert cause is not None, said
    assert cause.code == code, cause


def write_broken(folder: Path, what: str) -> list[str]:
    """Write a data set and a network, one thing of them wrong; return the files to train with."""
    write_tiny_cfg(folder / "x.cfg", classes=2)
    for number in range(4):
        write_picture(folder / f"{number}.jpg", size=(64, 64))
        (folder / f"{number}.txt").write_text("0 .5 .5 .4 .4\n")
    (folder / "train.txt").write_text("".join(f"{folder}/{n}.jpg\n" for n in range(4)))
    (folder / "x.names").write_text("cat\ndog\n")
    (folder / "backup").mkdir()
    listed = "classes=2\ntrain=train.txt\nvalid=train.txt\nnames=x.names\nbackup=backup\n"
    (folder / "x.data").write_text(listed)
    words = ["x.data", "x.cfg"]
    for number in range(4):
        if what == "label":
            (folder / f"{number}.txt").unlink()
        elif what == "class":
            (folder / f"{number}.txt").write_text("7 .5 .5 .4 .4\n")
        elif what == "coordinate":
            (folder / f"{number}.txt").write_text("0 0 0 0 0\n")
        elif what == "image":
            (folder / f"{number}.jpg").write_bytes(b"")
    if what == "list":
        (folder / "train.txt").unlink()
    elif what == "filters":
        cfg = folder / "x.cfg"
        cfg.write_text(cfg.read_text().replace("filters=21", "filters=20"))
    elif what == "weights":
        (folder / "x.weights").write_bytes(bytes(20) + bytes(400))
        words.append("x.weights")
    return words
