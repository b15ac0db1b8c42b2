"""Keys that engines read, misspelt ones, and anchors in the wrong unit.

The table is held against the source of AlexeyAB's Darknet where a checkout is named, and against
what the embedded engine says of each key.
"""

import os
import re
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.support import find_unsupported
from darknet_kit.engine.torch.keys import HONOURED, INERT, REFUSED
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import format_cfg, parse_cfg
from darknet_kit.network.catalog import MODELS
from darknet_kit.network.check import check_cfg
from darknet_kit.network.keys import EVERY_LAYER, KEYS, OWN_PREFIX, iter_unknown_keys
from darknet_kit.network.layers import infer_layers
from darknet_kit.network.model import CfgRequest, make_cfg

# Of recurrent and contrastive layers, which no detector that dkit knows has.
_ELSEWHERE = frozenset(
    {
        *("bottleneck", "contrastive_neg_max", "hidden", "history_size", "logistic", "shortcut"),
        *("lstm_activation", "peephole", "state_constrain", "time_normalizer", "yolo_layer"),
    }
)


def test_the_table_is_upstreams() -> None:
    named = os.environ.get("DKIT_TEST_DARKNET_SOURCE")
    if not named:
        pytest.skip("DKIT_TEST_DARKNET_SOURCE names no checkout of AlexeyAB's Darknet")
    source = (Path(named) / "src" / "parser.c").read_text(encoding="utf-8", errors="replace")
    read = set(re.findall(r'option_find\w*\(\s*\w+, "(\w+)"', source)) - _ELSEWHERE
    assert frozenset().union(*KEYS.values()) | EVERY_LAYER | {"show_receptive_field"} == read


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_the_embedded_engine_has_an_answer_to_each_key(kind: str) -> None:
    none = frozenset[str]()
    answers = HONOURED.get(kind, none) | INERT.get(kind, none) | REFUSED.get(kind, {}).keys()
    assert {key for key in answers if not key.startswith(OWN_PREFIX)} == KEYS[kind]


@pytest.mark.parametrize("model", list(MODELS))
def test_our_networks_have_no_unknown_key(model: str) -> None:
    assert list(iter_unknown_keys(make_cfg(CfgRequest(3, model)))) == []


def changed(old: str, new: str, model: str = "dkit-nano") -> str:
    text = format_cfg(make_cfg(CfgRequest(3, model)))
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "\nburn_in=",
            "\nburnin=",
            "no engine reads; did you mean burn_in?",
        ),
        ("ignore_thresh=", "ignore_tresh=", "did you mean ignore_thresh?"),
        ("jitter=", "zzz=", "[yolo] has zzz=, which no engine reads"),
    ],
)
def test_misspelt_keys(old: str, new: str, said: str) -> None:
    cfg = parse_cfg(changed(old, new))
    (found,) = [one for one in check_cfg(cfg) if one.code == "unknown-key"]
    assert found.message.endswith(said)
    assert format_cfg(cfg).splitlines()[found.line - 1].startswith(new.strip())
    lacking = find_unsupported(cfg, Flavor.HANK_AI)
    assert [one.line for one in lacking] == [found.line]
    assert find_unsupported(cfg, Flavor.ALEXEYAB) == []


def test_keys_of_the_embedded_engine_are_known() -> None:
    cfg = parse_cfg(changed("hue=", "dkit_grad_clip=10\nhue="))
    assert "unknown-key" not in {one.code for one in check_cfg(cfg)}


def test_a_second_value_counts_for_nothing() -> None:
    cfg = parse_cfg(changed("batch=8", "batch=1\nbatch=8"))
    (found,) = [one for one in check_cfg(cfg) if one.code == "duplicate-key"]
    assert "batch=8 counts for nothing" in found.message
    same = parse_cfg(changed("batch=8", "batch=8\nbatch=8"))
    assert "duplicate-key" not in {one.code for one in check_cfg(same)}


@pytest.mark.parametrize(("kind", "meant"), [("Yolo", "yolo"), ("maxpol", "maxpool")])
def test_misspelt_sections(kind: str, meant: str) -> None:
    cfg = parse_cfg(changed(f"[{meant}]", f"[{kind}]"))
    with pytest.raises(CfgError) as caught:
        infer_layers(cfg)
    assert caught.value.code == "unsupported-section"
    assert caught.value.hint.startswith(f"Did you mean [{meant}]?")


@pytest.mark.parametrize(
    ("model", "anchors", "code"),
    [
        ("dkit-nano", "0.5,0.6,  1.8,2.0,  3.3,3.9", "anchors-in-cells"),
        ("dkit-nano", "100,120,  200,200,  300,300", "anchors-too-large"),
        ("yolov2", "18,21, 60,66, 107,175, 252,112, 312,293", "anchors-in-pixels"),
    ],
)
def test_anchors_in_the_wrong_unit(model: str, anchors: str, code: str) -> None:
    text = format_cfg(make_cfg(CfgRequest(3, model)))
    cfg = parse_cfg(re.sub(r"^anchors=.*$", f"anchors={anchors}", text, flags=re.M))
    assert [one.code for one in check_cfg(cfg)] == [code]
