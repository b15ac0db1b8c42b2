"""`dkit compare`: what differs, what came of it, as a table, as files, as a page."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from lxml import html

from tests.conftest import Ended

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

LOGS, CFGS = "D_logs", "E_cfg_data_names"
LINE = " {0}: {1}, {1} avg loss, 0.001000 rate, 36.000000 seconds, {2} images, 3.25 hours left\n"
MAP = " mean average precision (mAP@0.50) = {:.6f}, or {:.2f} % \n"
CFG = """[net]
width=64
height=32
channels=3
batch={batch}
subdivisions=4
learning_rate={rate}
max_batches=100
mosaic=1

[convolutional]
filters=21
size=1
stride=1
activation=linear

[yolo]
mask=0,1,2
anchors=1,1, 2,2, 3,3
classes=2
num=3
jitter=.3
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_log(path: str, losses: str, map50: float | None = None) -> str:
    lines = [LINE.format(n, loss, 64 * n) for n, loss in enumerate(losses.split(), 1)]
    found = [] if map50 is None else [MAP.format(map50, 100 * map50)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(lines + found))
    return path


def write_cfg(path: str, batch: int = 64, rate: str = "0.001", more: str = "") -> str:
    Path(path).write_text(CFG.format(batch=batch, rate=rate) + more)
    return path


def write_run(name: str, weights: str, map50: float, state: str = "finished") -> str:
    write_log(f"{name}/attempts/0001/log.txt", "9 5 3", map50)
    write_cfg(f"{name}/project.cfg")
    record = {
        "settings": {"data": "/d/pets.data", "cfg": "/d/x.cfg", "weights": weights, "gpus": [0, 1]},
        "engine": {"path": "torch", "flavor": "alexeyab", "version": "1", "commit": ""},
    }
    Path(name, "run.toml").write_text(tomli_w.dumps(record))
    Path(name, "train.txt").write_text("a.jpg\nb.jpg\n")
    Path(name, "status.json").write_text(json.dumps({"state": state, "message": "so it was"}))
    return name


def rows_of(ended: Ended) -> dict[str, list[str]]:
    document = json.loads(ended.stdout)
    return {row["name"]: row["values"] for row in document["rows"]}


def test_what_differs_is_marked(dkit: Dkit) -> None:
    first, second = write_log("a.log", "9.5 8.5", 0.5), write_log("b.log", "7.5 nan nan")
    write_cfg("a.cfg")
    write_cfg("b.cfg", rate="0.002", more="random=1\n")
    ended = dkit("compare", first, second)
    assert ended.exit_code == 0, ended.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    assert ["≠", "learning_rate", "0.001", "0.002"] in lines
    assert ["≠", "yolo.random", "-", "1"] in lines
    assert ["batch", "64", "64"] in lines
    assert ["best mAP", "50.00% at 2", "-"] in lines
    assert ["state", "stopped", "diverged"] in lines
    assert ["time", "72 s", "2 min"] in lines  # two and three times 36 s
    assert "b: the loss is nan or inf from 2 on" in ended.stdout
    # alike: heads, layers, parameters, BFLOPs, mosaic, jitter, anchors
    assert "alike in 7 more" in ended.stdout
    assert "mosaic" not in ended.stdout
    assert "mosaic" in dkit("compare", first, second, "--all").stdout


def test_a_network_in_numbers(dkit: Dkit) -> None:
    log, cfg = write_log("a.log", "9 8"), write_cfg("a.cfg")
    rows = rows_of(dkit("compare", log, log, "--cfg", cfg, "--cfg", cfg, "--json"))
    assert rows["input"] == ["64 x 32", "64 x 32"]
    assert rows["classes"] == ["2", "2"]
    assert rows["heads"] == ["1 yolo", "1 yolo"]
    assert rows["layers"][0] == "2"
    assert rows["parameters"][0] == "0.00 M"  # 3 * 21 + 21
    assert rows["BFLOPs"][0] == "0.00"  # 2 * 3 * 21 * 64 * 32 / 1e9


def test_the_best_map_has_a_star(dkit: Dkit) -> None:
    logs = [
        write_log(f"{name}.log", "3 2", value)
        for name, value in [("a", 0.25), ("b", 0.5), ("c", None), ("d", 0.5)]
    ]
    (line,) = [one for one in dkit("compare", *logs).stdout.splitlines() if "best mAP" in one]
    told = "25.00% at 2, 50.00% at 2 ★, -, 50.00% at 2 ★"
    assert re.split(r"\s{2,}", line.strip())[1:] == told.split(", ")
    alike = dkit("compare", logs[1], logs[3]).stdout
    assert "★" not in alike


def test_runs_tell_how_they_were_started_and_ended(dkit: Dkit) -> None:
    names = [
        write_run("runs/one", "/w/tiny.conv.29", 0.5),
        write_run("runs/two", "", 0.6, state="failed"),
    ]
    ended = dkit("compare", *names, "--json")
    rows = rows_of(ended)
    assert rows["start"] == ["tiny.conv.29", "random weights"]
    assert rows["engine"] == ["torch 1"] * 2
    assert rows["data"] == ["pets.data"] * 2
    assert rows["training images"] == ["2", "2"]
    assert rows["GPUs"] == ["0, 1"] * 2
    assert rows["state"] == ["finished", "crashed"]
    assert rows["cause"][1] == "so it was"
    assert json.loads(ended.stdout)["trainings"] == ["one", "two"]


def test_files_hold_all_of_it(dkit: Dkit) -> None:
    logs = [write_log("a.log", "9 8", 0.5), write_log("b|<b>.log", "9 7")]
    write_cfg("a.cfg")
    write_cfg("b|<b>.cfg", batch=32)
    outputs = ["t.csv", "t.md", "t.html", "t.png", "t.svg"]
    ended = dkit("compare", *logs, *(part for name in outputs for part in ("-o", name)))
    assert ended.exit_code == 0, ended.stderr
    table = list(csv.reader(Path("t.csv").read_text().splitlines()))
    assert table[0] == ["group", "parameter", "differs", "a", "b|<b>"]
    assert ["cfg", "batch", "yes", "64", "32"] in table
    assert ["cfg", "mosaic", "no", "1", "1"] in table
    markdown = Path("t.md").read_text().splitlines()
    assert markdown[0] == "|  | a | b\\|&lt;b> |"
    assert "| **batch** | 64 | 32 |" in markdown
    page: Any = html.fromstring(Path("t.html").read_bytes())
    assert page.xpath("string(//title)") == "a · b|<b>"
    assert page.xpath("count(//svg)") == 1
    assert not page.xpath("//b|//script|//link|//*[@src]")
    (row,) = page.xpath("//tr[th='batch']")
    assert row.get("class") == "differs"
    assert [cell.text for cell in row.xpath("td")] == ["64", "32"]
    assert dkit("compare", *logs, "-o", "t.csv").stdout.count("up to date") == 1


def test_a_wide_comparison_becomes_several_tables(
    dkit: Dkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [write_log(f"a-rather-long-name-{n}.log", "9 8") for n in range(7)]
    monkeypatch.setenv("COLUMNS", "80")
    lines = dkit("compare", *logs).stdout.splitlines()
    table = lines[: next(n for n, line in enumerate(lines) if ": stops" in line)]
    assert max(map(len, table)) <= 80
    assert sum("lowest avg loss" in line for line in table) > 1
    assert all(any(f"name-{n}" in line for line in table) for n in range(7))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a.log"], "usage"),
        (["a.log", "a.log", "--cfg", "x", "--cfg", "y", "--cfg", "z"], "usage"),
        (["a.log", "a.log", "-o", "t.xls"], "unknown-picture"),
        (["a.log", "none.log"], "missing-file"),
        (["a.log", "a.log", "--cfg", "none.cfg"], "missing-file"),
    ],
)
def test_what_cannot_be_compared(dkit: Dkit, arguments: list[str], code: str) -> None:
    write_log("a.log", "9 8")
    ended = dkit("compare", *arguments)
    assert ended.exit_code != 0
    assert f"[{code}]" in ended.stderr


def test_a_damaged_run_is_compared_all_the_same(dkit: Dkit) -> None:
    names = [write_run("runs/one", "", 0.5), write_run("runs/two", "", 0.6)]
    Path("runs/two/project.cfg").write_text("\x00")
    Path("runs/two/run.toml").write_text("[[[")
    rows = rows_of(dkit("compare", *names, "--json"))
    assert rows["best mAP"] == ["50.00% at 3", "60.00% at 3"]
    assert rows["batch"] == ["64", "-"]


def test_real_trainings_and_their_networks(dkit: Dkit, shared_data: Find) -> None:
    logs: list[Any] = [
        shared_data(f"{LOGS}/hank_ai/v5_legogears_yolov4-tiny_full.log"),
        shared_data(f"{LOGS}/classic/alexeyab_map_yolov3tiny3l_windows_crlf.txt"),
    ]
    names = ["jpfleischer__47d3c003_LegoGears.cfg", "dstaroff__tinyyolov3_data_fire.cfg"]
    cfgs = [part for name in names for part in ("--cfg", shared_data(f"{CFGS}/{name}"))]
    rows = rows_of(dkit("compare", *logs, *cfgs, "--json"))
    assert rows["input"] == ["224 x 160", "608 x 608"]  # grep
    assert rows["max_batches"] == ["5334", "100000"]
    assert rows["yolo.random"] == ["0", "1"]
    assert rows["best mAP"] == ["100.00% at 6,000", "48.12% at 6,400"]
    assert rows["lowest avg loss"][1] == "1.662 at 9,909"
