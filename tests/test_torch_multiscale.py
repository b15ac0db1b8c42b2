"""The sizes of random=1, held against upstream's arithmetic done by hand."""

import random

import pytest

from darknet_kit.engine.torch.training.multiscale import InputSize, MultiScale
from darknet_kit.formats.cfg import Cfg, parse_cfg


def _cfg(*, random_value: str = "1", net: str = "") -> Cfg:
    return parse_cfg(
        f"[net]\nwidth=416\nheight=320\nbatch=8\nmax_batches=1000\n{net}\n"
        f"[yolo]\nrandom={random_value}\n"
    )


def _scale(cfg: Cfg, batch: int = 8) -> MultiScale:
    return MultiScale(cfg, cfg.layers[0], batch)


def test_the_first_and_the_last_size_is_the_largest() -> None:
    # 1.4 * 416 / 32 + 1 = 19.2 -> 19 * 32; 1.4 * 320 / 32 + 1 = 15 -> 15 * 32
    largest = InputSize(608, 480, 8)
    scale = _scale(_cfg())
    assert scale.choose(0, 0, iteration=0, largest=True) == largest
    assert {scale.choose(update, 0, iteration=901) for update in range(100)} == {largest}


def test_sizes_lie_between_the_bounds_and_both_are_reached() -> None:
    scale = _scale(_cfg())
    sizes = {scale.choose(update, 1, iteration=10) for update in range(0, 30_000, 10)}
    widths, heights = {size.width for size in sizes}, {size.height for size in sizes}
    # 416 / 1.4 / 32 + 1 = 10.29 -> 10 * 32; above 1 the range is 448 (1.0) to 608 (1.4).
    assert (min(widths), max(widths)) == (320, 608)
    assert (min(heights), max(heights)) == (256, 480)
    assert all(size.width % 32 == 0 and size.height % 32 == 0 for size in sizes)


def test_a_size_holds_for_ten_updates_and_depends_on_the_seed() -> None:
    scale = _scale(_cfg())
    for block in range(20):
        assert len({scale.choose(block * 10 + n, 5, iteration=10) for n in range(10)}) == 1
    one = [scale.choose(update, 5, iteration=10) for update in range(0, 200, 10)]
    other = [scale.choose(update, 6, iteration=10) for update in range(0, 200, 10)]
    assert one == [scale.choose(update, 5, iteration=10) for update in range(0, 200, 10)]
    assert one != other


def test_a_shrunk_size_is_never_larger_than_the_initial_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random.Random, "uniform", lambda self, a, b: 1.01)
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0)
    # 416 / 1.01 / 32 + 1 = 13.87 -> 14 * 32 = 448, above 416: upstream then takes the initial size.
    assert _scale(_cfg()).choose(10, 0, iteration=10) == InputSize(416, 320, 8)


@pytest.mark.parametrize(
    ("value", "coefficient"), [("1", 1.4), ("1.2", 1.2), ("0", 0.0)], ids=["usual", "own", "off"]
)
def test_random_names_the_coefficient(value: str, coefficient: float) -> None:
    assert _scale(_cfg(random_value=value)).coefficient == coefficient


def test_a_size_is_due_every_tenth_time() -> None:
    scale = _scale(_cfg())
    assert [n for n in range(31) if scale.is_due(n)] == [0, 10, 20, 30]
    assert not any(_scale(_cfg(random_value="0")).is_due(n) for n in range(31))


def test_small_sizes_take_more_images_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = _scale(_cfg(net="dynamic_minibatch=1"))
    monkeypatch.setattr(random.Random, "uniform", lambda self, a, b: b)
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0)
    # 8 * 608 * 480 / (320 * 256) = 28 in whole images, four fifths of which are 22.
    assert scale.choose(10, 0, iteration=10) == InputSize(320, 256, 22)
    # At the largest size all 8 fit: four fifths would be fewer, so it stays.
    assert scale.choose(0, 0, iteration=0, largest=True) == InputSize(608, 480, 8)
