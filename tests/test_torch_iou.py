"""Overlaps and steps of boxes: by hand, as Darknet computed them, and against a slow reading."""

import pytest

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.heads.boxes import IouKind, iou_gradient, measure  # noqa: E402
from tests.reference_iou import gradient, overlap  # noqa: E402
from tests.torch_heads import distance  # noqa: E402

# Rows of cx, cy, w, h of the prediction and the truth, and what AlexeyAB's dx_box_iou, compiled
# from its src/box.c, gave for x, y, w, h. A width of 0 went in as 1, as its caller has it.
RECORDED = [
    (
        "iou",
        [0.5, 0.5, 0.3, 0.2],
        [0.55, 0.45, 0.25, 0.3],
        [3.333333, -3.749998, 1.111111, 0.4166664],
    ),
    ("iou", [0.5, 0.5, 1e-09, 0.2], [0.55, 0.45, 0.25, 0.3], [5.333333, 0.0, 0.0, 0.0]),
    (
        "ciou",
        [0.5, 0.5, 1e-09, 0.2],
        [0.55, 0.45, 0.25, 0.3],
        [0.6557377, -0.6557377, 0.0184269, -9.21345e-11],
    ),
    ("iou", [0.5, 0.5, 0.2, 0.2], [0.52, 0.48, 0.5, 0.4], [0.0, 0.0, 2.0, 2.0]),
    ("iou", [0.2, 0.3, 0.1, 0.2], [0.7, 0.6, 0.2, 0.1], [0.0, 0.0, 0.0, 0.0]),
    ("iou", [0.4, 0.4, 0, 0.2], [0.45, 0.5, 0.2, 0.3], [0.0, 0.982987, -0.2268431, -0.1512287]),
    (
        "giou",
        [0.5, 0.5, 0.3, 0.2],
        [0.55, 0.45, 0.25, 0.3],
        [4.122288, -1.442307, 0.3221564, 4.262819],
    ),
    ("giou", [0.5, 0.5, 0.2, 0.2], [0.52, 0.48, 0.5, 0.4], [0.0, 0.0, 2.0, 2.0]),
    ("giou", [0.2, 0.3, 0.1, 0.2], [0.7, 0.6, 0.2, 0.1], [0.4470742, 1.101614, 1.946088, 1.975308]),
    ("giou", [0.4, 0.4, 0, 0.2], [0.45, 0.5, 0.2, 0.3], [0.0, 2.289109, -0.3982717, 3.114077]),
    (
        "diou",
        [0.5, 0.5, 0.3, 0.2],
        [0.55, 0.45, 0.25, 0.3],
        [3.92944, -4.26118, 1.153574, 0.4166664],
    ),
    ("diou", [0.5, 0.5, 0.2, 0.2], [0.52, 0.48, 0.5, 0.4], [0.09756088, -0.09756102, 2.0, 2.0]),
    ("diou", [0.2, 0.3, 0.1, 0.2], [0.7, 0.6, 0.2, 0.1], [2.73152, 1.74336, 0.56576, 0.39168]),
    (
        "diou",
        [0.4, 0.4, 0, 0.2],
        [0.45, 0.5, 0.2, 0.3],
        [0.08908684, 1.168105, -0.207002, -0.1477565],
    ),
    (
        "ciou",
        [0.5, 0.5, 0.3, 0.2],
        [0.55, 0.45, 0.25, 0.3],
        [3.92944, -4.26118, 1.150631, 0.4210807],
    ),
    (
        "ciou",
        [0.5, 0.5, 0.2, 0.2],
        [0.52, 0.48, 0.5, 0.4],
        [0.09756088, -0.09756102, 2.000111, 1.999889],
    ),
    ("ciou", [0.2, 0.3, 0.1, 0.2], [0.7, 0.6, 0.2, 0.1], [2.73152, 1.74336, 0.5690216, 0.3900492]),
    (
        "ciou",
        [0.4, 0.4, 0, 0.2],
        [0.45, 0.5, 0.2, 0.3],
        [0.08908684, 1.168105, -0.2354335, -0.005598813],
    ),
]


@pytest.mark.parametrize(("kind", "box", "truth", "expected"), RECORDED)
def test_steps_of_boxes_as_darknet_computed_them(
    kind: str, box: list[float], truth: list[float], expected: list[float]
) -> None:
    _, _, step = iou_gradient(IouKind(kind), torch.tensor(box), torch.tensor(truth))
    assert step.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("kind", list(IouKind))
def test_steps_and_overlaps_of_random_boxes(kind: IouKind) -> None:
    generator = torch.Generator().manual_seed(3)
    boxes, truths = torch.rand(2, 400, 4, generator=generator) * torch.tensor([1, 1, 0.6, 0.6])
    boxes[:20, 2] = 0
    boxes[20:40, 3] = 0
    boxes[40:60] = truths[40:60]
    found = iou_gradient(kind, boxes, truths)
    pairs = [
        (tuple(box), tuple(truth))
        for box, truth in zip(boxes.double().tolist(), truths.double().tolist(), strict=True)
    ]
    ious = torch.tensor([overlap("iou", *pair) for pair in pairs])
    steps = torch.tensor([gradient(kind.value, *pair) for pair in pairs])
    assert torch.allclose(found[0], ious, atol=1e-5)
    assert distance(found[2], steps) < 1e-5
    # The ratio of the sides is none where a side is 0.
    values = torch.tensor([overlap(kind.value, *pair) for pair in pairs[40:]])
    assert torch.allclose(found[1][40:], values, atol=1e-5)


def test_overlap_of_two_squares_by_hand() -> None:
    """Squares of side 2 that share a quarter: 1 / 7; the hull is 3 x 3, the centres 1, 1 apart."""
    one, other = torch.tensor([1.0, 1, 2, 2]), torch.tensor([2.0, 2, 2, 2])
    assert measure(IouKind.IOU, one, other).item() == pytest.approx(1 / 7)
    assert measure(IouKind.GIOU, one, other).item() == pytest.approx(1 / 7 - 2 / 9)
    assert measure(IouKind.DIOU, one, other).item() == pytest.approx(1 / 7 - (2 / 18) ** 0.6)
    assert measure(IouKind.CIOU, one, other).item() == pytest.approx(1 / 7 - 2 / 18)
