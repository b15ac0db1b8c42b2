"""`dkit watch`: files that grow, a run that goes on, the terminal, the page and who may see it."""

import asyncio
import contextlib
import io
import json
import math
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from darknet_kit.formats.growing import GrowingTable, Tail
from darknet_kit.formats.metricslines import parse_metrics_lines
from darknet_kit.report.channel import Channel, describe_snapshot
from darknet_kit.report.gauges import list_gauges
from darknet_kit.report.liveserver import Address, serving
from darknet_kit.report.screen import draw_screen, draw_sparkline
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.runs.follower import Follower
from tests.browser import visiting
from tests.conftest import Ended
from tests.test_compare import write_cfg

Dkit = Callable[..., Ended]

HEADER = "iteration,loss,avg_loss,learning_rate,seconds,images,hours_left\n"


def rows(first: int, last: int, loss: float = 3.0) -> str:
    return "".join(f"{n},{loss},{loss},0.001,0.5,{64 * n},\n" for n in range(first, last + 1))


def append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(text)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as it lies on the disk midway."""
    folder = tmp_path / "runs" / "night"
    (folder / "attempts" / "0001").mkdir(parents=True)
    (folder / "run.toml").write_text("[settings]\n")
    (folder / "metrics.csv").write_text(HEADER + rows(1, 50))
    (folder / "map.csv").write_text('iteration,map50,"ap 0 a, b"\n40,0.25,0.25\n')
    (folder / "attempts" / "0001" / "log.txt").write_text("one\n\x1b[31mtwo\n")
    (folder / "events.jsonl").write_text('{"time": "2026-03-01T10:00:00", "event": "map"}\n{"cu')
    status = {"state": "finished", "attempt": "0001", "iteration": 50, "max_batches": 200}
    (folder / "status.json").write_text(json.dumps(status))
    write_cfg(str(folder / "project.cfg"))
    return folder


# --- files that grow --------------------------------------------------------------------------


def test_each_line_is_told_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.read() == []
    path.write_bytes(b"one\ntw")
    assert (tail.read(), tail.restarted) == ([b"one"], True)
    assert (tail.read(), tail.restarted) == ([], False)
    append(path, "o\n\nthree\nf")
    assert (tail.read(), tail.restarted) == ([b"two", b"", b"three"], False)
    path.write_bytes(b"new\n")  # shorter
    assert (tail.read(), tail.restarted) == ([b"new"], True)
    other = tmp_path / "other"
    other.write_bytes(b"a\nb\nlonger than before\n")
    os.replace(other, path)
    assert (tail.read(), tail.restarted) == ([b"a", b"b", b"longer than before"], True)


def test_the_end_of_a_long_file_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    assert Tail(path, last=20).read() == [b"line 998", b"line 999"]


def test_rows_have_as_many_cells_as_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text('a,"b, c"\n1,2\n3\n4,"5, 6"\n7,')
    table = GrowingTable(path)
    assert table.read() == [["1", "2"], ["4", "5, 6"]]
    assert table.names == ["a", "b, c"]
    append(path, "8\n")
    assert table.read() == [["7", "8"]]


# --- a run that goes on -----------------------------------------------------------------------


def test_a_follower_takes_in_what_is_new(run: Path) -> None:
    follower = Follower(RunFolder(run))
    follower.update()
    first = follower.snapshot()
    assert (first.iteration, first.max_batches, first.avg_loss) == (50, 200, 3.0)
    assert (first.map50, first.best_iteration) == (0.25, 40)
    assert first.lines == ("one", "two")
    assert [event["event"] for event in first.events] == ["map"]
    assert first.seconds_per_iteration == 0.5
    assert first.images_per_second == 128  # 64 images in half a second
    append(run / "metrics.csv", rows(51, 60, 2.0))
    follower.update()
    assert follower.cut_at is None
    assert len(follower.metrics) == 60


def test_a_resumed_run_goes_back(run: Path) -> None:
    follower = Follower(RunFolder(run))
    follower.update()
    append(run / "metrics.csv", rows(31, 35, 9.0))
    follower.update()
    assert follower.cut_at == 31
    assert list(follower.metrics.iteration) == list(range(1, 36))
    assert follower.maps == []  # that of 40 belongs to what was given up


def test_the_pace_is_that_of_the_clock(run: Path) -> None:
    lines = [f"2026-03-01T10:00:{n:02}+00:00,1,{3 * n}\n" for n in range(0, 50, 5)]
    (run / "telemetry.csv").write_text("time,attempt,iteration\n" + "".join(lines))
    follower = Follower(RunFolder(run))
    follower.update()
    assert follower.snapshot().seconds_per_iteration == pytest.approx(1 / 3)


def test_an_empty_or_damaged_folder_is_followed_too(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    follower = Follower(RunFolder(folder))
    follower.update()
    assert follower.snapshot().iteration == 0
    for name in ("metrics.csv", "map.csv", "telemetry.csv", "events.jsonl", "status.json"):
        (folder / name).write_bytes(b"\x00\xff,\n,,,\n\x00")
    follower.update()
    assert follower.snapshot().avg_loss is None


# --- the terminal -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([0, 0, 7, 7], 2, "▁█"),
        ([5.0], 4, "▁"),
        ([0, math.nan, 1], 3, "▁ █"),
        ([math.nan], 3, " "),
        ([], 3, ""),
    ],
)
def test_a_sparkline(values: list[float], width: int, line: str) -> None:
    assert draw_sparkline(values, width) == line


def test_gauges_of_what_is_known() -> None:
    sample = {
        "gpu0_use_percent": 98.0,
        "gpu0_c": 71.0,
        "gpu0_memory_used_mib": 6144.0,
        "gpu0_memory_total_mib": 8192.0,
        "gpu1_use_percent": None,
        "cpu_percent": 250.0,
        "memory_used_mib": None,
    }
    told = {gauge.name: (gauge.share, gauge.text) for gauge in list_gauges(sample)}
    assert told == {
        "GPU 0": (0.98, "98 %, 71 °C"),
        "GPU 0 memory": (0.75, "6.0 of 8.0 GiB"),
        "CPU": (1.0, "250 %"),
    }


def test_once_in_the_terminal(dkit: Dkit, run: Path) -> None:
    ended = dkit("watch", run, "--once")
    assert ended.exit_code == 0, ended.stderr
    for part in ("night", "finished", "50 of 200", "avg loss 3", "25.0%", "engine", "two"):
        assert part in ended.stdout
    assert "\x1b" not in ended.stdout
    document = json.loads(dkit("watch", run, "--once", "--json").stdout)
    assert (document["iteration"], document["state"]) == (50, "finished")


def test_nothing_to_watch(dkit: Dkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "[no-run]" in dkit("watch").stderr
    assert "[no-run]" in dkit("watch", "nowhere").stderr


# --- the page ---------------------------------------------------------------------------------


@contextmanager
def served(*arguments: str | Path) -> Iterator[str]:
    """Start `dkit watch --serve`; give its address."""
    command = [sys.executable, "-m", "darknet_kit", "watch", *arguments, "--serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield process.stderr.readline().split()[4]
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_browser_sees_the_run_go_on(run: Path) -> None:
    with served(run) as url, visiting(url, 390) as visit:
        page = visit.page
        page.locator("#state.finished").wait_for()
        numbers = page.locator("#numbers dd")
        assert numbers.nth(0).inner_text() == "50 of 200"
        assert numbers.nth(2).inner_text() == "3"
        assert numbers.nth(3).inner_text() == "25.0 %"
        assert page.locator("#lines").inner_text().startswith("one")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        append(run / "metrics.csv", rows(51, 100, 2.5))
        numbers.get_by_text("100 of 200").wait_for(timeout=20_000)
        page.locator("#curves").hover(position={"x": 200, "y": 50})
        page.locator("#hint", has_text="average loss").wait_for()
        assert visit.complaints == []


def ask(runs: list[Path], token: str, requests: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Serve runs and send requests, one after another and without cookies; return the answers."""

    async def talk() -> list[tuple[int, str]]:
        folders = [RunFolder(path) for path in runs]
        async with (
            serving(lambda: folders, Address("127.0.0.1", 0, token)) as address,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            answers = []
            for request in requests:
                path = request.pop("path")
                method = request.pop("method", "GET")
                url = f"http://127.0.0.1:{address.port}{path}"
                async with session.request(method, url, allow_redirects=False, **request) as answer:
                    text = await answer.content.read(200)
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    answers.append((answer.status, text.decode()))
            return answers

    return asyncio.run(talk())


def test_only_what_was_given_is_served(run: Path) -> None:
    (run / "secret.txt").write_text("secret")
    (run.parent / "other").mkdir()
    paths = [
        "/runs/other/stream",
        "/runs/../stream",
        "/runs/..%2fother/stream",
        "/runs/night/secret.txt",
        "/secret.txt",
        "/runs/night/../../../../../etc/passwd",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ]
    for status, text in ask([run], "", [{"path": path} for path in paths]):
        assert status == 404
        assert "secret" not in text
        assert "root:" not in text


def test_who_may_look(run: Path) -> None:
    token = "a-token"
    # printf a-token | sha256sum | cut -c1-8
    known = {"Cookie": f"dkit-1f6076e3={token}"}
    requests: list[dict[str, Any]] = [
        {"path": "/"},
        {"path": "/runs"},
        {"path": "/runs/night/stream"},
        {"path": "/?token=wrong"},
        {"path": "/?token=a-token"},
        {"path": "/", "headers": known},
        {"path": "/runs", "headers": known},
        {"path": "/", "headers": {"Cookie": "dkit-1f6076e3=a-toke"}},
        {"path": "/", "headers": known, "method": "POST"},
    ]
    answers = ask([run], token, requests)
    assert [status for status, _ in answers] == [403, 403, 403, 403, 302, 200, 200, 403, 405]


def test_a_page_elsewhere_cannot_ask_under_another_name(run: Path) -> None:
    hosts = ["evil.example", "evil.example:8090", "localhost.evil.example", "localhost", "[::1]:1"]
    requests = [{"path": "/", "headers": {"Host": host}} for host in hosts]
    assert [status for status, _ in ask([run], "", requests)] == [403, 403, 403, 200, 200]


async def hear(reader: aiohttp.ClientResponse, points: int) -> list[int]:
    """Return the iterations of the next so many points that a reader is told."""
    heard: list[int] = []
    while len(heard) < points:
        line = await reader.content.readline()
        if line.startswith(b"data: "):
            heard += [point[0] for point in json.loads(line.removeprefix(b"data: "))["loss"]]
    return heard


def test_hundreds_of_readers_hear_the_same(run: Path) -> None:
    async def crowd() -> None:
        async with (
            serving(lambda: [RunFolder(run)], Address("127.0.0.1", 0)) as address,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            url = f"http://127.0.0.1:{address.port}/runs/night/stream"
            readers = [await session.get(url) for _ in range(300)]
            for reader in readers:
                assert (await reader.content.readline()).startswith(b'data: {"kind": "all"')
                await reader.content.readline()
            append(run / "metrics.csv", rows(51, 60, 2.5))
            for reader in readers:
                assert await asyncio.wait_for(hear(reader, 10), 60) == list(range(51, 61))
            late = await session.get(url)
            assert await asyncio.wait_for(hear(late, 60), 60) == list(range(1, 61))
            for reader in (*readers, late):
                reader.close()

    asyncio.run(crowd())


def test_a_deleted_run_leaves_the_page_and_the_others_stay(run: Path) -> None:
    other = run.with_name("morning")
    shutil.copytree(run, other)
    with served(run, other) as url, visiting(url) as visit:
        page = visit.page
        page.locator("#state.finished").wait_for()
        assert page.locator("#runs button").all_inner_texts() == ["night", "morning"]
        shutil.rmtree(run)
        page.goto(url)
        page.locator("#name", has_text="morning").wait_for()
        assert page.locator("#runs button").count() == 0  # of one there is nothing to choose


def test_a_name_is_no_markup(run: Path) -> None:
    odd = run.rename(run.parent / "<img src=x onerror=alert(1)>")
    with served(odd) as url, visiting(url) as visit:
        visit.page.locator("#state.finished").wait_for()
        assert visit.page.locator("#name").inner_text() == odd.name
        assert visit.page.locator("img").count() == 0
        assert visit.complaints == []


def test_a_busy_port_is_a_sentence(dkit: Dkit, run: Path) -> None:
    with served(run) as url:
        port = url.rstrip("/").rpartition(":")[2]
        ended = dkit("watch", run, "--serve", "--port", port)
        assert (ended.exit_code, "[cannot-listen]" in ended.stderr) == (2, True)


def test_two_servers_of_one_machine_let_the_same_browser_in(run: Path) -> None:
    """Cookies know no ports: what one server sets must not put another out."""

    async def talk() -> list[int]:
        async with (
            serving(lambda: [RunFolder(run)], Address("127.0.0.1", 0, "one")) as first,
            serving(lambda: [RunFolder(run)], Address("127.0.0.1", 0, "two")) as second,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            pages = [f"http://127.0.0.1:{address.port}/" for address in (first, second)]
            urls = [first.url, second.url, *pages]
            return [(await session.get(url)).status for url in urls]

    assert asyncio.run(talk()) == [200, 200, 200, 200]


def test_runs_come_and_go_while_they_are_served(run: Path) -> None:
    async def talk() -> list[list[str]]:
        names = []

        def find() -> list[RunFolder]:
            return [RunFolder(path) for path in sorted(run.parent.iterdir())]

        async with (
            serving(find, Address("127.0.0.1", 0)) as address,
            aiohttp.ClientSession() as session,
        ):
            for change in ("", "begin", "delete"):
                if change == "begin":
                    shutil.copytree(run, run.with_name("morning"))
                elif change == "delete":
                    shutil.rmtree(run)
                async with session.get(f"{address.url}runs") as answer:
                    names.append([told["name"] for told in json.loads(await answer.text())])
        return names

    assert asyncio.run(talk()) == [["night"], ["morning", "night"], ["morning"]]


def test_a_long_curve_keeps_its_spikes_and_gaps(run: Path) -> None:
    lines = (f"{n},{99 if n == 1000 else 3},3,0.001,0.5,{n},\n" for n in range(1, 50_001))
    lost = "".join(f"{n},nan,nan,0.001,,{n},\n" for n in range(50_001, 60_001))
    (run / "metrics.csv").write_text(HEADER + "".join(lines) + lost + rows(60_001, 80_000, 2.0))

    async def first_message() -> Any:
        async with contextlib.aclosing(Channel(RunFolder(run)).listen()) as messages:
            return json.loads(await anext(messages))

    curve = asyncio.run(first_message())["loss"]
    assert len(curve) <= 2401
    told = {iteration: loss for iteration, _, loss in curve}
    assert told[1000] == 99.0
    assert curve[-1] == [80_000, 2.0, 2.0]
    assert all(told[n] is None for n in told if 50_000 < n <= 60_000)
    assert all(told[n] is not None for n in told if not 49_990 < n <= 60_010)


@pytest.mark.parametrize("height", [8, 12, 16, 24])
def test_the_screen_is_no_higher_than_the_terminal(run: Path, height: int) -> None:
    events = "".join(f'{{"time": "", "event": "map", "iteration": {n}}}\n' for n in range(20))
    (run / "events.jsonl").write_text(events)
    (run / "attempts" / "0001" / "log.txt").write_text("a line\n" * 20)
    follower = Follower(RunFolder(run))
    follower.update()
    console = Console(width=80, height=height, file=io.StringIO())
    assert len(console.render_lines(draw_screen(follower, console, height))) <= height


def test_nothing_in_a_page_turns_the_direction_of_a_line(run: Path) -> None:
    (run / "events.jsonl").write_text('{"event": "engine-error", "message": "a\\u202eb"}\n')
    (run / "attempts" / "0001" / "log.txt").write_text("txt.\u202eexe\x00\n")
    follower = Follower(RunFolder(run))
    follower.update()
    told = json.dumps(describe_snapshot(follower.snapshot()), ensure_ascii=False)
    assert "\u202e" not in told
    assert "txt.\\\\x202eexe" in told


def test_lines_of_metrics_are_read_whatever_is_in_them() -> None:
    names = ["iteration", "loss", "seconds", "images"]
    clean = [b"1,2.5,,64", b"2,nan,0.5,", b",1,1,1", b"3,-inf,0.25,192"]
    odd = [*clean, b"4,1", b"five,1,1,1", b'6,"7.5",1,1', b"1e300,1,1,1", b"8,9,x,1e30"]
    for lines, expected in (
        (clean, [(1, 2.5, None, 64), (2, None, 0.5, 0), (3, -math.inf, 0.25, 192)]),
        (odd, [(1, 2.5, None, 64), (2, None, 0.5, 0), (3, -math.inf, 0.25, 192)]),
    ):
        metrics = parse_metrics_lines(names, lines)
        columns = (metrics.iteration, metrics.loss, metrics.seconds, metrics.images)
        told = [
            tuple(None if one != one else one for one in row) for row in zip(*columns, strict=True)
        ]
        assert told[:3] == expected
        assert told[3:] == ([] if lines is clean else [(6, 7.5, 1, 1), (8, 9, None, 0)])
        assert all(math.isnan(left) for left in metrics.hours_left)


def test_telemetry_goes_on_in_another_table(run: Path) -> None:
    """As with another number of GPUs; dkit then begins telemetry-2.csv."""
    (run / "telemetry.csv").write_text("time,gpu0_use_percent\n2026-03-01T10:00:00+00:00,50\n")
    follower = Follower(RunFolder(run))
    follower.update()
    assert follower.snapshot().machine["gpu0_use_percent"] == 50
    for number in (2, 10):
        table = run / f"telemetry-{number}.csv"
        table.write_text(f"time,gpu1_use_percent\n2026-03-01T11:00:00+00:00,{number}\n")
        follower.update()
        assert follower.snapshot().machine["gpu1_use_percent"] == number


def test_a_folder_that_goes_away_is_told(run: Path) -> None:
    follower = Follower(RunFolder(run))
    follower.update()
    shutil.rmtree(run)
    follower.update()
    snapshot = follower.snapshot()
    assert (snapshot.state, snapshot.reason) == ("lost", "its folder is gone")
    assert snapshot.iteration == 50


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8090/?token=t"),
        ("::1", "http://[::1]:8090/?token=t"),
        ("0.0.0.0", "http://night:8090/?token=t"),
        ("::", "http://night:8090/?token=t"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(
    host: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "night")
    assert Address(host, 8090, "t").url == url
