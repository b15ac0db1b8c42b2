"""What a training needs: arrays counted by hand, cards by name, times by arithmetic."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.cli.gpuchoice import choose_gpu
from darknet_kit.cli.needs import describe_run
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.find import Engine
from darknet_kit.engine.flavor import Features
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import parse_cfg
from darknet_kit.network.estimate import (
    CUDA_BYTES,
    WORKSPACE_BYTES,
    estimate_hours,
    estimate_memory,
    estimate_needs,
    fit_subdivisions,
)
from darknet_kit.network.gpus import GPUS, find_gpu, require_gpu
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.network.retarget import parse_override
from tests.conftest import Ended
from tests.recorded_nvml import show_gpu

Dkit = Callable[..., Ended]
NET = """[net]
batch=8
subdivisions=2
width=32
height=32
channels=3
max_batches=12000
{adam}
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
stride=2
activation=mish
[maxpool]
size=2
stride=2
[convolutional]
filters=18
size=1
activation=linear
[yolo]
classes=1
num=3
mask=0,1,2
anchors=4,4, 8,8, 16,16
random={random}
"""


def by_hand(images: int, optimizer: int) -> int:
    """16 x 16 x 4 four times (output, delta, x, input of mish), 8 x 8 x 4 three times (indices
    too), 8 x 8 x 18 twice, and three times for the head; for mAP another network, outputs alone."""
    first, pooled, last = 16 * 16 * 4, 8 * 8 * 4, 8 * 8 * 18
    training = images * (32 * 32 * 3 + 4 * first + 3 * pooled + 2 * last + 3 * last)
    testing = 32 * 32 * 3 + first + pooled + 2 * last
    weights = 4 * 4 + 4 * 27 + 18 + 4 * 18
    values = training + testing + weights * (optimizer + 1)
    return 4 * values + CUDA_BYTES + WORKSPACE_BYTES


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize(("adam", "optimizer"), [("", 2), ("adam=1", 4)])
def test_memory_by_hand(images: int, adam: str, optimizer: int) -> None:
    cfg = parse_cfg(NET.format(adam=adam, random=0))
    assert estimate_memory(cfg, images) == by_hand(images, optimizer)


def test_random_grows_the_network() -> None:
    small, grown = (parse_cfg(NET.format(adam="", random=value)) for value in (0, 1))
    # 1.4 x 32 pixels and a step more are 76.8, in steps of 32: 64, four times the area. The mAP
    # is computed at 32, so that an image that is trained on takes three times more and no other.
    image = estimate_memory(small, 2) - estimate_memory(small, 1)
    assert estimate_memory(grown, 2) - estimate_memory(small, 2) == 2 * 3 * image


@pytest.mark.parametrize(
    ("size", "images", "card", "fits"),
    [
        # What ran, what did not, and what WongKinYiu answered: AlexeyAB/darknet #5349, #5406, #5492
        # and #5596.
        (416, 4, "GTX 1080 Ti", True),
        (512, 2, "GTX 1080 Ti", True),
        (608, 2, "GTX 1080 Ti", False),
        (608, 1, "GTX 1080 Ti", True),
        (608, 2, "RTX 2080", False),
        (608, 1, "RTX 2080", True),
        (608, 1, "GTX 1660", False),
    ],
)
def test_yolov4_on_cards_that_people_had(size: int, images: int, card: str, fits: bool) -> None:
    cfg = make_cfg(CfgRequest(80, size=(size, size)))
    choice = choose_gpu(card, None)
    assert choice is not None
    assert (estimate_memory(cfg, images) <= choice.memory) is fits


def test_fewest_subdivisions_that_fit() -> None:
    cfg = parse_cfg(NET.format(adam="", random=0))
    for parts in (1, 2, 4, 8):
        needed = estimate_memory(cfg, 8 // parts)
        assert fit_subdivisions(cfg, 8, needed) == parts
    assert fit_subdivisions(cfg, 8, needed - 1) is None


def test_disk_by_hand() -> None:
    needs = estimate_needs(parse_cfg(NET.format(adam="", random=0)))
    # 12,000 iterations: one file after 10,000, and _last, _best, _final.
    assert needs.weights_disk == 4 * (20 + 4 * (4 * 4 + 4 * 27 + 18 + 4 * 18))
    assert needs.log_disk == 12_000 * (2 * (171 + 52) + 170)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("3090", "RTX 3090"),
        ("rtx2080ti", "RTX 2080 Ti"),
        ("NVIDIA GeForce RTX 2080 SUPER", "RTX 2080"),
        ("Tesla V100-SXM2-16GB", "Tesla V100"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA TITAN Xp", "Titan Xp"),
        ("L40S", "L40"),
        ("NVIDIA A1000", None),
        ("Radeon", None),
        ("", None),
    ],
)
def test_cards_by_name(name: str, found: str | None) -> None:
    gpu = find_gpu(name)
    assert (gpu.name if gpu else None) == found


def test_every_card_is_found_by_its_own_name() -> None:
    assert [find_gpu(gpu.name) for gpu in GPUS] == list(GPUS)
    with pytest.raises(UsageError, match="'Voodoo2'"):
        require_gpu("Voodoo2")
    with pytest.raises(UsageError) as caught:
        require_gpu("RTX 309")
    assert caught.value.hint.startswith("Did you mean RTX 3090 or RTX 3090 Ti?")


def test_a_thousand_classes_take_most_of_a_year() -> None:
    cfg = make_cfg(CfgRequest(1000, size=(608, 608)))
    gpu = require_gpu("GTX 1060")
    # By hand: 2,000,000 x 64 images x 3 x 142.743 billion operations at 0.35 x 4.4 TFLOPS.
    seconds = 2_000_000 * 64 * 3 * 142.743e9 / (0.35 * 4.4e12)
    assert estimate_hours(cfg, gpu) == pytest.approx(seconds / 3600, rel=1e-4)
    assert 240 < estimate_hours(cfg, gpu) / 24 < 450


def test_small_networks_wait_for_images() -> None:
    cfg = make_cfg(CfgRequest(3, "dkit-nano", max_batches=6000))
    assert estimate_hours(cfg, require_gpu("H100")) == pytest.approx(6000 * 8 / 1000 / 3600)


class TestCommand:
    def test_memory_decides_subdivisions(self, dkit: Dkit) -> None:
        words = ("make-cfg", "--classes", "20", "--dry-run", "--json")
        counts = [
            json.loads(dkit(*words, "--gpu-memory", memory).stdout)["subdivisions"]
            for memory in ("6", "8", "12", "24")
        ]
        assert counts == sorted(counts, reverse=True)
        assert len(set(counts)) > 2
        fixed = dkit(*words, "--gpu-memory", "24", "--subdivisions", "64")
        assert json.loads(fixed.stdout)["subdivisions"] == 64

    def test_a_named_card_tells_how_long(self, dkit: Dkit) -> None:
        words = ("make-cfg", "--classes", "1000", "--size", "608", "--dry-run")
        ended = dkit(*words, "--gpu", "GTX 1080", "--set", "yolo.random=0")
        assert "days on one GTX 1080" in ended.stdout
        assert "of disk, for weights" in ended.stdout
        many = dkit(*words, "--gpu", "GTX 1060", "--set", "yolo.random=0", "--gpus", "2")
        assert "on 2 x GTX 1060" in many.stdout

    def test_too_little_memory(self, dkit: Dkit) -> None:
        ended = dkit("make-cfg", "--classes", "20", "--gpu-memory", "2", "--dry-run")
        assert (ended.exit_code, "too-little-memory" in ended.stderr) == (2, True)

    @pytest.mark.parametrize("memory", ["0", "-3", "1e9", "nan"])
    def test_no_memory(self, dkit: Dkit, memory: str) -> None:
        ended = dkit("make-cfg", "--classes", "20", "--gpu-memory", memory, "--dry-run")
        assert ended.exit_code == 2


def test_an_override_counts_before_the_memory_is_divided() -> None:
    request = CfgRequest(20, gpu_memory=6_000_000_000)
    assert make_cfg(request).net.integer("subdivisions") == 64
    still = CfgRequest(20, gpu_memory=6_000_000_000, overrides=[parse_override("yolo.random=0")])
    assert make_cfg(still).net.integer("subdivisions") < 64


def test_a_measured_iteration_tells_how_long(dkit: Dkit) -> None:
    """6000 iterations of 2.5 seconds are 4 hours and 10 minutes; two GPUs halve them."""
    words = ("make-cfg", "--classes", "3", "--dry-run", "--seconds", "2.5")
    assert json.loads(dkit(*words, "--json").stdout)["needs"]["hours"] == 4.17
    assert json.loads(dkit(*words, "--gpus", "2", "--json").stdout)["needs"]["hours"] == 2.08
    assert "takes about 4 hours at 2.5 seconds an iteration" in dkit(*words).stdout


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_no_iteration_takes_that_long(dkit: Dkit, seconds: str) -> None:
    ended = dkit("make-cfg", "--classes", "3", "--dry-run", "--seconds", seconds)
    assert (ended.exit_code, "[bad-seconds]" in ended.stderr) == (2, True)


class TestRun:
    """What `dkit train` says before it starts, of the GPU that the driver shows."""

    @pytest.fixture(autouse=True)
    def card(self, monkeypatch: pytest.MonkeyPatch) -> None:
        show_gpu(monkeypatch)

    def test_time_of_the_card_that_is_there(self) -> None:
        cfg = make_cfg(CfgRequest(3, "dkit-nano", max_batches=60_000))
        engine = Engine(Path("darknet"), Flavor.ALEXEYAB, Features(gpu=True))
        # By hand: 60,000 x 8 images, of which a few CPU cores load a thousand a second.
        assert describe_run(cfg, engine, 1) == [
            "note: takes about 8 minutes on one H200, give or take a half"
        ]

    def test_too_little_memory_is_told(self) -> None:
        """64 images at once, at up to 1.4 times 832 x 832 pixels: more than any GPU has."""
        cfg = make_cfg(CfgRequest(3, size=(832, 832), subdivisions=1))
        engine = Engine(Path("darknet"), Flavor.ALEXEYAB, Features(gpu=True))
        assert "double the subdivisions" in describe_run(cfg, engine, 1)[1]
        own = Engine(Path("torch"), Flavor.ALEXEYAB, Features(gpu=True), embedded=True)
        assert len(describe_run(cfg, own, 1)) == 1

    def test_nothing_is_known_of_a_cpu(self) -> None:
        cfg = make_cfg(CfgRequest(3, "dkit-nano"))
        engine = Engine(Path("darknet"), Flavor.ORIGINAL, Features(gpu=False))
        assert describe_run(cfg, engine, 1) == []
