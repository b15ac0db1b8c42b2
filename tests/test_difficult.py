"""Difficult objects: label files apart, in step with the images to validate on, for mAP."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.dataset.reading import read_dataset
from darknet_kit.engine.find import Engine
from darknet_kit.errors import DatasetError
from darknet_kit.formats.cfg import read_cfg
from darknet_kit.formats.datafile import parse_data, read_data
from darknet_kit.train.checks.preflight import check_run
from darknet_kit.train.runs.creation import create_run
from darknet_kit.train.runs.record import RunSettings
from tests.conftest import Ended

from .engines import alexeyab, original, run_engine, write_tiny_cfg
from .sets import contents, digests, lines, pascal_xml, write_picture

Dkit = Callable[..., Ended]
HARD = "<difficult>1</difficult>"
# Of 100 x 50 px, pixels from 1, both ends inside. By hand: 10 to 60 and 10 to 30; the whole.
CAT, DOG = ("cat", 11, 11, 60, 30), ("dog", 1, 1, 100, 50)
CAT_LABEL = "0.350000 0.400000 0.500000 0.400000"
DOG_LABEL = "0.500000 0.500000 1.000000 1.000000"


def annotation(*easy: tuple[str, float, float, float, float], hard: str = "") -> str:
    """Return an annotation of easy objects and of a hard cat and dog, as `hard` names them."""
    text = pascal_xml(*easy)
    for thing in (CAT, DOG):
        if thing[0] in hard:
            entry = pascal_xml(thing, flags=HARD).split("\n")[1]
            text = text.replace("</annotation>", f"{entry}</annotation>")
    return text


IMAGES = {
    "train/1": annotation(CAT, DOG),
    "train/2": annotation(CAT, hard="dog"),  # nobody computes mAP on it
    "train/8": annotation(hard="cat"),  # an empty label would teach that nothing is there
    "val/3": annotation(CAT, hard="dog"),
    "val/4": annotation(DOG),
    "val/5": annotation(DOG, hard="cat"),
    "val/6": annotation(hard="cat"),  # nothing to find, and what is found does not count
    "val/7": annotation(),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name, text in IMAGES.items():
        write_picture(root / f"{name}.jpg")
        (root / f"{name}.xml").write_text(text)
    return root


def apart(out: Path, name: str) -> dict[str, list[str]]:
    """Return the difficult labels of each image to validate on, where an engine looks: .txt."""
    data = read_data(out / f"{name}.data")
    assert data.valid is not None
    listed = lines(Path(data.options["difficult"]))
    stems = [Path(image).stem for image in lines(data.valid)]
    labels = [lines(Path(path).with_suffix(".txt")) for path in listed]
    return dict(zip(stems, labels, strict=True))


def names_any(out: Path, name: str) -> bool:
    return "difficult" in read_data(out / f"{name}.data").options


@pytest.mark.parametrize("view", [False, True], ids=["in place", "view"])
def test_labels_apart_run_parallel_to_the_images(
    tmp_path: Path, dkit: Dkit, source: Path, view: bool
) -> None:
    out = tmp_path / "out" if view else source
    command = ["convert", "voc", source, *(["--out", out] if view else [])]
    ended = dkit(*command, "--name", "x")
    assert "3 of the difficult objects have labels apart" in ended.stdout
    cat, dog = [f"0 {CAT_LABEL}"], [f"1 {DOG_LABEL}"]
    assert apart(out, "x") == {"3": dog, "4": [], "5": cat, "6": cat, "7": []}
    assert len(list((out / "difficult_objects").rglob("*.txt"))) == 4  # three, and the empty one
    assert {Path(image).stem for image in lines(out / "train.txt")} == {"1", "2"}
    assert [line.split(",")[0] for line in lines(out / "problems.csv")[1:]] == ["only-excluded"]
    assert "(1, 20%, without an object, as annotated)" in ended.stdout  # 7: of 6 nobody says so
    before = digests(out)
    assert dkit(*command, "--name", "x").exit_code == 0
    assert digests(out) == before


@pytest.mark.parametrize("options", [["--difficult", "keep"], ["--dry-run"]])
def test_nothing_apart_where_none_are_left_out(
    tmp_path: Path, dkit: Dkit, source: Path, options: list[str]
) -> None:
    out = tmp_path / "out"
    dkit("convert", "voc", source, "--out", out, "--name", "x", *options)
    assert not any("difficult" in name for name in contents(tmp_path) if name.startswith("out"))
    assert not out.exists() or not names_any(out, "x")


def test_a_set_without_difficult_objects_has_no_such_files(tmp_path: Path, dkit: Dkit) -> None:
    for stem in "12":
        write_picture(tmp_path / f"set/val/{stem}.jpg")
        (tmp_path / f"set/val/{stem}.xml").write_text(annotation(CAT))
    dkit("convert", "voc", tmp_path / "set", "--out", tmp_path / "out", "--name", "x")
    assert not any("difficult" in name for name in contents(tmp_path / "out"))
    assert not names_any(tmp_path / "out", "x")


def test_a_subset_keeps_them_in_step(tmp_path: Path, dkit: Dkit, source: Path) -> None:
    dkit("convert", "voc", source, "--out", tmp_path / "out", "--name", "x")
    dog, cat = [f"0 {DOG_LABEL}"], [f"1 {CAT_LABEL}"]
    for out, classes, expected in (
        ("dogs", "dog", {"3": dog, "4": [], "5": []}),  # 3 has no other dog
        ("both", "dog,cat", {"3": dog, "4": [], "5": cat, "6": cat}),
    ):
        command = ["subset", tmp_path / "out/x.data", "--classes", classes, "--out", tmp_path / out]
        assert dkit(*command).exit_code == 0
        before = digests(tmp_path / out)
        dkit(*command)
        assert digests(tmp_path / out) == before
        if any(expected.values()):
            assert apart(tmp_path / out, out) == expected
        else:
            assert not names_any(tmp_path / out, out)


def test_a_list_of_another_length_is_refused(tmp_path: Path, dkit: Dkit, source: Path) -> None:
    dkit("convert", "voc", source, "--out", tmp_path / "out", "--name", "x")
    (tmp_path / "out/difficult.txt").write_text("a.jpg\n")
    ended = dkit("subset", tmp_path / "out/x.data", "--classes", "cat", "--out", tmp_path / "cats")
    assert ended.exit_code == 1
    assert "1 paths of difficult objects for 5 images  [difficult-list]" in ended.stderr


@pytest.mark.parametrize(
    ("flavor", "with_map", "kept"),
    [
        (Flavor.ALEXEYAB, True, True),
        (Flavor.ALEXEYAB, False, False),  # then `valid` is the training images
        (Flavor.HANK_AI, True, False),  # which warns of keys that it does not know
        (Flavor.ORIGINAL, False, False),
    ],
)
def test_a_run_keeps_them_for_engines_that_read_them(
    tmp_path: Path, dkit: Dkit, source: Path, flavor: Flavor, with_map: bool, kept: bool
) -> None:
    dkit("convert", "voc", source, "--out", tmp_path / "out", "--name", "x")
    write_tiny_cfg(tmp_path / "net.cfg", classes=2)
    run = create_run(
        tmp_path / "run",
        read_dataset(tmp_path / "out/x.data"),
        read_cfg(tmp_path / "net.cfg"),
        RunSettings("x.data", "net.cfg", map=with_map),
        Engine(Path("darknet"), flavor),
    )
    options = parse_data(run.data.read_text())
    assert options.get("difficult") == ("../../difficult.txt" if kept else None)
    assert (run.path / "difficult.txt").exists() is kept
    if kept:
        assert lines(run.path / "difficult.txt") == lines(tmp_path / "out/difficult.txt")


def test_training_begins_with_a_look_at_them(tmp_path: Path, dkit: Dkit, source: Path) -> None:
    dkit("convert", "voc", source, "--out", tmp_path / "out", "--name", "x")
    write_tiny_cfg(tmp_path / "net.cfg", classes=2)
    data, cfg = read_dataset(tmp_path / "out/x.data"), read_cfg(tmp_path / "net.cfg")
    engine = Engine(Path("darknet"), Flavor.ALEXEYAB)
    assert not any("difficult" in line for line in check_run(data, cfg, "", engine).warnings)
    label = tmp_path / "out/difficult_objects/valid/5.txt"
    label.unlink()
    (warning,) = [line for line in check_run(data, cfg, "", engine).warnings if "diffi" in line]
    assert warning.startswith(f"1 label files of difficult objects are missing, as {label}")
    (tmp_path / "out/difficult.txt").write_text("a.jpg\n" * 3)
    with pytest.raises(DatasetError, match="3 paths of difficult objects for 5 images"):
        check_run(data, cfg, "", engine)


@pytest.mark.parametrize("flavor", ["alexeyab", "original"])
def test_real_engines_read_them_or_pass_over_the_key(
    tmp_path: Path, dkit: Dkit, source: Path, flavor: str
) -> None:
    """What AlexeyAB's cannot open it names, so a file taken away shows which ones it reads."""
    engine = alexeyab() if flavor == "alexeyab" else original()
    out = tmp_path / "my out"
    dkit("convert", "voc", source, "--out", out, "--name", "x")
    write_tiny_cfg(out / "net.cfg", classes=2)
    printed = run_engine(engine, ["detector", "train", "x.data", "net.cfg"], out)
    assert "Couldn't open" not in printed
    assert (out / "backup/net_final.weights").exists()
    if flavor == "original":
        return
    command = ["detector", "map", "x.data", "net.cfg", "backup/net_final.weights"]
    assert "Can't open label file" not in run_engine(engine, command, out)
    assert not (out / "bad.list").exists()
    hidden = out / "difficult_objects/valid/5.txt"
    hidden.unlink()
    assert f"MSCOCO): {hidden}" in run_engine(engine, command, out)


def test_engines_leave_out_what_was_found_of_them(tmp_path: Path, dkit: Dkit, source: Path) -> None:
    pytest.importorskip("torch")
    import torch

    from darknet_kit.engine.torch.detection.meanap import MapOptions, compute_map, read_map_set
    from darknet_kit.engine.torch.network import Network
    from darknet_kit.engine.torch.weights import save_weights

    out = tmp_path / "out"
    dkit("convert", "voc", source, "--out", out, "--name", "x")
    write_tiny_cfg(out / "net.cfg", classes=2)
    torch.manual_seed(3)
    network = Network(read_cfg(out / "net.cfg"))
    for name, statistics in network.named_buffers():
        if "var" in name:
            statistics.fill_(1)  # a new network's is 0, and its boxes have no size
    save_weights(network, out / "net.weights", 0)

    def count() -> list[int]:
        lists, options = read_map_set(read_data(out / "x.data")), MapOptions(iou_thresh=0.01)
        counted = [compute_map(network, lists, options).precision.detections]
        if "DKIT_TEST_ALEXEYAB" in os.environ:
            command = ["detector", "map", "x.data", "net.cfg", "net.weights", "-iou_thresh", "0.01"]
            found = re.search(r"detections_count = (\d+)", run_engine(alexeyab(), command, out))
            counted += [int(found[1])] if found else []
        return counted

    with_list = count()
    (out / "difficult.txt").write_text(f"{out}/difficult_objects/none.jpg\n" * 5)
    without = count()
    assert all(one < other for one, other in zip(with_list, without, strict=True))
    assert len({*with_list}) == len({*without}) == 1
