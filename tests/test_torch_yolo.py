"""`[yolo]` against a plain reading of Darknet's loops, a real log, and autograd."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from darknet_kit.engine.torch.heads import positives  # noqa: E402
from darknet_kit.engine.torch.heads.yolo import Yolo, build_yolo  # noqa: E402
from darknet_kit.errors import CfgError  # noqa: E402
from tests.reference_yolo import Reference  # noqa: E402
from tests.torch_heads import distance, make_site  # noqa: E402

ANCHORS = [(6.0, 8.0), (10.0, 14.0), (14.0, 9.0), (30.0, 31.0), (18.0, 40.0), (45.0, 30.0)]
MASK = [1, 3, 4]
CLASSES = 5
ENTRIES = 5 + CLASSES
WIDTH, HEIGHT = 6, 4
SIZE = (96, 64)
Keys = Mapping[str, object]


def build(keys: Keys | None = None, filters: int = len(MASK) * ENTRIES) -> Yolo:
    settings: dict[str, object] = {
        "mask": ",".join(map(str, MASK)),
        "anchors": ", ".join(f"{w},{h}" for w, h in ANCHORS),
        "num": len(ANCHORS),
        "classes": CLASSES,
    }
    settings.update(keys or {})
    text = "\n".join(f"{key}={value}" for key, value in settings.items())
    built = build_yolo(make_site(f"[yolo]\n{text}", filters, (WIDTH, HEIGHT)))
    assert isinstance(built, Yolo)
    return built


def make_truths(seed: int) -> Tensor:
    """Return two full images and an empty one: crowds in one cell, wrong classes, an early end."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((3, 18, 5), np.float32)
    for image, count in ((0, 18), (1, 12)):
        rows[image, :count, :2] = rng.uniform(0.02, 0.98, (count, 2))
        rows[image, :count, 2:4] = np.exp(rng.uniform(math.log(0.06), math.log(0.7), (count, 2)))
        rows[image, :count, 4] = rng.integers(0, CLASSES, count)
        for first in range(0, count - 2, 4):
            low = np.floor(rows[image, first, :2] * (WIDTH, HEIGHT))
            near = (low + rng.uniform(0.05, 0.95, (2, 2))) / (WIDTH, HEIGHT)
            rows[image, first + 1 : first + 3, :2] = near
            rows[image, first + 1 : first + 3, 2:4] = rows[image, first, 2:4] * 1.05
    rows[0, 5] = rows[0, 4]
    rows[0, 7, 4], rows[1, 3, 4] = CLASSES, -1
    rows[1, 9] = 0
    truths: Tensor = torch.from_numpy(rows)
    return truths


def make_raw(seed: int, truths: Tensor, *, new_coords: bool) -> Tensor:
    """Return inputs of which some are already good boxes, some probable classes."""
    rng = np.random.default_rng(seed + 100)
    raw = rng.normal(0, 1.3, (3, len(MASK), ENTRIES, HEIGHT, WIDTH))
    for image, rows in enumerate(truths.double().tolist()):
        for x, y, w, h, _ in rows[::2]:
            i, j = int(x * WIDTH), int(y * HEIGHT)
            for a, (pw, ph) in enumerate(ANCHORS[number] for number in MASK):
                if not x:
                    continue
                sides = np.array([w * SIZE[0] / pw, h * SIZE[1] / ph])
                extent = np.sqrt(sides) / 2 if new_coords else np.log(sides)
                place = np.clip([x * WIDTH - i, y * HEIGHT - j], 0.05, 0.95)
                raw[image, a, 2:4, j, i] = extent * rng.uniform(0.9, 1.1, 2)
                raw[image, a, :2, j, i] = np.log(place / (1 - place))
            if rows[0][0]:
                # A truth whose objectness is learnt already: Darknet does not average its boxes.
                raw[image, :, 4, int(rows[0][1] * HEIGHT), int(rows[0][0] * WIDTH)] = 40
    if new_coords:
        logistic = [0, 1, *range(4, ENTRIES)]
        raw[:, :, logistic] = 1 / (1 + np.exp(-raw[:, :, logistic]))
    inputs: Tensor = torch.from_numpy(raw.reshape(3, -1, HEIGHT, WIDTH).astype(np.float32))
    return inputs


COUNTERS = {"counters_per_class": "10,200,30,77,5"}
KEYS: dict[str, Keys] = {
    "mse": {},
    "mse, scale_x_y": {"scale_x_y": 1.2, "iou_thresh": 0.213},
    "iou": {"iou_loss": "iou", "iou_normalizer": 0.5},
    "giou": {"iou_loss": "giou", "obj_normalizer": 0.4},
    "diou": {"iou_loss": "diou", "max_delta": 0.2},
    "ciou as in yolov4": {
        "iou_loss": "ciou",
        "iou_thresh": 0.213,
        "iou_normalizer": 0.07,
        "scale_x_y": 1.05,
        "ignore_thresh": 0.7,
        "max_delta": 5,
    },
    "other anchors by giou": {"iou_thresh": 0.1, "iou_thresh_kind": "giou"},
    "other anchors by diou": {"iou_thresh": 0.2, "iou_thresh_kind": "diou", "iou_loss": "iou"},
    "other anchors by ciou": {"iou_thresh": 0.2, "iou_thresh_kind": "ciou", "show_details": 0},
    "new_coords": {"new_coords": 1, "scale_x_y": 2.0},
    "new_coords, ciou": {
        "new_coords": 1,
        "scale_x_y": 2.0,
        "iou_loss": "ciou",
        "label_smooth_eps": 0.1,
        "iou_thresh": 0.2,
    },
    "objectness_smooth": {"objectness_smooth": 1, "ignore_thresh": 0.3, "obj_normalizer": 0.7},
    "counters": {**COUNTERS, "cls_normalizer": 0.5, "iou_thresh": 0.2},
    "counters, capped": {**COUNTERS, "max_delta": 3, "iou_loss": "giou", "label_smooth_eps": 0.05},
    "focal": {"focal_loss": 1, "iou_thresh": 0.2},
    "focal, counters": {"focal_loss": 1, "label_smooth_eps": 0.1, **COUNTERS},
    "few truths": {"max": 7, "iou_loss": "diou", "iou_thresh": 0.2},
    "truth_thresh": {"truth_thresh": 0.5, "ignore_thresh": 0.3},
    "truth_thresh, smooth": {"truth_thresh": 0.5, "objectness_smooth": 1, "iou_loss": "diou"},
    "truth_thresh, all": {
        "truth_thresh": 0.4,
        "iou_thresh": 0.2,
        "iou_loss": "giou",
        "label_smooth_eps": 0.1,
        "cls_normalizer": 0.7,
        **COUNTERS,
    },
    "truth_thresh, focal": {"truth_thresh": 0.4, "focal_loss": 1},
    "cross entropy": {"dkit_class_loss": "ce", "iou_thresh": 0.2, "label_smooth_eps": 0.1},
    "cross entropy, counters": {"dkit_class_loss": "ce", "cls_normalizer": 0.5, **COUNTERS},
    "cross entropy, truth_thresh": {"dkit_class_loss": "ce", "truth_thresh": 0.4},
    "squared objectness": {"dkit_obj_loss": "mse", "iou_thresh": 0.2, "truth_thresh": 0.6},
    "squared objectness, new_coords": {"dkit_obj_loss": "mse", "new_coords": 1},
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
def test_every_key_against_darknets_loops(keys: Keys, seed: int) -> None:
    head, truths = build(keys), make_truths(seed)
    raw = make_raw(seed, truths, new_coords=bool(keys.get("new_coords")))
    weights = None if head.class_weights is None else head.class_weights.tolist()
    reference = Reference(dict(keys), CLASSES, ANCHORS, MASK, SIZE, weights)
    expected = reference.delta(raw.numpy(), truths.numpy())
    found = head.assess(raw, truths, SIZE, 0)

    assert distance(found.delta, torch.from_numpy(expected)) < 1e-5
    assert float(found.cost) == pytest.approx(reference.cost(expected), rel=1e-5)
    images, count, iou, box, others, learnt, rewritten = found.stats.tolist()
    assert (images, count) == (3, len(reference.ious))
    assert iou == pytest.approx(sum(reference.ious), rel=1e-5)
    split = expected.reshape(3, len(MASK), ENTRIES, HEIGHT, WIDTH)
    assert box == pytest.approx((split[:, :, :4] ** 2).sum(), rel=1e-5)
    assert others == pytest.approx((split[:, :, 4:] ** 2).sum(), rel=1e-5)
    assert (learnt, rewritten) == (reference.learnt, reference.rewritten)
    # The scene is one in which truths do meet.
    assert reference.rewritten >= 3


def test_parts_of_the_loss() -> None:
    head, truths = build(), make_truths(0)
    raw = make_raw(0, truths, new_coords=False)
    found = head.assess(raw, truths, SIZE, 0)
    split = found.delta.double().view(3, len(MASK), ENTRIES, -1)
    # Without truth_thresh, boxes move where a truth was put, and only there.
    positive = (split[:, :, :4] != 0).any(2)
    objectness = split[:, :, 4].square()
    assert found.parts.tolist() == pytest.approx(
        [
            float(split[:, :, :4].square().sum()),
            float(objectness[positive].sum()),
            float(objectness[~positive].sum()),
            float(split[:, :, 5:].square().sum()),
        ],
        rel=1e-5,
    )


def test_a_centre_on_the_border_falls_into_the_last_cell() -> None:
    truths = torch.tensor([[[1.0, 1.0, 0.3, 0.45, 2]]])
    raw = torch.zeros(1, len(MASK) * ENTRIES, HEIGHT, WIDTH)
    delta = build().assess(raw, truths, SIZE, 0).delta.view(len(MASK), ENTRIES, HEIGHT, WIDTH)
    moved = delta[:, :4].abs().sum((0, 1)) != 0
    assert moved.nonzero().tolist() == [[HEIGHT - 1, WIDTH - 1]]


def test_truths_of_other_heads_and_none_at_all() -> None:
    raw = make_raw(5, make_truths(5), new_coords=False)[:1]
    nothing = build().assess(raw, torch.zeros(1, 0, 5), SIZE, 0)
    padded = build().assess(raw, torch.zeros(1, 3, 5), SIZE, 0)
    # 6 x 8 pixels belong to anchor 0, which this head does not have.
    small = torch.tensor([[[0.5, 0.5, 6 / 96, 8 / 64, 1]]])
    elsewhere = build({"ignore_thresh": 1}).assess(raw, small, SIZE, 0)
    for found in (padded, elsewhere):
        assert torch.equal(found.delta, nothing.delta)
        assert found.stats.tolist() == nothing.stats.tolist()
    objectness = raw.view(len(MASK), ENTRIES, -1)[:, 4].sigmoid()
    delta = nothing.delta.view(len(MASK), ENTRIES, -1)
    assert torch.allclose(delta[:, 4], -objectness)
    assert delta.abs().sum().item() == pytest.approx(objectness.sum().item(), rel=1e-5)
    assert nothing.stats[1].item() == 0


@pytest.mark.parametrize("keys", [{}, {"truth_thresh": 0.4}])
def test_chunks_padding_and_memory_format_change_nothing(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, truths = build(keys), make_truths(2)
    raw = make_raw(2, truths, new_coords=False)
    expected = head.assess(raw, truths, SIZE, 0)
    channels_last = raw.to(memory_format=torch.channels_last)
    rolled = head.assess(channels_last, truths, SIZE, 0).delta
    assert rolled.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(rolled, expected.delta, atol=1e-6)
    monkeypatch.setattr(positives, "_PAIRS", {"cpu": 1})
    longer = torch.cat((truths, torch.zeros(3, 9, 5)), 1)
    found = head.assess(raw, longer, SIZE, 0).delta
    assert torch.allclose(found, expected.delta, rtol=1e-6, atol=0)  # vector units round elsewhere


def test_nothing_waits_for_the_device() -> None:
    """Tensors on the meta device hold no values: whatever asked for one would fail here."""
    truths = make_truths(0).to("meta")
    for keys in (KEYS["ciou as in yolov4"], KEYS["truth_thresh, all"], KEYS["cross entropy"]):
        head = build(keys).to("meta")
        raw = torch.empty(3, len(MASK) * ENTRIES, HEIGHT, WIDTH, device="meta")
        found = head.assess(raw, truths, SIZE, 0)
        assert found.delta.shape == raw.shape
        assert head.decode(raw, SIZE).scores.shape == (3, len(MASK) * HEIGHT * WIDTH, CLASSES)


def test_a_broken_prediction_harms_only_itself() -> None:
    head, truths = build({"iou_loss": "ciou"}), make_truths(0)
    raw = make_raw(0, truths, new_coords=False)
    expected = head.assess(raw, truths, SIZE, 0).delta
    broken = raw.clone()
    broken[2, 2, 1, 1], broken[2, 3, 0, 0] = math.nan, 200.0
    found = head.assess(broken, truths, SIZE, 0).delta
    assert torch.isfinite(found).all()
    assert torch.equal(found[:2], expected[:2])


def test_delta_normalizer_scales_what_goes_back_but_not_the_loss() -> None:
    truths = make_truths(0)
    raw = make_raw(0, truths, new_coords=False)
    plain = build().assess(raw, truths, SIZE, 0)
    half = build({"delta_normalizer": 0.5}).assess(raw, truths, SIZE, 0)
    assert torch.equal(half.delta, plain.delta * 0.5)
    assert torch.equal(half.cost, plain.cost)
    assert torch.equal(half.stats, plain.stats)


def test_class_weights_may_be_set_later() -> None:
    truths = make_truths(0)
    raw = make_raw(0, truths, new_coords=False)
    written, set_later = build(COUNTERS), build()
    set_later.class_weights = torch.tensor([20.0, 1, 200 / 30, 200 / 77, 40])
    expected = written.assess(raw, truths, SIZE, 0)
    assert torch.allclose(set_later.assess(raw, truths, SIZE, 0).delta, expected.delta, rtol=1e-5)


def test_cross_entropy_is_autograds() -> None:
    head = build({"dkit_class_loss": "ce", "truth_thresh": 1})
    weights = torch.tensor([1.0, 3.0, 0.5, 2.0, 1.0])
    head.class_weights = weights
    truths = torch.tensor([[[0.4, 0.6, 0.3, 0.45, 3]]])
    raw = torch.randn(1, len(MASK) * ENTRIES, HEIGHT, WIDTH, generator=torch.manual_seed(1))
    delta = head.assess(raw, truths, SIZE, 0).delta.view(len(MASK), ENTRIES, HEIGHT, WIDTH)
    # 0.3 x 0.45 of 96 x 64 is nearest to anchor 3, this head's second; cell (2, 2).
    scores = raw.view(len(MASK), ENTRIES, HEIGHT, WIDTH)[1, 5:, 2, 2].clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(
        scores[None], torch.tensor([3]), weights, reduction="sum"
    )
    (slope,) = torch.autograd.grad(loss, scores)
    assert torch.allclose(delta[1, 5:, 2, 2], -slope, atol=1e-6)


def test_squared_objectness_is_autograds() -> None:
    head = build({"dkit_obj_loss": "mse"})
    raw = torch.randn(1, len(MASK) * ENTRIES, HEIGHT, WIDTH, generator=torch.manual_seed(2))
    delta = head.assess(raw, torch.zeros(1, 1, 5), SIZE, 0).delta.view(len(MASK), ENTRIES, -1)
    scores = raw.view(len(MASK), ENTRIES, -1)[:, 4].clone().requires_grad_()
    (slope,) = torch.autograd.grad(scores.sigmoid().square().sum() / 2, scores)
    assert torch.allclose(delta[:, 4], -slope, atol=1e-6)


@pytest.mark.parametrize("keys", [{}, {"scale_x_y": 1.2}, {"new_coords": 1}, KEYS["cross entropy"]])
def test_boxes_and_scores_in_darknets_order(keys: Keys) -> None:
    raw = make_raw(4, make_truths(4), new_coords=bool(keys.get("new_coords")))
    found = build(keys).decode(raw, SIZE)
    reference = Reference(dict(keys), CLASSES, ANCHORS, MASK, SIZE)
    out = reference.activated(raw.numpy())
    number = 0
    for j in range(HEIGHT):
        for i in range(WIDTH):
            for a in range(len(MASK)):
                box = reference.box(out[1], a, i, j)
                assert found.boxes[1, number].tolist() == pytest.approx(box, rel=1e-5)
                objectness = out[1, a, 4, j, i]
                assert found.objectness[1, number].item() == pytest.approx(objectness, rel=1e-5)
                scores = objectness * out[1, a, 5:, j, i]
                assert found.scores[1, number].tolist() == pytest.approx(scores, rel=1e-5)
                number += 1
    assert found.boxes.shape[1] == number


def test_count_line_of_a_real_training() -> None:
    """The line is from the log in AlexeyAB/darknet#8308; 64 images make the sums whole."""
    head = build({"iou_loss": "ciou", "iou_normalizer": 0.07})
    others, total = 1.757932 * 64, 56.013493 * 64
    line = head.format_line([64, 177, 0.894058 * 177, total - others, others, 0, 0])
    assert line == (
        "v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region 1 Avg (IOU: 0.894058), "
        "count: 177, class_loss = 1.757932, iou_loss = 54.255561, total_loss = 56.013493 \n"
    )


def test_count_line_without_details_and_without_truths() -> None:
    line = build({"show_details": 0}).format_line([2, 0, 0.0, 0.0, 3.0, 0, 0])
    assert line == (
        "v3 (mse loss, Normalizer: (iou: 0.75, obj: 1.00, cls: 1.00) Region 1 Avg (IOU: 0.000000), "
        "count: 1, total_loss = 1.500000 \n"
    )


@pytest.mark.parametrize(
    ("keys", "filters", "code", "words"),
    [
        ({}, 29, "wrong-filters", "gets 29 channels, not 30"),
        ({"classes": 6}, 30, "wrong-filters", "not 33"),
        ({"mask": "1,3,6"}, 30, "bad-mask", "6 anchors"),
        ({"mask": "1,3,3"}, 30, "bad-mask", "mask=1,3,3"),
        ({"anchors": "1,2, 0,3"}, 30, "bad-anchors", "above 0"),
        ({"iou_loss": "siou"}, 30, "bad-value", "iou_loss=siou"),
        ({"iou_thresh_kind": "mse"}, 30, "bad-value", "iou_thresh_kind=mse"),
        ({"counters_per_class": "1,2,3"}, 30, "bad-value", "3 counters_per_class and 5 classes"),
        ({"dkit_class_loss": "ce", "focal_loss": 1}, 30, "bad-value", "exclude each other"),
        ({"dkit_obj_loss": "huber"}, 30, "bad-value", "none of bce, mse"),
    ],
)
def test_sections_that_cannot_be_meant(keys: Keys, filters: int, code: str, words: str) -> None:
    with pytest.raises(CfgError, match=words) as caught:
        build(keys, filters)
    assert caught.value.code == code
    assert caught.value.line


def test_missing_anchors_are_half_a_pixel() -> None:
    head = build({"anchors": "10,14", "num": 5, "mask": "0,1,4"})
    assert head.anchors.tolist() == [[10, 14], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
