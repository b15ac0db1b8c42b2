"""Checks of a cfg: each mistake alone in a network that is otherwise right.

What each mistake does to which engine was seen by running AlexeyAB's, the original and hank-ai's.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import format_cfg, parse_cfg, read_cfg
from darknet_kit.network.check import check_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.network.problem import CfgSeverity

ERROR, WARNING = CfgSeverity.ERROR, CfgSeverity.WARNING

RIGHT = """[net]
batch=64
subdivisions=16
width=416
height=416
channels=3
learning_rate=0.001
burn_in=1000
max_batches=20000
policy=steps
steps=16000,18000
scales=.1,.1

[convolutional]
size=3
stride=32
pad=1
filters=45
activation=linear

[yolo]
mask=0,1,2
anchors=10,13, 16,30, 33,23, 30,61
classes=10
num=4
"""


def test_a_right_cfg_has_no_problems() -> None:
    assert check_cfg(parse_cfg(RIGHT), classes=10, train_images=5000) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "severity"),
    [
        ("[net]\n", "\ufeff[net]\n", "byte-order-mark", 1, ERROR),
        ("channels=3\n", "channels=3\r\n", "crlf", 0, WARNING),
        ("batch=64", "batch=1\nsubdivisions=1", "test-cfg", 2, ERROR),
        ("batch=64", "batch=0", "bad-batch", 2, ERROR),
        ("subdivisions=16", "subdivisions=0", "bad-batch", 2, ERROR),
        ("subdivisions=16", "subdivisions=24", "bad-subdivisions", 3, ERROR),
        ("batch=64", "batch=8", "bad-subdivisions", 3, ERROR),
        ("batch=64", "batch=64x", "not-a-number", 2, ERROR),
        ("width=416\nheight=416", "width=418\nheight=418", "size-not-multiple", 4, ERROR),
        ("height=416", "height=400", "size-not-multiple", 4, ERROR),
        ("width=416", "width=0", "no-input-size", 1, ERROR),
        ("=0.001", "=0", "no-learning-rate", 7, ERROR),
        ("=0.001", "=-0.001", "no-learning-rate", 7, ERROR),
        ("burn_in=1000\n", "", "no-burn-in", 1, WARNING),
        ("burn_in=1000", "burn_in=16000", "burn-in-too-long", 8, WARNING),
        ("max_batches=20000\n", "", "no-max-batches", 1, ERROR),
        ("max_batches=20000", "max_batches=0", "no-max-batches", 9, ERROR),
        ("max_batches=20000", "max_batches=17000", "step-never-reached", 11, WARNING),
        ("16000,18000", "400000,450000", "step-never-reached", 11, WARNING),
        ("16000,18000", "18000,16000", "steps-unsorted", 11, ERROR),
        ("16000,18000", "16000,16000", "steps-unsorted", 11, ERROR),
        ("16000,18000", "14000,16000,18000", "scales-missing", 12, ERROR),
        ("scales=.1,.1", "scales=.1,.1,.1", "scales-surplus", 12, WARNING),
        ("scales=.1,.1\n", "", "no-steps", 11, ERROR),
        ("steps=16000,18000\n", "", "no-steps", 1, ERROR),
        ("channels=3", "channels=3\nmosaic=1\nletter_box=1", "mosaic-letter-box", 8, ERROR),
        ("filters=45", "filters=255", "wrong-filters", 18, ERROR),
        ("mask=0,1,2", "mask=0,1", "wrong-filters", 18, ERROR),
        ("[yolo]", "[Gaussian_yolo]", "wrong-filters", 18, ERROR),
        ("activation=linear", "activation=linaer", "unknown-activation", 19, WARNING),
        ("activation=linear", "activation=linear # x", "unknown-activation", 19, WARNING),
        (", 30,61", "", "too-few-anchors", 23, ERROR),
        ("num=4", "num=3", "too-many-anchors", 23, WARNING),
        ("mask=0,1,2", "mask=2,3,4", "mask-out-of-range", 22, ERROR),
        ("mask=0,1,2", "mask=0,1,-2", "mask-out-of-range", 22, ERROR),
        ("[yolo]", "[Yolo]", "no-head", 0, ERROR),
        ("num=4\n", "num=4\n[dropout]\n", "head-not-last", 26, ERROR),
        ("[convolutional]\n", "[select]\n[convolutional]\n", "unsupported-section", 14, ERROR),
        ("[convolutional]\n", "[route]\n[convolutional]\n", "bad-source", 14, ERROR),
    ],
)
def test_each_mistake_is_found(
    old: str, new: str, code: str, line: int, severity: CfgSeverity
) -> None:
    assert old in RIGHT
    problems = check_cfg(parse_cfg(RIGHT.replace(old, new, 1)))
    found = [problem for problem in problems if problem.code == code]
    assert [(problem.line, problem.severity) for problem in found] == [(line, severity)]
    assert all(problem.message and problem.cure for problem in problems)
    assert found[0].is_error is (severity is ERROR)


def test_mistakes_come_alone() -> None:
    """One mistake must not be reported in several ways."""
    for old, new in (("filters=45", "filters=255"), ("subdivisions=16", "subdivisions=24")):
        assert len(check_cfg(parse_cfg(RIGHT.replace(old, new)))) == 1


def test_a_wrong_size_is_told_before_what_follows_from_it() -> None:
    cfg = make_cfg(CfgRequest(10, "yolov4"))
    text = format_cfg(cfg).replace("=416", "=418")
    (problem,) = check_cfg(parse_cfg(text))
    assert problem.code == "size-not-multiple"
    assert problem.message == "418 is not a multiple of 32; nearest are 416 and 448"


def test_classes_must_be_those_of_the_data_set() -> None:
    cfg = make_cfg(CfgRequest(10, "yolov3"))
    problems = check_cfg(cfg, classes=12)
    assert [problem.code for problem in problems] == ["wrong-classes"] * 3
    assert "12" in problems[0].message


def test_heads_must_agree() -> None:
    text = format_cfg(make_cfg(CfgRequest(10, "yolov4-tiny")))
    head, mark, tail = text.rpartition("classes=10")
    problems = check_cfg(parse_cfg(f"{head}classes=9{tail}"))
    assert mark
    assert [problem.code for problem in problems] == ["wrong-filters", "unequal-classes"]


def test_a_run_that_shows_too_few_images_is_told() -> None:
    (problem,) = check_cfg(parse_cfg(RIGHT), train_images=64 * 20000 + 1)
    assert (problem.code, problem.line, problem.is_error) == ("too-short", 9, False)


def test_an_old_head_is_told() -> None:
    text = """[net]
batch=64
width=448
height=448
channels=3
burn_in=10
max_batches=100

[connected]
output=1470
activation=linear

[detection]
classes=20
coords=4
side=7
num=2
"""
    assert [problem.code for problem in check_cfg(parse_cfg(text))] == ["v1-head"]
    wrong = check_cfg(parse_cfg(text.replace("1470", "1225")))
    assert [problem.code for problem in wrong] == ["wrong-filters", "v1-head"]
    assert "output=1225 before [detection] must be 1470" in wrong[0].message


def test_a_real_network_with_wrong_heads(shared_data: Callable[[str], Path]) -> None:
    """Somebody changed the first of three heads and left the others at 80 classes."""
    name = "E_cfg_data_names/jpfleischer__728b2b92_legogearsv7tiny.cfg"
    problems = check_cfg(read_cfg(shared_data(name)))
    assert [(problem.code, problem.line) for problem in problems] == [
        ("wrong-filters", 596),
        ("unequal-classes", 646),
        ("unequal-classes", 689),
    ]
    assert "5, 80, 80" in problems[1].message


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("AlexeyAB__Gaussian_yolov3_BDD", ["unknown-key"]),
        ("AlexeyAB__enet-coco", []),
        ("AlexeyAB__yolov4-tiny-3l", []),
        ("AlexeyAB__yolov3-spp", ["test-cfg"]),
        ("AlexeyAB__efficientnet-lite3", ["no-head", "duplicate-key"]),
        ("ceccocats__yolo4-csp_crowd", ["mosaic-letter-box"]),
        ("dstaroff__tinyyolov3_data_fire", []),
        ("theAIGuysCode__yolov4-obj", []),
        ("thtrieu__yolo-tiny-extract", ["no-burn-in", "unsupported-section", "v1-head"]),
    ],
)
def test_real_networks(shared_data: Callable[[str], Path], name: str, codes: list[str]) -> None:
    problems = check_cfg(read_cfg(shared_data(f"E_cfg_data_names/{name}.cfg")))
    assert [problem.code for problem in problems] == codes


KEYS = (
    *("batch", "subdivisions", "width", "height", "channels", "policy", "steps", "scales"),
    *("burn_in", "max_batches", "mask", "anchors", "num", "classes", "filters", "side"),
    *("coords", "layers", "stride"),
)
LINES = st.lists(
    st.one_of(
        st.sampled_from(["[yolo]", "[region]", "[detection]", "[convolutional]", "[route]"]),
        st.builds(
            "{}={}".format,
            st.sampled_from(KEYS),
            st.one_of(
                st.integers(-2, 10**19),
                st.sampled_from(["", "steps", "0,1,2", ",,", "nan", "1e99", "#"]),
            ),
        ),
    ),
    max_size=20,
)


@given(LINES, st.integers(0, 100), st.integers(0, 10**9))
def test_no_cfg_makes_the_check_fail(lines: list[str], classes: int, images: int) -> None:
    text = "[net]\n" + "\n".join(lines) + "\n"
    problems = check_cfg(parse_cfg(text), classes, images)
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


@given(st.text())
def test_no_text_makes_the_check_fail(text: str) -> None:
    try:
        cfg = parse_cfg(text)
    except CfgError:
        return
    assert all(problem.code for problem in check_cfg(cfg))
