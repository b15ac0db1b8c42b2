"""`dkit plot-log`: files, summary, JSON, refusals."""

import gzip
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Ended

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
GEARS = "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log"
VOC = "D_logs/classic/pjreddie_yolov3-voc_6000its.log"

LINE = " {0}: {1}, {1} avg loss, 0.001000 rate, 1.500000 seconds, {2} images, 3.250000 hours left\n"
RESULT = (
    "class_id = 0, name = {}, ap = 50.00%   \t (TP = 4, FP = 1) \n"
    " for conf_thresh = 0.25, precision = -nan, recall = 0.00, F1-score = -nan \n"
    " mean average precision (mAP@0.50) = 0.500000, or 50.00 % \n"
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_log(name: str = "train.log", losses: str = "9.5 8.5 7.5", more: str = "") -> Path:
    path = Path(name)
    text = "".join(LINE.format(n, loss, 64 * n) for n, loss in enumerate(losses.split(), 1))
    path.write_text(text + more)
    return path


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_all_files_of_a_real_log(dkit: Dkit, shared_data: Find) -> None:
    shutil.copy(shared_data(WINDOWS), "fire.v3.log")
    ended = dkit("plot-log", "fire.v3.log")
    assert ended.exit_code == 0, ended.stderr
    assert files() == [
        "fire.v3.log",
        "fire.v3_chart/chart.png",
        "fire.v3_chart/chart.svg",
        "fire.v3_chart/classes.png",
        "fire.v3_chart/classes.svg",
        "fire.v3_chart/map.csv",
        "fire.v3_chart/metrics.csv",
    ]
    for part in (
        "alexeyab",
        "10,007 iterations",
        "4,114 at first, 1.818 at last",
        "best 48.12% at 6,400, last 44.63%, 91 calculations",
        "7 h 14 min of computing",  # awk: 26016.32 s
        "stops mid-way at iteration 10,007, with 80 h 20 min left",
        "fire.v3_chart/metrics.csv",
    ):
        assert part in ended.stdout
    metrics = pd.read_csv("fire.v3_chart/metrics.csv")
    assert list(metrics.columns) == [
        "iteration", "loss", "avg_loss", "learning_rate", "seconds", "images", "hours_left",
    ]  # fmt: skip
    assert len(metrics) == 10007
    assert metrics["loss"].sum() == pytest.approx(434600.397257, rel=1e-9)  # awk
    assert math.isnan(metrics["hours_left"][0])
    assert metrics["hours_left"][1] == 175.19269
    maps = pd.read_csv("fire.v3_chart/map.csv")
    assert len(maps) == 91
    assert list(maps.columns[-2:]) == ["ap 0 fire", "ap 1 smoke"]
    assert maps["map50"].max() == 0.481172
    assert maps.iloc[-1]["ap 1 smoke"] == pytest.approx(0.4047)


def test_all_numbers_as_json(dkit: Dkit, shared_data: Find) -> None:
    ended = dkit("plot-log", shared_data(GEARS), "--out", "charts", "--json")
    data = json.loads(ended.stdout, parse_constant=pytest.fail)
    assert data["ok"] is True
    assert data["flavor"] == "hank-ai"
    assert data["iterations"] == {"first": 1, "last": 6000, "count": 6000, "max_batches": 6000}
    assert data["map"]["calculations"] == 51
    assert data["map"]["best"]["map50"] == 1.0
    assert data["map"]["best"]["classes"][3]["name"] == "small gear"
    assert data["seconds"] == pytest.approx(652.3079)  # awk
    assert data["ending"] == {"code": "finished", "message": ""}
    assert [Path(name).name for name in data["files"]] == [
        "chart.png", "chart.svg", "classes.png", "classes.svg", "metrics.csv", "map.csv",
    ]  # fmt: skip
    assert all(Path(name).is_file() for name in data["files"])


def test_nan_is_null_in_json_and_nan_in_csv(dkit: Dkit) -> None:
    log = write_log(losses="9.5 nan -inf", more=RESULT.format("dog"))
    data = json.loads(dkit("plot-log", log, "--json").stdout, parse_constant=pytest.fail)
    assert data["avg_loss"] == {"first": 9.5, "last": None, "lowest": 9.5, "lowest_at": 1}
    assert data["diverged_at"] == 2
    assert data["map"]["last"]["precision"] is None
    lines = Path("train_chart/metrics.csv").read_text().splitlines()
    assert lines[2:] == [
        "2,nan,nan,0.001,1.5,128,3.25",
        "3,-inf,-inf,0.001,1.5,192,3.25",
    ]
    assert Path("train_chart/map.csv").read_text().splitlines()[1] == "3,0.5,0.5,nan,0,nan,,0.5"
    assert "from iteration 2 to the end" in dkit("plot-log", log, "--dry-run").stdout


def test_class_names_are_quoted_in_csv(dkit: Dkit) -> None:
    dkit("plot-log", write_log(more=RESULT.format('a, "b"')))
    assert pd.read_csv("train_chart/map.csv").columns[-1] == 'ap 0 a, "b"'


def test_a_log_without_map_has_no_map_csv(dkit: Dkit, shared_data: Find) -> None:
    ended = dkit("plot-log", shared_data(VOC), "--out", "here")
    assert files() == ["here/chart.png", "here/chart.svg", "here/metrics.csv"]
    assert "nothing says whether the training was done" in ended.stdout


@pytest.mark.parametrize("name", ["chart.png", "deep/er/chart.SVG", "chart.pdf"])
def test_one_picture(dkit: Dkit, name: str) -> None:
    assert dkit("plot-log", write_log(), "-o", name, "--title", "$5 a 臉").exit_code == 0
    assert files() == sorted([name, "train.log"])


def test_packed_logs_and_several_logs(dkit: Dkit) -> None:
    log = write_log()
    Path("first.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.write_text(LINE.format(3, "5.0", 192) + LINE.format(4, "4.0", 256))
    ended = dkit("plot-log", "first.log.gz", log)
    assert "reached 3, went on from 3" in ended.stdout
    assert Path("train_chart/metrics.csv").read_text().splitlines()[3].startswith("3,5,5,")
    assert dkit("plot-log", "first.log.gz").exit_code == 0
    assert Path("first_chart/metrics.csv").exists()


def test_again_is_up_to_date_and_other_content_is_refused(dkit: Dkit) -> None:
    log = write_log()
    assert dkit("plot-log", log).stdout.count("wrote") == 3
    assert dkit("plot-log", log).stdout.count("up to date") == 3
    write_log(losses="9.5 8.5 7.5 6.5")
    before = {name: Path(name).read_bytes() for name in files()}
    ended = dkit("plot-log", log)
    assert ended.exit_code == 2
    assert "--overwrite" in ended.stderr
    assert {name: Path(name).read_bytes() for name in files()} == before
    assert dkit("plot-log", log, "--overwrite").stdout.count("wrote") == 3


def test_dry_run_reads_and_writes_nothing(dkit: Dkit) -> None:
    ended = dkit("plot-log", write_log(), "--dry-run")
    assert files() == ["train.log"]
    assert ended.stdout.count("would write") == 3
    assert "7.5 at last" in ended.stdout


def test_damaged_lines_are_told_and_are_exit_3(dkit: Dkit) -> None:
    whole = LINE.format(4, "6.5", 256)
    ended = dkit("plot-log", write_log(more=whole.replace(" rate", "") + whole[:50]))
    assert ended.exit_code == 3
    assert "1 damaged line" in ended.stdout


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["missing.log"], 1, "missing-file"),
        (["."], 2, "no-run"),
        (["text.txt"], 1, "not-a-log"),
        (["empty.log"], 1, "not-a-log"),
        (["train.log", "-o", "chart.jpg"], 2, "unknown-picture"),
        (["train.log", "-o", "chart"], 2, "unknown-picture"),
        (["train.log", "-o", "a.png", "--out", "b"], 2, "usage"),
        (["train.log", "--out", "text.txt"], 1, "not-a-folder"),
        ([], 2, "usage"),
    ],
)
def test_refusals(dkit: Dkit, words: list[str], exit_code: int, code: str) -> None:
    write_log()
    Path("text.txt").write_text("hello\n")
    Path("empty.log").touch()
    ended = dkit("plot-log", *words)
    assert ended.exit_code == exit_code
    assert ended.stdout == ""
    assert f"[{code}]" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    data = json.loads(dkit("plot-log", *words, "--json").stdout)
    assert (data["ok"], data["error"]["code"]) == (False, code)


@pytest.mark.parametrize("missing", ["matplotlib", "pandas"])
def test_without_the_extra_it_says_what_to_install(
    dkit: Dkit, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    modules: dict[str, Any] = sys.modules
    monkeypatch.setitem(modules, missing, None)  # what an import of a missing module comes to
    ended = dkit("plot-log", write_log())
    assert ended.exit_code == 4
    assert f"charts need {missing}" in ended.stderr
    assert "pip install 'darknet-kit[charts]'" in ended.stderr


def test_help_has_examples(dkit: Dkit) -> None:
    ended = dkit("plot-log", "--help")
    assert ended.exit_code == 0
    assert ended.stdout.count("  dkit plot-log") >= 2
