"""`dkit subset`: classes, images, new numbers; real engines take the result."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.reading import iter_images, read_dataset
from tests.conftest import Ended

from .engines import alexeyab, original, run_engine, write_tiny_cfg
from .sets import Thing, contents, digests, lines, pascal_xml, write_pair, write_picture

Dkit = Callable[..., Ended]
TENCH, COBRA, SHARK = "n01440764", "n01748264", "n01484850"


def box(name: str, number: int = 0) -> Thing:
    return (name, 10 + number, 10, 60, 30)


# Image: the classes that it shows. Class ids in the source: cat 0, dog 1, owl 2, rat 3.
IMAGES = {
    "1": ["cat"],
    "2": ["dog", "cat"],
    "3": ["dog", "dog", "owl"],
    "4": ["rat"],
    "5": [],
    "6": ["owl", "rat"],
    "7": ["dog"],
}
TRAIN, VALID = ("1", "2", "3", "4", "5"), ("6", "7")


@pytest.fixture
def data(tmp_path: Path, dkit: Dkit) -> Path:
    """Return the .data file of a converted set."""
    source = tmp_path / "set"
    for stem, names in IMAGES.items():
        things = [box(name, number) for number, name in enumerate(names)]
        split = "train" if stem in TRAIN else "val"
        image, annotation = source / split / f"{stem}.jpg", source / split / f"{stem}.xml"
        write_pair(image, annotation, *things)
        if not things:
            annotation.write_text(pascal_xml())
    words = ("--out", tmp_path / "all", "--box-convention", "plain", "--workers", "1")
    dkit("convert", "voc", source, *words)
    assert lines(tmp_path / "all/set.names") == ["cat", "dog", "owl", "rat"]
    return tmp_path / "all/set.data"


def ids(out: Path) -> dict[str, list[int]]:
    """Return the class_ids of every listed image of a subset."""
    dataset = read_dataset(out / f"{out.name}.data")
    return {
        Path(image.image).stem: [label.class_id for label in image.labels or ()]
        for split in ("train", "valid")
        for image in iter_images(dataset, split)
    }


@pytest.mark.parametrize(
    ("choice", "names", "expected"),
    [
        (["--classes", "dog"], ["dog"], {"2": [0], "3": [0, 0], "7": [0]}),
        (["--classes", "owl,cat"], ["owl", "cat"], {"1": [1], "2": [1], "3": [0], "6": [0]}),
        (
            ["--classes", " owl , cat,owl,"],
            ["owl", "cat"],
            {"1": [1], "2": [1], "3": [0], "6": [0]},
        ),
        (
            ["--classes", "dog,rat"],
            ["dog", "rat"],
            {"2": [0], "3": [0, 0], "4": [1], "6": [1], "7": [0]},
        ),
        # in the training images: dog 3, cat 2, owl 1, rat 1
        (["--top", "1"], ["dog"], {"2": [0], "3": [0, 0], "7": [0]}),
        (["--top", "2"], ["cat", "dog"], {"1": [0], "2": [1, 0], "3": [1, 1], "7": [1]}),
        (
            ["--top", "99"],
            ["cat", "dog", "owl", "rat"],
            {"1": [0], "2": [1, 0], "3": [1, 1, 2], "4": [3], "6": [2, 3], "7": [1]},
        ),
    ],
)
def test_the_chosen_classes_get_new_numbers(
    tmp_path: Path,
    dkit: Dkit,
    data: Path,
    choice: list[str],
    names: list[str],
    expected: dict[str, list[int]],
) -> None:
    out = tmp_path / "some"
    ended = dkit("subset", data, "--out", out, *choice, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["classes"] == lines(out / "some.names") == names
    assert ids(out) == expected
    assert document["images_left_out"] == len(IMAGES) - len(expected)
    assert document["labels_written"] == len(expected)
    assert read_dataset(out / "some.data").data.classes == len(names)


@pytest.mark.parametrize(
    ("choice", "names", "expected"),
    [
        # training images that show them: cat 2, dog 2, owl 1, rat 1
        (["--min-images", "2"], ["cat", "dog"], {"1": [0], "2": [1, 0], "3": [1, 1], "7": [1]}),
        (["--min-images", "2", "--top", "1"], ["dog"], {"2": [0], "3": [0, 0], "7": [0]}),
        # owl and rat draw 3 and 4; dog has its one in 3; cat draws 1 or 2, whichever the seed says
        (
            ["--per-class", "1", "--seed", "1"],
            ["cat", "dog", "owl", "rat"],
            {"2": [1, 0], "3": [1, 1, 2], "4": [3], "6": [2, 3], "7": [1]},
        ),
        (
            ["--classes", "owl,rat", "--per-class", "1", "--keep-unlabelled"],
            ["owl", "rat"],
            {"1": [], "2": [], "3": [0], "4": [1], "5": [], "6": [0, 1], "7": []},
        ),
        (
            ["--map", "cat=pet", "--map", "dog=pet", "--map", "rat=mouse"],
            ["pet", "owl", "mouse"],
            {"1": [0], "2": [0, 0], "3": [0, 0, 1], "4": [2], "6": [1, 2], "7": [0]},
        ),
        (
            ["--map", "cat=pet", "--map", "dog=pet", "--top", "1"],
            ["pet"],
            {"1": [0], "2": [0, 0], "3": [0, 0], "7": [0]},
        ),
        (
            ["--classes", "rat", "--keep-unlabelled"],
            ["rat"],
            {"1": [], "2": [], "3": [], "4": [0], "5": [], "6": [0], "7": []},
        ),
        (
            ["--top", "1", "--keep-unlabelled"],
            ["dog"],
            {"1": [], "2": [0], "3": [0, 0], "4": [], "5": [], "6": [], "7": [0]},
        ),
    ],
)
def test_choices_by_what_images_show(
    tmp_path: Path,
    dkit: Dkit,
    data: Path,
    choice: list[str],
    names: list[str],
    expected: dict[str, list[int]],
) -> None:
    out = tmp_path / "some"
    ended = dkit("subset", data, "--out", out, *choice, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["classes"] == lines(out / "some.names") == names
    assert ids(out) == expected
    left_out = document["images_left_out"] + document["images_not_drawn"]
    assert left_out == len(IMAGES) - len(expected)
    negatives = sum(counts["negatives"] for counts in document["splits"].values())
    assert negatives == sum(not labels for labels in expected.values())


def test_the_summary_says_what_each_class_has(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    words = ("subset", data, "--out", tmp_path / "some", "--per-class", "1", "--seed", "1")
    said = [line.split() for line in dkit(*words).stdout.splitlines()]
    assert said[:8] == [
        ["Took", "4", "classes"],
        ["train", "3", "images", "6", "boxes", "2.0", "an", "image"],
        ["valid", "2", "images", "3", "boxes", "1.5", "an", "image"],
        ["id", "class", "train", "boxes", "train", "images", "valid", "boxes", "valid", "images"],
        ["0", "cat", "1", "1", "0", "0"],
        ["1", "dog", "3", "2", "1", "1"],
        ["2", "owl", "1", "1", "1", "1"],
        ["3", "rat", "1", "1", "1", "1"],
    ]
    assert ["not", "chosen:", "1"] in [words[:3] for words in said]
    assert ["not", "drawn:", "1"] in [words[:3] for words in said]


def test_a_subset_and_a_conversion_of_the_same_classes_agree(
    tmp_path: Path, dkit: Dkit, data: Path
) -> None:
    choice = ("--map", "cat=pet", "--map", "owl=pet", "--classes", "rat,pet", "--name", "x")
    dkit("subset", data, "--out", tmp_path / "one", *choice)
    plain = ("--box-convention", "plain")
    dkit("convert", "voc", tmp_path / "set", "--out", tmp_path / "two", *choice, *plain)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    labels = [name for name in one if re.fullmatch(r"(train|valid)/\d.txt|x.names", name)]
    assert len(labels) == 6
    assert {name: one[name] for name in labels} == {name: two[name] for name in labels}


def test_merged_synsets_answer_to_each_wnid(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    (data.parent / "set.wnids").write_text("n1\nn2\nn3\nn4\n")
    pets = ("--map", "n1=pet", "--map", "n2=pet", "--classes", "n4,pet")
    dkit("subset", data, "--out", tmp_path / "some", *pets)
    assert lines(tmp_path / "some/some.wnids") == ["n4", "n1+n2"]
    ended = dkit(
        "subset", tmp_path / "some/some.data", "--out", tmp_path / "one", "--classes", "n2"
    )
    assert ended.exit_code == 0, ended.stderr
    assert lines(tmp_path / "one/one.names") == ["pet"]
    assert lines(tmp_path / "one/one.wnids") == ["n1+n2"]


def test_boxes_stay_and_images_are_links_to_the_originals(
    tmp_path: Path, dkit: Dkit, data: Path
) -> None:
    before = digests(tmp_path)
    dkit("subset", data, "--out", tmp_path / "some", "--classes", "owl")
    assert lines(tmp_path / "some/train/3.txt") == ["0 0.360000 0.400000 0.480000 0.400000"]
    for path in (tmp_path / "some").rglob("*.jpg"):
        target = Path(os.readlink(path))
        assert target.parent.parent == tmp_path / "set"
        assert not target.is_symlink()
    now = digests(tmp_path)
    assert {name: now[name] for name in before} == before


def test_a_subset_of_a_subset(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    dkit("subset", data, "--out", tmp_path / "two", "--classes", "owl,dog")
    ended = dkit("subset", tmp_path / "two/two.data", "--out", tmp_path / "one", "--classes", "dog")
    assert ended.exit_code == 0
    assert ids(tmp_path / "one") == {"2": [0], "3": [0, 0], "7": [0]}
    targets = {os.readlink(path) for path in (tmp_path / "one").rglob("*.jpg")}
    assert all(target.startswith(str(tmp_path / "set")) for target in targets)


def test_wnids_and_names_of_ilsvrc(tmp_path: Path, dkit: Dkit) -> None:
    source = tmp_path / "ILSVRC"
    for wnid in (TENCH, COBRA, SHARK):
        stem = f"CLS-LOC/train/{wnid}/{wnid}_1"
        write_pair(source / f"Data/{stem}.JPEG", source / f"Annotations/{stem}.xml", box(wnid))
    mapping = f"{TENCH} tench\n{SHARK} crane\n{COBRA} crane\n"
    (source / "LOC_synset_mapping.txt").write_text(mapping)
    dkit("convert", "ilsvrc", source, "--out", tmp_path / "all", "--valid-fraction", "0")
    data, out = tmp_path / "all/ilsvrc.data", tmp_path / "some"
    ended = dkit("subset", data, "--out", out, "--classes", f"{COBRA},tench")
    assert ended.exit_code == 0
    assert lines(out / "some.names") == [f"crane {COBRA}", "tench"]
    assert lines(out / "some.wnids") == [COBRA, TENCH]
    assert ids(out) == {f"{COBRA}_1": [0], f"{TENCH}_1": [1]}
    again = dkit("subset", out / "some.data", "--out", tmp_path / "one", "--classes", COBRA)
    assert again.exit_code == 0


def test_classes_from_a_file(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    (tmp_path / "want.txt").write_text("owl\ncat\n\n")
    out = tmp_path / "some"
    ended = dkit("subset", data, "--out", out, "--classes", tmp_path / "want.txt")
    assert (ended.exit_code, f"--classes @{tmp_path}/want.txt" in ended.stderr) == (2, True)
    dkit("subset", data, "--out", out, "--classes", f"@{tmp_path}/want.txt")
    assert lines(out / "some.names") == ["owl", "cat"]


@pytest.mark.parametrize(
    ("words", "exit_code", "code", "said"),
    [
        ([], 2, "no-choice", "--top N"),
        (["--classes", "cat", "--top", "1"], 2, "no-choice", "--top N"),
        (["--classes", "cat", "--min-images", "1"], 2, "no-choice", "not both"),
        (["--keep-unlabelled"], 2, "no-choice", "--per-class N"),
        (["--classes", ""], 2, "no-choice", "@wanted.txt"),
        (["--classes", " , "], 2, "no-choice", "@wanted.txt"),
        (["--classes", "dgo"], 2, "unknown-class", "Did you mean 'dog'?"),
        (["--classes", "cat,Cat"], 2, "unknown-class", "Did you mean 'cat'"),
        (["--classes", "zebra"], 2, "unknown-class", "'cat', 'dog', 'owl', 'rat'"),
        (["--map", "rta=mouse"], 2, "unknown-class", "Did you mean 'rat'"),
        (["--map", "rat"], 2, "bad-map", "old=new"),
        (["--min-images", "4"], 1, "too-few-images", "the most are 2, of 'cat'"),
        (["--min-images", "0"], 2, "usage", "range"),
        (["--per-class", "0"], 2, "usage", "range"),
        (["--top", "0"], 2, "usage", "range"),
        (["--top", "many"], 2, "usage", "many"),
    ],
)
def test_a_choice_that_makes_no_sense(
    tmp_path: Path,
    dkit: Dkit,
    data: Path,
    words: list[str],
    exit_code: int,
    code: str,
    said: str,
) -> None:
    ended = dkit("subset", data, "--out", tmp_path / "some", *words)
    assert ended.exit_code == exit_code
    assert f"[{code}]" in ended.stderr
    assert said in ended.stderr
    assert not (tmp_path / "some").exists()


def test_a_class_that_no_image_shows(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    (data.parent / "set.names").write_text("cat\ndog\nowl\nrat\nemu\n")
    data.write_text(data.read_text().replace("classes = 4", "classes = 5"))
    ended = dkit("subset", data, "--out", tmp_path / "some", "--classes", "emu")
    assert (ended.exit_code, "[nothing-left]" in ended.stderr) == (1, True)
    assert "7 show none of the classes chosen" in ended.stderr
    ended = dkit("subset", data, "--out", tmp_path / "two", "--classes", "emu,owl")
    assert ended.exit_code == 0
    assert "note: no box to train on, so nothing to learn: emu\n" in ended.stdout


@pytest.mark.parametrize("what", ["none.data", "all/set.names", "all/train/1.jpg"])
def test_what_is_no_data_file(tmp_path: Path, dkit: Dkit, data: Path, what: str) -> None:
    ended = dkit("subset", tmp_path / what, "--out", tmp_path / "some", "--top", "1")
    assert ended.exit_code == 1
    assert len(ended.stderr.splitlines()) == 2


def test_again_writes_nothing_and_a_dry_run_neither(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    words = ["subset", data, "--out", tmp_path / "some", "--classes", "dog,owl"]
    dry = dkit(*words, "--dry-run")
    assert not (tmp_path / "some").exists()
    assert (dry.exit_code, "Nothing was written." in dry.stdout) == (0, True)
    first = dkit(*words)
    before = digests(tmp_path)
    second = dkit(*words)
    assert digests(tmp_path) == before
    assert "4 written, 0 right already" in first.stdout
    assert "0 written, 4 right already" in second.stdout
    assert set(dry.stdout.splitlines()[1:3]) <= set(first.stdout.splitlines())


def test_other_choices_and_other_things_in_the_folder_are_refused(
    tmp_path: Path, dkit: Dkit, data: Path
) -> None:
    out = tmp_path / "some"
    dkit("subset", data, "--out", out, "--classes", "dog")
    for others, key in (
        (["--classes", "owl"], "classes"),
        (["--classes", "dog", "--map", "cat=dog"], "map"),
        (["--classes", "dog", "--per-class", "1"], "per_class"),
        (["--classes", "dog", "--keep-unlabelled"], "keep_unlabelled"),
    ):
        ended = dkit("subset", data, "--out", out, *others)
        assert (ended.exit_code, f"({key})" in ended.stderr) == (2, True)
    assert dkit("subset", data, "--out", out, "--classes", "owl", "--overwrite").exit_code == 0
    assert ids(out) == {"3": [0], "6": [0]}
    taken = dkit("subset", data, "--out", tmp_path / "set", "--classes", "owl")
    assert (taken.exit_code, "[not-empty]" in taken.stderr) == (2, True)


@pytest.mark.parametrize("moved", [False, True])
def test_the_set_that_it_is_made_of_is_never_replaced(
    tmp_path: Path, dkit: Dkit, data: Path, moved: bool
) -> None:
    if moved:  # its labels stay where those of the new set would be
        data = data.rename(tmp_path / "other.data")
    before = digests(tmp_path)
    ended = dkit("subset", data, "--out", tmp_path / "all", "--classes", "owl", "--overwrite")
    assert (ended.exit_code, "[same-folder]" in ended.stderr) == (2, True)
    assert digests(tmp_path) == before


def test_a_label_that_was_edited_is_kept(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    words = ["subset", data, "--out", tmp_path / "some", "--classes", "dog"]
    dkit(*words)
    label = tmp_path / "some/valid/7.txt"
    label.write_text("0 .1 .1 .1 .1\n")
    ended = dkit(*words)
    assert (ended.exit_code, "label-exists" in ended.stdout) == (3, True)
    assert label.read_text() == "0 .1 .1 .1 .1\n"
    assert dkit(*words, "--overwrite").exit_code == 0
    assert label.read_text() != "0 .1 .1 .1 .1\n"


def test_what_is_missing_is_listed(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    (data.parent / "train/1.txt").unlink()
    (tmp_path / "set/train/2.jpg").unlink()
    (data.parent / "train/3.txt").write_text("2 .5 .5 .5 .5\n9 .5 .5 .5 .5\n")
    ended = dkit("subset", data, "--out", tmp_path / "some", "--classes", "cat,owl", "--json")
    assert ended.exit_code == 3
    found = json.loads(ended.stdout)["problems"]
    assert found == {"class-out-of-range": 1, "missing-image": 1, "missing-label": 1}
    assert ids(tmp_path / "some") == {"3": [1], "6": [1]}
    rows = lines(tmp_path / "some/problems.csv")[1:]
    assert sorted(row.split(",")[0] for row in rows) == sorted(found)


def test_a_set_of_others_with_relative_paths_and_images_of_one_name(
    tmp_path: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        write_picture(tmp_path / folder / "1.jpg")
        (tmp_path / folder / "1.txt").write_text("0 .5 .5 .5 .5\n")
    Path("x.names").write_text("cat\n")
    Path("list.txt").write_text(f"a/1.jpg\n{tmp_path}/b/1.jpg\n")
    Path("x.data").write_text("classes=1\ntrain=list.txt\nnames=x.names\n")
    ended = dkit("subset", "x.data", "--out", "some", "--top", "1")
    assert ended.exit_code == 0, ended.stderr
    listed = lines(tmp_path / "some/train.txt")
    assert listed == [f"{tmp_path}/some/train/{folder}/1.jpg" for folder in "ab"]
    assert all(Path(line).exists() for line in listed)


def test_labels_in_place_of_another_flavor(tmp_path: Path, dkit: Dkit) -> None:
    """The conversion's record says where the labels of the source lie."""
    root = tmp_path / "images"
    write_pair(root / "1.jpg", root / "1.xml")
    dkit("convert", "voc", root, "--flavor", "original", "--valid-fraction", "0")
    assert (tmp_path / "labels/1.txt").exists()
    out = tmp_path / "some"
    assert dkit("subset", root / "images.data", "--out", out, "--top", "1").exit_code == 0
    shutil.rmtree(out)
    ended = dkit("subset", root / "images.data", "--out", out, "--top", "1", "--flavor", "hank-ai")
    assert (ended.exit_code, "[no-boxes]" in ended.stderr) == (1, True)


@pytest.mark.parametrize("find", [alexeyab, original])
def test_real_engines_train_on_a_subset(
    tmp_path: Path, dkit: Dkit, data: Path, find: Callable[[], Path]
) -> None:
    engine, out = find(), tmp_path / "some"
    dkit("subset", data, "--out", out, "--classes", "dog,owl")
    before = contents(out).keys()
    write_tiny_cfg(out / "net.cfg", classes=2, batch=16)
    printed = run_engine(engine, ["detector", "train", "some.data", "net.cfg"], out)
    for complaint in ("t open file", "Cannot load", "Wrong annotation"):
        assert complaint not in printed
    assert contents(out).keys() - before >= {"backup/net_final.weights"}
    assert not (out / "bad.list").exists()
    assert not (out / "bad_label.list").exists()


def test_a_class_that_nothing_validates_is_told(dkit: Dkit, data: Path, tmp_path: Path) -> None:
    """Of the images to validate on one shows an owl, one a dog; see IMAGES."""
    made = dkit("subset", data, "--classes", "cat,dog", "--out", tmp_path / "two")
    assert "note: no box to validate on, so that AP is 0 in Darknet's mAP: cat\n" in made.stdout


@pytest.mark.parametrize("flavor", ["alexeyab", "hank-ai"])
def test_a_folder_in_which_others_look_elsewhere_is_told(
    flavor: str, dkit: Dkit, data: Path, tmp_path: Path
) -> None:
    words = ("--classes", "cat", "--flavor", flavor, "--out", tmp_path / "images/cats")
    notes = json.loads(dkit("subset", data, *words, "--json").stdout)["notes"]
    assert [note.split()[0] for note in notes if "look for the labels elsewhere" in note] == [
        "original"
    ]
    assert any("follows links" in note for note in notes) is (flavor == "hank-ai")


def test_a_label_that_cannot_be_read_is_not_missing(tmp_path: Path, dkit: Dkit, data: Path) -> None:
    label = next((tmp_path / "all").rglob("1.txt"))
    label.unlink()
    label.mkdir()
    ended = dkit("subset", data, "--classes", "cat", "--out", tmp_path / "cats", "--json")
    assert json.loads(ended.stdout)["problems"] == {"cannot-read": 1}
    assert f"its label cannot be read: {label}" in (tmp_path / "cats/problems.csv").read_text()
