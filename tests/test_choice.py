"""Choosing by counts: frequent classes, and a number of images per class; all figures by hand."""

import random
from collections import Counter

import pytest

from darknet_kit.dataset.choice import draw_images, pick_frequent
from darknet_kit.dataset.classes import all_classes
from darknet_kit.dataset.counts import ClassCounts
from darknet_kit.errors import DatasetError

CLASSES = all_classes(["cat", "dog", "owl", "rat", "emu"])
# images: cat 3, dog 2, owl 4, rat 1, emu 0
SHOWN = [{0, 2}, {0}, {0, 1}, {1, 2}, {2}, {2, 3}, set(), None]
COUNTS = ClassCounts(
    Counter({0: 3, 1: 9, 2: 5, 3: 5}),
    [None if classes is None else frozenset(classes) for classes in SHOWN],
)


@pytest.mark.parametrize(
    ("top", "min_images", "names"),
    [
        (1, 0, ["dog"]),
        (2, 0, ["dog", "owl"]),  # owl and rat have 5 boxes each: the earlier one
        (9, 0, ["cat", "dog", "owl", "rat"]),
        (0, 2, ["cat", "dog", "owl"]),
        (0, 4, ["owl"]),
        (2, 2, ["dog", "owl"]),
        (1, 3, ["owl"]),
    ],
)
def test_frequent_classes(top: int, min_images: int, names: list[str]) -> None:
    picked = pick_frequent(CLASSES, COUNTS, top, min_images, "x.data")
    assert picked.names == names
    assert [list(CLASSES.names)[old] for old in sorted(picked.new_ids)] == names


def test_fewer_than_asked_for_is_said() -> None:
    assert pick_frequent(CLASSES, COUNTS, 4, 0, "").notes == ()
    assert pick_frequent(CLASSES, COUNTS, 5, 0, "").notes == ["only 4 classes have a box, not 5"]
    note = "only 2 classes are shown by 3 training images, not 5"
    assert pick_frequent(CLASSES, COUNTS, 5, 3, "").notes == [note]


def test_none_is_frequent_enough() -> None:
    with pytest.raises(DatasetError, match=r"no class is shown by 5 .* most are 4, of 'owl'"):
        pick_frequent(CLASSES, COUNTS, 3, 5, "x.data")
    with pytest.raises(DatasetError, match="the training images have no boxes"):
        pick_frequent(CLASSES, ClassCounts(shown=[frozenset()]), 3, 0, "x.data")


def test_counts_by_new_class_ids() -> None:
    counts = COUNTS.renumbered({0: 1, 1: 1, 2: 0})  # rat is left out
    assert counts.boxes == {1: 12, 0: 5}
    assert counts.shown == [{0, 1}, {1}, {1}, {0, 1}, {0}, {0}, set(), None]
    assert counts.images == {0: 4, 1: 4}


def draw(shown: list[set[int] | None], per_class: int, seed: int = 0) -> set[int]:
    sets = [None if classes is None else frozenset(classes) for classes in shown]
    return draw_images(sets, [f"image {place}" for place in range(len(sets))], per_class, seed)


def test_all_are_taken_where_there_are_no_more() -> None:
    assert draw(SHOWN, 4) == {0, 1, 2, 3, 4, 5}
    assert draw([], 4) == draw([set(), None], 4) == set()


def test_what_rarer_classes_bring_counts() -> None:
    # Class 1 has two images, both show 0 as well: with them class 0 has its two.
    assert draw([{0}, {0, 1}, {0}, {0, 1}, {0}], 2) == {1, 3}
    # A class that stands beside both of two rarer ones ends with more than one.
    assert draw([{0, 1}, {0, 2}, {0}], 1) == {0, 1}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_class", [1, 7, 40])
def test_each_class_gets_its_share(seed: int, per_class: int) -> None:
    chance = random.Random(seed)
    weights = [40, 20, 10, 5, 1]
    shown: list[set[int] | None] = [
        set(chance.choices(range(5), weights, k=chance.randrange(3))) for _ in range(300)
    ]
    there = Counter(class_id for classes in shown for class_id in classes or ())
    drawn = draw(shown, per_class, seed)
    got = Counter(class_id for place in drawn for class_id in shown[place] or ())
    assert all(got[class_id] >= min(per_class, there[class_id]) for class_id in there)
    assert len(drawn) <= sum(min(per_class, count) for count in there.values())


def test_seed_and_names_decide_and_nothing_else() -> None:
    shown: list[set[int] | None] = [{place % 2} for place in range(100)]
    assert draw(shown, 10, seed=1) == draw(shown, 10, seed=1)
    assert draw(shown, 10, seed=1) != draw(shown, 10, seed=2)
    sets = [frozenset(classes or ()) for classes in shown]
    names = [f"image {place}" for place in range(100)]
    turned = draw_images(sets[::-1], names[::-1], 10, 1)
    assert {names[::-1][place] for place in turned} == {
        names[place] for place in draw(shown, 10, 1)
    }
    # One image more moves at most one of those that were drawn.
    more = draw([*shown, {0}], 10, seed=1)
    assert len(draw(shown, 10, seed=1) - more) <= 1
    # So does one in another folder, though all names are then longer.
    names = [*(f"a/{name}" for name in names), "b/image 0"]
    more = draw_images([*sets, frozenset({0})], names, 10, 1)
    assert len(draw(shown, 10, seed=1) - more) <= 1
