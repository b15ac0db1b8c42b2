"""The detail of an iteration in one line a head; expected numbers by hand."""

import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.dataset.convert import convert_ilsvrc
from darknet_kit.dataset.plan import ConvertOptions
from darknet_kit.dataset.shapes import draw_ilsvrc
from darknet_kit.formats.logdetail import is_detail, sum_up
from darknet_kit.formats.logline import LogReader
from darknet_kit.train.runs.enginelog import EngineLog
from tests.engines import alexeyab, run_engine, write_tiny_cfg

SharedData = Callable[[str], Path]

LOGS = (
    "classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt",
    "classic/pjreddie_yolov3-tiny_run1_1-6000.log",
    "hank_ai/v5_cubes_yolov7-tiny_full.log",
    "snippets/AlexeyAB_issue786_nan.txt",
    "snippets/AlexeyAB_issue8308_killed_during_map.txt",
)
V3 = (
    b"v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region %d Avg (IOU: %s), "
    b"count: %d, class_loss = %s, iou_loss = %s, total_loss = %s \n"
)


def test_means_of_mini_batches_weighted_by_objects_where_they_are_means_over_objects() -> None:
    lines = [
        V3 % (139, b"0.500000", 1, b"1.000000", b"-nan", b"2.000000"),
        V3 % (150, b"0.100000", 7, b"9.000000", b"5.000000", b"14.000000"),
        V3 % (139, b"0.900000", 3, b"3.000000", b"4.000000", b"5.000000"),
        b" total_bbox = 26, rewritten_bbox = 0.000000 % \n",
        b" total_bbox = 30, rewritten_bbox = 3.333333 % \n",
    ]
    # (0.5 + 3 x 0.9) / 4 = 0.8; losses are sums of a mini-batch: plain means, nan stays nan.
    assert sum_up(lines) == [
        V3 % (139, b"0.800000", 4, b"2.000000", b"nan", b"3.500000"),
        lines[1],
        lines[4],
    ]


def test_a_mini_batch_without_objects_counts_for_nothing() -> None:
    line = b"Region 82 Avg IOU: %s, Class: %s, Obj: %s, No Obj: %s, .5R: %s, .75R: %s,  count: %d\n"
    lines = [
        line % (b"-nan", b"-nan", b"-nan", b"0.500000", b"-nan", b"-nan", 0),
        line % (*(b"0.250000", b"1.000000", b"0.100000", b"0.100000", b"0.500000", b"0.000000"), 2),
    ]
    # All cells have "No Obj", whatever objects there are: (0.5 + 0.1) / 2.
    assert sum_up(lines) == [lines[1].replace(b"No Obj: 0.1", b"No Obj: 0.3")]
    assert sum_up(lines[:1] * 2) == [lines[0].replace(b"-nan", b"nan")]


@pytest.mark.parametrize("name", LOGS)
def test_a_compact_log_tells_what_the_whole_one_told(
    shared_data: SharedData, name: str, tmp_path: Path
) -> None:
    lines = list(io.BytesIO(shared_data(f"D_logs/{name}").read_bytes()))
    kept = EngineLog(tmp_path / "log.txt")
    for line in lines:
        kept.keep(line)
    kept.close()
    compact = list(io.BytesIO((tmp_path / "log.txt").read_bytes()))
    assert _events(compact) == _events(lines)
    assert len(compact) <= len(lines) + 1


def _events(lines: list[bytes]) -> list[str]:
    reader = LogReader()
    return [repr(event) for line in lines for event in reader.feed(line)]


def test_complaints_that_never_end_are_counted_at_last(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "log.txt")
    complaint = b"Can't open label file. (This can be normal only if you use MSCOCO): /x/%d.txt \n"
    for number in range(10_005):
        log.keep(complaint % number)
    log.close()
    kept = (tmp_path / "log.txt").read_bytes().splitlines()[1:]
    assert kept[9_999:] == [
        (complaint % 9_999).rstrip(b"\n"),
        b"# dkit: 5 more complaints of images and labels",
    ]


def test_a_real_engine_says_the_sums_itself(tmp_path: Path) -> None:
    """The loss of an iteration is the mean of its mini-batches', and total_bbox counts objects."""
    program = alexeyab()
    tree = draw_ilsvrc(tmp_path / "drawn", train=3, valid=1)
    convert_ilsvrc(tree, ConvertOptions(out=str(tmp_path / "set")))
    (tmp_path / "backup").mkdir()
    (tmp_path / "x.data").write_text("train=set/train.txt\nbackup=backup\n")
    write_tiny_cfg(tmp_path / "tiny.cfg", 5, batch=8)
    text = (tmp_path / "tiny.cfg").read_text()
    text = text.replace("subdivisions=1", "subdivisions=4").replace(
        "max_batches=1", "max_batches=3"
    )
    (tmp_path / "tiny.cfg").write_text(text)
    log = EngineLog(tmp_path / "log.txt")
    whole = run_engine(program, ["detector", "train", "x.data", "tiny.cfg"], tmp_path)
    detail = [line for line in whole.encode().splitlines(keepends=True) if is_detail(line)]
    assert len(detail) == 3 * 4 * 2
    for start in range(0, 24, 8):  # both streams came through one pipe: here they are sorted
        for line in (*detail[start : start + 8], b" 1: 1.0, 1.0 avg loss, \n"):
            log.keep(line)
    log.close()
    kept = (tmp_path / "log.txt").read_text()
    losses = [float(found) for found in re.findall(r"total_loss = (\S+)", kept)]
    told = [float(found) for found in re.findall(r"\d: (\S+), \S+ avg loss", whole)]
    assert losses == pytest.approx(told, rel=1e-4)
    counts = [int(found) for found in re.findall(r"count: (\d+)", kept)]
    boxes = [int(found) for found in re.findall(r"total_bbox = (\d+)", kept)]
    assert counts[1:] == [after - before for before, after in itertools.pairwise(boxes)]
