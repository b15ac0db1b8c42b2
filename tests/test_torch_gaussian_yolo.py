"""`[Gaussian_yolo]` against a plain reading of Darknet's loops, and its line by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.heads.gaussian_yolo import (  # noqa: E402
    GaussianYolo,
    build_gaussian_yolo,
)
from darknet_kit.errors import CfgError  # noqa: E402
from tests.reference_gaussian_yolo import ReferenceGaussian  # noqa: E402
from tests.torch_heads import distance, make_raw, make_site, make_truths  # noqa: E402

ANCHORS = ((18.0, 22.0), (60.0, 35.0), (9.0, 12.0), (30.0, 80.0))
MASK, CLASSES, SIZE = (0, 1, 3), 3, (192, 160)
ENTRIES = 9 + CLASSES
RAW = (3, len(MASK) * ENTRIES, 5, 6)
Keys = Mapping[str, Any]
# Truths of one and of several classes in one slot, of an anchor of another head, on the border,
# of a class that does not exist, behind the end of the list.
TRUTHS = make_truths(
    (
        (
            (0.31, 0.42, 0.30, 0.22, 1),
            (0.32, 0.43, 0.31, 0.23, 2),
            (0.30, 0.44, 0.29, 0.21, 2),
            (0.75, 0.30, 0.10, 0.14, 0),
            (0.76, 0.31, 0.11, 0.13, 0),
            (0.5, 0.5, 0.2, 0.2, 9),
            (0.61, 0.7, 0.04, 0.07, 1),
            (1.0, 1.0, 0.2, 0.5, 0),
            (0, 0, 0, 0, 0),
            (0.7, 0.7, 0.2, 0.2, 1),
        ),
        ((0.9, 0.1, 0.7, 0.3, 2), (0.12, 0.81, 0.13, 0.43, 0)),
        (),
    )
)
WEIGHTS = [2.0, 6.0, 1.0]


def build(text: str = "", filters: int = len(MASK) * ENTRIES) -> GaussianYolo:
    anchors = ", ".join(f"{w},{h}" for w, h in ANCHORS)
    head = (
        f"[Gaussian_yolo]\nanchors={anchors}\nnum={len(ANCHORS)}\nmask=0,1,3\n"
        f"classes={CLASSES}\n{text}"
    )
    built = build_gaussian_yolo(make_site(head, filters, (6, 5)))
    assert isinstance(built, GaussianYolo)
    return built


def run_reference(
    raw: Tensor, keys: Keys, weights: Sequence[float] | None = None
) -> list[ReferenceGaussian]:
    images = []
    for image, rows in zip(raw.double().tolist(), TRUTHS.double().tolist(), strict=True):
        reference = ReferenceGaussian(image, ANCHORS, MASK, CLASSES, SIZE, keys, weights)
        reference.every_slot(rows)
        reference.every_truth(rows)
        reference.average()
        images.append(reference)
    return images


def collect(images: Sequence[ReferenceGaussian]) -> Tensor:
    delta: Tensor = torch.zeros(RAW, dtype=torch.float64)
    for number, image in enumerate(images):
        for (n, j, i), values in image.delta.items():
            delta[number, n * ENTRIES : (n + 1) * ENTRIES, j, i] = torch.tensor(
                values, dtype=torch.float64
            )
    return delta


def spell(keys: Keys) -> str:
    return "\n".join(f"{key}={value}" for key, value in keys.items())


COUNTED = {"counters_per_class": "6,2,12", "cls_normalizer": 0.6}
KEYS: Sequence[Keys] = (
    {},
    {"iou_loss": "iou", "scale_x_y": 1.2},
    {"iou_loss": "giou", "iou_normalizer": 0.5, "uc_normalizer": 0.3, "obj_normalizer": 1.7},
    {"iou_loss": "diou", "max_delta": 0.4},
    {"iou_loss": "ciou", "iou_thresh": 0.2, "ignore_thresh": 0.3},
    {"iou_thresh": 0.1, "iou_thresh_kind": "ciou", "label_smooth_eps": 0.1},
    {"iou_thresh": 0.1, "iou_thresh_kind": "diou", "max_delta": 0.1},
    {"iou_thresh": 0.1, "iou_thresh_kind": "giou"},
    {"yolo_point": "left_top"},
    {"yolo_point": "right_bottom", "iou_loss": "ciou"},
    {"yolo_point": "left_top", "iou_loss": "giou", "truth_thresh": 0.4},
    {"objectness_smooth": 1, "ignore_thresh": 0.2},
    {"truth_thresh": 0.3, "ignore_thresh": 0.5},
    {"truth_thresh": 0.3, "ignore_thresh": 0.2, "objectness_smooth": 1},
    COUNTED,
    {**COUNTED, "iou_thresh": 0.1, "iou_loss": "ciou", "max_delta": 4},
    {**COUNTED, "truth_thresh": 0.3, "ignore_thresh": 0.2, "objectness_smooth": 1},
)


def multipliers(keys: Keys) -> list[float] | None:
    if "counters_per_class" not in keys:
        return None
    return [min(weight, keys.get("max_delta", weight)) for weight in WEIGHTS]


@pytest.mark.parametrize("keys", KEYS, ids=spell)
@pytest.mark.parametrize("seed", [0, 1])
def test_delta_and_line_are_those_of_the_plain_loops(keys: Keys, seed: int) -> None:
    head, raw = build(spell(keys)), make_raw(*RAW, seed=seed)
    told = head.assess(raw, TRUTHS, SIZE, 100)
    images = run_reference(raw, keys, multipliers(keys))
    expected = collect(images)
    assert distance(told.delta, expected) < 1e-5
    assert float(told.cost) == pytest.approx(float(expected.square().sum()), rel=1e-5)
    assert float(told.parts.sum()) == pytest.approx(float(told.cost), rel=1e-5)
    names = ("iou", "category", "objectness", "anywhere", "recall", "recall75", "count")
    sums = [sum(getattr(image, name) for image in images) for name in names]
    squares = expected.view(3, len(MASK), ENTRIES, 30).square().sum((0, 1, 3))
    losses = [squares[8:].sum(), squares[:4].sum(), squares[4:8].sum()]
    wanted = [*sums, 3 * 3 * 30, *(float(loss) for loss in losses), 3]
    assert told.stats.tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    objectness = float(told.parts[1] + told.parts[2])
    assert objectness == pytest.approx(float(squares[8]), rel=1e-5)
    assert float(told.parts[3]) == pytest.approx(float(squares[9:].sum()), rel=1e-5)


@pytest.mark.parametrize("smooth", [0, 1])
def test_a_box_that_nearly_fits_the_truth_of_its_own_slot(smooth: int) -> None:
    # The second truth of the second image, whose slot is anchor 3 of all at column 0, row 4.
    raw, first = make_raw(*RAW), 2 * ENTRIES
    x, y, w, h = TRUTHS[1, 1, :4].tolist()
    raw[1, first, 4, 0] = torch.tensor(x * 6).logit()
    raw[1, first + 2, 4, 0] = torch.tensor(y * 5 - 4).logit()
    raw[1, first + 4, 4, 0] = torch.tensor(1.2 * w * SIZE[0] / 30).log()
    raw[1, first + 6, 4, 0] = torch.tensor(h * SIZE[1] / 80).log()
    keys = {**COUNTED, "truth_thresh": 0.6, "objectness_smooth": smooth}
    told = build(spell(keys)).assess(raw, TRUTHS, SIZE, 100)
    images = run_reference(raw, keys, WEIGHTS)
    assert images[1].recall75 == 1
    assert distance(told.delta, collect(images)) < 1e-5


def test_the_keys_reach_every_branch() -> None:
    # Otherwise the comparison above would prove nothing about them.
    raw = make_raw(*RAW)
    plain = collect(run_reference(raw, {}))
    for keys in KEYS[1:]:
        assert distance(collect(run_reference(raw, keys, multipliers(keys))), plain) > 1e-3


def test_class_weights_may_be_set_from_outside() -> None:
    raw, head = make_raw(*RAW), build("cls_normalizer=0.6")
    head.class_weights = torch.tensor(WEIGHTS)
    told = head.assess(raw, TRUTHS, SIZE, 100)
    expected = collect(run_reference(raw, {"cls_normalizer": 0.6}, WEIGHTS))
    assert distance(told.delta, expected) < 1e-5


def test_delta_normalizer_scales_what_goes_back_and_nothing_that_is_printed() -> None:
    raw = make_raw(*RAW)
    plain = build().assess(raw, TRUTHS, SIZE, 100)
    scaled = build("delta_normalizer=0.25").assess(raw, TRUTHS, SIZE, 100)
    assert torch.equal(scaled.delta, plain.delta * 0.25)
    assert torch.equal(scaled.stats, plain.stats)
    assert torch.equal(scaled.cost, plain.cost)


def test_no_truth_at_all_and_no_row_for_one() -> None:
    head, raw = build(), make_raw(*RAW)
    told = head.assess(raw, torch.zeros(3, 0, 5), SIZE, 100)
    objectness = raw.view(3, 3, ENTRIES, 30)[:, :, 8].sigmoid()
    assert float(told.cost) == pytest.approx(float(objectness.square().sum()), rel=1e-5)
    line = head.format_line(told.stats.tolist())
    assert line.startswith("Region 1 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.")
    assert ", .5R: -nan, .75R: -nan,  count: 0, class_loss = " in line


@pytest.mark.parametrize("keys", [{}, {"yolo_point": "left_top", "scale_x_y": 1.1}])
def test_boxes_come_cell_by_cell_and_unsure_ones_score_less(keys: Keys) -> None:
    raw = make_raw(*RAW)
    seen = build(spell(keys)).decode(raw, SIZE)
    assert seen.boxes.shape == (3, 90, 4)
    places = [(n, j, i) for j in range(5) for i in range(6) for n in range(3)]
    for number, image in enumerate(run_reference(raw, keys)):
        for index, slot in enumerate(places):
            x = image.out[slot]
            sure = x[8] * (1 - sum(x[1:8:2]) / 4)
            assert seen.boxes[number, index].tolist() == pytest.approx(image.box(slot), rel=1e-4)
            assert seen.objectness[number, index].item() == pytest.approx(x[8], rel=1e-5)
            scores = [sure * p for p in x[9:]]
            assert seen.scores[number, index].tolist() == pytest.approx(scores, rel=1e-4)


def test_nothing_waits_for_the_device() -> None:
    # Tensors without content cannot be read, so whatever looks at a value fails.
    head, raw = build(spell(KEYS[-1])).to("meta"), make_raw(*RAW).to("meta")
    assert head.assess(raw, TRUTHS.to("meta"), SIZE, 100).delta.shape == RAW
    assert head.decode(raw, SIZE).scores.shape == (3, 90, CLASSES)


def test_line() -> None:
    stats = [1.5, 1.0, 0.5, 9.0, 1.0, 0.0, 2.0, 90.0, 3.0, 1.5, -0.75, 3.0]
    assert build().format_line(stats) == (
        "Region 1 Avg IOU: 0.750000, Class: 0.500000, Obj: 0.250000, No Obj: 0.100000, "
        ".5R: 0.500000, .75R: 0.000000,  count: 2, class_loss = 1.00, iou_loss = 0.50, "
        "uc_loss = -0.25, total_loss = 1.25 \n"
    )


@pytest.mark.parametrize(
    ("text", "filters", "code", "named"),
    [
        ("", 35, "wrong-filters", "not 36"),
        ("iou_loss=siou", 36, "bad-value", "iou_loss"),
        ("yolo_point=left", 36, "bad-value", "yolo_point"),
        ("counters_per_class=1,2", 36, "bad-value", "counters_per_class"),
    ],
)
def test_sections_that_cannot_work(text: str, filters: int, code: str, named: str) -> None:
    with pytest.raises(CfgError, match=named) as caught:
        build(text, filters=filters)
    assert caught.value.code == code
