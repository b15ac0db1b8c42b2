"""`[region]` against a plain reading of Darknet's loops, and its line against numbers by hand."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.heads.classtree import ClassTree  # noqa: E402
from darknet_kit.engine.torch.heads.region import Region, build_region  # noqa: E402
from darknet_kit.errors import CfgError  # noqa: E402
from tests.reference_region import ReferenceRegion  # noqa: E402
from tests.torch_heads import distance, make_raw, make_site, make_truths  # noqa: E402

ANCHORS = ((0.8, 1.1), (2.5, 1.4), (0.3, 0.4))
CLASSES = 4
ENTRIES = CLASSES + 5
RAW = (3, len(ANCHORS) * ENTRIES, 5, 6)
Keys = Mapping[str, float]
# Two truths in one slot, a class that does not exist, a centre on the border, an end of the list.
TRUTHS = make_truths(
    (
        (
            (0.31, 0.42, 0.30, 0.25, 1),
            (0.33, 0.44, 0.31, 0.26, 3),
            (0.33, 0.44, 0.05, 0.08, 2),
            (0.5, 0.5, 0.2, 0.2, 9),
            (1.0, 1.0, 0.4, 0.2, 0),
            (0, 0, 0, 0, 0),
            (0.7, 0.7, 0.2, 0.2, 1),
        ),
        ((0.9, 0.1, 0.7, 0.3, 2), (0.12, 0.81, 0.13, 0.33, 0)),
        (),
    )
)


def build(text: str = "", filters: int = len(ANCHORS) * ENTRIES) -> Region:
    anchors = ", ".join(f"{w},{h}" for w, h in ANCHORS)
    head = f"[region]\nanchors={anchors}\nnum={len(ANCHORS)}\nclasses={CLASSES}\n{text}"
    built = build_region(make_site(head, filters, (6, 5)))
    assert isinstance(built, Region)
    return built


def run_reference(
    raw: Tensor,
    keys: Keys,
    seen: int,
    weights: list[float] | None = None,
    parents: Sequence[int] = (),
    truths: Tensor = TRUTHS,
) -> list[ReferenceRegion]:
    images = []
    for image, rows in zip(raw.double().tolist(), truths.double().tolist(), strict=True):
        reference = ReferenceRegion(image, ANCHORS, CLASSES, keys, weights, parents)
        reference.every_cell(rows, seen)
        reference.every_truth(rows)
        images.append(reference)
    return images


def collect(images: Sequence[ReferenceRegion], raw: Tensor) -> Tensor:
    delta: Tensor = torch.zeros_like(raw, dtype=torch.float64)
    for number, image in enumerate(images):
        for (n, j, i), values in image.delta.items():
            first = n * ENTRIES
            delta[number, first : first + ENTRIES, j, i] = torch.tensor(values, dtype=torch.float64)
    return delta


KEYS: Sequence[Keys] = (
    {},
    {"softmax": 1},
    {"softmax": 1, "bias_match": 1},
    {"softmax": 1, "rescore": 1, "bias_match": 1},
    {"softmax": 1, "focal_loss": 1},
    {"softmax": 1, "thresh": 0.2},
    {"softmax": 1, "thresh": 0.2, "classfix": 1},
    {"softmax": 1, "thresh": 0.2, "classfix": 2, "focal_loss": 1},
    {"softmax": 1, "classfix": -1},
    {"coord_scale": 2, "object_scale": 5, "noobject_scale": 0.5, "class_scale": 3, "softmax": 1},
)


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("seen", [64, 12800])
def test_delta_and_line_are_those_of_the_plain_loops(keys: Keys, seen: int) -> None:
    head = build("\n".join(f"{key}={value}" for key, value in keys.items()))
    raw = make_raw(*RAW)
    told = head.assess(raw, TRUTHS, (192, 160), seen)
    images = run_reference(raw, keys, seen)
    expected = collect(images, raw)
    assert distance(told.delta, expected) < 1e-5
    assert float(told.cost) == pytest.approx(float(expected.square().sum()), rel=1e-5)
    assert float(told.parts.sum()) == pytest.approx(float(told.cost), rel=1e-5)
    sums = [
        sum(getattr(image, name) for image in images)
        for name in (
            *("iou", "category", "objectness", "anywhere", "recall"),
            *("count", "class_count"),
        )
    ]
    assert told.stats.tolist() == pytest.approx([*sums, 3 * 3 * 30], rel=1e-5)


# Animal, thing; cat, dog: kinds of animal. What a truth of one says leaves the other's kinds alone.
TREE = (-1, -1, 0, 0)


def write_tree(folder: Path, parents: Sequence[object] = TREE) -> Path:
    path = folder / "kinds.tree"
    path.write_text("".join(f"n{number} {parent}\n" for number, parent in enumerate(parents)))
    return path


@pytest.mark.parametrize("keys", [{}, {"thresh": 0.2, "classfix": 2}, {"class_scale": 3}])
def test_a_tree_of_classes(tmp_path: Path, keys: Keys) -> None:
    text = "\n".join(f"{key}={value}" for key, value in keys.items())
    head, raw = build(f"softmax=1\ntree={write_tree(tmp_path)}\n{text}"), make_raw(*RAW)
    truths = TRUTHS.clone()
    # A thing, then a dog in one slot, and the other way round.
    truths[0, :2, 4] = torch.tensor([1.0, 3.0])
    truths[1, 1] = truths[1, 0]
    truths[1, :2, 4] = torch.tensor([2.0, 1.0])
    told = head.assess(raw, truths, (192, 160), 12800)
    images = run_reference(raw, keys, 12800, parents=TREE, truths=truths)
    assert distance(told.delta, collect(images, raw)) < 1e-5
    category = sum(image.category for image in images)
    assert told.stats[1].item() == pytest.approx(category, rel=1e-5)


def test_a_box_has_one_class_of_a_tree(tmp_path: Path) -> None:
    raw = make_raw(*RAW) * 3
    seen = build(f"softmax=1\ntree={write_tree(tmp_path)}").decode(raw, (192, 160))
    chosen = set()
    for number, image in enumerate(run_reference(raw, {}, 12800, parents=TREE)):
        for index, (j, i, n) in enumerate(itertools.product(range(5), range(6), range(3))):
            x = image.out[n, j, i][5:]
            likely = [c for c in range(CLASSES) if image.chain(x, c) > 0.5]
            expected = [0.0] * CLASSES
            for c in likely[-1:]:
                expected[c] = image.chain(x, c)
                chosen.add(c)
            assert seen.scores[number, index].tolist() == pytest.approx(expected, rel=1e-4)
    assert chosen == {0, 1, 2, 3}


def test_a_deep_tree_multiplies_all_generations() -> None:
    tree = ClassTree((-1, 0, 1, 2, 3, 4))
    values = torch.tensor([0.5, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert tree.chain(values).tolist() == pytest.approx([0.5, 0.45, 0.36, 0.252, 0.1512, 0.0756])


@pytest.mark.parametrize(
    ("parents", "named"),
    [
        ((-1, -1, 0), "has 3 lines, not one for each of 4 classes"),
        ((-1, -1, 2, 0), "names parent 2 in line 3, which is not above it"),
        ((-1, -1, -2, 0), "names parent -2 in line 3"),
        ((-1, -1, "x", 0), "needs a name and a number in line 3"),
    ],
)
def test_files_that_are_no_tree(tmp_path: Path, parents: Sequence[object], named: str) -> None:
    with pytest.raises(CfgError, match=named) as caught:
        build(f"tree={write_tree(tmp_path, parents)}")
    assert caught.value.code == "bad-tree"


def test_nothing_waits_for_the_device(tmp_path: Path) -> None:
    # Tensors without content cannot be read, so whatever looks at a value fails.
    head = build(f"softmax=1\nclassfix=1\nrescore=1\ntree={write_tree(tmp_path)}").to("meta")
    raw = make_raw(*RAW).to("meta")
    assert head.assess(raw, TRUTHS.to("meta"), (192, 160), 1).delta.shape == RAW
    assert head.decode(raw, (192, 160)).scores.shape == (3, 90, CLASSES)


def test_parts_are_box_objectness_no_object_class() -> None:
    head, raw = build("softmax=1"), make_raw(*RAW)
    told = head.assess(raw, TRUTHS, (192, 160), 12800)
    entries = told.delta.view(3, len(ANCHORS), ENTRIES, 30)
    squares = entries.square().sum((0, 1, 3))
    assert told.parts[0].item() == pytest.approx(squares[:4].sum().item(), rel=1e-5)
    assert told.parts[3].item() == pytest.approx(squares[5:].sum().item(), rel=1e-5)
    # After 12800 images only what holds a truth moves its box.
    held = entries[:, :, :4].abs().sum(2) > 0
    assert told.parts[1].item() == pytest.approx(
        entries[:, :, 4][held].square().sum().item(), rel=1e-5
    )
    assert int(held.sum()) == 5


def test_class_weights_multiply_objectness_and_classes_where_a_truth_is() -> None:
    raw, weights = make_raw(*RAW), [1.0, 3.0, 0.5, 2.0]
    head = build("softmax=1")
    head.class_weights = torch.tensor(weights)
    told = head.assess(raw, TRUTHS, (192, 160), 12800)
    expected = collect(run_reference(raw, {"softmax": 1}, 12800, weights), raw)
    assert distance(told.delta, expected) < 1e-5
    counted = build("softmax=1\ncounters_per_class=6,2,12,3")
    assert counted.class_weights is not None
    assert counted.class_weights.tolist() == [2.0, 6.0, 1.0, 4.0]


def test_no_truth_at_all_and_no_row_for_one() -> None:
    head, raw = build("softmax=1"), make_raw(*RAW)
    told = head.assess(raw, torch.zeros(3, 0, 5), (192, 160), 12800)
    objectness = raw.view(3, len(ANCHORS), ENTRIES, 30)[:, :, 4].sigmoid()
    expected = (objectness * objectness * (1 - objectness)).square().sum()
    assert float(told.cost) == pytest.approx(float(expected), rel=1e-5)
    mean = f"{float(objectness.mean()):f}"
    line = head.format_line(told.stats.tolist())
    assert line.startswith("Region Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: " + mean[:7])
    assert line.endswith(", Avg Recall: -nan,  count: 0\n")


@pytest.mark.parametrize(("softmax", "classfix"), [(1, 0), (1, -1), (0, 0)])
def test_boxes_come_cell_by_cell_with_anchors_in_order(softmax: int, classfix: int) -> None:
    head, raw = build(f"softmax={softmax}\nclassfix={classfix}"), make_raw(*RAW)
    seen = head.decode(raw, (192, 160))
    assert seen.boxes.shape == (3, 90, 4)
    assert seen.scores.shape == (3, 90, CLASSES)
    for number, image in enumerate(raw.double().tolist()):
        reference = ReferenceRegion(image, ANCHORS, CLASSES, {"softmax": softmax})
        places = itertools.product(range(5), range(6), range(3))
        for index, (j, i, n) in enumerate(places):
            x = reference.out[n, j, i]
            scale = 0.0 if classfix == -1 and x[4] < 0.5 else x[4]
            assert seen.boxes[number, index].tolist() == pytest.approx(
                reference.box(n, j, i), rel=1e-4
            )
            scores = [scale * p for p in x[5:]]
            assert seen.scores[number, index].tolist() == pytest.approx(scores, rel=1e-4)
            assert seen.objectness[number, index].item() == pytest.approx(
                max(scale, *scores), rel=1e-4
            )


def test_line() -> None:
    line = Region.format_line(build(), [1.5, 1.0, 0.5, 9.0, 1.0, 2.0, 4.0, 90.0])
    assert line == (
        "Region Avg IOU: 0.750000, Class: 0.250000, Obj: 0.250000, No Obj: 0.100000, "
        "Avg Recall: 0.500000,  count: 2\n"
    )


@pytest.mark.parametrize(
    ("text", "filters", "code", "named"),
    [
        ("coords=5", 27, "bad-value", "coords"),
        ("", 26, "wrong-filters", "not 27"),
        ("tree=nowhere.tree", 27, "missing-file", "tree=nowhere.tree"),
        ("counters_per_class=1,2", 27, "bad-value", "counters_per_class"),
    ],
)
def test_sections_that_cannot_work(text: str, filters: int, code: str, named: str) -> None:
    with pytest.raises(CfgError, match=named) as caught:
        build(text, filters=filters)
    assert caught.value.code == code
