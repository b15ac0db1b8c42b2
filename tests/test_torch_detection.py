"""`[detection]` against a plain reading of Darknet's loops, and its line by hand."""

from collections.abc import Mapping, Sequence

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.heads.detection import Detection, build_detection  # noqa: E402
from darknet_kit.errors import CfgError  # noqa: E402
from tests.reference_detection import ReferenceDetection, fill_truth  # noqa: E402
from tests.torch_heads import distance, make_raw, make_site, make_truths  # noqa: E402

NUM, CLASSES = 2, 3
SIDE, OBLONG = (4, 4), (5, 3)
Keys = Mapping[str, float]
# Two centres in one cell, one on the border, a class that does not exist, boxes that are too
# small and one that is large.
TRUTHS = make_truths(
    (
        (
            (0.10, 0.12, 0.30, 0.25, 1),
            (0.11, 0.13, 0.90, 0.80, 2),
            (1.0, 1.0, 0.4, 0.2, 0),
            (0.6, 0.6, 0.0005, 0.2, 0),
            (0.9, 0.1, 0.2, 0.0002, 0),
            (0.35, 0.85, 0.20, 0.10, 7),
        ),
        ((0.55, 0.45, 0.60, 0.50, 2), (0.8, 0.3, 0.05, 0.04, 0)),
        (),
    )
)


def build(text: str = "", grid: tuple[int, int] = SIDE, outputs: int = 0) -> Detection:
    sides = f"side={grid[0]}"
    if grid[0] != grid[1]:
        sides = f"dkit_side_w={grid[0]}\ndkit_side_h={grid[1]}"
    head = f"[detection]\nclasses={CLASSES}\ncoords=4\nnum={NUM}\n{sides}\n{text}"
    outputs = outputs or grid[0] * grid[1] * (CLASSES + 5 * NUM)
    built = build_detection(make_site(head, outputs, (1, 1)))
    assert isinstance(built, Detection)
    return built


def make_input(grid: tuple[int, int] = SIDE) -> Tensor:
    return make_raw(3, grid[0] * grid[1] * (CLASSES + 5 * NUM), 1, 1) * 0.5 + 0.2


def run_reference(
    raw: Tensor,
    keys: Keys,
    grid: tuple[int, int],
    weights: Sequence[float] = (1,) * CLASSES,
    chance: Sequence[Mapping[int, int]] | None = None,
) -> list[ReferenceDetection]:
    images = []
    for number, rows in enumerate(TRUTHS.double().tolist()):
        numbers = raw[number].flatten().double().tolist()
        reference = ReferenceDetection(numbers, grid, NUM, CLASSES, keys)
        reference.learn(rows, weights, chance[number] if chance else None)
        images.append(reference)
    return images


def collect(images: Sequence[ReferenceDetection]) -> Tensor:
    delta: Tensor = torch.tensor([image.delta for image in images], dtype=torch.float64)
    return delta[..., None, None]


def spell(keys: Keys) -> str:
    return "\n".join(f"{key}={value}" for key, value in keys.items())


KEYS: Sequence[Keys] = (
    {},
    {"sqrt": 1, "rescore": 1},
    {"softmax": 1},
    {"rescore": 1, "softmax": 1, "sqrt": 1, "forced": 1},
    {"coord_scale": 5, "object_scale": 2, "noobject_scale": 0.5, "class_scale": 3},
)


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("grid", [SIDE, OBLONG])
def test_delta_and_line_are_those_of_the_plain_loops(keys: Keys, grid: tuple[int, int]) -> None:
    head, raw = build(spell(keys), grid), make_input(grid)
    told = head.assess(raw, TRUTHS, (64, 64), 100)
    images = run_reference(raw, keys, grid)
    expected = collect(images)
    assert distance(told.delta, expected) < 1e-5
    assert float(told.cost) == pytest.approx(float(expected.square().sum()), rel=1e-5)
    assert float(told.parts.sum()) == pytest.approx(float(told.cost), rel=1e-5)
    names = ("iou", "category", "categories", "objectness", "anywhere", "count")
    sums = [sum(getattr(image, name) for image in images) for name in names]
    boxes = 3 * grid[0] * grid[1] * NUM
    assert told.stats.tolist() == pytest.approx([*sums, boxes], rel=1e-5, abs=1e-6)


def test_what_overlaps_nothing_gives_the_nearest_box() -> None:
    # Widths below 0, as a linear output may give, overlap with nothing.
    raw = make_input()
    raw[:, 16 * (CLASSES + NUM) :].abs_().neg_()
    told = build().assess(raw, TRUTHS, (64, 64), 100)
    images = run_reference(raw, {}, SIDE)
    assert all(image.iou == 0 for image in images)
    assert distance(told.delta, collect(images)) < 1e-5


def test_boxes_may_come_as_a_grid_of_channels() -> None:
    # Darknet flattens [channels, rows, columns]; what the numbers mean is the same.
    flat = make_input()
    grid = flat.view(3, 13, 4, 4).to(memory_format=torch.channels_last)
    head = build("sqrt=1")
    told, expected = (head.assess(raw, TRUTHS, (64, 64), 100) for raw in (grid, flat))
    assert told.delta.shape == grid.shape
    assert torch.equal(told.delta.flatten(), expected.delta.flatten())


def test_confidence_by_cross_entropy_is_a_logistic() -> None:
    raw = make_input()
    head = build("dkit_obj_loss=bce\ndkit_class_loss=ce")
    told = head.assess(raw, TRUTHS, (64, 64), 100)
    expected = collect(run_reference(raw, {"bce": 1, "softmax": 1}, SIDE))
    assert distance(told.delta, expected) < 1e-5


def test_cross_entropies_are_what_the_delta_descends() -> None:
    raw = make_input().double().requires_grad_()
    head = build("dkit_obj_loss=bce\ndkit_class_loss=ce\ncoord_scale=0")
    told = head.assess(raw.detach(), TRUTHS, (64, 64), 100)
    confidence = raw.flatten(1)[:, 48:80]
    flags = told.delta.flatten(1)[:, 48:80] > 0
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        confidence, flags.double(), reduction="sum"
    )
    for image, rows in enumerate(TRUTHS.double().tolist()):
        for cell, (_, one_hot, _) in fill_truth(rows, SIDE, CLASSES).items():
            scores = raw[image, cell * CLASSES : (cell + 1) * CLASSES, 0, 0]
            # A class that does not exist draws all others down, as Darknet has it.
            p = scores.softmax(0).detach() if sum(one_hot) == 0 else None
            goal = torch.tensor(one_hot, dtype=torch.float64)
            loss = loss - (scores.log_softmax(0) * goal).sum()
            loss = loss if p is None else loss + (scores * p).sum()
    loss.backward()
    assert raw.grad is not None
    assert distance(told.delta, -raw.grad) < 1e-5


def test_random_lets_each_box_learn_until_64000_images() -> None:
    head, raw = build("random=1"), make_input()
    chosen: set[int] = set()
    for _ in range(20):
        told = head.assess(raw, TRUTHS, (64, 64), 63999)
        boxes = told.delta.flatten(1)[:, 80:].view(3, 16, NUM, 4).abs().sum(-1) > 0
        chance = [
            {cell: row.index(True) for cell, row in enumerate(image) if True in row}
            for image in boxes.tolist()
        ]
        chosen.update(number for image in chance for number in image.values())
        expected = collect(run_reference(raw, {}, SIDE, chance=chance))
        assert distance(told.delta, expected) < 1e-5
    assert chosen == {0, 1}
    later = head.assess(raw, TRUTHS, (64, 64), 64000).delta
    assert distance(later, collect(run_reference(raw, {}, SIDE))) < 1e-5


def test_class_weights_multiply_confidence_and_classes_where_a_truth_is() -> None:
    raw, weights = make_input(), [1.0, 3.0, 0.5]
    head = build()
    head.class_weights = torch.tensor(weights)
    told = head.assess(raw, TRUTHS, (64, 64), 100)
    assert distance(told.delta, collect(run_reference(raw, {}, SIDE, weights))) < 1e-5


def test_no_truth_at_all_and_no_row_for_one() -> None:
    head, raw = build("noobject_scale=.5"), make_input()
    told = head.assess(raw, torch.zeros(3, 0, 5), (64, 64), 100)
    confidence = raw.flatten(1)[:, 48:80]
    assert float(told.cost) == pytest.approx(float(confidence.square().sum()) / 4, rel=1e-5)
    line = head.format_line(told.stats.tolist())
    assert line.startswith("Detection Avg IOU: -nan, Pos Cat: -nan, All Cat: -nan, Pos Obj: -nan, ")
    assert line.endswith(", count: 0\n")


@pytest.mark.parametrize("keys", [{}, {"sqrt": 1, "softmax": 1}])
def test_boxes_come_cell_by_cell(keys: Keys) -> None:
    raw = make_input(OBLONG)
    seen = build(spell(keys), OBLONG).decode(raw, (64, 64))
    assert seen.boxes.shape == (3, 30, 4)
    for number, image in enumerate(run_reference(raw, keys, OBLONG)):
        for cell in range(15):
            classes = image.out[cell * CLASSES : (cell + 1) * CLASSES]
            for j in range(NUM):
                x, y, w, h = image.box(cell, j)
                box = (x + cell % 5 / 5, y + cell // 5 / 3, w, h)
                confidence = image.out[image.place(cell, j)[0]]
                index, scores = cell * NUM + j, [confidence * p for p in classes]
                assert seen.boxes[number, index].tolist() == pytest.approx(box, rel=1e-4)
                assert seen.scores[number, index].tolist() == pytest.approx(scores, rel=1e-4)
                assert seen.objectness[number, index].item() == pytest.approx(
                    max(confidence, *scores), rel=1e-4
                )


def test_nothing_waits_for_the_device() -> None:
    # Tensors without content cannot be read, so whatever looks at a value fails.
    head = build("sqrt=1\nrescore=1\nrandom=1\ncounters_per_class=1,2,3").to("meta")
    raw = make_input().to("meta")
    assert head.assess(raw, TRUTHS.to("meta"), (64, 64), 100).delta.shape == raw.shape
    assert head.decode(raw, (64, 64)).scores.shape == (3, 32, CLASSES)


def test_line() -> None:
    line = build().format_line([1.0, 0.5, 3.0, 0.25, 12.0, 2.0, 96.0])
    assert line == (
        "Detection Avg IOU: 0.500000, Pos Cat: 0.250000, All Cat: 0.500000, "
        "Pos Obj: 0.125000, Any Obj: 0.125000, count: 2\n"
    )


@pytest.mark.parametrize(
    ("text", "outputs", "code", "named"),
    [
        ("", 207, "wrong-filters", "not 208"),
        ("dkit_side_h=3", 208, "wrong-filters", "4 x 3 cells"),
        ("dkit_obj_loss=sse", 208, "bad-value", "mse, bce"),
        ("dkit_class_loss=focal", 208, "bad-value", "mse, ce"),
        ("counters_per_class=1,2", 208, "bad-value", "counters_per_class"),
    ],
)
def test_sections_that_cannot_work(text: str, outputs: int, code: str, named: str) -> None:
    with pytest.raises(CfgError, match=named) as caught:
        build(text, outputs=outputs)
    assert caught.value.code == code


def test_the_default_of_coords_cannot_work() -> None:
    with pytest.raises(CfgError, match="coords=4"):
        build_detection(make_site("[detection]\nclasses=3\nnum=2\nside=4", 208, (1, 1)))
