"""Label files, image files and the network's input, against scalar references written plainly."""

# ruff: noqa: E402 - these imports need the extra `torch`

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from darknet_kit.core.problems import Problem
from darknet_kit.engine.torch.data.inputs import (
    InputFormat,
    iter_inputs,
    letterbox,
    load_input,
    resize,
)
from darknet_kit.engine.torch.data.options import LoaderOptions, read_options
from darknet_kit.engine.torch.data.picture import UnreadableImageError, decode
from darknet_kit.engine.torch.data.truth import (
    drop_tiny,
    pick_objects,
    read_label_file,
    to_truths,
)
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import parse_cfg

NET = "[net]\nwidth=96\nheight=64\nchannels=3\n"
HEAD = "[convolutional]\nfilters=18\nsize=1\n[yolo]\nmask=0,1,2\nnum=3\nclasses=1\n"


def test_options_have_darknets_defaults() -> None:
    assert read_options(parse_cfg(NET + HEAD)) == LoaderOptions(
        width=96,
        height=64,
        channels=3,
        classes=1,
        max=200,
        jitter=0.2,
        resize=1.0,
        flip=True,
        hue=0.0,
        saturation=1.0,
        exposure=1.0,
    )


def test_options_come_from_the_last_head_and_the_net() -> None:
    net = NET + "hue=.1\nsaturation=1.5\nexposure=1.4\nmosaic=1\nflip=0\ndkit_rotate=7\nblur=9\n"
    cfg = net + HEAD + "jitter=.1\nmax=90\n" + HEAD + "jitter=.3\nresize=1.5\nmax=50\n"
    options = read_options(parse_cfg(cfg))
    assert (options.jitter, options.resize, options.max) == (0.3, 1.5, 50)
    assert (options.hue, options.saturation, options.exposure) == (0.1, 1.5, 1.4)
    assert (options.mosaic, options.flip, options.rotate, options.blur) == (True, False, 7, 9)


@pytest.mark.parametrize(
    ("net", "head", "line", "word"),
    [
        ("letter_box=1\nmosaic=1\n", "", 6, "mosaic"),
        ("saturation=0\n", "", 5, "saturation"),
        ("", "jitter=.5\n", 12, "jitter"),
        ("", "resize=0\n", 12, "resize"),
    ],
)
def test_options_that_cannot_work_are_named_with_their_line(
    net: str, head: str, line: int, word: str
) -> None:
    with pytest.raises(CfgError, match=word) as caught:
        read_options(parse_cfg(NET + net + HEAD + head))
    assert (caught.value.code, caught.value.line) == ("bad-value", line)


def test_options_need_a_head() -> None:
    with pytest.raises(CfgError) as caught:
        read_options(parse_cfg(NET + "[convolutional]\n"))
    assert caught.value.code == "no-head"


def label(folder: Path, text: str) -> str:
    (folder / "a.txt").write_text(text)
    return str(folder / "a.jpg")


def test_labels_become_edges_and_truths(tmp_path: Path) -> None:
    image = label(tmp_path, "0 .5 .5 .2 .4\n1 0.25 0.75 0.5 0.5\n")
    read = read_label_file(image, 2)
    assert read.problems == ()
    np.testing.assert_allclose(
        read.edges, [[0.4, 0.3, 0.6, 0.7, 0], [0, 0.5, 0.5, 1, 1]], atol=1e-7
    )
    np.testing.assert_allclose(
        to_truths(read.edges), [[0.5, 0.5, 0.2, 0.4, 0], [0.25, 0.75, 0.5, 0.5, 1]], atol=1e-7
    )


@pytest.mark.parametrize(
    ("text", "kept", "problems"),
    [
        ("", 0, []),
        ("0 .5 .5 .2", 0, [("bad-coordinate", 1)]),
        ("0 .5 .5 .2 .2\n\n0 .5 x .2 .2\n0 .5 .5 .2 .2\n", 1, [("bad-coordinate", 3)]),
        (
            "0 .5 .5 .2 .2\n2 .5 .5 .2 .2\n-1 .5 .5 .2 .2\n",
            1,
            [("class-out-of-range", 2)] * 1 + [("class-out-of-range", 3)],
        ),
        ("0 .5 .5 0 .2\n0 .5 .5 .2 -.2\n", 0, [("empty-box", 1), ("empty-box", 2)]),
        ("0 0 0 .2 .2\n", 0, [("empty-box", 1)]),
        ("0 1.2 .5 .2 .2\n0 .5 -.3 .2 .5\n", 0, [("empty-box", 1), ("empty-box", 2)]),
        ("0 .5 .5 nan .2\n", 0, [("bad-coordinate", 1)]),
        ("0 .5 .5 3 .2\n", 1, []),
        ("\xff\xfe\x00\x01", 0, [("bad-coordinate", 1)]),
        ("0\n.5 .5\n.2 .2 0 .5 .5 .2 .2\n", 2, []),
    ],
)
def test_label_quirks_are_left_out_and_named(
    tmp_path: Path, text: str, kept: int, problems: list[tuple[str, int]]
) -> None:
    read = read_label_file(label(tmp_path, text), 2)
    assert len(read.edges) == kept
    assert [(problem.code, problem.line) for problem in read.problems] == problems
    assert all(problem.path == str(tmp_path / "a.txt") for problem in read.problems)


def test_no_label_file_means_nothing_is_shown(tmp_path: Path) -> None:
    read = read_label_file(str(tmp_path / "a.jpg"), 2)
    assert read.edges.shape == (0, 5)
    assert [problem.code for problem in read.problems] == ["missing-label"]


def test_a_pipe_is_no_label_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    assert [p.code for p in read_label_file(str(tmp_path / "a.jpg"), 2).problems] == [
        "missing-label"
    ]


def test_an_image_of_an_unknown_type_has_no_label() -> None:
    assert [p.code for p in read_label_file("/a.webp", 2).problems] == ["unsupported-image"]


def test_labels_lie_where_alexeyab_looks(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 .5 .5")
    assert len(read_label_file(f"{tmp_path}/JPEGImages/a.jpg", 2).edges) == 1


def test_picking_objects_is_fair_and_cut() -> None:
    edges = np.repeat(np.arange(6, dtype=np.float32)[:, None], 5, axis=1)
    counts = np.zeros(6)
    for seed in range(600):
        picked = pick_objects(edges, 2, np.random.default_rng(seed))
        assert picked.shape == (2, 5)
        counts[picked[:, 0].astype(int)] += 1
    assert counts.min() > 150  # 200 each on average
    assert sorted(pick_objects(edges, 9, np.random.default_rng(0))[:, 0]) == [0, 1, 2, 3, 4, 5]


def test_what_is_below_one_pixel_is_dropped() -> None:
    edges = np.array(
        [[0.1, 0.1, 0.1 + side, 0.1 + side, 0] for side in (0.009, 0.011, 0.5)], np.float32
    )
    np.testing.assert_array_equal(drop_tiny(edges, 100, 100), edges[1:])
    np.testing.assert_array_equal(drop_tiny(edges, 100, 50), edges[2:])


def gradient(width: int, height: int) -> Any:
    rng = np.random.default_rng(width * 1000 + height)
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def write_image(path: Path, image: Any) -> str:
    assert cv2.imwrite(str(path), image[:, :, ::-1])
    return str(path)


def test_pixels_are_rgb_as_stored(tmp_path: Path) -> None:
    image = gradient(7, 5)
    np.testing.assert_array_equal(decode(write_image(tmp_path / "a.png", image), 3), image)
    gray = decode(str(tmp_path / "a.png"), 1)
    # ITU-R 601, as every decoder has it.
    expected = image @ np.array((0.299, 0.587, 0.114))
    assert gray.shape == (5, 7, 1)
    assert np.abs(gray[:, :, 0] - expected).max() <= 1


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    from PIL import Image

    stored = Image.new("RGB", (8, 4), "white")
    exif = stored.getexif()
    exif[0x0112] = 6
    stored.save(tmp_path / "a.jpg", exif=exif)
    assert decode(str(tmp_path / "a.jpg"), 3).shape == (4, 8, 3)


def test_a_path_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", gradient(7, 5))
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    os.rename(tmp_path / "a.png", odd)
    assert decode(odd, 3).shape == (5, 7, 3)


def test_unreadable_images_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, why in (
        ("empty.jpg", "no image"),
        ("text.jpg", "no image"),
        ("pipe.jpg", "no file"),
        ("", "no file"),
        ("absent.jpg", "no such file"),
    ):
        with pytest.raises(UnreadableImageError, match=why):
            decode(str(tmp_path / name), 3)


def scalar_resize(image: Any, width: int, height: int) -> Any:
    """Interpolate from corner to corner, one value after the other, in double precision."""
    channels, tall, wide = image.shape
    out = np.zeros((channels, height, width))
    for y in range(height):
        for x in range(width):
            sx, sy = x * (wide - 1) / (width - 1), y * (tall - 1) / (height - 1)
            x0, y0 = min(int(sx), wide - 1), min(int(sy), tall - 1)
            x1, y1 = min(x0 + 1, wide - 1), min(y0 + 1, tall - 1)
            fx, fy = sx - x0, sy - y0
            top = (1 - fx) * image[:, y0, x0] + fx * image[:, y0, x1]
            bottom = (1 - fx) * image[:, y1, x0] + fx * image[:, y1, x1]
            out[:, y, x] = (1 - fy) * top + fy * bottom
    return out


@pytest.mark.parametrize("size", [(13, 9), (20, 30), (5, 31), (9, 13), (2, 2)])
def test_resize_runs_from_corner_to_corner(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).random((3, 13, 9)).astype(np.float32)
    resized = resize(torch.from_numpy(image), size).numpy()
    np.testing.assert_allclose(resized, scalar_resize(image, *size), atol=2e-6)
    np.testing.assert_array_equal(resized[:, 0, 0], image[:, 0, 0])


@pytest.mark.parametrize(
    ("wide", "tall", "left", "top", "width", "height"),
    [
        (40, 20, 0, 8, 32, 16),  # as wide as the input
        (20, 40, 8, 0, 16, 32),
        (30, 30, 0, 0, 32, 32),
        (100, 7, 0, 15, 32, 2),  # 7 * 32 / 100, cut off
    ],
)
def test_letterbox_keeps_the_aspect_in_gray(
    wide: int, tall: int, left: int, top: int, width: int, height: int
) -> None:
    image = np.random.default_rng(2).random((3, tall, wide)).astype(np.float32)
    boxed = letterbox(torch.from_numpy(image), (32, 32)).numpy()
    assert boxed.shape == (3, 32, 32)
    inner = boxed[:, top : top + height, left : left + width]
    np.testing.assert_allclose(inner, scalar_resize(image, width, height), atol=1e-5)
    boxed[:, top : top + height, left : left + width] = 0.5
    assert (boxed == 0.5).all()


def test_an_image_of_one_row_fits_into_a_letterbox() -> None:
    boxed = letterbox(torch.ones(3, 1, 1000), (32, 32))
    assert boxed.shape == (3, 32, 32)
    assert math.isclose(float(boxed.sum()), 3 * 32 * (1 + 31 * 0.5))


def test_inputs_come_in_order_in_batches_and_without_the_damaged(tmp_path: Path) -> None:
    paths = [
        write_image(tmp_path / f"{number}.png", gradient(10 + number, 8)) for number in range(7)
    ]
    (tmp_path / "3.png").write_bytes(b"damaged")
    noted: list[Problem] = []
    target = InputFormat((16, 12))
    found = list(iter_inputs(paths, target, batch=4, threads=3, note=noted.append))
    assert [inputs.paths for inputs in found] == [tuple(paths[:3] + paths[4:5]), tuple(paths[5:])]
    assert [inputs.sizes[0] for inputs in found] == [(10, 8), (15, 8)]
    assert [(problem.code, problem.path) for problem in noted] == [("unreadable-image", paths[3])]
    for inputs in found:
        for path, image in zip(inputs.paths, inputs.images, strict=True):
            assert torch.equal(load_input(path, target)[1], image)
    first = scalar_resize(gradient(10, 8).transpose(2, 0, 1) / 255, 16, 12)
    np.testing.assert_allclose(found[0].images[0].numpy(), first, atol=2e-6)


def test_inputs_stop_when_nobody_wants_more(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", gradient(10, 8))
    inputs = iter_inputs(iter([path] * 50), InputFormat((8, 8), channels=1), batch=2)
    assert next(inputs).images.shape == (2, 1, 8, 8)
    inputs.close()  # type: ignore[attr-defined]  # a generator
