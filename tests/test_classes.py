"""Choosing, merging and renaming classes: class lists by hand, and `dkit convert` on small sets."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.classes import Classes, all_classes, choose_classes, merge_classes
from darknet_kit.errors import UsageError
from tests.conftest import Ended

from .sets import Thing, digests, lines, pascal_xml, write_pair

Dkit = Callable[..., Ended]
NAMES = ["cat", "dog", "owl", "rat", "bus, red"]
WNIDS = ["n01", "n02", "n03", "n04", "n05"]


def merged(*maps: str) -> Classes:
    return merge_classes(all_classes(NAMES, WNIDS), maps, "x.names")


@pytest.mark.parametrize(
    ("maps", "names", "wnids", "new_ids"),
    [
        (["cat=Cat"], ["Cat", *NAMES[1:]], WNIDS, [0, 1, 2, 3, 4]),
        # two merged into a new one: in the place of the first
        (["rat=pet", "dog=pet"], ["cat", "pet", "owl", "bus, red"], 0, [0, 1, 2, 1, 3]),
        # onto one that is there: in its place, though it comes later
        (["cat=owl"], ["dog", "owl", "rat", "bus, red"], 0, [1, 0, 1, 2, 3]),
        (["n01=n03"], ["dog", "owl", "rat", "bus, red"], 0, [1, 0, 1, 2, 3]),
        (["cat=dog", "dog=cat"], ["dog", "cat", *NAMES[2:]], WNIDS, [0, 1, 2, 3, 4]),
        (["cat=dog", "dog=owl"], ["dog", "owl", "rat", "bus, red"], 0, [0, 1, 1, 2, 3]),
        (["owl=owl"], NAMES, WNIDS, [0, 1, 2, 3, 4]),
        (["cat=a, b"], ["a, b", *NAMES[1:]], WNIDS, [0, 1, 2, 3, 4]),
        (["bus, red=bus"], [*NAMES[:4], "bus"], WNIDS, [0, 1, 2, 3, 4]),
        (["cat=x=y"], ["x=y", *NAMES[1:]], WNIDS, [0, 1, 2, 3, 4]),
        ([" cat = big  cat "], ["big cat", *NAMES[1:]], WNIDS, [0, 1, 2, 3, 4]),
        (["cat=pet", "cat=pet"], ["pet", *NAMES[1:]], WNIDS, [0, 1, 2, 3, 4]),
    ],
)
def test_merging_and_renaming(
    maps: list[str], names: list[str], wnids: list[str] | int, new_ids: list[int]
) -> None:
    result = merged(*maps)
    assert result.names == names
    assert dict(result.new_ids) == dict(enumerate(new_ids))
    if wnids:
        assert result.wnids == wnids


def test_the_wnids_of_a_merged_class_stand_in_one_line_and_still_lead_to_it() -> None:
    pets = merged("rat=pet", "cat=pet")
    assert (pets.names, pets.wnids[0]) == (["pet", "dog", "owl", "bus, red"], "n01+n04")
    again = all_classes(pets.names, pets.wnids)
    for words in (["n01"], ["n04"], ["n01+n04"], ["pet"]):
        chosen = choose_classes(again, words, "x.names")
        assert (chosen.names, chosen.new_ids) == (["pet"], {0: 0})


def test_a_name_that_holds_an_equals_sign() -> None:
    classes = all_classes(["a", "a=b", "c"])
    assert merge_classes(classes, ["a=b=d"], "").names == ["b=d", "a=b", "c"]
    classes = all_classes(["a=b", "c"])
    assert merge_classes(classes, ["a=b=d"], "").names == ["d", "c"]


def test_names_that_are_there_twice_are_not_merged_by_the_way() -> None:
    classes = all_classes(["crane", "dog", "crane"])
    assert merge_classes(classes, ["dog=pet"], "").names == ["crane", "pet", "crane"]


@pytest.mark.parametrize(
    ("wanted", "names", "new_ids"),
    [
        (["owl,cat"], ["owl", "cat"], {2: 0, 0: 1}),
        (["owl", "cat,rat"], ["owl", "cat", "rat"], {2: 0, 0: 1, 3: 2}),
        (["bus, red", "n02"], ["bus, red", "dog"], {4: 0, 1: 1}),
        (["dog,n02, ,dog"], ["dog"], {1: 0}),
    ],
)
def test_choosing(wanted: list[str], names: list[str], new_ids: dict[int, int]) -> None:
    chosen = choose_classes(all_classes(NAMES, WNIDS), wanted, "x.names")
    assert (chosen.names, dict(chosen.new_ids)) == (names, new_ids)
    assert len(chosen.wnids) == len(names)


def test_what_was_merged_answers_to_its_old_names() -> None:
    pets = merged("cat=pet", "dog=pet")
    for wanted in ("pet,owl", "cat,owl,dog", "n02,owl"):
        chosen = choose_classes(pets, [wanted], "x.names")
        assert (chosen.names, dict(chosen.new_ids)) == (["pet", "owl"], {0: 0, 1: 0, 2: 1})


def test_from_a_file(tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_bytes(b"\xef\xbb\xbfbus, red\r\n\r\n  owl\r\n")
    chosen = choose_classes(all_classes(NAMES), [f"@{wanted}", "cat"], "x.names")
    assert chosen.names == ["bus, red", "owl", "cat"]
    maps = tmp_path / "maps.txt"
    maps.write_text("cat=pet\ndog = pet\n\n")
    assert merged(f"@{maps}").names == ["pet", "owl", "rat", "bus, red"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("dgo", "'dgo' is no class of this data set | Did you mean 'dog'?"),
        ("Dog", "'Dog' is no class of this data set | Did you mean 'dog'?"),
        ("bus", "'bus' is no class of this data set | Did you mean 'bus, red'?"),
        (
            "dgo,cat,zebra,owls",
            "'dgo', 'zebra', 'owls' are no classes of this data set"
            " | Did you mean 'dog' for 'dgo', 'owl' for 'owls'?",
        ),
        (
            "zebra,zebra",
            "'zebra' is no class of this data set"
            " | The classes are 'cat', 'dog', 'owl', 'rat', 'bus, red'.",
        ),
        (
            ",".join(f"q{number}" for number in range(9)),
            "'q0', 'q1', 'q2', 'q3', 'q4', 'q5' and 3 more are no classes of this data set"
            " | The classes are 'cat', 'dog', 'owl', 'rat', 'bus, red'.",
        ),
    ],
)
def test_all_unknown_names_are_said_at_once(wanted: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_classes(all_classes(NAMES), [wanted], "x.names")
    assert f"{caught.value.message} | {caught.value.hint}" == said
    assert caught.value.code == "unknown-class"


def test_an_ambiguous_name_and_a_long_list() -> None:
    names = ["crane n02012849", "crane n03126707", *(f"class {number}" for number in range(98))]
    with pytest.raises(UsageError) as caught:
        choose_classes(all_classes(names), ["crane"], "x.names")
    assert caught.value.hint == "Did you mean 'crane n02012849' or 'crane n03126707'?"
    with pytest.raises(UsageError) as caught:
        choose_classes(all_classes(["small dog", "dogma", "hot dog"]), ["Dog"], "x.names")
    assert caught.value.hint == "Did you mean 'hot dog' or 'small dog' or 'dogma'?"
    with pytest.raises(UsageError) as caught:
        choose_classes(all_classes(names), ["zebra"], "x.names")
    assert caught.value.hint == "x.names lists the 100 classes."


@pytest.mark.parametrize(
    ("maps", "code", "said"),
    [
        (["cat"], "bad-map", "--map takes old=new, not 'cat'"),
        (["cat="], "bad-map", "--map takes old=new, not 'cat='"),
        (["=cat"], "bad-map", "--map takes old=new, not '=cat'"),
        (["cat=a", "cat=b"], "bad-map", "--map gives 'cat' two new names, 'a' and 'b'"),
        (["ct=a", "dgo=a"], "unknown-class", "'ct', 'dgo' are no classes of this data set"),
    ],
)
def test_maps_that_make_no_sense(maps: list[str], code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        merged(*maps)
    assert (caught.value.code, caught.value.message) == (code, said)


# Image: what it shows, all in the list to train on but the last.
SHOWN = {
    "1": ["cat"],
    "2": ["dog", "cat"],
    "3": ["owl"],
    "4": [],
    "5": ["owl", "owl"],
    "6": ["dog"],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for stem, names in SHOWN.items():
        things: list[Thing] = [(name, 10 + at, 10, 60, 30) for at, name in enumerate(names)]
        folder = root / ("val" if stem == "6" else "train")
        write_pair(folder / f"{stem}.jpg", folder / f"{stem}.xml", *things)
        (folder / f"{stem}.xml").write_text(pascal_xml(*things))
    return root


def class_ids(out: Path) -> dict[str, list[int]]:
    """Return the class_ids in the label of each image that is listed."""
    listed = [*lines(out / "train.txt"), *lines(out / "valid.txt")]
    labels = {Path(image).stem: lines(Path(image).with_suffix(".txt")) for image in listed}
    return {stem: [int(line.split()[0]) for line in found] for stem, found in labels.items()}


@pytest.mark.parametrize(
    ("words", "names", "expected", "left_out", "others"),
    [
        # cat 0, dog 1, owl 2 without a choice
        (["--classes", "dog"], ["dog"], {"2": [0], "6": [0]}, 4, 5),
        (["--classes", "dog,cat"], ["dog", "cat"], {"1": [1], "2": [0, 1], "6": [0]}, 3, 3),
        (
            ["--classes", "dog", "--keep-unlabelled"],
            ["dog"],
            {"1": [], "2": [0], "3": [], "4": [], "5": [], "6": [0]},
            0,
            5,
        ),
        (
            ["--map", "cat=pet", "--map", "dog=pet"],
            ["pet", "owl"],
            {"1": [0], "2": [0, 0], "3": [1], "4": [], "5": [1, 1], "6": [0]},
            0,
            0,
        ),
        (
            ["--map", "cat=pet", "--map", "dog=pet", "--classes", "pet"],
            ["pet"],
            {"1": [0], "2": [0, 0], "6": [0]},
            3,
            3,
        ),
    ],
)
def test_convert_some_classes(
    tmp_path: Path,
    dkit: Dkit,
    source: Path,
    words: list[str],
    names: list[str],
    expected: dict[str, list[int]],
    left_out: int,
    others: int,
) -> None:
    out = tmp_path / "out"
    ended = dkit("convert", "voc", source, "--out", out, *words, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["classes"] == lines(out / "set.names") == names
    assert class_ids(out) == expected
    assert document["images_left_out"] == left_out
    assert document["excluded"].get("other-class", 0) == others
    assert document["problems"] == {}


def test_convert_says_what_was_left_out(tmp_path: Path, dkit: Dkit, source: Path) -> None:
    ended = dkit("convert", "voc", source, "--out", tmp_path / "out", "--classes", "dog,dog")
    assert "not chosen: 5 objects of other classes" in ended.stdout
    assert "not chosen: 4 images without any of the classes" in ended.stdout
    assert "note: named more than once in --classes, taken once: dog" in ended.stdout
    assert lines(tmp_path / "out/problems.csv")[1:] == []


def test_an_image_of_a_chosen_class_never_becomes_a_negative(tmp_path: Path, dkit: Dkit) -> None:
    root = tmp_path / "set"
    difficult = "<difficult>1</difficult>"
    write_pair(root / "1.jpg", root / "1.xml", ("dog", 10, 10, 60, 30), flags=difficult)
    write_pair(root / "2.jpg", root / "2.xml", ("cat", 10, 10, 60, 30), flags=difficult)
    write_pair(root / "3.jpg", root / "3.xml", ("dog", 10, 10, 60, 30))
    words = ("convert", "voc", root, "--valid-fraction", "0", "--classes", "dog", "--json")
    ended = dkit(*words, "--out", tmp_path / "out", "--keep-unlabelled")
    assert class_ids(tmp_path / "out") == {"2": [], "3": [0]}
    assert json.loads(ended.stdout)["problems"] == {"only-excluded": 1}


def test_problems_of_images_of_other_classes_are_nobodys(tmp_path: Path, dkit: Dkit) -> None:
    root = tmp_path / "set"
    write_pair(root / "1.jpg", root / "1.xml", ("dog", 90, 10, 120, 30))
    write_pair(root / "2.jpg", root / "2.xml", ("cat", 10, 10, 60, 30), ("dog", 90, 10, 120, 30))
    words = ("convert", "voc", root, "--out", tmp_path / "out", "--valid-fraction", "0")
    ended = dkit(*words, "--classes", "cat", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["problems"]) == (0, {})


def test_other_classes_or_maps_need_another_folder(
    tmp_path: Path, dkit: Dkit, source: Path
) -> None:
    words = ["convert", "voc", source, "--out", tmp_path / "out"]
    assert dkit(*words, "--classes", "dog,cat").exit_code == 0
    (tmp_path / "wanted").write_text("dog\ncat\n")
    before = digests(tmp_path)
    assert dkit(*words, "--classes", f"@{tmp_path}/wanted").exit_code == 0
    assert digests(tmp_path) == before
    for others, key in (
        (["--classes", "dog"], "classes"),
        (["--classes", "cat,dog"], "classes"),
        ([], "classes, chosen"),
        (["--classes", "dog,cat", "--map", "owl=cat"], "map"),
        (["--classes", "dog,cat", "--keep-unlabelled"], "keep_unlabelled"),
    ):
        ended = dkit(*words, *others)
        assert (ended.exit_code, f"({key})" in ended.stderr) == (2, True), ended.stderr
    assert digests(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["--classes", "dgo"], 2, "Did you mean 'dog'?"),
        (["--classes", ""], 2, "--classes names no class"),
        (["--classes", "@none.txt"], 1, "none.txt: no such file; expected a list of classes"),
        (["--map", "dgo=pet"], 2, "Did you mean 'dog'?"),
        (["--map", "dog"], 2, "--map takes old=new"),
        (["--map", "cat=rat", "--classes", "bird"], 2, "The classes are 'rat', 'dog', 'owl'."),
    ],
)
def test_a_choice_that_makes_no_sense(
    tmp_path: Path, dkit: Dkit, source: Path, words: list[str], exit_code: int, said: str
) -> None:
    ended = dkit("convert", "voc", source, "--out", tmp_path / "out", *words)
    assert (ended.exit_code, said in ended.stderr) == (exit_code, True), ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert not (tmp_path / "out").exists()


def test_ilsvrc_by_wnid_and_by_name(tmp_path: Path, dkit: Dkit) -> None:
    root = tmp_path / "ILSVRC"
    mapping = {"n01440764": "tench, Tinca tinca", "n01443537": "goldfish", "n02012849": "crane"}
    for wnid in mapping:
        stem = f"CLS-LOC/train/{wnid}/{wnid}_1"
        image, annotation = root / f"Data/{stem}.JPEG", root / f"Annotations/{stem}.xml"
        write_pair(image, annotation, (wnid, 10, 10, 60, 30))
    listed = "".join(f"{wnid} {names}\n" for wnid, names in mapping.items())
    (root / "LOC_synset_mapping.txt").write_text(listed)
    out = tmp_path / "out"
    words = ("convert", "ilsvrc", root, "--out", out, "--valid-fraction", "0")
    fish = ("--map", "tench=fish", "--map", "n01443537=fish")
    assert dkit(*words, *fish, "--classes", "n02012849,fish").exit_code == 0
    assert lines(out / "ilsvrc.names") == ["crane", "fish"]
    assert lines(out / "ilsvrc.wnids") == ["n02012849", "n01440764+n01443537"]
    assert class_ids(out) == {"n01440764_1": [1], "n01443537_1": [1], "n02012849_1": [0]}
