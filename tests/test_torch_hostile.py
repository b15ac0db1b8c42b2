"""Broken and hostile input to the embedded engine: an error with a place, never anything else."""

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from darknet_kit.engine.torch.commandline import parse_command_line  # noqa: E402
from darknet_kit.engine.torch.data.options import read_options  # noqa: E402
from darknet_kit.engine.torch.data.picture import UnreadableImageError, decode  # noqa: E402
from darknet_kit.engine.torch.device import choose_arithmetic  # noqa: E402
from darknet_kit.engine.torch.network import Network  # noqa: E402
from darknet_kit.engine.torch.training.multiscale import MultiScale  # noqa: E402
from darknet_kit.engine.torch.training.resume import (  # noqa: E402
    TrainState,
    read_state,
    write_state,
)
from darknet_kit.errors import CfgError, UsageError, WeightsError  # noqa: E402
from darknet_kit.formats.cfg import parse_cfg  # noqa: E402
from darknet_kit.formats.weights import read_weights_header  # noqa: E402

NET = "[net]\nwidth=64\nheight=64\nchannels=3\n"
HEAD = "[convolutional]\nfilters=7\n[yolo]\nclasses=2\n"


@pytest.mark.parametrize(
    ("layers", "code", "line"),
    [
        # Terabytes of weights; a stride at which PyTorch's convolution ends the process.
        ("[convolutional]\nfilters=300000\n[connected]\noutput=1000000\n", "too-many-weights", 7),
        ("[avgpool]\n[connected]\noutput=400000000\n", "too-many-weights", 6),
        ("[avgpool]\n[convolutional]\nfilters=100000000\nsize=9\npad=1\n", "too-many-weights", 6),
        ("[convolutional]\nstride=40000\npad=1\nsize=3\n", "impossible-shape", 5),
        ("[convolutional]\nstride_x=40000\npad=1\nsize=3\n", "impossible-shape", 5),
        ("[maxpool]\nsize=100000000\n", "impossible-shape", 5),
        ("[maxpool]\nstride=2147483647\nsize=2\n", "impossible-shape", 5),
        ("[local]\nsize=100000000\npad=1\n", "impossible-shape", 5),
        (HEAD + "num=100000000\nmask=0\n", "bad-anchors", 9),
    ],
)
def test_numbers_that_no_network_has_are_refused(layers: str, code: str, line: int) -> None:
    with pytest.raises(CfgError) as caught:
        Network(parse_cfg(NET + layers))
    assert (caught.value.code, caught.value.line) == (code, line)


def test_shared_weights_take_no_memory_before_they_are_compared() -> None:
    shared = "[convolutional]\nshare_index=1\nfilters=1000000000\n"
    with pytest.raises(CfgError, match="another shape"):
        Network(parse_cfg(f"{NET}[avgpool]\n[convolutional]\nfilters=2\n{shared}"))


@pytest.mark.parametrize(
    ("net", "random"),
    [("batch=1000000\n", "0"), ("batch=2\n", "1e9"), ("resize_step=1000000\n", "1.4"), ("", "-1")],
)
def test_minibatches_that_cannot_be_numbered_are_refused(net: str, random: str) -> None:
    cfg = parse_cfg(f"{NET}{net}{HEAD}random={random}\n")
    with pytest.raises(CfgError, match="too large"):
        MultiScale(cfg, cfg.sections[-1], cfg.net.integer("batch", 1))


@pytest.mark.parametrize("resize", ["1e9", "1e-9", "0"])
def test_a_resize_that_leaves_no_picture_is_refused(resize: str) -> None:
    with pytest.raises(CfgError, match="resize"):
        read_options(parse_cfg(f"{NET}{HEAD}resize={resize}\n"))


def test_a_whole_number_is_what_an_int_of_c_keeps_of_it() -> None:
    net = parse_cfg("[net]\na=4294967303\nb=2147483648\nc=-2147483649\nd=2147483647\n").net
    found = [net.integer(key) for key in "abcd"]
    assert found == [7, -(2**31), 2**31 - 1, 2**31 - 1]


@pytest.mark.parametrize(
    "words",
    [
        "-thresh nan",
        "-thresh -1",
        "-iou_thresh 2",
        "-mAP_epochs -4",
        "-workers -3",
        "-cache -1",
        f"-seed {10**30}",
    ],
)
def test_options_out_of_bounds_are_named(words: str) -> None:
    with pytest.raises(UsageError, match=words.split()[0]):
        parse_command_line(["detector", "train", "x.data", "x.cfg", *words.split()])


@pytest.mark.parametrize(
    "numbers",
    [{"seed": float("nan")}, {"seed": 10**40}, {"examined_at": float("inf")}, {"failures": 0.5}],
)
def test_a_state_of_impossible_numbers_is_damaged(
    tmp_path: Path, numbers: dict[str, float]
) -> None:
    weights = tmp_path / "net.weights"
    weights.write_bytes(b"")
    write_state(weights, TrainState(0, {}, numbers=numbers))
    with pytest.raises(WeightsError) as caught:
        read_state(weights)
    assert caught.value.code == "damaged-state"


def test_pipes_are_no_weights_and_no_state(tmp_path: Path) -> None:
    # A program that opened one would wait here for ever.
    weights = tmp_path / "net.weights"
    os.mkfifo(weights)
    with pytest.raises(WeightsError, match="no regular file"):
        read_weights_header(weights)
    weights.unlink()
    weights.write_bytes(b"")
    os.mkfifo(tmp_path / "net.state")
    with pytest.raises(WeightsError, match="no training state"):
        read_state(weights)


def test_a_picture_that_unpacks_to_gigabytes_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ppm"
    path.write_bytes(b"P6 30000 30000 255\n" + bytes(100))
    with pytest.raises(UnreadableImageError, match="more pixels than"):
        decode(str(path), 3)


def test_devices_that_were_never_tried_are_refused() -> None:
    with pytest.raises(UsageError, match="meta"):
        choose_arithmetic("meta")
