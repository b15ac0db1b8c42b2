"""Training logs as a whole: real ones against grep and awk, resumed ones, damaged ones."""

import gzip
import io
import math
import random
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_kit.core.flavor import Flavor
from darknet_kit.errors import LogError
from darknet_kit.formats.logevent import (
    ClassResult,
    Event,
    Finished,
    Iteration,
    MapResult,
    NewBestMap,
    Resized,
    WeightsSaved,
)
from darknet_kit.formats.trainlog import Cut, Log, LogGatherer, LogReader, iter_log, read_log
from tests.conftest import PROJECT

Find = Callable[[str], Path]

WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
VOC = "D_logs/classic/pjreddie_yolov3-voc_6000its.log"
TINY = "D_logs/classic/pjreddie_yolov3-tiny_run1_1-6000.log"
CUBES = "D_logs/hank_ai/v5_cubes_yolov7-tiny_full.log"
GEARS3 = "D_logs/hank_ai/v5_legogears_yolov3-tiny_full.log"
GEARS4 = "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log"
TWO_GPUS = "D_logs/hank_ai/v5_truncated_multi_gpu.log"
COCO_MAP = "D_logs/classic/alexeyab_detector_map_coco80.txt"
CRASH = "D_logs/hank_ai/v4_crash_cuda_invalid_device.log"
NAN = "D_logs/snippets/AlexeyAB_issue786_nan.txt"
KILLED = "D_logs/snippets/AlexeyAB_issue8308_killed_during_map.txt"
OUT_OF_MEMORY = "D_logs/snippets/pjreddie_issue491_oom_after_resize.txt"


def classic(iteration: int, loss: str = "2.5", average: str = "2.75") -> str:
    """Return an iteration line as AlexeyAB prints it."""
    return (
        f" {iteration}: {loss}, {average} avg loss, 0.001000 rate, 1.500000 seconds, "
        f"{64 * iteration} images, 3.250000 hours left\n"
    )


def log_of(text: str | bytes) -> Log:
    reader, gatherer = LogReader(), LogGatherer()
    raw = text.encode() if isinstance(text, str) else text
    for event in iter_log(io.BytesIO(raw), reader=reader):
        gatherer.add(event)
    return gatherer.log(reader)


# --- real logs against grep and awk ----------------------------------------------------------

# Iterations: grep -cE '[0-9]+: .* avg( loss)?, '        hank-ai: grep -cE '^[0-9]+: loss='
# mAP:        grep -c 'mean average precision (mAP@'      best:    grep -c 'New best mAP'
# Weights:    grep -c 'Saving weights to'                 resized: grep -c Resizing
COUNTS = [
    (WINDOWS, Flavor.ALEXEYAB, 10007, 91, 20, 0, 1092),
    (VOC, Flavor.ORIGINAL, 6000, 0, 0, 0, 600),
    (TINY, Flavor.ORIGINAL, 6000, 0, 0, 0, 600),
    (CUBES, Flavor.HANK_AI, 6000, 51, 50, 117, 0),
    (GEARS3, Flavor.HANK_AI, 3800, 28, 27, 67, 409),
    (GEARS4, Flavor.HANK_AI, 6000, 51, 47, 114, 0),
    (TWO_GPUS, Flavor.HANK_AI, 159, 0, 0, 1, 0),
    (COCO_MAP, None, 0, 1, 0, 0, 0),
    (CRASH, None, 0, 0, 0, 0, 0),
    (NAN, Flavor.ALEXEYAB, 1, 0, 0, 0, 0),
    (KILLED, Flavor.ALEXEYAB, 1, 0, 0, 0, 0),
    (OUT_OF_MEMORY, Flavor.ALEXEYAB, 1, 0, 0, 0, 1),
]


@pytest.mark.parametrize(
    ("name", "flavor", "iterations", "maps", "bests", "weights", "resized"), COUNTS
)
def test_counts_are_those_of_grep(
    shared_data: Find,
    name: str,
    flavor: Flavor | None,
    iterations: int,
    maps: int,
    bests: int,
    weights: int,
    resized: int,
) -> None:
    reader = LogReader()
    events = list(iter_log(shared_data(name), reader=reader))
    kinds = [Iteration, MapResult, NewBestMap, WeightsSaved, Resized]
    counted = [sum(isinstance(event, kind) for event in events) for kind in kinds]
    assert counted == [iterations, maps, bests, weights, resized]
    assert (reader.flavor, reader.damaged) == (flavor, 0)


# tr -d '\r' < LOG | awk '/ avg( loss)?, /{s+=$2; t+=$3; r+=…; u+=…}' over the columns before
# "rate" and "seconds"; for hank-ai awk -F'[=,]' over $2, $4, $12 and the milliseconds of $16.
SUMS = [
    (WINDOWS, 434600.397257, 471608.560735, 9.207506, 26016.32),
    (TINY, 316710.718765, 321115.860865, 2.499606, 18531.412072),
    (VOC, 154019.930810, 164124.203338, 4.065516, 788.547859),
    (CUBES, 43428.536, 45191.306, 10.61098182, 496.4694),
    (GEARS3, 69276.641, 76972.687, 3.00050023, 561.9239),
    (GEARS4, 36176.760, 39038.655, 10.61098182, 652.3079),
    (TWO_GPUS, 10566.592, 10889.252, 0.0000539, 9.109),
]


@pytest.mark.parametrize(("name", "loss", "average", "rate", "seconds"), SUMS)
def test_columns_add_up_to_what_awk_adds_up(
    shared_data: Find, name: str, loss: float, average: float, rate: float, seconds: float
) -> None:
    metrics = read_log(shared_data(name)).metrics
    assert math.fsum(metrics.loss) == pytest.approx(loss, rel=1e-9)
    assert math.fsum(metrics.avg_loss) == pytest.approx(average, rel=1e-9)
    assert math.fsum(metrics.learning_rate) == pytest.approx(rate, rel=1e-6)
    assert math.fsum(metrics.seconds) == pytest.approx(seconds, rel=1e-9)
    batch = metrics.images[0]
    assert list(metrics.iteration) == list(range(1, len(metrics) + 1))
    assert list(metrics.images) == [batch * iteration for iteration in metrics.iteration]


def test_windows_log_tells_its_map_and_where_it_stops(shared_data: Find) -> None:
    log = read_log(shared_data(WINDOWS))
    best = log.best_map
    # grep -n 0.481172, and the iteration line before it; grep 'best = ' | tail -1: 48.12 %
    assert best is not None
    assert (best.iteration, best.map50) == (6400, 0.481172)
    # tail of the file, by eye
    last = log.maps[-1]
    assert (last.iteration, last.map50, last.iou_threshold) == (10000, 0.446338, 0.5)
    assert last.classes[1] == ClassResult(1, "smoke", 40.47 / 100, 84, 48)
    assert (last.precision, last.recall, last.f1) == (0.61, 0.41, 0.49)
    assert last.average_iou == pytest.approx(0.4352)
    assert log.metrics.hours_left[-1] == 80.336352
    assert math.isnan(log.metrics.hours_left[0])  # printed as -1
    assert log.ending.code == "stopped"
    # grep -c 'performance bottleneck'
    assert [(warning.code, warning.count) for warning in log.warnings] == [("slow-loading", 4)]


@pytest.mark.parametrize("name", [WINDOWS, CUBES, GEARS3, GEARS4])
def test_classes_average_to_the_map_that_is_printed(shared_data: Find, name: str) -> None:
    maps = read_log(shared_data(name)).maps
    for result in maps:
        mean = sum(entry.ap for entry in result.classes) / len(result.classes)
        assert mean == pytest.approx(result.map50, abs=1e-4)  # both are rounded


@pytest.mark.parametrize("name", [CUBES, GEARS3, GEARS4])
def test_map_is_what_hank_ai_repeats_on_the_next_iteration(shared_data: Find, name: str) -> None:
    path = shared_data(name)
    said = {}
    for line in path.read_text().splitlines():
        if ": loss=" in line and "last=none" not in line:
            said[int(line.partition(":")[0]) - 1] = line.split("last=")[1].split("%")[0]
    results = {m.iteration: f"{100 * m.map50:.2f}" for m in read_log(path).maps}
    checked = {iteration: said[iteration] for iteration in results if iteration in said}
    assert len(checked) >= 27
    assert checked == {iteration: results[iteration] for iteration in checked}


def test_hank_ai_classes_may_have_blanks_in_their_names(shared_data: Find) -> None:
    log = read_log(shared_data(GEARS4))
    assert [entry.name for entry in log.maps[-1].classes] == [
        "red light",
        "pin",
        "center",
        "small gear",
        "medium gear",
    ]
    assert log.maps[-1].classes[4] == ClassResult(4, "medium gear", 1.0, 8, 1)
    assert log.max_batches == 6000
    assert log.ending.code == "finished"
    assert log.last_weights == "/workspace/.cache/splits/LegoGears_final.weights"
    assert log.metrics.hours_left[99] == pytest.approx(10.8 / 60)  # grep '^100: '
    assert log.metrics.seconds[99] == pytest.approx(0.1046)


def test_eighty_classes_of_a_map_calculation(shared_data: Find) -> None:
    (result,) = [e for e in iter_log(shared_data(COCO_MAP)) if isinstance(e, MapResult)]
    assert result.iteration is None
    assert result.map50 == 0.243967
    assert len(result.classes) == 80  # grep -c class_id
    assert result.classes[78] == ClassResult(78, "hair drier", 0.0, 0, 0)
    mean = sum(entry.ap for entry in result.classes) / 80
    assert mean == pytest.approx(0.243967, abs=5e-5)


# --- how logs end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        (KILLED, "killed", "Command terminated by signal 9"),
        (OUT_OF_MEMORY, "out-of-memory", "CUDA Error: out of memory"),
        (NAN, "stopped", ""),
        (GEARS3, "stopped", ""),
        (CUBES, "finished", ""),
    ],
)
def test_ending_of_a_real_log(shared_data: Find, name: str, code: str, message: str) -> None:
    ending = read_log(shared_data(name)).ending
    assert (ending.code, ending.message) == (code, message)


def test_nan_comes_through_as_nan(shared_data: Find) -> None:
    log = read_log(shared_data(NAN))
    assert math.isnan(log.metrics.loss[0])
    assert math.isnan(log.metrics.avg_loss[0])
    assert log.diverged_at == 2677


def test_divergence_is_where_the_average_never_comes_back() -> None:
    lost_and_found = classic(1) + classic(2, "nan", "nan") + classic(3) + classic(4, "nan")
    assert log_of(lost_and_found).diverged_at is None
    assert log_of(lost_and_found + classic(5, "1", "inf")).diverged_at == 5
    assert log_of(classic(1, "nan", "nan")).diverged_at == 1


def test_an_error_before_a_resume_is_not_the_ending() -> None:
    log = log_of(classic(5) + "CUDA Error: out of memory\n" + classic(6))
    assert log.ending.code == "stopped"
    assert [error.code for error in log.errors] == ["out-of-memory"]


# --- runs that were resumed, and damage ------------------------------------------------------


def lines(first: int, last: int, loss: str = "2.5") -> str:
    return "".join(classic(iteration, loss) for iteration in range(first, last + 1))


START = "Learning Rate: 0.001, Momentum: 0.9, Decay: 0.0005\n"
MEAN = " mean average precision (mAP@0.50) = {}, or x % \n"


def test_later_truth_replaces_what_a_resumed_run_did_again() -> None:
    log = log_of(
        START + lines(1, 10, "1.5") + MEAN.format(0.9) + START + lines(6, 12, "2.5")
        + MEAN.format(0.25)
    )  # fmt: skip
    assert list(log.metrics.iteration) == list(range(1, 13))
    assert list(log.metrics.loss) == [1.5] * 5 + [2.5] * 7
    assert log.cuts == (Cut(reached=10, resumed_at=6),)
    assert [(m.iteration, m.map50) for m in log.maps] == [(12, 0.25)]


def test_a_fresh_run_in_the_same_file_is_the_one_that_counts() -> None:
    log = log_of(START + lines(1, 50) + START + lines(1, 3, "9.0"))
    assert list(log.metrics.loss) == [9.0] * 3
    assert log.cuts == (Cut(50, 1),)


def test_a_run_that_went_on_where_it_was_stopped_is_marked() -> None:
    log = log_of(START + lines(1, 5) + START + lines(6, 8))
    assert list(log.metrics.iteration) == list(range(1, 9))
    assert log.cuts == (Cut(5, 6),)


def test_a_run_resumed_without_its_header_is_seen_by_its_second_line() -> None:
    log = log_of(lines(1, 10) + lines(6, 7, "9.0"))
    assert list(log.metrics.loss) == [2.5] * 5 + [9.0] * 2
    assert log.cuts == (Cut(10, 6),)


def test_one_odd_number_does_not_throw_the_rest_away() -> None:
    log = log_of(lines(1, 10) + classic(3) + lines(11, 20) + classic(3))
    assert list(log.metrics.iteration) == list(range(1, 21))
    assert (log.cuts, log.damaged) == ((), 2)


def test_several_logs_are_one_run(tmp_path: Path) -> None:
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    first.write_text(lines(1, 10))
    second.write_text(lines(8, 9, "9.0"))
    log = read_log(first, second)
    assert list(log.metrics.loss) == [2.5] * 7 + [9.0] * 2
    assert log.cuts == (Cut(10, 8),)


def test_damaged_lines_are_counted_and_a_cut_off_end_is_not() -> None:
    whole = classic(2)
    broken = whole.replace(" rate", " ra").replace("\n", "\r\n")
    row = "class_id = 1, name = dog, ap = 8"
    log = log_of(classic(1) + broken + row + "\n" + classic(3) + whole[:40])
    assert list(log.metrics.iteration) == [1, 3]
    assert log.damaged == 2


# --- files ------------------------------------------------------------------------------------


def test_packed_and_wide_files_are_read(tmp_path: Path) -> None:
    text = START + lines(1, 40000)
    plain, packed, wide = tmp_path / "a.log", tmp_path / "b.log.gz", tmp_path / "c.log"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    wide.write_text(text, encoding="utf-16")  # with a byte order mark, as PowerShell writes
    columns = [read_log(path).metrics for path in (plain, packed, wide)]
    assert len(columns[0]) == 40000
    assert columns[0] == columns[1] == columns[2]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "not-a-log", "empty"),
        (b" \n\n", "not-a-log", "empty"),
        (b"just some text\n" * 9, "not-a-log", "no log"),
        (bytes(range(256)) * 999, "not-a-log", "no log"),
        (START.encode(), "no-iterations", "before its first iteration"),
        (b"v3 (iou loss, Normalizer: (iou: 0.07\n", "no-iterations", "per head"),
        (b"Region 82 Avg IOU: 0.5, Class: 0.1\n", "no-iterations", "per head"),
        (b"Learning Rate: 1, Momentum: 1\nCUDA Error: out of memory\n", "no-iterations", "memory"),
        (MEAN.format(0.5).encode(), "no-iterations", "mAP calculation (50.00%)"),
        (b"Saving weights to b/x_final.weights\n", "no-iterations", "nothing to do"),
    ],
)
def test_what_is_no_log_says_so(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    with pytest.raises(LogError, match=re.escape(words)) as caught:
        read_log(path)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "missing-file"), (b"\x1f\x8bnot gzip at all", "cannot-read")],
)
def test_what_cannot_be_read_says_so(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogError) as caught:
        read_log(path)
    assert caught.value.code == code
    with pytest.raises(LogError, match="folder") as caught:
        read_log(tmp_path)
    assert caught.value.code == "not-a-log"


def test_a_gzip_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.log.gz"
    noise = random.Random(1).randbytes(99999).hex()
    path.write_bytes(gzip.compress((classic(1) + noise).encode())[:5000])
    with pytest.raises(LogError, match="cannot read"):
        read_log(path)


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(lines(1, 30000))
    told: list[tuple[int, int]] = []
    read_log(path, progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert size > 1 << 21  # more than one block
    assert told[-1] == (size, size)
    assert told == sorted(told)


# --- all ways of reading agree ----------------------------------------------------------------


def feed_all(content: bytes) -> tuple[list[Event], LogReader]:
    reader = LogReader()
    return [event for line in content.split(b"\n") for event in reader.feed(line)], reader


def assert_same(content: bytes) -> None:
    """Reading in blocks, which skips the bulk, gives what feeding every single line gives."""
    fed, one = feed_all(content)
    two = LogReader()
    read = list(iter_log(io.BytesIO(content), reader=two))
    assert repr(read) == repr(fed)
    assert (one.flavor, one.max_batches) == (two.flavor, two.max_batches)


@pytest.mark.parametrize("name", [WINDOWS, VOC, TINY, CUBES, GEARS3, GEARS4, TWO_GPUS, KILLED])
def test_blocks_and_single_lines_agree_on_real_logs(shared_data: Find, name: str) -> None:
    assert_same(shared_data(name).read_bytes())


def made_up(iterations: int) -> bytes:
    script = runpy.run_path(str(PROJECT / "scripts/bench/make_log.py"))
    return b"".join(script["iter_log_text"](iterations))


def test_blocks_and_single_lines_agree_on_a_log_with_details() -> None:
    content = made_up(200)
    assert content.count(b"\nv3 (") > 200 * 190
    assert_same(content)
    assert_same(content.replace(b"\n", b"\r\n"))


def test_nothing_between_the_details_is_lost() -> None:
    # Cut lines of detail at any place, and put lines that matter after the cut.
    draw = random.Random(5)
    detail = [line for line in made_up(1).split(b"\n") if line.startswith((b"v3", b" total"))]
    content = b"".join(
        draw.choice(detail) + b"\n" + draw.choice(detail)[: draw.randint(1, 170)] + b"\n" + line
        for line in [
            *(classic(iteration).encode() for iteration in range(1, 2000)),
            b"Saving weights to backup/a_final.weights\n",
        ]
    )
    *iterations, saved, finished = iter_log(io.BytesIO(content))
    assert [getattr(event, "iteration", 0) for event in iterations] == list(range(1, 2000))
    assert [type(saved), type(finished)] == [WeightsSaved, Finished]


# Pieces of lines, of which nearly whole ones are made.
PIECES = (
    b"\x1b[H\x1b[J|\x1b]2;9/99: loss=|\x07| |, |nan|-nan|inf|1: |27: 1.5, |2.5 avg| avg loss, |"
    b"0.1 rate, |3 seconds, |64 images|, 2 hours left|loss=1, |avg loss=2,| rate=1, |"
    b"train=2 minutes, |time remaining=|class_id = 3, name = |, ap = 5%| (TP = 1, FP = 2)|"
    b"  Id Name  AP(%) TP FP\n|   0 a b 50.0 1 2\n|mean average precision (mAP@0.50) = 0.5|"
    b"precision = |recall = |New best mAP|Resizing|416 x 416|448\n|Saving weights to |"
    b"_final.weights|v3 (iou loss, | \n| total_bbox = 5 |Region 82 Avg IOU: |count: 5\n|"
    b"out of memory|Learning Rate: 0.1, Momentum|Loaded: 0.1 seconds\n|\n|\r|\r\n|\x1b|9999999999"
).split(b"|")
# Behind a line end, so that they never begin as a PDF does, or another file that is refused.
ANY_BYTES = st.lists(st.sampled_from(PIECES) | st.binary(max_size=30), max_size=40).map(
    lambda pieces: b"\n" + b"".join(pieces)
)


@settings(max_examples=400)
@given(ANY_BYTES)
def test_no_bytes_whatever_make_a_reader_raise(content: bytes) -> None:
    events, reader = feed_all(content)
    assert all(event.iteration >= 0 for event in events if isinstance(event, Iteration))
    assert reader.damaged >= 0
    log_of(content)


@given(st.text(st.characters()))
def test_no_text_whatever_makes_a_reader_raise(content: str) -> None:
    assert isinstance(LogReader().feed(content), tuple)


@settings(max_examples=400)
@given(ANY_BYTES)
def test_blocks_and_single_lines_agree_on_whatever_has_line_ends(content: bytes) -> None:
    assert_same(content.translate(None, b"\r\0") + b"\n")
