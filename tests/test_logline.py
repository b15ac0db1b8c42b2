"""Lines of training logs in all the forms that the engines have printed them in."""

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.logevent import (
    ClassResult,
    EngineError,
    EngineWarning,
    Event,
    Finished,
    Iteration,
    MapResult,
    Resized,
    RunStarted,
    WeightsSaved,
)
from darknet_kit.formats.lognumber import parse_number, parse_seconds
from darknet_kit.formats.trainlog import LogReader, iter_log


def read_text(text: str) -> list[Event]:
    return list(iter_log(io.BytesIO(text.encode())))


def classic(iteration: int, loss: str = "2.5", average: str = "2.75") -> str:
    """Return an iteration line as AlexeyAB prints it."""
    return (
        f" {iteration}: {loss}, {average} avg loss, 0.001000 rate, 1.500000 seconds, "
        f"{64 * iteration} images, 3.250000 hours left\n"
    )


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("nan", math.nan),
        ("-nan", math.nan),
        ("-nan(ind)", math.nan),
        ("1.#IND00", math.nan),
        ("-1.#IND", math.nan),
        ("1.#QNAN", math.nan),
        ("1.#INF", math.inf),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("83008678310969344.000000", 83008678310969344.0),
        ("-0.5", -0.5),
    ],
)
def test_every_spelling_of_a_loss(spelling: str, value: float) -> None:
    (event,) = read_text(classic(7, loss=spelling))
    assert isinstance(event, Iteration)
    assert repr(event.loss) == repr(value)
    assert event.is_finite == math.isfinite(value)
    assert repr(parse_number(spelling.encode())) == repr(value)


def test_nan_of_single_heads_is_no_event() -> None:
    lines = (
        "Region 82 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.5, .5R: -nan, .75R: -nan,  "
        "count: 0\n"
        " for conf_thresh = 0.25, precision = -nan, recall = 0.00, F1-score = -nan \n"
    )
    assert read_text(lines) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (" CUDA Error: out of memory", "out-of-memory"),
        ("* Error message:  current CUDA error: status=2 cudaErrorMemoryAllocation: out of memory",
         "out-of-memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "out-of-memory"),
        (" cuDNN Error: CUDNN_STATUS_ALLOC_FAILED", "out-of-memory"),
        (" CUDA Error: an illegal memory access was encountered", "cuda-error"),
        (" rank = 2300 of ranks = 6538Command terminated by signal 9", "killed"),
        ("./train.sh: line 3:  4711 Killed                  ./darknet", "killed"),
        ("Segmentation fault (core dumped)", "crashed"),
        ("free(): double free detected in tcache 2", "crashed"),
        ("Couldn't open file: data/coco.names", "missing-file"),
        ("Darknet error location: ./src/detector.c, train_detector(), line #91", "engine-error"),
        ("* Error message:  failed to open file", "engine-error"),
    ],
)  # fmt: skip
def test_last_words_are_told_apart(line: str, code: str) -> None:
    (event,) = read_text(classic(9) + line + "\n")[1:]
    assert isinstance(event, EngineError)
    assert (event.iteration, event.code) == (9, code)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('Cannot load image "data/a b.jpg"', "missing-image"),
        ("Can't open label file. (This can be normal only if you use MSCOCO): x.txt ",
         "missing-label"),
        (" Wrong annotation: class_id = 7. But class_id should be [from 0 to 1], file: a.txt ",
         "wrong-label"),
        ("Unused field: 'letter_bx = 1'", "unused-key"),
        ("Loaded: 0.2 seconds - performance bottleneck on CPU or Disk HDD/SSD", "slow-loading"),
    ],
)  # fmt: skip
def test_warnings_are_told_apart(line: str, code: str) -> None:
    assert read_text(line) == [EngineWarning(None, code, line.strip())]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # AlexeyAB today, after the status line that clears the screen and rings the bell
        ("\x1b[H\x1b[J101/120: loss=3.4 map=0.11 best=0.11 hours left=0.0\x07\n"
         " 101: 3.373412, 2.773053 avg loss, 0.000010 rate, 0.003491 seconds, 808 images, "
         "0.000504 hours left\n",
         Iteration(101, 3.373412, 2.773053, 1e-5, 0.003491, 808, 0.000504)),
        # AlexeyAB of 2019, and its `yolo train`
        (" 10090: 1.262299, 1.207728 avg loss, 0.001000 rate, 4.776061 seconds, 645760 images\n",
         Iteration(10090, 1.262299, 1.207728, 0.001, 4.776061, 645760, None)),
        ("7: 4.5, 4.25 avg, 0.001 rate, 2.0 seconds, 448 images\n",
         Iteration(7, 4.5, 4.25, 0.001, 2.0, 448, None)),
        # `classifier train`, with the epoch
        ("12, 0.250: 6.5, 6.75 avg, 0.1 rate, 2.0 seconds, 768 images, 9.5 hours left\n",
         Iteration(12, 6.5, 6.75, 0.1, 2.0, 768, 9.5)),
        # hank-ai V3, V4 and V5.1
        ("5989: loss=0.444, avg loss=0.329, rate=0.000026, 64.424 milliseconds, 383296 images, "
         "time remaining=7 seconds\n",
         Iteration(5989, 0.444, 0.329, 0.000026, 0.064424, 383296, 7 / 3600)),
        ("\x1b]2;9/6000: loss=1.0 time=1.5 hours\x07\x1b[1;37m9\x1b[0m: loss=\x1b[0;31m-nan\x1b[0m"
         ", avg loss=inf, last=40.51%, best=40.51%, mAP=100, rate=0.00000010, load 8=5.4 "
         "microseconds, train=1.2 seconds, 72 images, time remaining=1.5 hours\n",
         Iteration(9, math.nan, math.inf, 1e-7, 1.2, 72, 1.5)),
        ("9: loss=1, avg loss=1, last=none, best=none, mAP=DISABLED, rate=0.1, load 8=5.4 "
         "milliseconds, train=2.5 minutes, 72 images, time remaining=unknown\n",
         Iteration(9, 1, 1, 0.1, 150, 72, None)),
        # standard output broken off by a line of standard error, and Windows
        ("Loaded: 0.01 seconds 3: 1.5, 2.5 avg loss, 0.1 rate, 1.0 seconds, 192 images, "
         "-1.000000 hours left\r\n",
         Iteration(3, 1.5, 2.5, 0.1, 1.0, 192, None)),
    ],
)  # fmt: skip
def test_forms_of_the_iteration_line(line: str, expected: Iteration) -> None:
    (event,) = read_text(line)
    assert isinstance(event, Iteration)
    for name in Iteration.__slots__:
        assert getattr(event, name) == pytest.approx(getattr(expected, name), nan_ok=True)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("1.5 nanoseconds", 1.5e-9),
        ("80.0 microseconds", 8e-5),
        ("1.0 millisecond", 1e-3),
        ("1 second", 1),
        ("100 minutes", 6000),
        ("3.3 hours", 11880),
        ("2.0 days", 172800),
        ("1.5 weeks", 907200),
        ("unknown", math.nan),
        ("3 fortnights", math.nan),
        ("", math.nan),
    ],
)
def test_durations_of_hank_ai(duration: str, seconds: float) -> None:
    assert parse_seconds(duration.encode()) == pytest.approx(seconds, nan_ok=True)


def test_the_embedded_engine_says_that_it_is_one() -> None:
    reader = LogReader()
    reader.feed(" 1: 2.5, 2.5 avg loss, 0.001 rate, 1.0 seconds, 64 images, 1.0 hours left")
    assert not reader.embedded
    assert reader.feed("darknet-kit 1.2: the embedded engine, PyTorch 2.13.0, CPU, fp32") == ()
    assert reader.embedded


def test_flavor_is_told_by_the_iteration_line() -> None:
    for line, flavor in (
        (classic(1), Flavor.ALEXEYAB),
        (" 1: 2, 2 avg, 0.1 rate, 1 seconds, 64 images\n", Flavor.ALEXEYAB),
        ("1: 2, 2 avg, 0.1 rate, 1 seconds, 64 images\n", Flavor.ORIGINAL),
    ):
        reader = LogReader()
        reader.feed(line)
        assert reader.flavor is flavor


def test_a_name_may_look_like_a_result() -> None:
    # printed by AlexeyAB's engine for a class that is called `green, ap = 5`
    events = read_text(
        " rank = 0 of ranks = 78 \rclass_id = 0, name = red light, ap = 41.96%   \t (TP = 0, "
        "FP = 2) \nclass_id = 1, name = green, ap = 5, ap = 81.15%   \t (TP = 6, FP = 1) \n"
        "\n for conf_thresh = 0.25, precision = 0.67, recall = 0.38, F1-score = 0.48 \n"
        " for conf_thresh = 0.25, TP = 6, FP = 3, FN = 10, average IoU = 48.70 % \n"
        " mean average precision (mAP@0.50) = 0.615575, or 61.56 % \n"
    )
    classes = (
        ClassResult(0, "red light", 41.96 / 100, 0, 2),
        ClassResult(1, "green, ap = 5", 81.15 / 100, 6, 1),
    )
    assert events == [MapResult(None, 0.615575, 0.5, classes, 0.67, 0.38, 0.48, 48.70 / 100)]


def test_map_of_2018_has_no_counts() -> None:
    (result,) = read_text(
        "class_id = 0, name = dog, \t ap = 12.50 % \n"
        " for thresh = 0.24, precision = 0.50, recall = 0.25, F1-score = 0.33 \n"
        " mean average precision (mAP) = 0.125000, or 12.50 % \n"
    )
    assert result == MapResult(
        None, 0.125, None, (ClassResult(0, "dog", 0.125),), 0.5, 0.25, 0.33, None
    )


@pytest.mark.parametrize(
    "table",
    [
        # V3 to V5.0, V5.1, and colours
        "  Id Name             AvgPrecision     TP     FN     FP     TN Accuracy ErrorRate\n"
        "  -- ----             ------------ ------ ------ ------ ------ -------- ---------\n"
        "   0 small gear            87.5000      7      3      1      0   0.6364    0.3636\n"
        "  12 10 pins 2             12.5000      2      3      4      0   0.2222    0.7778\n",
        "  Id Name                       AP      TP      FP      FN      GT       F1   AvgIoU\n"
        "  -- -------------------- -------- ------- ------- ------- ------- -------- --------\n"
        "   0 small gear            87.5000       7       1       3      10  77.7778  81.0000\n"
        "  12 10 pins 2             12.5000       2       4       3       5  36.3636     -nan\n",
        "  Id Name             AvgPrecision     TP     FN     FP     TN Accuracy ErrorRate\n"
        "   0 \x1b[1;37msmall gear\x1b[0m  \x1b[32m87.5000\x1b[0m 7 3 1 0   0.6364    0.3636\n"
        "  12 10 pins 2             12.5000      2      3      4      0   0.2222    0.7778\n",
    ],
    ids=["V3", "V5.1", "colours"],
)
def test_tables_of_hank_ai_are_read_by_their_headers(table: str) -> None:
    (result,) = read_text(
        "Calculating mAP (mean average precision)...\n\rprocessing #0 (0%) \rprocessing #4 (44%) "
        "detections_count=187, unique_truth_count=27\n\rrank=0 of ranks=187\n\n"
        f"{table}\n-> for conf_thresh=0.25, precision=0.50, recall=0.40, F1 score=0.44\n"
        "-> for conf_thresh=0.25, TP=9, FP=5, FN=6, average IoU=40.00%\n"
        "-> mean average precision (mAP@0.50)=50.00%\n"
    )
    assert isinstance(result, MapResult)
    assert result.classes == (
        ClassResult(0, "small gear", 0.875, 7, 1),
        ClassResult(12, "10 pins 2", 0.125, 2, 4),
    )
    assert (result.map50, result.precision, result.average_iou) == (0.5, 0.5, 0.4)


def test_a_map_that_was_broken_off_leaves_nothing_behind() -> None:
    row = "class_id = {}, name = a, ap = 50.00%   \t (TP = 1, FP = 1) \n"
    mean = " mean average precision (mAP@0.50) = 0.500000, or 50.00 % \n"
    events = read_text(row.format(0) + row.format(1) + classic(8) + row.format(0) + mean)
    assert isinstance(events[1], MapResult)
    assert [entry.class_id for entry in events[1].classes] == [0]
    events = read_text(row.format(0) + row.format(1) + row.format(0) + mean)
    assert isinstance(events[0], MapResult)
    assert [entry.class_id for entry in events[0].classes] == [0]


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ("Resizing, random_coef = 1.40 \n\n 896 x 608 \n try to allocate\n", (896, 608)),
        ("Resizing\n448\nLoaded: 0.01 seconds\n", (448, 448)),
        ("Resizing\n480 x 480 \n", (480, 480)),
        ("Resizing to initial size: 416 x 416  try to allocate\n", (416, 416)),
        ("Resizing, random_coef=1.40, batch=64, 544x576\n", (544, 576)),
    ],
)
def test_forms_of_resizing(lines: str, size: tuple[int, int]) -> None:
    (event,) = read_text(lines)
    assert isinstance(event, Resized)
    assert (event.iteration, event.width, event.height) == (None, *size)
    # AlexeyAB counts the images of a mAP calculation on a line of their own
    assert read_text("Resizing\n" + classic(5) + "13900\n") == read_text(classic(5))


def test_start_and_end_of_a_run() -> None:
    start = "Learning Rate: 2.61e-05, Momentum: 0.949, Decay: 0.0005\n"
    end = (
        "Saving weights to backup/a b_final.weights\n"
        "If you want to train from the beginning, then use flag in the end of training command\n"
    )
    assert read_text(start + classic(3) + end) == [
        RunStarted(2.61e-05),
        Iteration(3, 2.5, 2.75, 0.001, 1.5, 192, 3.25),
        WeightsSaved(3, "backup/a b_final.weights"),
        Finished(3),
    ]


@settings(max_examples=200)
@given(
    st.integers(0, 10**9),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.floats(0, 1e4),
    st.integers(0, 10**9),
    st.floats(0, 1e4),
)
def test_numbers_come_back_as_the_engine_printed_them(
    iteration: int, loss: float, average: float, rate: float, took: float, images: int, left: float
) -> None:
    # the format of AlexeyAB src/detector.c, train_detector
    line = (
        f" {iteration}: {loss:f}, {average:f} avg loss, {rate:f} rate, {took:f} seconds, "
        f"{images} images, {left:f} hours left\n"
    )
    (event,) = read_text(line)
    assert isinstance(event, Iteration)
    assert (event.iteration, event.images) == (iteration, images)
    read = (event.loss, event.avg_loss, event.learning_rate, event.seconds, event.hours_left)
    assert read == tuple(float(f"{value:f}") for value in (loss, average, rate, took, left))
