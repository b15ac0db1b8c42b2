"""Logs as tables: the same numbers in frames, CSV, JSON and Parquet, and those that awk counts."""

import io
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from darknet_kit.errors import ToolchainError
from darknet_kit.formats.logtables import FORMATS, format_table, tabulate
from darknet_kit.formats.trainlog import Log, read_log
from tests.conftest import PROJECT, Ended

Find = Callable[[str], Path]

DOCS = PROJECT / "docs/logs.md"
WINDOWS = "D_logs/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"
GEARS = "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log"
LINE = " {0}: {1}, {1} avg loss, 0.001000 rate, 1.500000 seconds, {2} images, {3} hours left\n"


def read(text: str) -> Log:
    return read_log(io.BytesIO(text.encode()))


def test_frames_of_a_real_log(shared_data: Find) -> None:
    frames = read_log(shared_data(WINDOWS)).frames()
    iterations = frames["iterations"]
    # awk, as in test_trainlog; `mini_batch = 8` and 64 images an iteration by eye
    assert len(iterations) == 10007
    assert iterations["loss"].sum() == pytest.approx(434600.397257, rel=1e-9)
    assert set(iterations["mini_batch"]) == {8}
    assert iterations["images"].diff().dropna().unique().tolist() == [64]
    maps = frames["maps"].set_index("iteration")
    assert len(maps) == 91
    assert maps["map"].max() == 0.481172
    # `best = ` of the last line that says it; the engine says New best mAP! 20 times
    assert round(100 * maps["best"].iloc[-1], 2) == 48.12
    assert maps["is_best"].sum() == 20
    last = frames["classes"].query("iteration == 10000").set_index("name")
    assert (last.loc["smoke", "ap"], last.loc["smoke", "tp"]) == (40.47 / 100, 84)
    assert len(frames["classes"]) == 2 * 91
    assert len(frames["resizes"]) == 1092  # grep -c Resizing
    assert frames["warnings"].iloc[0]["count"] == 4  # grep -c 'performance bottleneck'
    assert frames["run"].iloc[0]["ending"] == "stopped"
    assert frames["restarts"].empty


def test_a_mini_batch_holds_from_its_iteration_on() -> None:
    head = (
        "mini_batch = {}, batch = 64, time_steps = 1, train = {} \nLearning Rate: 1, Momentum: 1\n"
    )
    text = head.format(1, 0) + head.format(4, 1)
    text += "".join(LINE.format(n, 2.5, 64 * n, 1) for n in (1, 2, 3))
    text += "Resizing\n 320 x 320  (batch = 8) \n" + LINE.format(4, 2.5, 256, 1)
    text += head.format(2, 1) + LINE.format(3, 2.5, 192, 1)  # resumed
    values = tabulate(read(text))["iterations"]["mini_batch"].values
    assert values == [4, 4, 2]


def load(content: bytes, form: str) -> pd.DataFrame:
    if form == "csv":
        return pd.read_csv(io.BytesIO(content))
    if form == "json":
        return pd.DataFrame(json.loads(content, parse_constant=pytest.fail))
    return pd.read_parquet(io.BytesIO(content))


@pytest.mark.parametrize("form", FORMATS)
def test_files_hold_what_the_frames_hold(shared_data: Find, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    log = read_log(shared_data(GEARS))
    frames, tables = log.frames(), tabulate(log)
    for name in ("iterations", "maps", "classes", "run"):
        loaded = load(format_table(tables[name], form), form)
        loaded = loaded.astype(dict(frames[name].dtypes))
        pd.testing.assert_frame_equal(loaded, frames[name], rtol=1e-9)


@pytest.mark.parametrize("form", FORMATS)
def test_nan_and_unknown_are_kept_apart(form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    text = LINE.format(1, "-nan", 64, "-1.000000") + LINE.format(2, "inf", 128, "2.5")
    content = format_table(tabulate(read(text))["iterations"], form)
    if form == "csv":
        assert content.splitlines()[1:] == [
            b"1,nan,nan,0.001,1.5,64,,",
            b"2,inf,inf,0.001,1.5,128,2.5,",
        ]
    elif form == "json":
        first, second = json.loads(content, parse_constant=pytest.fail)
        assert (first["loss"], second["loss"], first["hours_left"]) == (None, None, None)
        assert second["hours_left"] == 2.5
    else:
        from pyarrow import parquet

        table = parquet.read_table(io.BytesIO(content))
        assert math.isnan(table["loss"][0].as_py())
        assert math.isinf(table["loss"][1].as_py())
        assert table["hours_left"].to_pylist() == [None, 2.5]


def test_parquet_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ToolchainError, match="pyarrow") as caught:
        format_table(tabulate(read(LINE.format(1, 1, 64, 1)))["run"], "parquet")
    assert "darknet-kit[parquet]" in caught.value.hint


def test_tables_beside_the_charts(dkit: Callable[..., Ended], tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    damaged = LINE.format(2, 2.5, 128, 1).replace(" rate", "")
    path.write_text(LINE.format(1, 2.5, 64, 1) + damaged + LINE.format(3, 1.5, 192, 1))
    ended = dkit("plot-log", path, "--out", tmp_path / "out", "--tables", "csv")
    assert ended.exit_code == 3
    assert f"{path}:2: 2: 2.5, 2.5 avg loss, 0.001000," in ended.stdout
    names = sorted(file.name for file in (tmp_path / "out/tables").iterdir())
    assert names == ["damage.csv", "iterations.csv", "run.csv"]
    assert (tmp_path / "out/tables/damage.csv").read_text().splitlines()[1].startswith(f"{path},2,")


def test_the_documented_columns_are_those_that_are_written() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \| ((?:`\w+` ?)+)\|$", DOCS.read_text("utf-8"))
    documented = {name: re.findall(r"\w+", columns) for name, columns in rows}
    tables = tabulate(read(LINE.format(1, 2.5, 64, 1)))
    assert documented == {name: list(table) for name, table in tables.items()}
