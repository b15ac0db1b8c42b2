"""The sizes of random=1, held against upstream's arithmetic done by hand."""

import random

import pytest

from darknet_kit.engine.torch.multiscale import InputSize, MultiScale
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
    assert scale.choose(0, random.Random(0), first=True) == largest
    assert scale.choose(901, random.Random(0), first=False) == largest


def test_sizes_lie_between_the_bounds_and_both_are_reached() -> None:
    scale, rng = _scale(_cfg()), random.Random(1)
    sizes = {scale.choose(10, rng, first=False) for _ in range(3000)}
    widths, heights = {size.width for size in sizes}, {size.height for size in sizes}
    # 416 / 1.4 / 32 + 1 = 10.29 -> 10 * 32; above 1 the range is 448 (1.0) to 608 (1.4).
    assert (min(widths), max(widths)) == (320, 608)
    assert (min(heights), max(heights)) == (256, 480)
    assert all(size.width % 32 == 0 and size.height % 32 == 0 for size in sizes)


def test_a_shrunk_size_is_never_larger_than_the_initial_one() -> None:
    scale = _scale(_cfg())

    class Shrinking(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 1.01

        def random(self) -> float:
            return 0.0

    # 416 / 1.01 / 32 + 1 = 13.87 -> 14 * 32 = 448, above 416: upstream then takes the initial size.
    assert scale.choose(10, Shrinking(), first=False) == InputSize(416, 320, 8)


@pytest.mark.parametrize(
    ("value", "coefficient"), [("1", 1.4), ("1.2", 1.2), ("0", 0.0)], ids=["usual", "own", "off"]
)
def test_random_names_the_coefficient(value: str, coefficient: float) -> None:
    assert _scale(_cfg(random_value=value)).coefficient == coefficient


def test_a_size_is_due_every_tenth_time() -> None:
    scale = _scale(_cfg())
    assert [scale.is_due() for _ in range(21)] == [n % 10 == 0 for n in range(21)]
    still = _scale(_cfg(random_value="0"))
    assert not any(still.is_due() for _ in range(21))


def test_small_sizes_take_more_images_on_request() -> None:
    scale = _scale(_cfg(net="dynamic_minibatch=1"))

    class Smallest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

        def random(self) -> float:
            return 0.0

    # 8 * 608 * 480 / (320 * 256) = 28 in whole images, four fifths of which are 22.
    assert scale.choose(10, Smallest(), first=False) == InputSize(320, 256, 22)
    # At the largest size all 8 fit: four fifths would be fewer, so it stays.
    assert scale.choose(0, Smallest(), first=True) == InputSize(608, 480, 8)
