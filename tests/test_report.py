"""`dkit report`: one page with all of a training, in the file and in a browser."""

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from darknet_kit.formats.logevent import ClassResult, Event, MapResult
from darknet_kit.report.verdict import advise
from tests.browser import visiting
from tests.conftest import Ended
from tests.test_charts import iterate, log_of
from tests.test_compare import write_cfg, write_log, write_run
from tests.trainings import write_nano

Dkit = Callable[..., Ended]
Find = Callable[[str], Path]

GEARS = "D_logs/hank_ai/v5_legogears_yolov4-tiny_full.log"
TELEMETRY = """time,attempt,iteration,cpu_percent,memory_used_mib,gpu0_use_percent,gpu0_c
2026-03-01T10:00:00+00:00,1,1,50,2048,98,71
2026-03-01T10:00:05+00:00,1,2,51,2048,99,72
2026-03-01T10:00:10+00:00,1,3,,2048,97,
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read_page(path: str) -> Any:
    return html.fromstring(Path(path).read_bytes())


def words(page: Any) -> str:
    return re.sub(r"\s+", " ", page.text_content())


def test_a_run_on_one_page(dkit: Dkit) -> None:
    run = write_run("runs/one", "/w/tiny.conv.29", 0.5)
    Path(run, "telemetry.csv").write_text(TELEMETRY)
    Path(run, "events.jsonl").write_text(
        json.dumps({"time": "2026-03-01T10:00:00+0000", "event": "attempt-started", "attempt": "1"})
        + "\n"
        + json.dumps({"time": "x", "event": "engine-error", "message": "<script>alert(1)</script>"})
        + '\n{"cut'
    )
    ended = dkit("report", run, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["tone"] == "good"
    page = read_page(f"{run}/report.html")
    text = words(page)
    for part in (
        "Finished: 3 iterations in 2 min. Best mAP 50.0% at iteration 3.",  # 3 * 36 s
        "tiny.conv.29",
        "attempt started",
        "<script>alert(1)</script>",
        "dkit train /d/pets.data /d/x.cfg /w/tiny.conv.29 --gpus 0,1",
        "learning_rate=0.001",
        "This run has no validation images.",
    ):
        assert part in text, part
    assert [title.text for title in page.xpath("//h2")][:2] == ["training", "the machine"]
    assert len(page.xpath("//script")) == 1
    assert not page.xpath("//link|//*[starts-with(@src, 'http')]")
    assert dkit("report", run).exit_code == 0  # renewed without a question


def test_a_bare_log(dkit: Dkit) -> None:
    log = write_log("a.log", "9.5 8.5 nan nan")
    write_cfg("a.cfg")
    assert dkit("report", log).exit_code == 0
    text = words(read_page("a.html"))
    assert "The loss was lost: nan from 3 on." in text
    assert "go on from weights before 3 with half the learning rate" in text
    Path("a.html").write_text("mine")
    ended = dkit("report", log)
    assert (ended.exit_code, "[file-exists]" in ended.stderr) == (2, True)
    assert Path("a.html").read_text() == "mine"


def test_images_with_truth_and_findings(dkit: Dkit, shapes: Path) -> None:
    if shutil.which("darknet") is None:
        pytest.skip("Debian's darknet is not on this machine")
    cfg = write_nano(Path("nano.cfg"), 20)
    ended = dkit("train", shapes, cfg, "--engine", "darknet")
    assert ended.exit_code == 0, ended.stderr
    assert dkit("report", "runs/nano", "--samples", "5").exit_code == 0
    page = read_page("runs/nano/report.html")
    figures = page.xpath("//div[@class='samples']/figure")
    assert len(figures) == 5
    for figure in figures:
        name, caption = figure.xpath("string(figcaption)").split(": ", 1)
        label = next(shapes.parent.rglob(f"{Path(name).stem}.txt"))
        lines = [line.split() for line in label.read_text().splitlines()]
        truths = figure.xpath(".//rect[@class='truth']")
        assert len(truths) == len(lines)
        assert re.match(rf"\d+ of {len(lines)} found", caption)
        (image,) = figure.xpath(".//img")
        width = float(image.get("width"))
        shown = sorted(float(box.get("width")) for box in truths)
        expected = sorted(float(line[3]) * width for line in lines)
        assert shown == pytest.approx(expected, abs=0.06)
        assert image.get("src").startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_is_content_with_it(dkit: Dkit, shared_data: Find, width: int) -> None:
    shutil.copy(shared_data(GEARS), "gears.log")
    assert dkit("report", "gears.log").exit_code == 0
    with visiting(Path("gears.html").absolute().as_uri(), width) as visit:
        page = visit.page
        assert visit.complaints == []
        chart = page.locator("figure.chart svg").first.bounding_box()
        assert chart is not None
        assert chart["width"] >= 358
        assert chart["height"] > 200
        # Nothing but what scrolls by itself is wider than the screen.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        names = page.locator("#classes tbody td:nth-child(2)")
        before = names.all_inner_texts()
        page.get_by_role("button", name="class").click()
        assert names.all_inner_texts() == sorted(before, key=str.lower)
        page.get_by_role("button", name="AP, %").click()
        values = [float(one) for one in page.locator("#classes td:nth-child(3)").all_inner_texts()]
        assert values == sorted(values, reverse=True)
        assert visit.complaints == []


def results(*values: float) -> list[Event]:
    return [MapResult(n + 1, value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ((0.5, 0.6, 0.7, 0.6, 0.62, 0.61), "learned its training images by heart"),
        ((0.5, 0.6, 0.7, 0.69, 0.7, 0.68), None),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "still rising"),
        ((0.0, 0.01, 0.0, 0.02, 0.0, 0.01), "near zero"),
        ((0.1, 0.9), None),
    ],
)
def test_what_the_course_of_map_advises(values: tuple[float, ...], advice: str | None) -> None:
    told = advise(log_of([*iterate([3.0] * 10), *results(*values)]))
    assert (advice is None and told == []) or (advice is not None and advice in told[0])


def test_weak_classes_are_named() -> None:
    found = tuple(ClassResult(n, f"c{n}", ap) for n, ap in enumerate([0.9, 0.8, 0.2, math.nan]))
    (told,) = advise(log_of([*iterate([3.0] * 3), MapResult(2, 0.63, 0.5, found)]))
    assert "c2 (20%)" in told
    assert "mean AP 63%" in told
    assert "c1" not in told


def test_the_mean_is_that_of_all_classes_however_many() -> None:
    """850 classes at 60 %, 150 at 20 %: the mean is 54 %, though a chart would show 40 of them."""
    found = tuple(ClassResult(n, f"c{n}", 0.6 if n < 850 else 0.2) for n in range(1000))
    (told,) = advise(log_of([*iterate([3.0] * 3), MapResult(2, 0.54, 0.5, found)]))
    assert "mean AP 54%" in told
    assert "and 144 more" in told


def test_a_calculation_before_the_first_iteration_is_told_without_one(dkit: Dkit) -> None:
    row = "class_id = 0, name = cat, ap = 50.00%   \t (TP = 1, FP = 1) \n"
    result = " mean average precision (mAP@0.50) = 0.500000, or 50.00 % \n"
    log = Path(write_log("a.log", "3 2 1", 0.25))
    log.write_text(f"{row}{result}{log.read_text()}")
    assert dkit("report", log).exit_code == 0
    assert "Best mAP 50.0%." in words(read_page("a.html"))


def test_a_run_is_known_by_its_name(dkit: Dkit) -> None:
    write_run("runs/one", "", 0.5)
    for command in (["report", "one"], ["plot-log", "one"], ["compare", "one", "runs/one"]):
        assert dkit(*command).exit_code == 0
    assert Path("runs/one/report.html").exists()


def test_a_run_without_iterations_says_how_it_ended(dkit: Dkit) -> None:
    run = Path(write_run("runs/one", "", 0.5, "failed"))
    for log in run.glob("attempts/*/log.txt"):
        log.write_text("")
    ended = dkit("report", run)
    assert (ended.exit_code, "[no-iterations]" in ended.stderr) == (1, True)
    assert "no iteration to look at: crashed" in ended.stderr
    assert "dkit runs show" in ended.stderr


@pytest.mark.parametrize(("state", "tone"), [("failed", "bad"), ("stopped", "doubtful")])
def test_a_run_that_ended_early_says_why_and_where(dkit: Dkit, state: str, tone: str) -> None:
    run = Path(write_run("runs/one", "", 0.5, state))
    (run / "attempts/0001/log.txt").write_text(
        " 7: 3.0, 3.0 avg loss, 0.001 rate, 2.0 seconds, 448 images, 0.1 hours left\n"
    )
    document = json.loads(dkit("report", run, "--json").stdout)
    assert document["tone"] == tone
    assert document["verdict"].startswith("So it was; it had come to iteration 7")
