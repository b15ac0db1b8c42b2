"""`dkit make-cfg`: what it writes, says and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.formats.cfg import read_cfg
from darknet_kit.network.check import check_cfg

from .conftest import Ended

Dkit = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_data(folder: Path, names: int, images: int) -> Path:
    (folder / "shapes.names").write_text("".join(f"shape{n}\n" for n in range(names)))
    (folder / "train.txt").write_text("".join(f"/there/{n}.jpg\n" for n in range(images)))
    data = folder / "shapes.data"
    data.write_text(f"classes={names}\nnames=shapes.names\ntrain=train.txt\n")
    return data


def test_ten_classes(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "10")
    assert ended.exit_code == 0, ended.stderr
    cfg = read_cfg(folder / "yolov4-10.cfg")
    values = [entry for section in cfg.layers for entry in section.entries]
    assert [entry.value for entry in values if entry.key == "classes"] == ["10"] * 3
    assert [entry.value for entry in values if entry.key == "filters"].count("45") == 3
    assert cfg.net.text("max_batches") == "20000"
    assert cfg.net.text("steps") == "16000,18000"
    assert cfg.net.text("burn_in") == "1000"
    for said in ("filters=45", "max_batches=20000", "2000 for each of 10 classes"):
        assert said in ended.stdout
    assert ended.stdout.endswith("Next:  dkit train DATA yolov4-10.cfg\n")


def test_a_data_set_is_counted(dkit: Dkit, folder: Path) -> None:
    data = write_data(folder, names=3, images=7000)
    ended = dkit("make-cfg", "--data", data, "--model", "yolov4-tiny")
    assert ended.exit_code == 0, ended.stderr
    cfg = read_cfg(folder / "yolov4-tiny-3.cfg")
    assert cfg.net.text("max_batches") == "7000"
    assert check_cfg(cfg, classes=3, train_images=7000) == []
    assert "one iteration for each of the 7,000 training images" in ended.stdout
    assert ended.stdout.endswith("Next:  dkit train shapes.data yolov4-tiny-3.cfg\n")


def test_every_option_reaches_the_file(dkit: Dkit, folder: Path) -> None:
    ended = dkit(
        *("make-cfg", "--classes", "2", "--model", "yolov3-tiny", "--size", "320x224"),
        *("--batch", "32", "--subdivisions", "4", "--max-batches", "1000"),
        *("--learning-rate", "0.004", "--gpus", "2", "-o", "nets/mine.cfg"),
    )
    assert ended.exit_code == 0, ended.stderr
    net = read_cfg(folder / "nets" / "mine.cfg").net
    found = {entry.key: entry.value for entry in net.entries}
    assert found["width"] == "320"
    assert found["height"] == "224"
    assert (found["batch"], found["subdivisions"]) == ("32", "4")
    assert (found["max_batches"], found["steps"]) == ("1000", "800,900")
    assert (found["burn_in"], found["learning_rate"]) == ("200", "0.002")


def test_again_is_up_to_date_and_another_is_refused(dkit: Dkit, folder: Path) -> None:
    assert dkit("make-cfg", "--classes", "3", "-o", "net.cfg").exit_code == 0
    before = (folder / "net.cfg").read_bytes()
    again = dkit("make-cfg", "--classes", "3", "-o", "net.cfg")
    assert again.exit_code == 0
    assert again.stdout.startswith("up to date: net.cfg\n")
    other = dkit("make-cfg", "--classes", "4", "-o", "net.cfg")
    assert other.exit_code == 2
    assert "[file-exists]" in other.stderr
    assert (folder / "net.cfg").read_bytes() == before
    assert dkit("make-cfg", "--classes", "4", "-o", "net.cfg", "--overwrite").exit_code == 0
    assert (folder / "net.cfg").read_bytes() != before


def test_a_dry_run_writes_nothing(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "3", "-o", "nets/net.cfg", "--dry-run")
    assert ended.exit_code == 0
    assert ended.stdout.startswith("would write nets/net.cfg\n")
    assert list(folder.iterdir()) == []


def test_json(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "10", "--json")
    document = json.loads(ended.stdout)
    assert document["ok"] is True
    assert document["cfg"] == str(folder / "yolov4-10.cfg")
    assert document["layers"] == 162
    settings = {item["key"]: item["value"] for item in document["settings"]}
    assert settings["filters"] == "45"
    assert settings["steps"] == "16000,18000"
    failed = json.loads(dkit("make-cfg", "--classes", "0", "--json").stdout)
    assert failed["error"]["code"] == "bad-classes"


def test_the_list_of_models(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--list")
    assert ended.exit_code == 0
    rows = {line.split()[0]: line.split()[1:5] for line in ended.stdout.splitlines() if line}
    # Parameters are those of the published weights, BFLOPs as AlexeyAB's binary prints them.
    assert rows["yolov3"] == ["416x416", "107", "62,001,757", "65.879"]
    assert rows["yolov4-tiny"] == ["416x416", "38", "6,062,814", "6.910"]
    assert rows["yolov3-tiny"] == ["416x416", "24", "8,858,734", "5.571"]
    assert rows["yolov4"][:3] == ["416x416", "162", "64,429,405"]
    assert "dkit-nano" in rows
    listed = json.loads(dkit("make-cfg", "--list", "--json").stdout)
    assert {model["name"] for model in listed["models"]} == {
        *("yolov1", "yolov2", "yolov2-tiny", "yolov3", "yolov3-spp", "yolov3-tiny", "yolov4"),
        *("yolov4-tiny", "yolov4-tiny-3l", "yolov4-csp", "yolov4x-mish", "yolov7", "yolov7-tiny"),
        "dkit-nano",
    }
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "how many classes"),
        (["--classes", "10", "--size", "418"], "418 is not a multiple of 32; nearest are 416 and"),
        (["--classes", "10", "--size", "big"], "'big' is no size"),
        (["--classes", "10", "--model", "yolo4"], "Did you mean yolov4"),
        (["--classes", "0"], "0 classes"),
        (["--classes", "10", "--subdivisions", "5"], "does not divide batch=64"),
        (["--classes", "10", "--batch", "1"], "only tests"),
        (["--classes", "10", "--max-batches", "0"], "too short"),
        (["--classes", "10", "--learning-rate", "0"], "teaches nothing"),
        (["--classes", "10", "--gpus", "0"], "--gpus"),
        (["--classes", "ten"], "--classes"),
        (["--classes", "10", "-o", "."], "this is a folder"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(
    dkit: Dkit, folder: Path, words: list[str], said: str
) -> None:
    ended = dkit("make-cfg", *words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert list(folder.iterdir()) == []


def test_classes_and_data_must_agree(dkit: Dkit, folder: Path) -> None:
    data = write_data(folder, names=3, images=5)
    ended = dkit("make-cfg", "--data", data, "--classes", "4")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "3 names" in ended.stderr
    assert dkit("make-cfg", "--data", data, "--classes", "3").exit_code == 0
    assert dkit("make-cfg", "--data", folder / "none.data").exit_code == 1


def test_names_at_which_engines_stumble_are_told(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "3", "-o", "net.v2.cfg")
    assert ended.exit_code == 0
    assert "first dot; the weights will be called net_" in ended.stderr
    ended = dkit("make-cfg", "--classes", "3", "-o", "network")
    assert "ending .cfg" in ended.stderr


def yolo_fastest(shared_data: Callable[[str], Path]) -> tuple[Path, Path]:
    cfg = shared_data("F_weights/yolo-fastest-1.1.cfg")
    return cfg, cfg.with_suffix(".weights")


def test_weights_that_fit_whole_are_named_to_train(
    dkit: Dkit, folder: Path, shared_data: Callable[[str], Path]
) -> None:
    base, weights = yolo_fastest(shared_data)
    ended = dkit(
        *("make-cfg", "--classes", "80", "--base", base, "--weights", weights, "-o", "a.cfg")
    )
    assert ended.exit_code == 0, ended.stderr
    assert "They FIT: all 131 layers." in ended.stdout
    # Trained for 444,740 iterations of its own: an engine would stop at once.
    *said, named, clear = ended.stdout.splitlines()[-1].split()
    assert said == ["Next:", "dkit", "train", "DATA", "a.cfg"]
    assert (Path(named).resolve(), clear) == (Path(weights).resolve(), "--clear")


def test_a_backbone_is_told_from_weights_of_other_classes(
    dkit: Dkit, folder: Path, shared_data: Callable[[str], Path]
) -> None:
    """Up to the convolution before the first head the two networks are the same 120 layers."""
    base, weights = yolo_fastest(shared_data)
    words = ("make-cfg", "--classes", "3", "--base", base, "-o", "a.cfg", "--weights")
    ended = dkit(*words, weights)
    assert ended.exit_code == 0
    assert (folder / "a.cfg").exists()
    assert "DO NOT FIT" in ended.stderr
    cut = ended.stdout.rpartition("Next:  dkit ")[2].split()
    assert dkit(*cut, "-o", "first.conv.120").exit_code == 0
    again = json.loads(dkit(*words, "first.conv.120", "--json").stdout)
    assert again["weights"]["fits"] == "backbone"
    assert (again["weights"]["fitting_layers"], again["weights"]["layers"]) == (120, 131)
    assert again["next_command"] == "dkit train DATA a.cfg first.conv.120"


def test_weights_that_are_none_are_refused_before_a_cfg_is_written(
    dkit: Dkit, folder: Path
) -> None:
    (folder / "page.weights").write_text("<!DOCTYPE html>")
    ended = dkit("make-cfg", "--classes", "3", "--weights", "page.weights", "-o", "a.cfg")
    assert ended.exit_code == 1
    assert "[not-weights]" in ended.stderr
    assert not (folder / "a.cfg").exists()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("net.width=418", "size-not-multiple"),
        ("net.subdivisions=0", "bad-batch"),
        ("yolo.classes=7", "wrong-filters"),
        ("0.filters=abc", "impossible-shape"),
        ("route.layers=-1000", "bad-source"),
    ],
)
def test_a_setting_that_breaks_the_network_is_refused(
    dkit: Dkit, folder: Path, asked: str, code: str
) -> None:
    words = ("make-cfg", "--classes", "3", "--model", "yolov4-tiny", "--set", asked, "-o", "a.cfg")
    ended = dkit(*words)
    assert ended.exit_code == 2
    assert f"[{code}]" in ended.stderr
    assert not (folder / "a.cfg").exists()


def test_a_misspelt_setting_is_written_and_told(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "3", "--set", "net.angel=5", "-o", "a.cfg")
    assert ended.exit_code == 0
    assert "did you mean angle?" in ended.stderr


def test_nothing_is_written_where_the_picture_cannot_be(dkit: Dkit, folder: Path) -> None:
    ended = dkit("make-cfg", "--classes", "3", "--draw", "net.bmp", "-o", "a.cfg")
    assert ended.exit_code == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("--base", "shapes.data"), "this is a .data file, and no network"),
        (("--weights", "shapes.data"), "this is text, not Darknet weights"),
    ],
)
def test_files_of_another_kind(dkit: Dkit, folder: Path, files: tuple[str, str], said: str) -> None:
    write_data(folder, names=3, images=3)
    ended = dkit("make-cfg", "--classes", "3", *files, "-o", "a.cfg")
    assert ended.exit_code == 1
    assert said in ended.stderr


def test_what_is_wrong_with_a_base_is_told_and_can_be_mended(dkit: Dkit, folder: Path) -> None:
    assert dkit("make-cfg", "--classes", "3", "--model", "dkit-nano", "-o", "a.cfg").exit_code == 0
    text = (folder / "a.cfg").read_text()
    (folder / "a.cfg").write_text(text.replace("hue=.1", "hue=.1\nmosaic=1\nletter_box=1"))
    ended = dkit("make-cfg", "--classes", "5", "--base", "a.cfg", "-o", "b.cfg")
    assert ended.exit_code == 0
    assert "mosaic=1 and letter_box=1 exclude each other" in ended.stderr
    assert ended.stdout.endswith("Next:  dkit check b.cfg --fix b-fixed.cfg\n")
    dkit(*ended.stdout.rpartition("Next:  dkit ")[2].split())
    assert dkit("check", "b-fixed.cfg").exit_code == 0


def test_boxes_that_a_network_would_hardly_see_are_told(dkit: Dkit, tmp_path: Path) -> None:
    """At 96 pixels a box of a twentieth is 5 pixels wide; at 416 it is 21."""
    image = tmp_path / "1.jpg"
    image.touch()
    (tmp_path / "1.txt").write_text("".join(f"0 .5 0.{place} .05 .05\n" for place in range(1, 10)))
    (tmp_path / "set.names").write_text("ant\n")
    (tmp_path / "train.txt").write_text(f"{image}\n")
    data = tmp_path / "set.data"
    data.write_text(f"classes=1\ntrain={tmp_path}/train.txt\nnames={tmp_path}/set.names\n")
    words = ("make-cfg", "--data", data, "--dry-run")
    small = dkit(*words, "--model", "dkit-nano")
    assert "100% of the boxes are smaller than 16 x 16 px at 96 x 96" in small.stdout
    assert json.loads(dkit(*words, "--json").stdout)["advice"] == []
