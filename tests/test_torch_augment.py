"""Boxes follow what is done to the image: colours are drawn, changed and found again."""

# ruff: noqa: E402 - these imports need the extra `torch`

import colorsys
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from darknet_kit.engine.torch.data.colour import (
    Tint,
    add_noise,
    blur,
    draw_tint,
    paint,
    shift_colour,
)
from darknet_kit.engine.torch.data.geometry import (
    Crop,
    cut,
    draw_crop,
    mirror,
    settle_crop,
    turn,
)
from darknet_kit.engine.torch.data.mosaic import (
    draw_cut,
    mix,
    move_to_tile,
    place_tile,
    push_to_corner,
)
from darknet_kit.engine.torch.data.options import LoaderOptions
from darknet_kit.engine.torch.data.truth import drop_tiny, to_truths

SIZE = (160, 128)
BASE = LoaderOptions(*SIZE, jitter=0.0, flip=False)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


def scene(rng: np.random.Generator, colours: Any = COLOURS[:1], fill: int = 0) -> tuple[Any, Any]:
    """Draw one filled rectangle of each colour; return the image and its edges."""
    height, width = int(rng.integers(120, 300)), int(rng.integers(120, 300))
    image = np.full((height, width, 3), fill, np.uint8)
    edges = []
    for class_id, colour in enumerate(colours):
        left, top = int(rng.integers(0, width - 60)), int(rng.integers(0, height - 60))
        right, bottom = left + int(rng.integers(30, 60)), top + int(rng.integers(30, 60))
        image[top:bottom, left:right] = colour
        edges.append((left / width, top / height, right / width, bottom / height, class_id))
    return image, np.array(edges, np.float32)


def extent(image: Any, colour: Any) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom in pixels of what has nearly this colour."""
    distance = np.abs(image.astype(int) - colour).max(axis=2)
    rows, columns = np.nonzero(distance < 128)
    if not len(rows):
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def assert_same_place(image: Any, edges: Any, colour: Any, tolerance: float = 1.5) -> bool:
    """Compare the box with what is seen; tell whether there was anything to compare."""
    height, width = image.shape[:2]
    box = edges[:4] * (width, height, width, height)
    seen = extent(image, colour)
    if seen is None:  # outside, or too thin to keep its colour
        assert min(box[2] - box[0], box[3] - box[1]) <= tolerance
        return False
    np.testing.assert_allclose(box, seen, atol=tolerance)
    return True


@pytest.mark.parametrize(
    "options",
    [
        BASE,
        replace(BASE, flip=True),
        replace(BASE, vertical_flip=True, flip=True),
        replace(BASE, jitter=0.3),
        replace(BASE, jitter=0.3, flip=True, resize=1.5),
        replace(BASE, resize=0.5),
        replace(BASE, letter_box=True),
        replace(BASE, letter_box=True, jitter=0.2, resize=1.3, flip=True),
    ],
)
def test_boxes_follow_crops_and_flips(options: LoaderOptions) -> None:
    compared = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        image, edges = scene(rng)
        crop = draw_crop(image.shape, SIZE, options, rng)
        sized, moved = cut(image, edges, crop, SIZE)
        assert sized.shape == (SIZE[1], SIZE[0], 3)
        assert moved.min() >= 0
        compared += assert_same_place(sized, moved[0], COLOURS[0])
    assert compared >= 18


def test_boxes_follow_rotation_and_shear() -> None:
    options = replace(BASE, rotate=40, shear=20)
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        image, edges = scene(rng)
        crop = draw_crop(image.shape, SIZE, options, rng)
        sized, moved = cut(image, edges, crop, SIZE)
        # A corner of a turned box is a tip, of which the last pixels are too thin to be seen.
        inside = (moved[0, :4] > 0.02).all() and (moved[0, :4] < 0.98).all()
        compared += bool(inside) and assert_same_place(sized, moved[0], COLOURS[0], 2.5)
    assert compared >= 20


def test_a_quarter_turn_is_exact() -> None:
    image = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    edges = np.array([[0, 0, 0.4, 0.2, 3]], np.float32)
    turned, moved = turn(image, edges, 90, 0)
    np.testing.assert_array_equal(turned, np.rot90(image, -1))  # clockwise
    np.testing.assert_allclose(moved, [[0.8, 0, 1, 0.4, 3]], atol=1e-6)


def test_shear_moves_the_top_against_the_bottom() -> None:
    edges = np.array([[0.4, 0.4, 0.6, 0.6, 0]], np.float32)
    _, moved = turn(np.zeros((100, 100, 3), np.uint8), edges, 0, 45)
    # x + (y - 50) at y = 40 and 60
    np.testing.assert_allclose(moved, [[0.3, 0.4, 0.7, 0.6, 0]], atol=1e-6)


def test_mirroring_twice_changes_nothing() -> None:
    image, edges = scene(np.random.default_rng(5), COLOURS)
    for across, down in ((True, False), (False, True), (True, True)):
        once = mirror(image, edges, across=across, down=down)
        twice = mirror(*once, across=across, down=down)
        np.testing.assert_array_equal(twice[0], image)
        np.testing.assert_allclose(twice[1], edges, atol=1e-6)


def test_what_lies_outside_has_the_mean_colour() -> None:
    image, edges = scene(np.random.default_rng(1), COLOURS, fill=40)
    sized, _ = cut(image, edges, Crop(left=-100, top=-80), SIZE)
    mean = image.reshape(-1, 3).mean(axis=0)
    assert np.abs(sized[0, 0] - mean).max() <= 0.5 + 1e-9
    assert (sized[:20, :20] == sized[0, 0]).all()


def test_a_crop_outside_the_image_is_taken_back() -> None:
    for crop in (Crop(left=50), Crop(left=30, right=20), Crop(top=70), Crop(right=60, left=-40)):
        assert settle_crop(crop, 50, 70) == Crop()
    assert settle_crop(Crop(left=30, right=19), 50, 70) == Crop(left=30, right=19)


def scalar_bounds(length: int, jitter: float, resize: float) -> tuple[float, float]:
    """Return the least and the most that a side may be cut, from the formulas."""
    moved = int(length * jitter)
    down, up = min(resize, 1 / resize), max(resize, 1 / resize)
    least = int(length * (1 - 1 / down) / 2)
    most = int(length * (1 - 1 / up) / 2) if resize >= 1 else 0
    return -moved + least, moved + most


@pytest.mark.parametrize(
    ("jitter", "resize"), [(0.0, 1.0), (0.2, 1.0), (0.3, 1.5), (0.1, 0.5), (0.0, 2.0)]
)
def test_crops_stay_within_the_formulas_and_reach_their_bounds(
    jitter: float, resize: float
) -> None:
    rng = np.random.default_rng(3)
    options = replace(BASE, jitter=jitter, resize=resize, flip=True)
    crops = [draw_crop((100, 200), SIZE, options, rng) for _ in range(3000)]
    for length, sides in ((200, ("left", "right")), (100, ("top", "bottom"))):
        least, most = scalar_bounds(length, jitter, resize)
        for side in sides:
            drawn = np.array([getattr(crop, side) for crop in crops])
            assert drawn.min() >= least
            assert drawn.max() <= most
            if most > least:
                assert drawn.min() < least + 0.2 * (most - least)
                assert drawn.max() > most - 0.2 * (most - least)
                assert abs(drawn.mean() - (least + most) / 2) < 0.03 * (most - least) + 1
    assert abs(np.mean([crop.flip for crop in crops]) - 0.5) < 0.05


def test_left_and_top_share_one_resize() -> None:
    rng = np.random.default_rng(4)
    options = replace(BASE, resize=1.5)
    for _ in range(50):
        crop = draw_crop((300, 300), SIZE, options, rng)
        assert crop.left == crop.top
        assert crop.right == crop.bottom


def test_tints_stay_within_the_formulas_and_reach_their_bounds() -> None:
    rng = np.random.default_rng(5)
    options = replace(BASE, hue=0.1, saturation=1.5, exposure=2.0, blur=9, gaussian_noise=20)
    tints = [draw_tint(options, rng) for _ in range(3000)]
    hues = np.array([tint.hue for tint in tints])
    assert -0.1 <= hues.min() < -0.09
    assert 0.09 < hues.max() <= 0.1
    for values, most in (
        (np.array([tint.saturation for tint in tints]), 1.5),
        (np.array([tint.exposure for tint in tints]), 2.0),
    ):
        assert 1 / most <= values.min() < 1 / most + 0.02
        assert most - 0.02 < values.max() <= most
        # A factor or its inverse, even odds; the factor is uniform.
        assert abs((values > 1).mean() - 0.5) < 0.04
        assert abs(values[values > 1].mean() - (1 + most) / 2) < 0.03
    blurs = [tint.blur for tint in tints]
    assert all(abs(blurs.count(kind) / 3000 - 1 / 3) < 0.04 for kind in (0, 1, 9))
    assert abs(np.mean([tint.noise == 20 for tint in tints]) - 0.5) < 0.05


def scalar_shift(pixel: Any, tint: Tint) -> tuple[float, ...]:
    """Shift one pixel in floating point; hues below 0 stay at 0."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in pixel))
    # 8 bits hold 180 steps of hue; what rounds up to the last one is red again.
    hue = max(0.0, round(hue * 180) % 180 / 180 + tint.hue * 179 / 180)
    shifted = colorsys.hsv_to_rgb(
        hue % 1.0, min(1.0, saturation * tint.saturation), min(1.0, value * tint.exposure)
    )
    return tuple(level * 255 for level in shifted)


@pytest.mark.parametrize(
    "tint",
    [
        Tint(),
        Tint(hue=0.1),
        Tint(hue=-0.1),
        Tint(saturation=1.5),
        Tint(saturation=0.6),
        Tint(exposure=1.5),
        Tint(exposure=0.6),
        Tint(hue=0.05, saturation=1.3, exposure=0.8),
    ],
)
def test_colours_agree_with_colorsys(tint: Tint) -> None:
    image = np.random.default_rng(6).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    shifted = shift_colour(image, tint).astype(float)
    expected = np.array([[scalar_shift(pixel, tint) for pixel in row] for row in image])
    # Steps of hue and saturation, as 8 bits hold them.
    assert np.abs(shifted - expected).max() <= 10
    assert np.abs(shifted - expected).mean() <= 1.5
    assert (np.abs(shifted - image).mean() > 4) == (tint != Tint())


def test_a_gray_image_has_its_value_alone() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    shifted = shift_colour(image, Tint(hue=0.1, saturation=1.5, exposure=1.5))
    expected = np.minimum(255, np.arange(256) * 1.5).reshape(16, 16, 1)
    assert np.abs(shifted - expected).max() <= 0.5


def test_blur_leaves_the_objects_sharp() -> None:
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    edges = np.array([[0.25, 0.25, 0.75, 0.5, 0]], np.float32)
    blurred = blur(image, edges, 1)
    np.testing.assert_array_equal(blurred[16:32, 16:48], image[16:32, 16:48])
    assert blurred[40:].std() < 0.3 * image[40:].std()


@pytest.mark.parametrize(
    ("side", "kernel"),
    [(0.75, 6), (0.25, 2)],  # an eighth of 48 and of 16 pixels
)
def test_blur_is_limited_by_the_smallest_object(side: float, kernel: int) -> None:
    image = np.random.default_rng(8).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    edges = np.array([[0, 0, 1, 1, 0], [0, 0, side, 1, 0]], np.float32)
    size = kernel // 2 * 2 + 1
    expected = cv2.GaussianBlur(image, (size, size), 0)
    np.testing.assert_array_equal(blur(image, edges, 30), expected)


def test_an_image_that_shows_nothing_stays_sharp() -> None:
    image = np.random.default_rng(9).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(blur(image, np.zeros((0, 5), np.float32), 9), image)


def test_noise_only_brightens() -> None:
    image = np.full((100, 100, 3), 100, np.uint8)
    noisy = add_noise(image, 20, np.random.default_rng(10)).astype(float) - 100
    assert noisy.min() == 0
    assert abs((noisy == 0).mean() - 0.5) < 0.02
    # The mean of the brighter half of a normal distribution, the other half being zero.
    assert abs(noisy.mean() - 20 / math.sqrt(2 * math.pi)) < 0.3


def test_painting_keeps_gray_images_gray() -> None:
    image = np.full((32, 32, 1), 100, np.uint8)
    edges = np.array([[0, 0, 0.5, 0.5, 0]], np.float32)
    tint = Tint(exposure=1.2, blur=1, noise=5)
    assert paint(image, edges, tint, np.random.default_rng(0)).shape == (32, 32, 1)


def test_the_meeting_point_lies_between_20_and_80_percent() -> None:
    rng = np.random.default_rng(11)
    points = np.array([draw_cut((100, 200), rng) for _ in range(3000)])
    np.testing.assert_array_equal(points.min(axis=0), (20, 40))
    np.testing.assert_array_equal(points.max(axis=0), (80, 160))


@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("flips", [{}, {"flip": True}, {"flip": True, "vertical_flip": True}])
def test_boxes_follow_mosaics(flips: dict[str, bool], pushed: bool) -> None:
    options = replace(BASE, jitter=0.2, resize=1.3, **flips)
    compared = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        meeting = draw_cut(SIZE, rng)
        canvas = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        expected = []
        for number, colour in enumerate(COLOURS):
            image, edges = scene(rng, [colour])
            crop = draw_crop(image.shape, SIZE, options, rng)
            crop = push_to_corner(crop, number) if pushed else crop
            sized, moved = cut(image, edges, crop, SIZE)
            tile = place_tile(number, crop, image.shape, meeting, SIZE)
            canvas[tile.top : tile.bottom, tile.left : tile.right] = tile.window(sized)
            expected.append(move_to_tile(moved, tile, SIZE, bound=True)[0])
        for edges, colour in zip(expected, COLOURS, strict=True):
            compared += assert_same_place(canvas, edges, colour)
    assert compared >= 25


def test_tiles_cover_the_mosaic_once() -> None:
    rng = np.random.default_rng(12)
    for _ in range(50):
        meeting = draw_cut(SIZE, rng)
        covered = np.zeros((SIZE[1], SIZE[0]), int)
        for number in range(4):
            left, right, top, bottom = map(int, rng.integers(-90, 40, 4))
            crop = Crop(left, right, top, bottom, flip=bool(rng.integers(2)))
            tile = place_tile(number, crop, (200, 300), meeting, SIZE)
            window = tile.window(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
            place = covered[tile.top : tile.bottom, tile.left : tile.right]
            assert window.shape[:2] == place.shape
            place += 1
        assert (covered == 1).all()


def test_an_unbound_box_reaches_out_of_its_tile_but_not_of_the_image() -> None:
    tile = place_tile(0, Crop(), (100, 100), (80, 64), SIZE)
    edges = np.array([[0.4, 0.4, 1.0, 1.0, 2]], np.float32)
    # The top left tile shows the bottom right quarter: everything moves by half the image.
    unbound = move_to_tile(edges, tile, SIZE, bound=False)
    np.testing.assert_allclose(unbound, [[0, 0, 0.5, 0.5, 2]], atol=1e-6)
    tile = place_tile(3, Crop(), (100, 100), (80, 64), SIZE)
    unbound = move_to_tile(np.array([[0, 0, 0.7, 0.3, 2]], np.float32), tile, SIZE, bound=False)
    np.testing.assert_allclose(unbound, [[0.5, 0.5, 1, 0.8, 2]], atol=1e-6)


def test_the_border_of_a_tile_is_not_shown() -> None:
    # 50 of 200 pixels are added on the left; at 160 pixels in all that is 50 * 160 / 200 = 40.
    tile = place_tile(1, Crop(left=-50), (100, 200), (60, 64), SIZE)
    assert (tile.left, tile.source_left) == (60, 40)
    flipped = place_tile(1, Crop(left=-50, flip=True), (100, 200), (60, 64), SIZE)
    assert flipped.source_left == 0
    tile = place_tile(0, Crop(right=-50), (100, 200), (60, 64), SIZE)
    assert tile.source_left == 160 - 60 - 40


def test_mixup_is_half_and_half() -> None:
    rng = np.random.default_rng(13)
    first, second = rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    mixed = mix([first, second])
    assert np.abs(mixed - (first.astype(float) + second) / 2).max() <= 0.5


LABELS = ((0.3, 0.4, 0.2, 0.3), (0.7, 0.5, 0.5, 0.9), (0.95, 0.1, 0.08, 0.15))
# What `fill_truth_detection` and then, for a tile, `blend_truth_mosaic` of AlexeyAB's darknet
# (59596d78, called from a C program) make of LABELS at 416 x 320: size of the image, left, right,
# top, bottom, flip; tile, meeting point, bound; cx, cy, w, h by class_id.
RECORDED = (
    (
        ((500, 375), (60, -40, -30, 90, True), None, (0, 0), False),
        {
            0: (0.8124999, 0.5714285, 0.2083334, 0.3571429),
            1: (0.3958333, 0.577381, 0.5208334, 0.8452381),
            2: (0.1354166, 0.2142857, 0.08333343, 0.1785714),
        },
    ),
    (
        ((333, 500), (-90, -55, 70, 33, False), None, (0, 0), False),
        {
            0: (0.3972803, 0.3274559, 0.1393305, 0.3778338),
            1: (0.6759414, 0.5, 0.3483263, 1.0),
            2: (0.8501046, 0.02204031, 0.05573225, 0.04408062),
        },
    ),
    (
        ((500, 375), (-60, 20, -45, 30, False), 0, (150, 200), False),
        {1: (0.1751246, 0.3114183, 0.352386, 0.6271634)},
    ),
    (
        ((500, 375), (-60, 20, -45, 30, True), 1, (150, 200), True),
        {
            0: (0.938702, 0.134375, 0.1225962, 0.26875),
            1: (0.5997596, 0.3125, 0.4639423, 0.625),
        },
    ),
    (
        ((333, 500), (30, -80, 10, -60, False), 2, (300, 90), True),
        {
            0: (0.140625, 0.625, 0.1754808, 0.275),
            1: (0.4891827, 0.653125, 0.4350962, 0.69375),
            2: (0.6959135, 0.353125, 0.05048077, 0.1375),
        },
    ),
    (
        ((333, 500), (30, -80, 10, -60, True), 3, (300, 90), False),
        {
            1: (0.8687512, 0.6551136, 0.2664567, 0.6931818),
            2: (0.735523, 0.3539773, 0.06955618, 0.1363637),
        },
    ),
)


@pytest.mark.parametrize(("given", "expected"), RECORDED)
def test_boxes_are_those_of_the_real_program(given: Any, expected: Any) -> None:
    (width, height), (left, right, top, bottom, flip), tile, meeting, bound = given
    size = (416, 320)
    edges = np.array(
        [
            (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, class_id)
            for class_id, (cx, cy, w, h) in enumerate(LABELS)
        ],
        np.float32,
    )
    crop = Crop(left, right, top, bottom, flip=flip)
    _, moved = cut(np.zeros((height, width, 3), np.uint8), edges, crop, size)
    moved, tolerance = drop_tiny(moved, *size), 1e-3
    if tile is not None:
        place = place_tile(tile, crop, (height, width), meeting, size)
        moved = drop_tiny(move_to_tile(moved, place, size, bound=bound), *size)
        tolerance = 1.01  # upstream counts in whole pixels here
    found = {int(row[4]): row[:4] for row in to_truths(moved)}
    assert found.keys() == expected.keys()
    for class_id, box in expected.items():
        apart = (found[class_id] - box) * (*size, *size)
        assert np.abs(apart).max() <= tolerance
