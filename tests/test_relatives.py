"""Classes that are alike: close relatives by a tree of synsets, names that look like a slip."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.cli import stats as stats_command
from darknet_kit.dataset.relatives import Kin, find_alike, find_kin
from darknet_kit.engine.upstream import find_word_tree
from darknet_kit.errors import DatasetError
from darknet_kit.formats.wordtree import WordTree, read_word_tree
from darknet_kit.report.likeness import describe_kin
from tests.conftest import Ended

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

# The line of the parent, after each synset. A pug is a toy dog, is a dog, is an animal.
LINES = {
    "animal": -1,
    "dog": 0,
    "cat": 0,
    "toy dog": 1,
    "hound": 1,
    "pug": 3,
    "papillon": 3,
    "small pug": 5,
    "beagle": 4,
    "siamese": 2,
}
WNIDS = {name: f"n{number}" for number, name in enumerate(LINES)}


@pytest.fixture
def tree_file(tmp_path: Path) -> Path:
    """Write the tree as AlexeyAB's checkout has it: names in cfg/, not beside it."""
    tree = tmp_path / "up" / "data" / "my.tree"
    tree.parent.mkdir(parents=True)
    (tmp_path / "up" / "cfg").mkdir()
    tree.write_text("".join(f"{WNIDS[name]} {parent}\n" for name, parent in LINES.items()))
    (tmp_path / "up" / "cfg" / "my.labels").write_text("\n".join(WNIDS.values()))
    (tmp_path / "up" / "cfg" / "my.names").write_text("\n".join(LINES))
    return tree


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["pug", "papillon"], {"toy dog": ["pug", "papillon"]}),
        (["pug", "beagle"], {"dog": ["pug", "beagle"]}),
        (["small pug", "papillon"], {"toy dog": ["small pug", "papillon"]}),
        (["small pug", "beagle"], {}),  # the dog is three steps above the small pug
        (["beagle", "siamese"], {}),
        (["beagle", "dog"], {"dog": ["beagle", "dog"]}),
        (["pug", "siamese", "papillon", "beagle"], {"dog": ["pug", "papillon", "beagle"]}),
        (
            ["small pug", "pug", "papillon", "beagle"],
            {"toy dog": ["small pug", "pug", "papillon"], "dog": ["pug", "papillon", "beagle"]},
        ),
        (["pug"], {}),
    ],
)
def test_relatives_are_of_one_kind_two_steps_above(
    tree_file: Path, classes: list[str], expected: dict[str, list[str]]
) -> None:
    kin = find_kin([WNIDS[name] for name in classes], read_word_tree(tree_file))
    assert {one.name: [classes[class_id] for class_id in one.class_ids] for one in kin} == expected
    assert [one.name for one in kin] == list(expected)


def test_a_merged_class_is_of_the_kinds_of_each(tree_file: Path) -> None:
    merged = f"{WNIDS['siamese']}+{WNIDS['pug']}"
    (kin,) = find_kin([merged, "n999", WNIDS["papillon"]], read_word_tree(tree_file))
    assert (kin.name, kin.class_ids) == ("toy dog", (0, 2))


@pytest.mark.parametrize(("others", "related"), [(198, True), (199, False)])
def test_a_kind_with_more_than_200_below_it_is_not_close(others: int, related: bool) -> None:
    parents = {"device": "", "clock": "device", "comb": "device"}
    parents |= {f"other {number}": "device" for number in range(others)}
    assert bool(find_kin(["clock", "comb"], WordTree(parents, {}))) is related


def test_upstreams_tree_knows_every_class_of_ilsvrc(shared_data: Find) -> None:
    path = find_word_tree()
    if path is None:
        pytest.skip("no data/9k.tree on this machine (apt-get install darknet)")
    tree = read_word_tree(path)
    mapping = shared_data("B_ilsvrc/LOC_synset_mapping.txt").read_text().splitlines()
    wnids = [line.split()[0] for line in mapping]
    assert len(wnids) == 1000
    assert set(wnids) <= set(tree.parents)
    kin = find_kin(["n02085620", "n02085782", "n01440764"], tree)
    assert [(one.wnid, one.name, one.class_ids) for one in kin] == [
        ("n02085374", "toy dog", (0, 1))
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("n0 -1\nn1\n", ":2: this is no tree"),
        ("n0 -1\nn1 one\n", ":2:"),
        ("n0 -1\nn1 1\n", "parent 1 does not stand above"),
        ("n0 -2\n", "parent -2"),
        ("n0 -1\nn1 0" + "\0" * 9, ":2:"),
    ],
)
def test_what_is_no_tree_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.tree").write_text(text)
    with pytest.raises(DatasetError, match=said) as caught:
        read_word_tree(tmp_path / "x.tree")
    assert caught.value.code == "bad-tree"


def test_a_folder_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no file"):
        read_word_tree(tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "dog", "Cat"], [(0, 2)]),
        (["traffic light", "traffic-light", "Trafficlight"], [(0, 1, 2)]),
        (["bus", "buses", "dog", "dogs"], [(0, 1), (2, 3)]),
        (["berries", "berry"], [(0, 1)]),
        (["crane", "tench", "crane"], [(0, 2)]),
        (["cat", "cart", "catsuit", "glass", "grass"], []),
        (["犬", "猫"], []),
    ],
)
def test_names_that_are_one_word(names: list[str], expected: list[tuple[int, ...]]) -> None:
    assert find_alike(names) == expected


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a set of pug, papillon, Beagle and beagles, without an image."""
    names = ("pug", "papillon", "Beagle", "beagles")
    (tmp_path / "x.names").write_text("\n".join(names))
    synsets = ("pug", "papillon", "beagle", "siamese")
    (tmp_path / "x.wnids").write_text("\n".join(WNIDS[name] for name in synsets))
    (tmp_path / "train.txt").write_text("")
    (tmp_path / "x.data").write_text("train = train.txt\nnames = x.names\n")
    return tmp_path / "x.data"


def test_a_line_names_as_many_relatives_as_fit() -> None:
    names = [f"breed number {number:02}" for number in range(40)]
    kin = [Kin("n1", "dog", tuple(range(40))), *(Kin("n2", "cat", (0, 1)) for _ in range(9))]
    short = describe_kin(kin, names, show_all=False)
    assert len(short) == 1 + 8 + 1
    assert "… 2 more kinds" in short[-1]
    assert len(short[1]) <= 100
    said, rest = short[1].split(" and ")
    assert said.count("breed") + int(rest.removesuffix(" more")) == 40
    whole = describe_kin(kin, names, show_all=True)
    assert (len(whole), whole[1].count("breed")) == (11, 40)


def test_stats_says_what_is_alike(data: Path, tree_file: Path, dkit: Dkit) -> None:
    shown = dkit("stats", data, "--tree", tree_file).stdout
    assert "    dog: pug, papillon, Beagle\n" in shown
    assert "    Beagle (2), beagles (3)\n" in shown
    document = json.loads(dkit("stats", data, "--tree", tree_file, "--json").stdout)
    assert document["relatives"] == [
        {
            "kind": "dog",
            "wnid": "n1",
            "class_ids": [0, 1, 2],
            "classes": ["pug", "papillon", "Beagle"],
        }
    ]
    assert document["names_alike"] == [["Beagle", "beagles"]]


def test_without_a_tree_it_says_how_to_get_one(
    data: Path, dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_command, "find_word_tree", lambda: None)
    ended = dkit("stats", data)
    assert ended.exit_code == 0
    assert "git clone https://github.com/AlexeyAB/darknet" in ended.stdout
    assert json.loads(dkit("stats", data, "--json").stdout)["relatives"] is None


def test_classes_without_wnids_have_no_relatives(data: Path, tree_file: Path, dkit: Dkit) -> None:
    data.with_suffix(".wnids").unlink()
    assert "relatives" not in dkit("stats", data, "--tree", tree_file).stdout


def test_wnids_of_another_class_list_are_not_used(data: Path, tree_file: Path, dkit: Dkit) -> None:
    with data.with_suffix(".names").open("a") as stream:
        stream.write("\nfish\n")
    assert "relatives" not in dkit("stats", data, "--tree", tree_file).stdout
