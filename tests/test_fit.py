"""Weights and networks that belong together, or do not; backbones; differences.

Counts of a layer's values are added up by hand; cut files are compared with what the engines' own
`partial` writes.
"""

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from darknet_kit.errors import WeightsError
from darknet_kit.formats.cfg import Cfg, parse_cfg, read_cfg
from darknet_kit.formats.weights import WeightsHeader, read_weights_header
from darknet_kit.network.backbone import cut_weights
from darknet_kit.network.difference import compare_weights
from darknet_kit.network.fit import judge_weights, require_fit, suggest_cut
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.origin import find_origins
from darknet_kit.network.parameters import list_parameters
from tests.conftest import Ended
from tests.engines import alexeyab, original

Dkit = Callable[..., Ended]

# Two convolutions, a head of one class and one anchor: 6 filters.
SMALL = """[net]
batch=2
width=32
height=32
channels=3
max_batches=100
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
stride=32
activation=leaky
[convolutional]
filters={filters}
size=1
activation=linear
[yolo]
classes={classes}
num=1
anchors=8,8
"""
# By hand: 4 biases, scales, means, variances and 4 x 3 x 3 x 3; then 6 biases and 6 x 4.
FIRST, SECOND = 4 * 4 + 108, 6 + 24


def small(classes: int = 1) -> Cfg:
    return parse_cfg(SMALL.format(classes=classes, filters=classes + 5), "small.cfg")


def good_values(count: int = FIRST + SECOND) -> list[float]:
    values = list(np.random.default_rng(0).normal(0, 0.1, count))
    values[4:8] = values[12:16] = [1.0] * 4  # scales, variances
    return values


def save(path: Path, values: Sequence[float], seen: int = 0) -> WeightsHeader:
    packed = struct.pack("<iiiQ", 0, 2, 5, seen) + struct.pack(f"<{len(values)}f", *values)
    path.write_bytes(packed)
    return read_weights_header(path)


def test_parameters_of_every_kind_by_hand() -> None:
    cfg = parse_cfg(
        "[net]\nwidth=8\nheight=4\nchannels=3\n"
        "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\npad=1\n"
        "[batchnorm]\n"
        "[local]\nfilters=2\nsize=1\npad=0\n"
        "[convolutional]\nfilters=2\nsize=1\ngroups=2\n"
        "[shortcut]\nfrom=-2\nweights_type=per_channel\n"
        "[connected]\nbatch_normalize=1\noutput=5\n"
        "[implicit]\nfilters=7\natoms=2\n"
        "[dropout]\n"
    )
    found = [
        [(one.name, one.count) for one in list_parameters(section, layer)]
        for section, layer in zip(cfg.layers, infer_layers(cfg), strict=True)
    ]
    norms = ("scales", "means", "variances")
    assert found == [
        [("biases", 6), *((name, 6) for name in norms), ("kernel", 6 * 3 * 9)],
        [("biases", 6), *((name, 6) for name in norms)],
        [("biases", 64), ("kernel", 8 * 4 * 6 * 2)],  # a kernel for each place
        [("biases", 2), ("kernel", 2)],
        [("kernel", 4)],  # two layers, two channels
        [("biases", 5), ("kernel", 64 * 5), *((name, 5) for name in norms)],
        [("kernel", 14)],
        [],
    ]


@pytest.mark.parametrize("name", ["yoloface-50k", "MobileNetV2-YOLO-Fastest-voc"])
def test_published_weights_fit_their_own_network_alone(
    shared_data: Callable[[str], Path], name: str
) -> None:
    folder = shared_data("F_weights")
    cfg = read_cfg(folder / f"{name}.cfg")
    assert judge_weights(cfg, read_weights_header(folder / f"{name}.weights")).is_whole
    for other in folder.glob("*.weights"):
        if other.stem != name:
            with pytest.raises(WeightsError, match=r"variances are below zero") as caught:
                require_fit(cfg, read_weights_header(other))
            assert caught.value.code == "weights-do-not-fit"


def test_whole_backbone_and_neither(tmp_path: Path) -> None:
    values = good_values()
    whole = judge_weights(small(), save(tmp_path / "whole", values))
    assert (whole.is_whole, whole.layers, whole.of) == (True, 3, 3)
    backbone = judge_weights(small(), save(tmp_path / "backbone", values[:FIRST]))
    assert (backbone.is_backbone, backbone.layers, backbone.reason) == (True, 1, "")
    cut = judge_weights(small(), save(tmp_path / "cut", values[:-2]))
    assert cut.layers == 1
    assert cut.reason == "layer 1 [convolutional], line 14: the file ends 2 values too early"
    longer = judge_weights(small(), save(tmp_path / "longer", [*values, 0.0]))
    assert longer.reason == "the file holds 1 values more than the network takes"
    assert judge_weights(small(), save(tmp_path / "empty", [])).reason


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, float("nan"), "1 of 4 biases are nan or infinite"),
        (20, float("-inf"), "1 of 108 values of the kernel are nan or infinite"),
        (13, -0.02, "1 of 4 variances are below zero"),
        (30, 1e20, "values of the kernel of up to 1e+20 are no weights"),
    ],
)
def test_values_that_cannot_be_weights(tmp_path: Path, place: int, value: float, said: str) -> None:
    values = good_values()
    values[place] = value
    fit = judge_weights(small(), save(tmp_path / "bad", values))
    assert fit.layers == 0
    assert fit.reason.endswith(said)


def test_a_kernel_of_zeros_is_a_hole_in_a_download(tmp_path: Path) -> None:
    values = good_values()
    values[16:FIRST] = [0.0] * 108
    reason = judge_weights(small(), save(tmp_path / "hole", values)).reason
    assert reason.endswith("all 108 values of its kernel are zero")


def test_dead_channels_of_real_networks_are_no_flaw(tmp_path: Path) -> None:
    values = good_values()
    values[13] = -7e-44
    assert judge_weights(small(), save(tmp_path / "dead", values)).is_whole


def test_weights_of_another_number_of_classes_can_still_serve(tmp_path: Path) -> None:
    fit = judge_weights(small(classes=3), save(tmp_path / "one-class", good_values()))
    # 8 filters instead of 6 want 2 + 2 x 4 values more.
    assert fit.reason == "layer 1 [convolutional], line 14: the file ends 10 values too early"
    assert suggest_cut(small(classes=3), fit) == 1
    whole = judge_weights(small(), save(tmp_path / "own", good_values()))
    assert suggest_cut(small(), whole) == 0


def test_a_cut_file_is_what_the_engines_write(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    engine = original()
    cfg, source = (shared_data(f"F_weights/yoloface-50k.{end}") for end in ("cfg", "weights"))
    header = read_weights_header(source)
    cut_weights(header, judge_weights(read_cfg(cfg), header), 12, tmp_path / "ours")
    words: list[str | Path] = ["partial", cfg, source, tmp_path / "theirs", "12"]
    subprocess.run([engine, *words], check=True, capture_output=True)
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("ours", "theirs"))
    assert ours[:8] + ours[12:] == theirs[:8] + theirs[12:]
    assert (ours[8], theirs[8]) == (5, 0)  # the revision: AlexeyAB's and the original's


def test_a_cut_file_equals_alexeyabs_to_the_byte(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    engine = alexeyab()
    cfg, source = (shared_data(f"F_weights/yolo-fastest-1.1.{end}") for end in ("cfg", "weights"))
    header = read_weights_header(source)
    fit = judge_weights(read_cfg(cfg), header)
    for layers in (1, 99, fit.of):
        cut_weights(header, fit, layers, tmp_path / "ours")
        words: list[str | Path] = ["partial", cfg, source, tmp_path / "theirs", str(layers)]
        subprocess.run([engine, *words], check=True, capture_output=True)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_what_is_not_in_the_file_cannot_be_cut_from_it(tmp_path: Path) -> None:
    header = save(tmp_path / "short", good_values()[:-2])
    fit = judge_weights(small(), header)
    for layers, code in ((2, "weights-do-not-fit"), (4, "too-many-layers")):
        with pytest.raises(WeightsError) as caught:
            cut_weights(header, fit, layers, tmp_path / "out")
        assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_differences_are_counted_by_layer(tmp_path: Path) -> None:
    values = good_values()
    before = save(tmp_path / "before", values)
    values[-1] += 3.0
    values[-2] -= 4.0
    after = save(tmp_path / "after", values)
    first, second = compare_weights(small(), before, after)
    assert (first.changed, first.rms) == (0, 0)
    assert second.changed == 2
    assert second.rms == pytest.approx((25 / SECOND) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # Bytes of published files: yolov4.weights, yolov4.conv.137, yolov4-tiny.conv.29.
        (257_717_640, [("yolov4", 162, 80)]),
        (170_038_676, [("yolov4", 137, 0)]),
        (19_789_716, [("yolov4-tiny", 29, 0), ("yolov4-tiny-3l", 29, 0)]),
        # darknet53.conv.74; layer 74 is the backbone's last, a sum without values of its own.
        (162_482_580, [("yolov3", 75, 0), ("yolov3-spp", 75, 0)]),
        (1_000_020, []),
        (20, []),
    ],
)
def test_of_which_network_a_file_may_be(size: int, expected: list[tuple[str, int, int]]) -> None:
    found = find_origins((size - 20) // 4)
    assert [(one.model.name, one.layers, one.classes) for one in found] == expected


class TestCommand:
    def test_a_header_alone(self, dkit: Dkit, tmp_path: Path) -> None:
        save(tmp_path / "a.weights", good_values(), seen=640)
        ended = dkit("weights", "info", tmp_path / "a.weights")
        assert ended.exit_code == 0
        assert f"{FIRST + SECOND} values, version 0.2.5, 640 images seen" in ended.stdout

    def test_a_verdict(self, dkit: Dkit, tmp_path: Path) -> None:
        cfg = tmp_path / "n.cfg"
        cfg.write_text(SMALL.format(classes=1, filters=6))
        save(tmp_path / "a.weights", good_values(), seen=100)
        ended = dkit("weights", "info", tmp_path / "a.weights", cfg)
        assert ended.exit_code == 0
        assert "They FIT: all 3 layers." in ended.stdout
        assert "goes on at iteration 50 of 100" in ended.stdout
        cfg.write_text(SMALL.format(classes=3, filters=8))
        ended = dkit("weights", "info", tmp_path / "a.weights", cfg)
        assert ended.exit_code == 1
        assert "They DO NOT FIT" in ended.stdout
        assert "--layers 1" in ended.stdout.splitlines()[-1]

    def test_cut_keeps_what_is_there(self, dkit: Dkit, tmp_path: Path) -> None:
        cfg = tmp_path / "n.cfg"
        cfg.write_text(SMALL.format(classes=1, filters=6))
        save(tmp_path / "a.weights", good_values(), seen=100)
        words = ("weights", "cut", cfg, tmp_path / "a.weights", "-o", tmp_path / "b")
        assert dkit(*words).exit_code == 2
        assert dkit(*words, "--layers", "1").exit_code == 0
        header = read_weights_header(tmp_path / "b")
        assert (header.floats, header.seen) == (FIRST, 0)
        again = dkit(*words, "--layers", "2")
        assert (again.exit_code, "file-exists" in again.stderr) == (2, True)
        assert dkit(*words, "--layers", "2", "--overwrite").exit_code == 0

    @pytest.mark.parametrize(
        "words", [("cut", "a"), ("compare", "a", "n.cfg"), ("info", "a", "b"), ("info", "n.cfg")]
    )
    def test_wrong_files_are_a_sentence(self, dkit: Dkit, words: Sequence[str]) -> None:
        ended = dkit("weights", *words)
        assert (ended.exit_code, "wrong-files" in ended.stderr) == (2, True)
