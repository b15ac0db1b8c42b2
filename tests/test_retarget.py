"""Networks of others, set up for other classes; values that somebody asks for.

Filters are computed by hand: (classes + 5) x 3 for [yolo], (classes + 9) x 3 for [Gaussian_yolo],
(classes + 5) x 5 for [region].
"""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.errors import CfgError, UsageError
from darknet_kit.formats.cfg import Cfg, format_cfg, parse_cfg, read_cfg
from darknet_kit.network.check import check_cfg
from darknet_kit.network.mirrored import find_mirrored
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.network.retarget import apply_override, parse_override, retarget_heads
from tests.conftest import Ended

Dkit = Callable[..., Ended]
BASE = """# mine, 2021
[net]
batch=1
subdivisions=1   # for testing
width = 416
height=416
channels=3
learning_rate=0.002
policy=steps
steps=400000,450000
scales=.1,.1
max_batches = 10000

[convolutional]
filters=255   # 80 classes
size=1
activation=linear

[yolo]
mask = 0,1,2
anchors = 10,13,  16,30,  33,23
classes=80
num=3
counters_per_class = {counters}
"""
EIGHTY = ",".join(["7"] * 80)


def base() -> Cfg:
    return parse_cfg(BASE.format(counters=EIGHTY), "mine.cfg")


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("AlexeyAB__Gaussian_yolov3_BDD", 36),
        ("AlexeyAB__yolov4-tiny-3l", 24),
        ("ceccocats__yolo2_voc", 40),
        ("jpfleischer__728b2b92_legogearsv7tiny", 24),
    ],
)
def test_real_networks_of_others(
    shared_data: Callable[[str], Path], name: str, filters: int
) -> None:
    theirs = read_cfg(shared_data(f"E_cfg_data_names/{name}.cfg"))
    cfg = make_cfg(CfgRequest(3, base=theirs))
    for index, section in enumerate(cfg.layers):
        if section.kind in ("yolo", "Gaussian_yolo", "region"):
            assert section.integer("classes") == 3
            assert cfg.layers[index - 1].integer("filters") == filters
    errors = [problem for problem in check_cfg(cfg, classes=3) if problem.is_error]
    assert errors == []


def test_only_lines_that_must_change_do() -> None:
    before = BASE.format(counters=EIGHTY).splitlines()
    after = format_cfg(make_cfg(CfgRequest(2, base=base()))).splitlines()
    lines = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    removed = {line[2:].strip() for line in lines if line[0] == "-"}
    assert removed == {
        "batch=1",
        "subdivisions=1   # for testing",
        "steps=400000,450000",
        "max_batches = 10000",
        "filters=255   # 80 classes",
        "classes=80",
        f"counters_per_class = {EIGHTY}",
    }
    added = [line[2:] for line in lines if line[0] == "+"]
    assert {"batch=64", "subdivisions=16   # for testing", "max_batches = 6000"} <= set(added)
    assert {"steps=4800,5400", "burn_in=600", "filters=21   # 80 classes"} <= set(added)
    assert f"# counters_per_class = {EIGHTY}" in added
    assert "# mine, 2021" in after


def test_doing_it_again_writes_one_heading() -> None:
    once = make_cfg(CfgRequest(2, base=base()))
    twice = make_cfg(CfgRequest(2, base=parse_cfg(format_cfg(once), "mine.cfg")))
    assert format_cfg(twice) == format_cfg(once)
    own = make_cfg(CfgRequest(2, "dkit-nano"))
    other = make_cfg(CfgRequest(4, base=parse_cfg(format_cfg(own), "n.cfg")))
    assert format_cfg(other).count("written by `dkit make-cfg`") == 1


def test_a_policy_without_steps_stays() -> None:
    text = BASE.format(counters=EIGHTY).replace("policy=steps", "policy=sgdr")
    cfg = make_cfg(CfgRequest(2, base=parse_cfg(text)))
    assert (cfg.net.text("policy"), cfg.net.text("steps")) == ("sgdr", "400000,450000")
    assert "# steps=" not in format_cfg(cfg)


def test_counters_go_into_every_head() -> None:
    cfg = make_cfg(CfgRequest(2, "yolov4-tiny", counters=(5, 1000)))
    assert format_cfg(cfg).count("\ncounters_per_class=5,1000\n") == 2
    assert "5 to 1,000 boxes" in format_cfg(cfg)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[net]\nwidth=32\nheight=32\nchannels=3\n[maxpool]\nsize=2\nstride=2\n", "no-head"),
        (
            "[net]\nwidth=32\nheight=32\nchannels=3\n[maxpool]\nsize=2\nstride=2\n[yolo]\n",
            "no-layer-before-head",
        ),
    ],
)
def test_what_cannot_be_set_up(text: str, code: str) -> None:
    with pytest.raises(CfgError) as caught:
        retarget_heads(parse_cfg(text), 3)
    assert caught.value.code == code


class TestOverrides:
    def test_one_value_anywhere(self) -> None:
        cfg = make_cfg(
            CfgRequest(
                2,
                "yolov4-tiny",
                overrides=[
                    parse_override(text)
                    for text in ("net.angle=5", "yolo.ignore_thresh=.5", "0.activation=mish")
                ],
            )
        )
        assert cfg.net.text("angle") == "5"
        assert [s.text("ignore_thresh") for s in cfg.layers if s.kind == "yolo"] == [".5", ".5"]
        assert cfg.layers[0].text("activation") == "mish"
        assert cfg.layers[1].text("activation") == "leaky"
        assert "# net.angle=5" in format_cfg(cfg)

    @pytest.mark.parametrize("text", ["angle=5", "net.angle", "net.angle=", "=", "net angle=5 6 x"])
    def test_nonsense(self, text: str) -> None:
        with pytest.raises(UsageError):
            parse_override(text)

    def test_no_such_section(self) -> None:
        with pytest.raises(UsageError, match="'yolov'") as caught:
            apply_override(base(), parse_override("yolov.classes=1"))
        assert "Did you mean yolo?" in caught.value.hint
        with pytest.raises(UsageError, match="'2'"):
            apply_override(base(), parse_override("2.filters=1"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["car", "Turn Left", "turn right"], ("Turn Left", "turn right")),
        (["left", "lefthand", "bright"], None),
        (["hand_right_1", "hand_left_1"], ("hand_right_1", "hand_left_1")),
        ([], None),
    ],
)
def test_mirrored_names(names: list[str], expected: tuple[str, str] | None) -> None:
    assert find_mirrored(names) == expected


def test_the_command(dkit: Dkit, tmp_path: Path) -> None:
    cfg, out = tmp_path / "mine.cfg", tmp_path / "new.cfg"
    cfg.write_text(BASE.format(counters=EIGHTY))
    words = ("make-cfg", "--base", cfg, "--classes", "2", "-o", out)
    ended = dkit(*words, "--set", "net.angle=5")
    assert ended.exit_code == 0
    assert "set up from mine.cfg" in ended.stdout
    assert read_cfg(out).net.text("angle") == "5"
    assert cfg.read_text() == BASE.format(counters=EIGHTY)
    assert dkit(*words, "--model", "yolov4").exit_code == 2
    assert dkit(*words, "--overwrite", "--counters-per-class").exit_code == 2
    assert dkit("make-cfg", "--base", cfg, "--classes", "2", "-o", cfg).exit_code == 2
