"""The networks against what is published of them and what AlexeyAB's binary prints.

Sizes are those of the published weights files: yolov4.weights has 257,717,640 bytes, 20 of them
header. Of yolov3-tiny.conv.11 only "6 MB" is published; its bytes are counted by hand. BFLOPs are
the binary's `Total BFLOPS` for its own cfg of the same network and size.
"""

from collections import Counter
from pathlib import Path

import pytest

from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import format_cfg, read_cfg
from darknet_kit.formats.weights import expected_bytes
from darknet_kit.network.catalog import MODELS, find_model
from darknet_kit.network.check import check_cfg
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layers import infer_layers, largest_stride, total_bflops, weight_floats
from darknet_kit.network.model import CfgRequest, make_cfg, plan_cfg

CFG_FOLDER = Path(__file__).resolve().parent.parent / "cfg"


@pytest.mark.parametrize(
    ("model", "size", "layers", "bflops", "whole_bytes", "pretrained_bytes"),
    [
        ("yolov4", 608, 162, 128.459, 257_717_640, 170_038_676),
        ("yolov4-tiny", 416, 38, 6.910, 24_251_276, 19_789_716),
        ("yolov3", 416, 107, 65.879, 248_007_048, 162_482_580),
        ("yolov3-tiny", 416, 24, 5.571, 35_434_956, 6_303_188),
    ],
)
def test_networks_are_the_published_ones(
    model: str, size: int, layers: int, bflops: float, whole_bytes: int, pretrained_bytes: int
) -> None:
    cfg = make_cfg(CfgRequest(80, model, size=(size, size)))
    found = infer_layers(cfg)
    assert len(found) == layers
    assert total_bflops(found) == pytest.approx(bflops, abs=0.001)
    assert expected_bytes(weight_floats(cfg) or 0) == whole_bytes
    first = found[: MODELS[model].pretrained_layers]
    assert expected_bytes(sum(layer.weight_floats for layer in first)) == pretrained_bytes
    assert MODELS[model].pretrained.endswith(f".conv.{len(first)}")


@pytest.mark.parametrize(
    ("model", "size", "layers", "bflops", "mebibytes"),
    [
        ("yolov4-csp", 512, 175, 77, 202),
        ("yolov4-csp", 640, 175, 120, 202),
        ("yolov4x-mish", 640, 203, 221, 381),
        ("yolov3-spp", 608, 114, 141, 240),
        ("yolov2", 608, 32, 62, 194),
        ("yolov2-tiny", 416, 16, 5, 43),
    ],
)
def test_networks_have_the_published_size(
    model: str, size: int, layers: int, bflops: int, mebibytes: int
) -> None:
    """Of these, AlexeyAB's and pjreddie's lists of models give the two figures in whole numbers.

    Some are rounded and some cut off.
    """
    cfg = make_cfg(CfgRequest(80, model, size=(size, size)))
    found = infer_layers(cfg)
    assert len(found) == layers
    assert total_bflops(found) == pytest.approx(bflops, abs=1)
    assert expected_bytes(weight_floats(cfg) or 0) / (1 << 20) == pytest.approx(mebibytes, abs=1)


@pytest.mark.parametrize(
    ("model", "layers", "parameters", "bflops"),
    [
        # What AlexeyAB's binary prints and writes for its own cfg of the same name.
        ("yolov4-tiny-3l", 45, 6_334_045, 17.741),
        ("yolov7", 143, 36_974_557, 104.580),
        ("yolov7-tiny", 99, 6_241_885, 5.802),
    ],
)
def test_networks_are_upstreams(model: str, layers: int, parameters: int, bflops: float) -> None:
    found = infer_layers(make_cfg(CfgRequest(80, model)))
    assert len(found) == layers
    assert sum(layer.weight_floats for layer in found) == parameters
    assert total_bflops(found) == pytest.approx(bflops, abs=0.001)


def test_yolov1_predicts_what_its_paper_says() -> None:
    # Its cfg for VOC: 20 classes, three boxes, 7 x 7 cells; 1715 numbers.
    cfg = make_cfg(CfgRequest(20, "yolov1"))
    (head,) = find_heads(cfg)
    assert cfg.layers[head.index - 1].integer("output") == head.filters == 1715
    convolutions = [layer for layer in infer_layers(cfg) if layer.kind == "convolutional"]
    assert len(convolutions) == 24


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (
            "yolov4",
            {
                "convolutional": 110,
                "maxpool": 3,
                "route": 21,
                "shortcut": 23,
                "upsample": 2,
                "yolo": 3,
            },
        ),
        (
            "yolov4-tiny",
            {"convolutional": 21, "maxpool": 3, "route": 11, "upsample": 1, "yolo": 2},
        ),
        (
            "yolov3",
            {"convolutional": 75, "shortcut": 23, "route": 4, "upsample": 2, "yolo": 3},
        ),
        (
            "yolov3-tiny",
            {"convolutional": 13, "maxpool": 6, "route": 2, "upsample": 1, "yolo": 2},
        ),
        # No layer is read twice, so that every engine computes right gradients on a CPU.
        ("dkit-nano", {"convolutional": 6, "maxpool": 3, "yolo": 1}),
    ],
)
def test_networks_have_these_layers(model: str, kinds: dict[str, int]) -> None:
    assert Counter(layer.kind for layer in infer_layers(make_cfg(CfgRequest(80, model)))) == kinds


# Rows of the table that AlexeyAB's binary prints for yolov4 at 608 x 608.
@pytest.mark.parametrize(
    ("index", "kind", "output", "bflops", "sources"),
    [
        (0, "convolutional", (608, 608, 32), 0.639, ()),
        (7, "shortcut", (304, 304, 64), 0.006, (4,)),
        (9, "route", (304, 304, 128), 0.0, (8, 2)),
        (22, "route", (152, 152, 128), 0.0, (21, 12)),
        (53, "route", (76, 76, 256), 0.0, (52, 25)),
        (85, "convolutional", (38, 38, 512), 0.757, ()),
        (112, "maxpool", (19, 19, 512), 0.031, ()),
        (113, "route", (19, 19, 2048), 0.0, (112, 110, 108, 107)),
        (121, "route", (38, 38, 512), 0.0, (120, 118)),
        (129, "route", (76, 76, 256), 0.0, (54,)),
        (138, "convolutional", (76, 76, 255), 0.754, ()),
        (142, "route", (38, 38, 512), 0.0, (141, 126)),
        (153, "route", (19, 19, 1024), 0.0, (152, 116)),
        (160, "convolutional", (19, 19, 255), 0.189, ()),
    ],
)
def test_rows_of_yolov4(
    index: int, kind: str, output: tuple[int, int, int], bflops: float, sources: tuple[int, ...]
) -> None:
    layer = infer_layers(make_cfg(CfgRequest(80, "yolov4", size=(608, 608))))[index]
    shape = layer.output
    assert (layer.kind, layer.sources) == (kind, sources)
    assert (shape.width, shape.height, shape.channels) == output
    assert layer.bflops == pytest.approx(bflops, abs=0.0006)


@pytest.mark.parametrize(
    ("model", "masks", "strides", "scales"),
    [
        ("yolov4", ["0,1,2", "3,4,5", "6,7,8"], [8, 16, 32], ["1.2", "1.1", "1.05"]),
        ("yolov4-tiny", ["3,4,5", "0,1,2"], [32, 16], ["1.05", "1.05"]),
        ("yolov3", ["6,7,8", "3,4,5", "0,1,2"], [32, 16, 8], [""] * 3),
        ("yolov3-tiny", ["3,4,5", "0,1,2"], [32, 16], [""] * 2),
        ("yolov3-spp", ["6,7,8", "3,4,5", "0,1,2"], [32, 16, 8], [""] * 3),
        ("yolov4-tiny-3l", ["6,7,8", "3,4,5", "0,1,2"], [32, 16, 8], ["1.05"] * 3),
        ("yolov4-csp", ["0,1,2", "3,4,5", "6,7,8"], [8, 16, 32], ["2.0"] * 3),
        ("yolov7", ["0,1,2", "3,4,5", "6,7,8"], [8, 16, 32], ["2.0"] * 3),
        ("yolov7-tiny", ["0,1,2", "3,4,5", "6,7,8"], [8, 16, 32], ["2.0"] * 3),
        ("dkit-nano", ["0,1,2"], [16], [""]),
    ],
)
def test_heads_of_the_networks(
    model: str, masks: list[str], strides: list[int], scales: list[str]
) -> None:
    cfg = make_cfg(CfgRequest(80, model))
    layers, heads = infer_layers(cfg), find_heads(cfg)
    assert [head.section.text("mask") for head in heads] == masks
    assert [layers[head.index].stride for head in heads] == [(step, step) for step in strides]
    assert [head.section.text("scale_x_y") for head in heads] == scales
    assert len({head.section.text("anchors") for head in heads}) == 1


def test_ten_classes_on_yolov4() -> None:
    cfg = make_cfg(CfgRequest(10))
    text = format_cfg(cfg)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines.count("filters=45") == 3
    assert lines.count("classes=10") == 3
    assert "255" not in "".join(lines)
    assert cfg.net.text("max_batches") == "20000"
    assert cfg.net.text("steps") == "16000,18000"
    assert cfg.net.text("scales") == ".1,.1"
    assert cfg.net.text("burn_in") == "1000"


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("classes", [1, 3, 1000])
def test_every_network_passes_its_own_check(model: str, classes: int) -> None:
    cfg = make_cfg(CfgRequest(classes, model, train_images=500))
    found = [problem.code for problem in check_cfg(cfg, classes=classes, train_images=500)]
    assert found == (["v1-head"] if model == "yolov1" else [])


@pytest.mark.parametrize("model", list(MODELS))
def test_the_cfg_folder_holds_what_is_built(model: str) -> None:
    path = CFG_FOLDER / f"{model}.cfg"
    assert format_cfg(make_cfg(CfgRequest(80, model))).encode() == path.read_bytes(), (
        f"run: dkit make-cfg --classes 80 --model {model} -o cfg/{model}.cfg --overwrite"
    )


def test_the_cfg_folder_holds_nothing_else() -> None:
    assert {path.stem for path in CFG_FOLDER.glob("*.cfg")} == set(MODELS)


@pytest.mark.parametrize("model", list(MODELS))
def test_a_cfg_says_its_values_and_reasons_first(model: str) -> None:
    request = CfgRequest(7, model, gpus=2)
    head = format_cfg(make_cfg(request)).partition("[net]")[0]
    for setting in plan_cfg(request).settings:
        assert f"# {setting.key}={setting.value} " in head
        assert setting.reason in head


def test_numbers_suit_every_parser() -> None:
    # hank-ai's parser ends at an exponent, and any at a comment behind a word.
    for model in MODELS:
        cfg = make_cfg(CfgRequest(80, model, gpus=3))
        for section in cfg.sections:
            assert all("#" not in entry.value for entry in section.entries)
            assert len({entry.key for entry in section.entries}) == len(section.entries)
        assert "e" not in cfg.net.text("learning_rate")


def test_other_sizes_keep_the_weights() -> None:
    square = make_cfg(CfgRequest(80, "yolov4", size=(416, 416)))
    wide = make_cfg(CfgRequest(80, "yolov4", size=(608, 320)))
    assert weight_floats(square) == weight_floats(wide)
    assert (wide.net.integer("width"), wide.net.integer("height")) == (608, 320)
    assert largest_stride(infer_layers(wide)) == (32, 32)


@pytest.mark.parametrize(
    ("batch", "subdivisions", "expected"),
    [
        (None, None, (64, 16)),
        (None, 32, (64, 32)),
        # Four images at a time, as with the usual 64 in 16 parts.
        (32, None, (32, 8)),
        (6, None, (6, 2)),
        (2, None, (2, 1)),
        (64, 64, (64, 64)),
    ],
)
def test_batches(batch: int | None, subdivisions: int | None, expected: tuple[int, int]) -> None:
    plan = plan_cfg(CfgRequest(10, batch=batch, subdivisions=subdivisions))
    assert (plan.batch, plan.subdivisions) == expected


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (CfgRequest(0), "bad-classes"),
        (CfgRequest(-1), "bad-classes"),
        (CfgRequest(10**9), "bad-classes"),
        (CfgRequest(10, "yolov5"), "unknown-model"),
        (CfgRequest(10, size=(418, 418)), "size-not-multiple"),
        (CfgRequest(10, size=(0, 416)), "size-not-multiple"),
        (CfgRequest(10, batch=64, subdivisions=24), "bad-subdivisions"),
        (CfgRequest(10, batch=8, subdivisions=16), "bad-subdivisions"),
        (CfgRequest(10, subdivisions=0), "bad-subdivisions"),
        (CfgRequest(10, batch=0), "bad-batch"),
        (CfgRequest(10, batch=1), "test-cfg"),
        (CfgRequest(10, max_batches=3), "bad-max-batches"),
        (CfgRequest(10, learning_rate=0), "bad-learning-rate"),
        (CfgRequest(10, gpus=0), "bad-gpus"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(request_: CfgRequest, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_cfg(request_)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "meant"),
    [("yolo4", "yolov4"), ("yolov4tiny", "yolov4-tiny"), ("nano", "dkit-nano")],
)
def test_a_mistyped_model_is_answered_with_near_ones(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_model(name)
    assert f"Did you mean {meant}" in caught.value.hint


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "net.cfg"
    cfg = make_cfg(CfgRequest(3, "dkit-nano"))
    path.write_text(format_cfg(cfg), encoding="utf-8")
    assert read_cfg(path) == cfg
