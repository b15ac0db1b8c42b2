"""What is said of the keys of a cfg, before anything starts."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.engine.torch.keys import HONOURED, INERT, REFUSED, check_keys
from darknet_kit.formats.cfg import parse_cfg, read_cfg
from darknet_kit.network.kinds import INFER
from darknet_kit.network.model import CfgRequest, make_cfg

SOURCE = Path(__file__).parent.parent / "darknet_kit" / "engine" / "torch"


@pytest.mark.parametrize(
    ("text", "key", "line", "is_error", "message"),
    [
        ("[net]\nbatch=64\nwidht=416", "widht", 3, False, "no engine reads; did you mean width?"),
        ("[net]\ndkit_optimiser=adamw", "dkit_optimiser", 2, False, "did you mean dkit_optimizer?"),
        ("[net]\nangle=7", "angle", 2, False, "[net] has angle=7, which has no effect here"),
        ("[net]\nadversarial_lr=.1", "adversarial_lr", 2, True, "lacks adversarial training"),
        ("[net]\ncontrastive=1", "contrastive", 2, True, "lacks contrastive training"),
        ("[net]\ntime_steps=3", "time_steps", 2, True, "lacks sequences"),
        (
            "[net]\nsubdivisions=4\nsequential_subdivisions=2",
            "sequential_subdivisions",
            3,
            True,
            "",
        ),
        ("[net]\n[conv]\n\nxnor=1", "xnor", 4, True, "layer 0 [conv] has xnor=1"),
        ("[net]\n[maxpool]\nmaxpool_zero_nonmax=1", "maxpool_zero_nonmax", 3, True, "layer 0"),
        ("[net]\n[softmax]\ntree=9k.tree", "tree", 3, True, "lacks a tree of classes"),
        ("[net]\n[region]\nmap=coco9k.map", "map", 3, True, "lacks a map of classes"),
        ("[net]\n[Gaussian_yolo]\nmap=x.map", "map", 3, True, "lacks a map of classes"),
        ("[net]\n[empty]\n[crnn]\nfoo=1", "", 3, True, "layer 1 [crnn] is a section that"),
        ("[net]\n[yollo]\nmask=1", "", 2, True, "does not have; did you mean yolo?"),
        ("[net]\n[sam]\nactivation=mis", "activation", 3, True, "not exist; did you mean mish?"),
        ("[net]\n[conv]\nactivation=leaky#x", "activation", 3, True, "did you mean leaky?"),
        ("[net]\n[yolo]\nclases=3", "clases", 3, False, "layer 0 [yolo] has clases=, which no"),
        ("[net]\n[route]\nlayers=1\nstopbackwards=1", "stopbackwards", 4, False, "stopbackward?"),
    ],
)
def test_one_problem(text: str, key: str, line: int, is_error: bool, message: str) -> None:
    (problem,) = check_keys(parse_cfg(text))
    assert (problem.key, problem.line, problem.is_error) == (key, line, is_error)
    assert message in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "[net]\nadversarial_lr=0\ntime_steps=1\nangle=0\naspect=1\nloss_scale=1",
        "[net]\nsubdivisions=4\nsequential_subdivisions=4",
        "[net]\n[conv]\nxnor=0\nbinary=0\nstopbackward=1\nlearning_rate=.1\nclip=1",
        "[network]\nbatch=1\n[soft]\n[silence]\n[avg]",
        "[net]\nbatch=1\nbatch=2",
    ],
)
def test_what_asks_for_nothing_unusual_is_not_worth_a_word(text: str) -> None:
    assert check_keys(parse_cfg(text)) == []


@pytest.mark.parametrize("model", ["yolov4", "yolov4-tiny", "yolov3", "dkit-nano"])
def test_our_own_networks_are_clean(model: str) -> None:
    assert check_keys(make_cfg(CfgRequest(classes=3, model=model))) == []


def test_real_networks_have_few_errors(shared_data: Callable[[str], Path]) -> None:
    found = set()
    for path in shared_data("E_cfg_data_names").glob("*.cfg"):
        for problem in check_keys(read_cfg(path)):
            assert problem.line
            if problem.is_error:
                found.add((path.stem, problem.kind, problem.key))
    # The last two are from darkflow, which has sections of its own.
    assert found == {
        ("AlexeyAB__efficientnet-lite3", "net", "cutmix"),
        ("thtrieu__person-bottle", "select", ""),
        ("thtrieu__yolo-tiny-extract", "conv-extract", ""),
        ("thtrieu__yolo-tiny-extract", "extract", ""),
        ("thtrieu__yolo-tiny-extract", "select", ""),
    }


def test_the_tables_agree() -> None:
    """No key has two fates, no section is forgotten, and our own keys are those that are read."""
    assert HONOURED.keys() - {"net"} == INFER.keys() - {"contrastive"}
    for kind, keys in HONOURED.items():
        inert, refused = INERT.get(kind, frozenset()), REFUSED.get(kind, {}).keys()
        assert not keys & inert
        assert not keys & refused
        assert not inert & refused
    read = {
        key
        for path in SOURCE.rglob("*.py")
        if path.name != "keys.py"
        for key in re.findall(r"\"(dkit_[a-z_]+)\"", path.read_text())
    }
    assert read <= {key for keys in HONOURED.values() for key in keys}


def test_checking_keys_needs_no_pytorch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from darknet_kit.engine.torch.keys import check_keys\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
