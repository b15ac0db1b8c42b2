"""Networks as diagrams and tables. Blocks are counted by eye on the published drawings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from darknet_kit.formats.cfg import parse_cfg, write_cfg
from darknet_kit.network.blocks import group_layers
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.report.netchart import plot_network
from tests.conftest import Ended

Dkit = Callable[..., Ended]


def test_blocks_of_yolov3_tiny() -> None:
    blocks = group_layers(infer_layers(make_cfg(CfgRequest(80, "yolov3-tiny"))))
    # Five halvings, the coarse end with its head, up again with the other head.
    assert [(block.first, block.last) for block in blocks] == [
        *((0, 0), (1, 2), (3, 4), (5, 6), (7, 8), (9, 15), (16, 16), (17, 18), (19, 19)),
        *((20, 22), (23, 23)),
    ]
    assert [block.stride[0] for block in blocks] == [1, 2, 4, 8, 16, 32, 32, 32, 16, 16, 16]
    assert [block.is_head for block in blocks] == [*([False] * 6), True, *([False] * 3), True]
    # The second neck reads the first one (layer 13) and, joined with the backbone (layer 8), on.
    assert blocks[7].inputs == (5,)
    assert blocks[9].inputs == (4, 8)
    assert blocks[-1].inputs == (9,)


@pytest.mark.parametrize("model", ["yolov4", "yolov7", "yolov2", "yolov1", "dkit-nano"])
def test_blocks_hold_every_layer_once(model: str) -> None:
    layers = infer_layers(make_cfg(CfgRequest(3, model)))
    blocks = group_layers(layers)
    held = [index for block in blocks for index in range(block.first, block.last + 1)]
    assert held == list(range(len(layers)))
    assert sum(block.weight_floats for block in blocks) == sum(one.weight_floats for one in layers)
    assert all(source < number for number, one in enumerate(blocks) for source in one.inputs)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures(dkit: Dkit, tmp_path: Path, suffix: str) -> None:
    cfg, picture = tmp_path / "n.cfg", tmp_path / f"n.{suffix}"
    write_cfg(cfg, make_cfg(CfgRequest(3, "yolov4-tiny")))
    ended = dkit("show", cfg, "-o", picture)
    assert ended.exit_code == 0
    assert picture.stat().st_size > 5000
    assert dkit("show", cfg, "-o", picture).exit_code == 0  # the same bytes
    if suffix == "png":
        with Image.open(picture) as image:
            assert min(image.size) > 500
    if suffix == "svg":
        assert "yolo: 3 classes" in picture.read_text()


def test_the_table_lists_what_the_engine_lists(dkit: Dkit, tmp_path: Path) -> None:
    cfg = tmp_path / "yolov4.cfg"
    write_cfg(cfg, make_cfg(CfgRequest(80, "yolov4", size=(608, 608))))
    ended = dkit("show", cfg, "-o", tmp_path / "a.png", "--json")
    layers = json.loads(ended.stdout)["layers"]
    # Of the table that AlexeyAB's binary prints for this network.
    assert (layers[0]["output"], layers[0]["bflops"]) == ([608, 608, 32], 0.639)
    assert (layers[113]["sources"], layers[113]["output"]) == ([112, 110, 108, 107], [19, 19, 2048])
    assert (layers[138]["output"], layers[138]["bflops"]) == ([76, 76, 255], 0.754)


def test_other_pictures_and_networks_are_a_sentence(dkit: Dkit, tmp_path: Path) -> None:
    cfg = tmp_path / "n.cfg"
    write_cfg(cfg, make_cfg(CfgRequest(3, "dkit-nano")))
    assert dkit("show", cfg, "-o", tmp_path / "n.gif").exit_code == 2
    ended = dkit("show", cfg, "-o", tmp_path / "n.png", "--class", "dog")
    assert (ended.exit_code, "--class has no meaning" in ended.stderr) == (2, True)
    (tmp_path / "n.png").write_text("mine")
    assert dkit("show", cfg, "-o", tmp_path / "n.png").exit_code == 2
    write_cfg(cfg, parse_cfg("[net]\nwidth=8\nheight=8\nchannels=3\n[route]\nlayers=-3\n"))
    ended = dkit("show", cfg, "-o", tmp_path / "b.png")
    assert (ended.exit_code, "bad-source" in ended.stderr) == (1, True)


def test_make_cfg_draws(dkit: Dkit, tmp_path: Path) -> None:
    out, picture = tmp_path / "n.cfg", tmp_path / "n.svg"
    words = ("make-cfg", "--classes", "3", "--model", "dkit-nano", "-o", out, "--draw", picture)
    assert dkit(*words).exit_code == 0
    assert "yolo: 3 classes" in picture.read_text()


def test_a_network_without_layers_is_told(dkit: Dkit, tmp_path: Path) -> None:
    cfg = tmp_path / "n.cfg"
    cfg.write_text("[net]\nwidth=32\nheight=32\nchannels=3\n")
    ended = dkit("show", cfg, "-o", tmp_path / "n.png")
    assert ended.exit_code == 1
    assert "[no-layers]" in ended.stderr


def test_words_stay_inside_the_picture_and_the_blocks() -> None:
    """A long name, one that looks like a formula, and blocks of many kinds of layers."""
    kinds = "[avgpool]\n[dropout]\n[avgpool]\n[dropout]\n[connected]\noutput=4\n[softmax]\n"
    convolutions = "[convolutional]\nfilters=4\n" * 12
    cfg = parse_cfg(f"[net]\nwidth=32\nheight=32\nchannels=3\n{convolutions}{kinds}")
    figure = plot_network(cfg, "$\\frac{$ " + "a_long_name" * 30)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    (block,) = [one for one in axes.patches if isinstance(one, FancyBboxPatch)]
    frame = block.get_window_extent()
    (said,) = [one for one in axes.texts if "12 conv" in one.get_text()]
    words = said.get_window_extent()
    assert frame.x0 <= words.x0
    assert words.x1 <= frame.x1
    heading = figure.texts[0].get_window_extent()
    assert heading.x0 >= 0
    assert heading.x1 <= figure.bbox.width
