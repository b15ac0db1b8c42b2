"""Corrected networks: each mistake, what the correction writes, and that nothing else changes.

Expected lines are those that the check asks for, by the rules in README.
"""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.formats.cfg import format_cfg, parse_cfg, read_cfg
from darknet_kit.network.catalog import MODELS
from darknet_kit.network.check import check_cfg
from darknet_kit.network.mend import mend_cfg
from darknet_kit.network.model import CfgRequest, make_cfg
from tests.conftest import Ended

Dkit = Callable[..., Ended]


def good() -> str:
    cfg = format_cfg(make_cfg(CfgRequest(3, "yolov4-tiny", max_batches=10_000)))
    return cfg[cfg.index("[net]") :]


@pytest.mark.parametrize(
    ("old", "new", "code", "written"),
    [
        ("batch=64\nsubdivisions=1", "batch=1\nsubdivisions=1", "test-cfg", {"batch=64"}),
        ("subdivisions=1", "subdivisions=7", "bad-subdivisions", {"subdivisions=8"}),
        ("width=416", "width=418", "size-not-multiple", {"width=416"}),
        ("height=416", "height=440", "size-not-multiple", {"height=448"}),
        ("steps=8000,9000", "steps=400000,450000", "step-never-reached", {"steps=8000,9000"}),
        ("steps=8000,9000", "steps=9000,8000", "steps-unsorted", {"steps=8000,9000"}),
        ("scales=.1,.1", "scales=.1", "scales-missing", {"scales=.1,.1"}),
        ("max_batches=10000", "max_batches=0", "no-max-batches", {"max_batches=6000"}),
        ("burn_in=1000", "burn_in=0", "no-burn-in", {"burn_in=1000"}),
        ("learning_rate=0.00261", "learning_rate=0", "no-learning-rate", {"learning_rate=0.001"}),
        ("filters=24", "filters=255", "wrong-filters", {"filters=24"}),
        ("classes=3", "classes=80", "wrong-classes", {"classes=3"}),
        ("burn_in=1000", "burnin=1000", "unknown-key", {"burn_in=1000"}),
        ("hue=.1", "hue=.1\nzzzz=3", "unknown-key", {"# zzzz=3"}),
        ("hue=.1", "hue=.1\nignore_thresh=3", "unknown-key", {"# ignore_thresh=3"}),
        ("activation=leaky", "activation=leaky\ngruops=7", "unknown-key", {"# gruops=7"}),
        ("hue=.1", "hue=.1\nhue=.2", "duplicate-key", {"# hue=.2"}),
        ("hue=.1", "hue=.1\nmosaic=1\nletter_box=1", "mosaic-letter-box", {"# letter_box=1"}),
    ],
)
def test_one_mistake(old: str, new: str, code: str, written: set[str]) -> None:
    assert old in good()
    wrong = parse_cfg(good().replace(old, new, 1))
    assert code in {problem.code for problem in check_cfg(wrong, classes=3)}
    better, gone = mend_cfg(wrong, classes=3)
    assert code in {problem.code for problem in gone}
    assert check_cfg(better, classes=3) == []
    before, after = format_cfg(wrong).splitlines(), format_cfg(better).splitlines()
    added = {line[2:] for line in difflib.ndiff(before, after) if line[0] == "+"}
    assert written <= added
    assert len(added) <= 3


def test_lines_and_bytes_of_windows() -> None:
    wrong = parse_cfg("\ufeff" + good().replace("\n", "\r\n"))
    better, _ = mend_cfg(wrong)
    assert format_cfg(better) == good()


@pytest.mark.parametrize("model", list(MODELS))
def test_what_is_right_stays(model: str) -> None:
    cfg = make_cfg(CfgRequest(3, model))
    better, gone = mend_cfg(cfg, classes=3)
    assert (format_cfg(better), gone) == (format_cfg(cfg), [])


def test_a_key_of_another_section_is_no_misspelling() -> None:
    """`size` belongs to convolutions; in a head it is not what somebody meant by `resize`."""
    wrong = parse_cfg(good().replace("[yolo]", "[yolo]\nsize=9", 1))
    better, gone = mend_cfg(wrong)
    assert "did you mean" not in gone[0].message
    assert "\n# size=9\n" in format_cfg(better)


def test_a_head_behind_a_layer_without_filters_stays_reported() -> None:
    """There is no line to correct: the convolution before the head is missing."""
    text = good().replace("[yolo]", "[maxpool]\nsize=1\n\n[yolo]", 1)
    wrong = parse_cfg(text.replace("filters=24", "filters=30", 1))
    better, gone = mend_cfg(wrong)
    assert (format_cfg(better), gone) == (format_cfg(wrong), [])
    (found,) = [one for one in check_cfg(wrong) if one.code == "wrong-filters"]
    assert found.cure == "Put [convolutional] with filters=24 between [maxpool] and the head."


def test_what_needs_a_decision_stays_reported() -> None:
    wrong = parse_cfg(good().replace("mask=3,4,5", "mask=3,4,9", 1))
    better, gone = mend_cfg(wrong)
    assert (format_cfg(better), gone) == (format_cfg(wrong), [])
    assert [problem.code for problem in check_cfg(better)] == ["mask-out-of-range"]


@pytest.mark.parametrize("name", ["jpfleischer__728b2b92_legogearsv7tiny", "AlexeyAB__yolov3-spp"])
def test_wild_networks(shared_data: Callable[[str], Path], name: str) -> None:
    cfg = read_cfg(shared_data(f"E_cfg_data_names/{name}.cfg"))
    assert any(problem.is_error for problem in check_cfg(cfg))
    better, gone = mend_cfg(cfg)
    assert gone
    assert not any(problem.is_error for problem in check_cfg(better))


def test_the_story_of_five_lost_rounds(dkit: Dkit, tmp_path: Path) -> None:
    """Steps beyond the end, no burn-in, 418 pixels: all in one command."""
    cfg, copy = tmp_path / "mine.cfg", tmp_path / "better.cfg"
    text = good().replace("steps=8000,9000", "steps=400000,450000").replace("=416", "=418")
    cfg.write_text(text.replace("burn_in=1000\n", ""))
    ended = dkit("check", cfg, "--fix", copy)
    assert ended.exit_code == 1
    assert cfg.read_text() != copy.read_text()
    assert "-steps=400000,450000\n+steps=8000,9000" in ended.stdout
    assert "-width=418\n+width=416" in ended.stdout.replace("-height=418\n", "")
    assert "+burn_in=1000" in ended.stdout
    assert dkit("check", copy).exit_code == 0
    assert dkit("check", cfg, "--fix", cfg).exit_code == 2
    assert dkit("check", cfg, "--fix", copy).exit_code == 1  # the same copy again
