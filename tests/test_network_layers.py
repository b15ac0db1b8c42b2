"""Shapes, float counts and BFLOPs of single layers and whole files.

Single layers are computed by hand from the input 10 x 8 x 3; whole files against the size of
weights that AlexeyAB's Darknet wrote for them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import parse_cfg, read_cfg
from darknet_kit.network.layers import (
    Layer,
    Shape,
    infer_layers,
    largest_stride,
    total_bflops,
    weight_floats,
)

NET = "[net]\nwidth=10\nheight=8\nchannels=3\n"


def infer(body: str) -> tuple[Layer, ...]:
    return infer_layers(parse_cfg(NET + body))


@pytest.mark.parametrize(
    ("body", "output", "floats", "operations"),
    [
        # 4 kernels of 3x3x3 at each of 80 places; 4 values of normalization for each kernel.
        (
            "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1",
            (10, 8, 4),
            124,
            2 * 108 * 80,
        ),
        # Three groups: each kernel sees one channel.
        (
            "[conv]\nfilters=6\nsize=3\nstride=2\npad=1\ngroups=3",
            (5, 4, 6),
            6 * 9 + 6,
            2 * 54 * 20,
        ),
        (
            "[convolutional]\nfilters=2\nsize=3\nstride_x=2\nstride_y=1",
            (4, 6, 2),
            2 * 27 + 2,
            2 * 54 * 24,
        ),
        ("[convolutional]\nfilters=1\npadding=2", (14, 12, 1), 4, 2 * 3 * 168),
        # Darknet ignores dilation when it counts places.
        (
            "[convolutional]\nfilters=1\nsize=3\npad=1\ndilation=2",
            (10, 8, 1),
            28,
            2 * 27 * 80,
        ),
        ("[convolutional]\nfilters=1\nsize=1\nxnor=1\ngroups=3", (10, 8, 1), 4, 2 * 3 * 80 / 32),
        ("[maxpool]\nsize=2\nstride=2", (5, 4, 3), 0, 4 * 3 * 20),
        ("[max]\nsize=2\nstride=1", (10, 8, 3), 0, 4 * 3 * 80),
        ("[maxpool]\nstride=4", (3, 2, 3), 0, 16 * 3 * 6),
        ("[maxpool]\nsize=5\nstride=1\nmaxpool_depth=1\nout_channels=1", (10, 8, 1), 0, 6000),
        ("[local_avgpool]\nsize=2\nstride=2", (5, 4, 3), 0, 4 * 3 * 20),
        ("[avgpool]", (1, 1, 3), 0, 0),
        ("[upsample]\nstride=2", (20, 16, 3), 0, 0),
        ("[upsample]\nstride=-2", (5, 4, 3), 0, 0),
        ("[reorg]\nstride=2", (5, 4, 12), 0, 0),
        ("[reorg3d]\nstride=2", (5, 4, 12), 0, 0),
        ("[connected]\noutput=5", (1, 1, 5), 240 * 5 + 5, 0),
        ("[conn]\noutput=5\nbatch_normalize=1", (1, 1, 5), 240 * 5 + 20, 0),
        ("[batchnorm]", (10, 8, 3), 12, 0),
        # Its own kernels at each of 80 places.
        ("[local]\nfilters=2\nsize=3\npad=1", (10, 8, 2), 160 + 27 * 160, 0),
        ("[crop]\ncrop_width=6\ncrop_height=4", (6, 4, 3), 0, 0),
        ("[implicit]\nfilters=7", (1, 1, 7), 7, 0),
        ("[dropout]\nprobability=.5", (10, 8, 3), 0, 0),
        ("[softmax]", (10, 8, 3), 0, 0),
        ("[region]", (10, 8, 3), 0, 0),
    ],
)
def test_one_layer(body: str, output: tuple[int, int, int], floats: int, operations: float) -> None:
    (layer,) = infer(body)
    assert layer.output == Shape(*output)
    assert layer.weight_floats == floats
    assert layer.bflops == pytest.approx(operations / 1e9)


CONV = "[convolutional]\nfilters={0}\n"


@pytest.mark.parametrize(
    ("body", "output", "floats", "sources"),
    [
        ("[route]\nlayers=-1,-2", (10, 8, 6), 0, (1, 0)),
        ("[route]\nlayers=0", (10, 8, 4), 0, (0,)),
        ("[route]\nlayers=-2\ngroups=2\ngroup_id=1", (10, 8, 2), 0, (0,)),
        ("[shortcut]\nfrom=-2", (10, 8, 2), 0, (0,)),
        ("[shortcut]\nfrom=-2,0\nweights_type=per_feature", (10, 8, 2), 3, (0, 0)),
        ("[shortcut]\nfrom=0\nweights_type=per_channel", (10, 8, 2), 4, (0,)),
        ("[sam]\nfrom=-2", (10, 8, 4), 0, (0,)),
        ("[scale_channels]\nfrom=-2", (10, 8, 4), 0, (0,)),
        ("[convolutional]\nfilters=2\nshare_index=-1", (10, 8, 2), 0, ()),
    ],
)
def test_layers_that_look_back(
    body: str, output: tuple[int, int, int], floats: int, sources: tuple[int, ...]
) -> None:
    layer = infer(CONV.format(4) + CONV.format(2) + body)[-1]
    assert layer.output == Shape(*output)
    assert (layer.weight_floats, layer.sources) == (floats, sources)


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("\n[extract]\n", "unsupported-section", 6),
        ("[yolo] # head\n", "unsupported-section", 5),
        ("[lstm]\n", "unsupported-section", 5),
        ("[Yolo]\n", "unsupported-section", 5),
        ("[route]\nlayers=-1\n", "bad-source", 5),
        ("[route]\n", "bad-source", 5),
        (CONV.format(1) + "[route]\nlayers=1\n", "bad-source", 7),
        (CONV.format(1) + "[shortcut]\nfrom=-9\n", "bad-source", 7),
        ("[maxpool]\nstride=2\n" * 2 + "[route]\nlayers=0,1\n", "impossible-shape", 9),
        ("[maxpool]\nstride=2\n" * 2 + "[shortcut]\nfrom=0\n", "impossible-shape", 9),
        ("[convolutional]\nsize=11\n", "impossible-shape", 5),
        ("[convolutional]\nfilters=0\n", "impossible-shape", 5),
        ("[convolutional]\nstride=0\n", "impossible-shape", 5),
        ("[upsample]\nstride=0\n", "impossible-shape", 5),
        ("[reorg]\nstride=16\n", "impossible-shape", 5),
        ("[convolutional]\nfilters=99999999999\n", "impossible-shape", 5),
    ],
)
def test_what_cannot_work_is_named_with_its_line(body: str, code: str, line: int) -> None:
    with pytest.raises(CfgError) as caught:
        infer(body)
    assert (caught.value.code, caught.value.line) == (code, line)


def test_a_network_needs_an_input() -> None:
    with pytest.raises(CfgError) as caught:
        infer_layers(parse_cfg("[net]\nwidth=416\n"))
    assert caught.value.code == "no-input-size"
    assert infer_layers(parse_cfg("[net]\ninputs=256\n[connected]\n"))[0].input.elements == 256


def test_floats_of_a_network_with_an_unknown_section_are_unknown() -> None:
    assert weight_floats(parse_cfg(NET + "[gru]\n")) is None
    with pytest.raises(CfgError):
        weight_floats(parse_cfg(NET + "[route]\n"))


@pytest.mark.parametrize(
    "name", ["yoloface-50k", "MobileNetV2-YOLO-Fastest-voc", "yolo-fastest-1.1"]
)
def test_floats_of_real_networks(shared_data: Callable[[str], Path], name: str) -> None:
    folder = shared_data("F_weights")
    size = (folder / f"{name}.weights").stat().st_size
    assert weight_floats(read_cfg(folder / f"{name}.cfg")) == (size - 20) // 4


# Number of layers, BFLOPs and largest stride as AlexeyAB's binary prints them for these files.
@pytest.mark.parametrize(
    ("name", "layers", "bflops"),
    [
        ("E_cfg_data_names/AlexeyAB__Gaussian_yolov3_BDD.cfg", 107, 99.066),
        ("E_cfg_data_names/AlexeyAB__efficientnet-lite3.cfg", 117, 3.361),
        ("E_cfg_data_names/AlexeyAB__enet-coco.cfg", 146, 3.731),
        ("E_cfg_data_names/AlexeyAB__yolov3-spp.cfg", 114, 141.531),
        ("E_cfg_data_names/AlexeyAB__yolov4-tiny-3l.cfg", 45, 17.741),
        ("E_cfg_data_names/ceccocats__csresnext50-panet-spp_berkeley.cfg", 138, 46.865),
        ("E_cfg_data_names/ceccocats__yolo2_voc.cfg", 32, 29.371),
        ("E_cfg_data_names/ceccocats__yolo4-csp_crowd.cfg", 175, 76.144),
        ("E_cfg_data_names/ceccocats__yolo4_320_coco2.cfg", 162, 35.249),
        ("E_cfg_data_names/thtrieu__yolo-coco.cfg", 31, 40.155),
        ("F_weights/yolo-fastest-1.1.cfg", 131, 0.252),
    ],
)
def test_work_of_real_networks(
    shared_data: Callable[[str], Path], name: str, layers: int, bflops: float
) -> None:
    found = infer_layers(read_cfg(shared_data(name)))
    assert len(found) == layers
    assert total_bflops(found) == pytest.approx(bflops, abs=0.001)


def test_the_largest_stride_counts_both_directions() -> None:
    body = "[convolutional]\nstride_x=2\nstride_y=1\npad=1\nsize=3\n[maxpool]\nstride=2\n"
    assert largest_stride(infer(body)) == (4, 2)
    assert largest_stride(infer(body + "[upsample]\n")) == (4, 2)
    assert largest_stride(()) == (1, 1)


KINDS = st.sampled_from(
    ["conv", "maxpool", "route", "shortcut", "upsample", "reorg", "connected", "local", "sam"]
)
KEYS = st.sampled_from(["filters", "size", "stride", "pad", "layers", "from", "groups", "output"])
SECTION = st.tuples(KINDS, st.lists(st.tuples(KEYS, st.integers(-3, 10**20)), max_size=4))


@given(st.lists(SECTION, max_size=6))
def test_any_sections_give_layers_or_an_error(
    sections: list[tuple[str, list[tuple[str, int]]]],
) -> None:
    body = "".join(
        f"[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in values)
        for kind, values in sections
    )
    try:
        layers = infer(body)
    except CfgError:
        return
    assert len(layers) == len(sections)
    assert all(layer.output.elements > 0 for layer in layers)
