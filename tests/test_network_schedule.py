"""The schedule, the sizes and the filters of heads, each against arithmetic by hand."""

import pytest

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import parse_cfg
from darknet_kit.network.heads import find_heads, head_filters
from darknet_kit.network.schedule import format_number, plan_schedule
from darknet_kit.network.size import describe_misfit, parse_size, require_size


@pytest.mark.parametrize(
    ("classes", "images", "max_batches", "steps", "burn_in", "why"),
    [
        (10, None, 20000, (16000, 18000), 1000, "2000 for each of 10 classes"),
        (1000, 544546, 2000000, (1600000, 1800000), 1000, "2000 for each of 1000 classes"),
        (1, None, 6000, (4800, 5400), 600, "the least: 2000 x 1 classes would be too few"),
        (3, None, 6000, (4800, 5400), 600, "2000 for each of 3 classes"),
        (3, 300, 6000, (4800, 5400), 600, "2000 for each of 3 classes"),
        (2, 12345, 12345, (9876, 11110), 1000, "one iteration for each of the 12,345 training"),
    ],
)
def test_the_rule_for_the_length(
    classes: int,
    images: int | None,
    max_batches: int,
    steps: tuple[int, int],
    burn_in: int,
    why: str,
) -> None:
    schedule = plan_schedule(classes, 0.001, train_images=images)
    assert schedule.max_batches == max_batches
    assert schedule.steps == steps
    assert schedule.scales == (0.1, 0.1)
    assert schedule.burn_in == burn_in
    assert schedule.settings[0].reason.startswith(why)


@pytest.mark.parametrize(
    ("max_batches", "gpus", "burn_in", "rate"),
    [
        (20000, 1, 1000, 0.002),
        (20000, 2, 2000, 0.001),
        (20000, 4, 4000, 0.0005),
        (800, 1, 80, 0.002),
        (800, 2, 160, 0.001),
        (10, 1, 1, 0.002),
        # Eight times a tenth would end at the first step: half of the way to it instead.
        (800, 8, 320, 0.00025),
    ],
)
def test_warm_up_and_rate_follow_length_and_gpus(
    max_batches: int, gpus: int, burn_in: int, rate: float
) -> None:
    schedule = plan_schedule(10, 0.002, max_batches=max_batches, gpus=gpus)
    assert schedule.max_batches == max_batches
    assert schedule.burn_in == burn_in < schedule.steps[0] < schedule.steps[1] < max_batches
    assert schedule.learning_rate == pytest.approx(rate)


def test_every_value_has_a_reason() -> None:
    schedule = plan_schedule(10, 0.00261, gpus=2)
    assert [(setting.key, setting.value) for setting in schedule.settings] == [
        ("max_batches", "20000"),
        ("steps", "16000,18000"),
        ("scales", ".1,.1"),
        ("burn_in", "2000"),
        ("learning_rate", "0.001305"),
    ]
    assert all(setting.reason for setting in schedule.settings)
    asked = plan_schedule(10, 0.001, max_batches=500, learning_rate=0.002)
    reasons = {setting.key: setting.reason for setting in asked.settings}
    assert reasons["max_batches"] == reasons["learning_rate"] == "as asked for"


@pytest.mark.parametrize("max_batches", [9, 0, -1])
def test_a_length_that_has_no_room_for_steps_is_refused(max_batches: int) -> None:
    with pytest.raises(UsageError) as caught:
        plan_schedule(1, 0.001, max_batches=max_batches)
    assert caught.value.code == "bad-max-batches"


@pytest.mark.parametrize("rate", [0, -0.001, 10, float("nan"), float("inf")])
def test_a_rate_that_teaches_nothing_is_refused(rate: float) -> None:
    with pytest.raises(UsageError) as caught:
        plan_schedule(1, 0.001, learning_rate=rate)
    assert caught.value.code == "bad-learning-rate"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00261, "0.00261"), (0.0005, "0.0005"), (1, "1"), (10, "10"), (1e-7, "0.0000001")],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("text", "size"), [("416", (416, 416)), ("608x416", (608, 416)), (" 96X64 ", (96, 64))]
)
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "416x", "4.16", "-416", "416x416x3", "9999999"])
def test_other_words_are_no_sizes(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert caught.value.code == "bad-size"


@pytest.mark.parametrize(
    ("width", "height", "stride", "message"),
    [
        (416, 416, (32, 32), ""),
        (608, 416, (32, 32), ""),
        (418, 418, (32, 32), "418 is not a multiple of 32; nearest are 416 and 448"),
        (608, 418, (32, 32), "height 418 is not a multiple of 32; nearest are 416 and 448"),
        (31, 31, (32, 32), "31 is not a multiple of 32; the least is 32"),
        (100, 100, (16, 16), "100 is not a multiple of 16; nearest are 96 and 112"),
    ],
)
def test_a_misfit_names_the_nearest_sizes(
    width: int, height: int, stride: tuple[int, int], message: str
) -> None:
    assert describe_misfit(width, height, stride) == message


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="larger than any GPU"):
        require_size(32000, 32, (32, 32))


@pytest.mark.parametrize(
    ("kind", "classes", "anchors", "filters"),
    [
        ("yolo", 80, 3, 255),
        ("yolo", 10, 3, 45),
        ("yolo", 1, 3, 18),
        ("yolo", 3, 2, 16),
        ("Gaussian_yolo", 10, 3, 57),
        ("region", 20, 5, 125),
        ("region", 80, 5, 425),
    ],
)
def test_filters_before_a_head(kind: str, classes: int, anchors: int, filters: int) -> None:
    assert head_filters(kind, classes, anchors) == filters


@pytest.mark.parametrize(
    ("section", "classes", "mask", "filters"),
    [
        ("[yolo]\nmask=3,4,5\nnum=9\nclasses=10", 10, (3, 4, 5), 45),
        ("[yolo]\nnum=2\nclasses=1", 1, (0, 1), 12),
        ("[yolo]\nmask=0,1,2\nnum=9", 20, (0, 1, 2), 75),
        ("[Gaussian_yolo]\nmask=0,1,2\nnum=9\nclasses=10", 10, (0, 1, 2), 57),
        ("[region]\nclasses=20\ncoords=4\nnum=5", 20, (0, 1, 2, 3, 4), 125),
        # YOLOv1 on Pascal VOC: 7 x 7 cells of 20 classes and 2 boxes.
        ("[detection]\nclasses=20\ncoords=4\nside=7\nnum=2", 20, (0, 1), 1470),
        # YOLOv1 small on COCO has 3 boxes.
        ("[detection]\nclasses=80\ncoords=4\nside=7\nnum=3", 80, (0, 1, 2), 4655),
    ],
)
def test_heads_as_the_engine_reads_them(
    section: str, classes: int, mask: tuple[int, ...], filters: int
) -> None:
    (head,) = find_heads(parse_cfg(f"[net]\n{section}\n"))
    assert (head.classes, head.mask, head.filters) == (classes, mask, filters)
