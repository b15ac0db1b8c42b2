"""Charts: what they show of a training, and that nothing of it is lost or cut off."""

import io
import itertools
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lxml import etree
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from darknet_kit.formats.logevent import Event, Iteration, MapResult, RunStarted
from darknet_kit.formats.trainlog import Log, LogGatherer, LogReader, read_log
from darknet_kit.report.charts import Look, draw_training, plot_training, render_figure
from darknet_kit.report.curves import (
    RateStep,
    envelop_curve,
    find_burn_in,
    find_rate_steps,
    reduce_curve,
    tabulate_metrics,
)
from darknet_kit.report.losscurve import Scale
from darknet_kit.report.summary import format_hours, format_iteration, format_loss

Find = Callable[[str], Path]

WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
REAL = [
    WINDOWS,
    "D_logs/classic/pjreddie_yolov3-voc_6000its.log",
    "D_logs/classic/pjreddie_yolov3-tiny_run1_1-6000.log",
    "D_logs/hank_ai/v5_cubes_yolov7-tiny_full.log",
    "D_logs/hank_ai/v5_legogears_yolov3-tiny_full.log",
    "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log",
    "D_logs/hank_ai/v5_truncated_multi_gpu.log",
    "D_logs/snippets/AlexeyAB_issue786_nan.txt",
    "D_logs/snippets/AlexeyAB_issue8308_killed_during_map.txt",
]


def log_of(events: Iterable[Event]) -> Log:
    gatherer = LogGatherer()
    for event in events:
        gatherer.add(event)
    return gatherer.log(LogReader())


def iterate(losses: Iterable[float], first: int = 1, rate: float = 0.001) -> list[Event]:
    """Return iterations whose average loss is their loss."""
    return [Iteration(n, loss, loss, rate, 1.0, 64 * n) for n, loss in enumerate(losses, first)]


def texts(figure: Figure) -> list[Text]:
    """Lay the figure out and return the texts that show."""
    figure.draw_without_rendering()
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


# --- curves -----------------------------------------------------------------------------------


def spiky(count: int) -> pd.DataFrame:
    draw = random.Random(7)
    losses = [draw.expovariate(1) ** 3 for _ in range(count)]
    losses[count // 3] = math.nan
    losses[count // 2] = math.inf
    return tabulate_metrics(log_of(iterate(losses)).metrics)


@pytest.mark.parametrize("count", [1, 2, 50, 1000, 100_000])
def test_a_reduced_curve_keeps_each_extreme_of_each_stretch(count: int) -> None:
    table, bins = spiky(count), 100
    reduced = reduce_curve(table, "loss", bins)
    assert len(reduced) <= min(count, 2 * bins)
    assert reduced["iteration"].is_monotonic_increasing
    kept = set(reduced.itertuples(index=False, name=None))
    losses = list(enumerate(table["loss"], 1))
    for start in range(0, count, max(1, count // bins)):
        stretch = losses[start : start + max(1, count // bins)]
        finite = [(loss, n) for n, loss in stretch if math.isfinite(loss)]
        if finite:
            assert {min(finite)[::-1], max(finite)[::-1]} <= kept


def test_an_envelope_holds_every_loss() -> None:
    table = spiky(100_000)
    band = envelop_curve(table, "loss", 100)
    assert len(band) == 100
    losses = [loss for loss in table["loss"] if math.isfinite(loss)]
    thousands = [
        [loss for loss in table["loss"][start : start + 1000] if math.isfinite(loss)]
        for start in range(0, 100_000, 1000)
    ]
    assert list(band["low"]) == [min(part) for part in thousands]
    assert list(band["high"]) == [max(part) for part in thousands]
    assert band["high"].max() == max(losses)


def test_an_envelope_of_no_numbers_is_empty() -> None:
    table = tabulate_metrics(log_of(iterate([math.nan] * 9)).metrics)
    assert envelop_curve(table, "loss", 3).empty
    assert reduce_curve(table, "loss", 3).empty


# awk on the column before "rate": where it stops rising, and where it falls
@pytest.mark.parametrize(
    ("name", "burn_in", "steps"),
    [
        (REAL[0], 1000, []),
        (REAL[1], 1000, [(4800, 0.0001), (5400, 0.00001)]),
        (REAL[2], 1000, [(3000, 0.0001)]),
        (REAL[3], 1000, [(4800, 0.000261), (5400, 0.0000261)]),
        (REAL[4], 1000, []),
    ],
)
def test_schedule_is_read_off_the_learning_rate(
    shared_data: Find, name: str, burn_in: int, steps: list[tuple[int, float]]
) -> None:
    metrics = read_log(shared_data(name)).metrics
    assert find_burn_in(metrics) == burn_in
    assert find_rate_steps(metrics) == [RateStep(*step) for step in steps]


def test_a_smooth_schedule_has_no_steps() -> None:
    rates = [round(0.0005 * (1 + math.cos(math.pi * n / 3000)), 6) for n in range(3001)]
    log = log_of(Iteration(n + 1, 1, 1, rate, 1, 64) for n, rate in enumerate(rates))
    assert find_rate_steps(log.metrics) == []
    assert find_burn_in(log.metrics) is None


# --- words and numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "last", "text"),
    [
        (0, 500, "0"),
        (1500, 6000, "1,500"),
        (0, 12000, "0"),
        (12000, 12000, "12k"),
        (2500, 12000, "2.5k"),
        (1_200_000, 2_000_000, "1.2M"),
    ],
)
def test_ticks_are_short(value: float, last: int, text: str) -> None:
    assert format_iteration(value, last) == text


@pytest.mark.parametrize(
    ("loss", "text"),
    [(4113.84, "4,114"), (1.818007, "1.818"), (0.0012345, "0.001234"), (math.nan, "nan")],
)
def test_losses_have_the_digits_that_matter(loss: float, text: str) -> None:
    assert format_loss(loss) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45 s"),
        (720, "12 min"),
        (11100, "3 h 05 min"),
        (80.336 * 3600, "80 h 20 min"),
        (356 * 86400 + 7200, "356 days 2 h"),
    ],
)
def test_times_read_as_people_say_them(seconds: float, text: str) -> None:
    assert format_hours(seconds) == text


# --- the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("scale", ["auto", "linear"])
def test_no_text_leaves_the_picture_or_covers_another(
    shared_data: Find, name: str, scale: Scale
) -> None:
    figure = plot_training(read_log(shared_data(name)), Look(title="A title", scale=scale))
    assert_readable(figure)


def assert_readable(figure: Figure) -> None:
    shown = [text for text in texts(figure) if not _is_tick(figure, text)]
    width, height = figure.get_size_inches() * figure.dpi
    boxes = {text: text.get_window_extent() for text in shown}
    for text, box in boxes.items():
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
    top = figure.axes[0].get_window_extent().y1
    above = [box for box in boxes.values() if box.y0 > top]
    assert len(above) >= 2  # title and subtitle
    for one, other in itertools.combinations(above, 2):
        assert not one.overlaps(other)


def _is_tick(figure: Figure, text: Text) -> bool:
    """Tell tick labels, some of which Matplotlib keeps beyond the axes and does not draw."""
    return any(
        text in axis.get_ticklabels(which="both")
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
    )


def test_the_chart_of_a_real_training_tells_its_numbers(shared_data: Find) -> None:
    figure = plot_training(read_log(shared_data(WINDOWS)), Look(title="fire"))
    shown = words(figure)
    for part in (
        "fire",
        "alexeyab",
        "10,007 iterations",
        "average loss 1.818",
        "mAP 44.6%, best 48.1%",
        "best 48.12 % at 6,400",
        "burn-in",
        "mAP at IoU 0.5",
        "10k",
        "100 %",
    ):
        assert part in shown
    loss, mean = figure.axes
    assert loss.get_yscale() == "log"
    low, high = loss.get_ylim()
    assert low < 1.66
    assert high > 4113
    curve = next(line for line in mean.get_lines() if len(line.get_xdata()) == 91)  # type: ignore[arg-type]
    assert max(np.asarray(curve.get_ydata())) == pytest.approx(48.1172)


def test_a_high_first_loss_does_not_flatten_a_linear_chart(shared_data: Find) -> None:
    figure = plot_training(read_log(shared_data(WINDOWS)), Look(scale="linear"))
    assert figure.axes[0].get_yscale() == "linear"
    assert 4 < figure.axes[0].get_ylim()[1] < 10
    assert "up to 4,114" in words(figure)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([2000, 900, 40, 3, 2], "log"), ([5, 4, 3, 2.5], "linear"), ([0, 0, 0], "linear")],
)
def test_the_axis_is_chosen_by_the_losses(losses: list[float], scale: str) -> None:
    assert plot_training(log_of(iterate(losses))).axes[0].get_yscale() == scale


def test_a_run_without_map_has_one_axis() -> None:
    figure = plot_training(log_of(iterate([3, 2, 1])))
    assert len(figure.axes) == 1
    assert "mAP" not in words(figure)


def test_restarts_and_steps_and_divergence_are_marked() -> None:
    start = RunStarted(0.001)
    figure = plot_training(
        log_of(
            [
                start,
                *iterate([3.0] * 60),
                start,
                *iterate([2.0] * 30, first=41),
                *iterate([1.0] * 20, first=71, rate=0.0001),
                *iterate([math.nan, 1.0, math.nan, math.inf], first=91),
            ]
        )
    )
    shown = words(figure)
    assert "resumed at 41" in shown
    assert "learning rate 0.0001" in shown
    assert "the loss is nan or inf from 93 on" in shown
    assert "average loss inf" in shown
    (crosses,) = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    assert list(crosses.get_xdata()) == [91]  # type: ignore[arg-type]


def test_the_explosion_before_nan_does_not_flatten_what_was_before() -> None:
    calm, burst = [10.0 - n / 100 for n in range(400)], [1e3, 1e6, 1e12, math.nan]
    figure = plot_training(log_of(iterate(calm + burst)))
    assert figure.axes[0].get_ylim()[1] < 50


def test_many_steps_keep_their_lines_and_lose_only_labels() -> None:
    events = [
        event
        for part in range(40)
        for event in iterate([1.0] * 50, first=50 * part + 1, rate=0.001 if part % 2 else 0.0001)
    ]
    figure = plot_training(log_of(events), Look(title="many steps"))
    dashed = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
    assert len(dashed) == 39
    assert_readable(figure)


def results(*pairs: tuple[int | None, float]) -> list[Event]:
    return [MapResult(iteration, map50) for iteration, map50 in pairs]


@pytest.mark.parametrize(
    "events",
    [
        iterate([2.0]),
        iterate([math.nan]),
        iterate([math.nan] * 5000),
        iterate([math.inf, -math.inf, 1.0]),
        iterate([0.0, 0.0]),
        iterate([-1.0, -2.0, -3.0]),
        iterate([1e-30, 1e30, 5.0]),
        iterate([5.0] * 20_000),
        iterate([1.0, 2.0], first=999_999_999_998),
        iterate([1.0, 2.0], first=0),
        [*iterate([3.0, 2.0]), *results((None, 0.5))],
        [*iterate([3.0, 2.0]), *results((2, math.nan))],
        [*iterate([3.0, 2.0]), *results((2, 0.0))],
        [*results((None, 0.1)), *iterate([3.0, 2.0]), *results((2, 1.0))],
        [*iterate([3.0] * 900), *results(*((n, n / 900) for n in range(1, 900)))],
    ],
)
@pytest.mark.parametrize("scale", ["auto", "log", "linear"])
def test_odd_logs_can_be_drawn(events: list[Event], scale: Scale) -> None:
    figure = plot_training(log_of(events), Look(title="odd", scale=scale))
    assert_readable(figure)


@pytest.mark.parametrize(
    "title",
    ["$100 and \\frac{", "臉書 обучение", "a" * 300, "two\nlines", "<b>&amp;", "50% {x}", ""],
)
def test_any_title_is_text(title: str) -> None:
    figure = plot_training(log_of(iterate([3, 2, 1])), Look(title=title))
    for kind in ("png", "svg", "pdf"):
        assert render_figure(figure, kind)


def test_pictures_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    log = log_of([*iterate([3.0, 2.0, 1.0]), *results((3, 0.5))])
    paths = [tmp_path / f"chart.{kind}" for kind in ("png", "svg", "pdf")]
    assert draw_training(log, *paths, look=Look(title="three")) == paths
    png, svg, pdf = (path.read_bytes() for path in paths)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (1650, 930)
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
    assert etree.fromstring(svg).tag.endswith("svg")
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")
    draw_training(log, *paths, look=Look(title="three"))
    assert [path.read_bytes() for path in paths] == [png, svg, pdf]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chart.pdf",
        "chart.png",
        "chart.svg",
    ]


def test_the_last_digits_of_a_place_change_no_picture() -> None:
    pictures = set()
    for left in (0.1, 0.1 + 1e-15):
        figure = Figure()
        figure.add_axes((left, 0.1, 0.8, 0.8)).plot([1, 2])
        pictures.add(render_figure(figure, "svg"))
    (picture,) = pictures
    clips = re.findall(rb'clip-path="url\(#(.*?)\)"', picture)
    assert clips
    assert all(b'<clipPath id="' + name + b'"' in picture for name in clips)


def test_drawing_needs_no_screen_and_no_pyplot(tmp_path: Path) -> None:
    program = """
import sys
from darknet_kit.formats.logevent import Iteration
from darknet_kit.formats.trainlog import LogGatherer, LogReader
from darknet_kit.report.charts import draw_training
gatherer = LogGatherer()
for n in range(1, 5000):
    gatherer.add(Iteration(n, 9 / n, 9 / n, 0.001, 1.0, n))
draw_training(gatherer.log(LogReader()), "chart.png", "chart.svg")
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "MPLBACKEND": "qtagg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    assert (tmp_path / "chart.png").stat().st_size > 10_000
