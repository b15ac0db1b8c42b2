"""Networks that somebody mangled: read, edited, checked, corrected and set up anew without a crash.

Each example is a network of the catalog or a real one, a few of whose lines were deleted, copied
or overwritten. What must hold is stated here, not computed by the code under test.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darknet_kit.errors import CfgError, DkitError
from darknet_kit.formats.cfg import (
    comment_out,
    format_cfg,
    parse_cfg,
    read_cfg,
    rename_key,
    set_value,
)
from darknet_kit.network.check import check_cfg
from darknet_kit.network.mend import mend_cfg
from darknet_kit.network.model import CfgRequest, make_cfg, plan_cfg

KINDS = "net convolutional yolo region detection route shortcut upsample maxpool local connected"
KEYS = "batch width classes filters size stride groups layers from mask anchors num steps scales"
VALUES = "|0|-1|3|416|418|99999999999|1e30|nan|-1,-4|0,1,2|leaky|=|1 # x|\udcff"

HEADERS = st.sampled_from([f"[{kind}]" for kind in [*KINDS.split(), "yollo", ""]])
ENTRIES = st.builds(
    "{}={}".format, st.sampled_from(KEYS.split()), st.sampled_from(VALUES.split("|"))
)
LINES = st.one_of(HEADERS, ENTRIES, st.text("[]=#;,ab01 .-\t\r", max_size=20))
CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["drop", "copy", "write", "add"]), LINES),
    min_size=1,
    max_size=6,
)


def mangle(text: str, changes: list[tuple[int, str, str]]) -> str:
    lines = text.split("\n")
    for number, what, line in changes:
        place = number % len(lines)
        if what == "drop" and len(lines) > 1:
            del lines[place]
        elif what == "write":
            lines[place] = line
        else:
            lines.insert(place, line if what == "add" else lines[place - 1])
    return "\n".join(lines)


def changed_lines(before: str, after: str) -> list[int]:
    """Return the 1-based numbers of lines that differ between texts of as many lines."""
    pairs = zip(before.split("\n"), after.split("\n"), strict=True)
    return [number for number, (one, other) in enumerate(pairs, 1) if one != other]


SMALL = format_cfg(make_cfg(CfgRequest(3, "yolov3-tiny")))
OLD = format_cfg(make_cfg(CfgRequest(3, "yolov1")))


@given(CHANGES, st.data())
@settings(max_examples=60, deadline=None)
def test_edits_change_their_own_line(
    changes: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    text = mangle(SMALL, changes)
    try:
        cfg = parse_cfg(text)
    except CfgError:
        return
    assert format_cfg(cfg) == text
    section = data.draw(st.sampled_from([one for one in cfg.sections if one.entries]))
    entry = data.draw(st.sampled_from(section.entries))
    assert changed_lines(text, format_cfg(comment_out(cfg, section, entry.line))) == [entry.line]
    first = section.find(entry.key)
    assert first is not None
    edited = set_value(cfg, section, entry.key, "12345")
    assert changed_lines(text, format_cfg(edited)) in ([first.line], [])
    renamed = rename_key(cfg, section, entry.key, "something")
    assert changed_lines(text, format_cfg(renamed)) == [first.line]
    added = format_cfg(set_value(cfg, section, "something", "7")).split("\n")
    assert Counter(added) - Counter(text.split("\n")) in (
        Counter({"something=7": 1}),
        Counter({"something=7\r": 1}),
    )


def examine(text: str, classes: int | None) -> None:
    """Check, correct and set up a network; only errors of ours may come of it."""
    try:
        cfg = parse_cfg(text)
    except CfgError:
        return
    before = check_cfg(cfg, classes)
    better, gone = mend_cfg(cfg, classes)
    after = check_cfg(better, classes)
    assert sum(one.is_error for one in after) <= sum(one.is_error for one in before)
    assert len(after) <= len(before)
    assert bool(gone) == (format_cfg(better) != text)
    assert mend_cfg(better, classes) == (better, [])
    try:
        plan_cfg(CfgRequest(classes or 5, base=cfg))
    except DkitError:
        return


@pytest.mark.parametrize("text", [SMALL, OLD], ids=["yolov3-tiny", "yolov1"])
@given(changes=CHANGES, classes=st.sampled_from([None, 1, 20]))
@settings(max_examples=50, deadline=None)
def test_a_mangled_network(
    text: str, changes: list[tuple[int, str, str]], classes: int | None
) -> None:
    examine(mangle(text, changes), classes)


@given(changes=CHANGES)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("name", ["ceccocats__yolo2_voc", "jpfleischer__728b2b92_legogearsv7tiny"])
def test_a_mangled_real_network(
    shared_data: Callable[[str], Path], name: str, changes: list[tuple[int, str, str]]
) -> None:
    cfg = read_cfg(shared_data(f"E_cfg_data_names/{name}.cfg"))
    examine(mangle(format_cfg(cfg), changes), None)
