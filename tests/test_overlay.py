"""Looks of charts, classes over a training, several trainings on one axis."""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from darknet_kit.formats.logevent import ClassResult, Event, Iteration, MapResult, WeightsSaved
from darknet_kit.formats.trainlog import Log, read_log
from darknet_kit.report.apchart import (
    best_with_classes,
    has_classes,
    plot_class_results,
    rank_classes,
)
from darknet_kit.report.charts import Look, plot_training, render_figure
from darknet_kit.report.curves import find_stalls
from darknet_kit.report.overlay import plot_overlay
from darknet_kit.report.partschart import has_parts, plot_parts
from darknet_kit.report.theme import DARK, LIGHT, THEMES, Theme
from tests.conftest import Ended
from tests.test_charts import iterate, log_of, words

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
GEARS = "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log"


def points(line: Any) -> list[tuple[float, float]]:
    return list(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True))


def heavy_line(figure: Figure) -> Any:
    return next(line for line in figure.axes[0].get_lines() if "average" in str(line.get_label()))


# --- looks ------------------------------------------------------------------------------------


def _luminance(color: str) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_what_is_written_stands_out_from_the_paper(theme: Theme) -> None:
    paper = _luminance(theme.paper)
    for color in (theme.ink, theme.soft, theme.quiet, theme.loss, theme.map, theme.alarm):
        lighter, darker = sorted((paper, _luminance(color)), reverse=True)
        # WCAG 2.1 asks for 3 to 1 of large text and of graphics.
        assert (lighter + 0.05) / (darker + 0.05) >= 3


@pytest.mark.parametrize("name", sorted(THEMES))
def test_a_theme_colours_paper_and_words(name: str) -> None:
    figure = plot_training(log_of(iterate([3, 2, 1])), Look(theme=THEMES[name], title="three"))
    assert to_hex(figure.get_facecolor()).upper() == THEMES[name].paper
    assert figure.axes[0].xaxis.label.get_color() == THEMES[name].ink


def test_time_is_the_sum_of_the_seconds() -> None:
    events: list[Event] = [Iteration(n, 5, 4, 0.001, 3600.0, n) for n in range(1, 5)]
    events.insert(2, MapResult(2, 0.5))
    figure = plot_training(log_of(events), Look(by_time=True))
    assert figure.axes[0].get_xlabel() == "hours of computing"
    assert points(heavy_line(figure)) == [(1.0, 4), (2.0, 4), (3.0, 4), (4.0, 4)]
    assert points(figure.axes[1].get_lines()[0]) == [(2.0, 50.0)]


@pytest.mark.parametrize(
    ("seconds", "unit"), [(1.0, "minutes"), (3600.0, "hours"), (360_000.0, "days")]
)
def test_time_has_the_unit_that_people_would_use(seconds: float, unit: str) -> None:
    log = log_of(Iteration(n, 5, 4, 0.001, seconds, n) for n in range(1, 5))
    axes = plot_training(log, Look(by_time=True)).axes[0]
    assert axes.get_xlabel() == f"{unit} of computing"


def test_unknown_seconds_take_no_time() -> None:
    log = log_of(Iteration(n, 5, 4, 0.001, math.nan, n) for n in range(1, 5))
    assert render_figure(plot_training(log, Look(by_time=True)), "png")


def test_smoothing_is_a_mean_of_the_losses() -> None:
    events = [Iteration(n, loss, 9, 0.001, 1, n) for n, loss in enumerate([1, 5, math.nan, 3], 1)]
    figure = plot_training(log_of(events), Look(smooth=2, scale="linear"))
    (line,) = [one for one in figure.axes[0].get_lines() if "mean" in str(one.get_label())]
    assert line.get_label() == "mean loss of 2 iterations"
    assert points(line) == [(1, 1.0), (2, 3.0), (3, 5.0), (4, 3.0)]


def test_darknets_own_scale() -> None:
    figure = plot_training(log_of(iterate([900, 30, 3])), Look(scale="darknet"))
    axes = figure.axes[0]
    assert (axes.get_yscale(), axes.get_ylim()) == ("linear", (0, 20))
    assert "up to 900" in words(figure)


def test_a_pause_is_marked_with_its_length() -> None:
    events = [Iteration(n, 2, 2, 0.001, 1.0, n) for n in range(1, 100)]
    events[49] = Iteration(50, 2, 2, 0.001, 720.0, 50)
    events[79] = Iteration(80, 2, 2, 0.001, 30.0, 80)  # slow, but nobody would call it a pause
    log = log_of(events)
    assert find_stalls(log.metrics) == [(50, 720.0)]
    assert "stood still 12 min" in words(plot_training(log))


def test_real_trainings_have_no_pauses(shared_data: Find) -> None:
    for name in (WINDOWS, GEARS):
        assert find_stalls(read_log(shared_data(name)).metrics) == []  # awk: 7.9 s at most


def test_the_best_map_names_its_weights() -> None:
    log = log_of(
        [
            *iterate([3.0, 2.0]),
            WeightsSaved(2, "/backup/pets_last.weights"),
            MapResult(2, 0.5),
            WeightsSaved(2, "/backup/$x_best.weights"),
        ]
    )
    assert log.best_weights == "/backup/$x_best.weights"
    assert "best 50.00 % at 2\n$x_best.weights" in words(plot_training(log))


# --- classes ----------------------------------------------------------------------------------


def results(classes: int, calculations: int) -> Iterable[Event]:
    for n in range(1, calculations + 1):
        found = tuple(
            ClassResult(number, f"class {number}", number * n / classes / calculations)
            for number in range(classes)
        )
        yield MapResult(n, n / calculations, 0.5, found, precision=0.5, recall=math.nan)


def classes_log(classes: int, calculations: int = 3) -> Log:
    return log_of([*iterate([3.0] * 10), *results(classes, calculations)])


def test_classes_of_a_real_training_are_ranked(shared_data: Find) -> None:
    log = read_log(shared_data(WINDOWS))
    rows = rank_classes(best_with_classes(log.maps))
    # grep -B12 0.481172
    assert [(row.name, row.ap) for row in rows] == [("fire", 0.5011), ("smoke", 0.4612)]
    mean = sum(row.ap for row in rows) / 2
    assert mean == pytest.approx(0.481172, abs=5e-5)  # the engine's own mAP


@pytest.mark.parametrize("classes", [1, 2, 7, 8, 20, 80, 1000])
def test_any_number_of_classes(classes: int) -> None:
    log = classes_log(classes)
    figure = plot_class_results(log, Look(title="classes"))
    assert render_figure(figure, "png")
    bars, *_ = figure.axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names[0] == f"class {classes - 1}"
    assert names[-1] == "class 0"
    assert len(names) == min(classes, 40)
    assert bars.patches[0].get_width() == pytest.approx(100 * (classes - 1) / classes)  # type: ignore[attr-defined]
    if classes > 40:
        assert f"the 40 best and worst of {classes:,} classes" in words(figure)


@pytest.mark.parametrize("title", ["x", "a name as long as a title may become " * 3])
def test_a_title_takes_no_room_from_the_bars(title: str) -> None:
    figure = plot_class_results(classes_log(40), Look(title=title))
    figure.draw_without_rendering()
    bars, course, *_ = figure.axes
    assert bars.get_position().width > 0.25
    assert course.get_position().width > 0.45


def test_a_single_iteration_stands_in_the_middle() -> None:
    log = log_of([*iterate([3.0], first=2677), MapResult(2677, 0.5)])
    assert plot_training(log).axes[0].get_xlim() == (2676, 2678)
    assert plot_training(log, Look(by_time=True)).axes[0].get_xlim()[0] == 0


def test_class_names_are_text() -> None:
    found = (ClassResult(0, "$a_{b", 0.5), ClassResult(1, "x\x1b[31m" + "y" * 99, math.nan))
    log = log_of([*iterate([3.0, 2.0]), MapResult(2, 0.5, 0.5, found)])
    assert has_classes(log)
    figure = plot_class_results(log, Look(theme=DARK))
    assert render_figure(figure, "svg")
    assert "$a_{b" in words(figure)


def test_no_name_turns_the_direction_of_a_picture() -> None:
    log, name = log_of(iterate([3.0, 2.0])), "exe.\u202egpj"
    for figure in (
        plot_training(log, Look(title=name)),
        plot_overlay({name: log, "other": log}, Look()),
    ):
        told = [text.get_text() for text in figure.findobj(Text)]
        assert not any("\u202e" in text for text in told)
        assert any("exe.\\x202egpj" in text for text in told)


def test_a_log_without_classes_has_no_such_chart() -> None:
    assert not has_classes(log_of([*iterate([3.0, 2.0]), MapResult(2, 0.5)]))


# --- parts of the loss ------------------------------------------------------------------------

HEAD = (
    "v3 (iou loss, Normalizer: (iou: 0.07, obj: 1.00, cls: 1.00) Region {} Avg (IOU: 0.5), "
    "count: 9, class_loss = {}, iou_loss = {}, total_loss = 9.0 \n"
)
PARTS = " loss parts 9: box = {}, obj = {}, noobj = {}, class = {}\n"
ITERATION = " {}: {}, {} avg loss, 0.001 rate, 1.0 seconds, {} images, 3.2 hours left\n"


def panels_of(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    drawn = [axes for axes in figure.axes if axes.get_lines()]
    return {axes.get_title(loc="left"): points(axes.get_lines()[0]) for axes in drawn}


def test_parts_of_alexeyabs_log_in_three_panels(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    # Two heads, two mini-batches: the means of the mini-batches, added over the heads.
    log.write_text(
        "".join(
            HEAD.format(30, 2.0, 4.0) + HEAD.format(37, 1.0, 1.0)
            + HEAD.format(30, 4.0, 8.0) + HEAD.format(37, 1.0, 3.0)
            + ITERATION.format(n, 12.0, 12.0, n)
            for n in (1, 2, 3)
        )
    )  # fmt: skip
    figure = plot_parts(read_log(log, parts=True), Look(title="parts"))
    assert panels_of(figure) == {
        "loss": [(1, 12), (2, 12), (3, 12)],
        "boxes": [(1, 8), (2, 8), (3, 8)],  # 6 + 2
        "objectness and classes": [(1, 4), (2, 4), (3, 4)],  # 3 + 1
    }


def test_parts_of_the_embedded_engines_log_in_four(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    text = "the embedded engine, PyTorch 2.13.0 on the CPU\n"
    for n in (1, 2):
        text += HEAD.format(9, 6.0, 4.0) + PARTS.format(4.0, 3.0, 1.0, 2.0)
        text += ITERATION.format(n, 10.0, 10.0, n)
    log.write_text(text)
    for parts in (False, True):
        figure = plot_parts(read_log(log, parts=parts), Look())
        assert panels_of(figure) == {
            "loss": [(1, 10), (2, 10)],
            "boxes": [(1, 4), (2, 4)],
            "objectness": [(1, 4), (2, 4)],  # of cells with an object, and of those without
            "classes": [(1, 2), (2, 2)],
        }


def test_a_log_without_parts(shared_data: Find) -> None:
    assert not has_parts(read_log(shared_data(WINDOWS)))


# --- several ----------------------------------------------------------------------------------


def test_each_training_keeps_its_numbers() -> None:
    logs = {
        "round 1": log_of([*iterate([4.0, 3.0, 2.0]), MapResult(3, 0.25)]),
        "round $2": log_of(iterate([9.0, math.nan, math.nan])),
    }
    figure = plot_overlay(logs, Look(title="rounds"))
    loss, mean = figure.axes
    curves = {str(line.get_label()): points(line) for line in loss.get_lines()}
    assert curves["round 1"] == [(1, 4), (2, 3), (3, 2)]
    assert curves["round $2"] == [(1, 9)]
    crosses = [points(line) for line in loss.get_lines() if line.get_marker() == "X"]
    assert crosses == [[(1, 9)]]
    assert points(mean.get_lines()[0]) == [(3, 25)]
    for part in ("rounds", "round 1", "round $2", "mAP"):
        assert part in words(figure)


def test_trainings_share_a_unit_of_time() -> None:
    logs = {
        "short": log_of(Iteration(n, 5, 4, 0.001, 60.0, n) for n in range(1, 4)),
        "long": log_of(Iteration(n, 5, 4, 0.001, 36_000.0, n) for n in range(1, 4)),
    }
    (axes,) = plot_overlay(logs, Look(by_time=True)).axes
    assert axes.get_xlabel() == "hours of computing"
    short, long = axes.get_lines()
    assert points(short)[-1][0] == pytest.approx(3 / 60)
    assert points(long)[-1][0] == pytest.approx(30)


def test_many_trainings_differ_in_colour_or_dashes() -> None:
    logs = {f"run {n}": log_of(iterate([5.0, 4.0, 3.0])) for n in range(20)}
    (axes,) = plot_overlay(logs, Look()).axes
    styles = {(line.get_color(), str(line._dash_pattern)) for line in axes.get_lines()}  # type: ignore[attr-defined]
    assert len(styles) == 20


def test_an_explosion_does_not_flatten_the_others() -> None:
    calm = log_of(iterate([10.0 - n / 100 for n in range(900)]))
    wild = log_of(iterate([10.0, 9.0, 1e12, math.nan]))
    (axes,) = plot_overlay({"calm": calm, "wild": wild}, Look(scale="linear")).axes
    assert axes.get_ylim()[1] < 50


def test_the_command_overlays(
    dkit: Dkit, shared_data: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    logs = [shared_data(WINDOWS), shared_data(GEARS)]
    ended = dkit("plot-log", *logs, "--overlay", "--theme", "dark", "-o", "two.svg")
    assert ended.exit_code == 0, ended.stderr
    assert "v5_legogears_yolov4-tiny_full: hank-ai" in ended.stdout
    text = Path("two.svg").read_text()
    assert DARK.paper.lower() in text.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["two.svg"]


def test_the_command_exports(dkit: Dkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here"
    )
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_text("".join(ITERATION.format(n, 2.0, 2.0, n) for n in (1, 2, 3)))
    os.utime("a.log", (1_700_000_000, 1_700_000_000))
    ended = dkit("plot-log", "a.log", "-o", "a.png", "--tensorboard", "tb")
    assert ended.exit_code == 0, ended.stderr
    assert [path.name[:19] for path in Path("tb/a").iterdir()] == ["events.out.tfevents"]
    events = accumulator.EventAccumulator("tb/a")
    events.Reload()
    # Each iteration took a second, and the log was last written with the third.
    assert [one.wall_time - 1_700_000_000 for one in events.Scalars("loss")] == [-2, -1, 0]
    assert "[not-empty]" in dkit("plot-log", "a.log", "-o", "a.png", "--tensorboard", "tb").stderr
