"""The chart that is drawn while a training goes on."""

import sys
import time
from pathlib import Path

from darknet_kit.cli.livechart import LiveChart
from darknet_kit.train.runs.folder import RunFolder

LINE = " {0}: 3.0, {1} avg loss, 0.001 rate, 1.5 seconds, {0} images, 0.1 hours left\n"


def test_a_chart_comes_while_the_caller_goes_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    log = run.new_attempt() / "log.txt"
    log.write_text("".join(LINE.format(at, 30 / at) for at in range(1, 30)))
    run.record.touch()
    known = set(sys.modules)
    with LiveChart(run, every=0.0) as chart:
        chart.refresh()
        chart.refresh()  # one is being drawn
        assert not run.chart.exists()  # nobody waited for it
        until = time.monotonic() + 120
        while not run.chart.exists() and time.monotonic() < until:
            time.sleep(0.05)
    assert run.chart.read_bytes().startswith(b"\x89PNG")
    assert not {name for name in set(sys.modules) - known if name.startswith("matplotlib")}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_no_chart_comes_before_its_time(tmp_path: Path) -> None:
    with LiveChart(RunFolder(tmp_path)) as chart:
        chart.refresh()
    assert not (tmp_path / "chart.png").exists()
