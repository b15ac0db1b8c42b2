"""telemetry.csv as text, and meters beside what the kernel and other programs say."""

import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.core.cgroup import Cgroup
from darknet_kit.formats.telemetry import (
    EngineSample,
    GpuSample,
    HostSample,
    Sample,
    format_telemetry_header,
    format_telemetry_row,
    parse_telemetry,
    read_telemetry,
)
from darknet_kit.train.telemetry.bottleneck import find_bottleneck
from darknet_kit.train.telemetry.disk import DiskMeter, find_disk, read_disks
from darknet_kit.train.telemetry.engine import EngineMeter
from darknet_kit.train.telemetry.host import HostMeter
from darknet_kit.train.telemetry.processor import CpuMeter, read_temperature
from darknet_kit.train.telemetry.reading import Rate
from darknet_kit.train.telemetry.table import open_table
from tests.conftest import PROJECT

TABLE = """\
time,attempt,iteration,cpu_percent,gpu0_use_percent,gpu0_throttle,gpu1_use_percent,gpu1_throttle
2026-11-21T20:00:00.000+00:00,1,0,12.5,,,98,none
2026-11-21T20:00:05.000+00:00,1,20,nonsense,45,idle,99,power-cap thermal
2026-11-21T20:00:10.000+00:00,1,4
2026-11-21T21:00:15.500+01:00,2,30,100,46,none,97,none
yesterday,2,31,100,46,none,97,none
"""


def test_a_row_says_what_its_columns_are_called() -> None:
    sample = Sample(
        datetime(2026, 11, 21, 20, 0, 5, 250_000, tzinfo=UTC),
        attempt=2,
        iteration=1200,
        host=HostSample(cpu_percent=93.456, memory_total_mib=24106.4, swap_mib_s=0.0),
        engine=EngineSample(engine_threads=8, engine_read_mib_s=math.nan),
        gpus=(GpuSample(), GpuSample(use_percent=97, c=74, throttle="power-cap thermal")),
    )
    names = format_telemetry_header(2).rstrip("\n").split(",")
    row = format_telemetry_row(sample).rstrip("\n").split(",")
    assert len(names) == len(row) == len(set(names))
    assert {name: text for name, text in zip(names, row, strict=True) if text} == {
        "time": "2026-11-21T20:00:05.250+00:00",
        "attempt": "2",
        "iteration": "1200",
        "cpu_percent": "93.5",
        "memory_total_mib": "24106",
        "swap_mib_s": "0",
        "engine_threads": "8",
        "gpu1_use_percent": "97",
        "gpu1_c": "74",
        "gpu1_throttle": "power-cap thermal",
    }


def test_a_table_is_read_column_by_column() -> None:
    table = parse_telemetry(TABLE)
    assert len(table) == 3  # neither the line that was cut short nor the one of no time
    assert [round(second - table.seconds[0], 3) for second in table.seconds] == [0, 5, 15.5]
    assert list(table.column("iteration")) == [0, 20, 30]
    assert [value for value in table.column("cpu_percent") if value == value] == [12.5, 100]
    assert math.isnan(table.of_gpu(0, "use_percent")[0])
    assert list(table.of_gpu(1, "use_percent")) == [98, 99, 97]
    assert list(table.throttle[1]) == ["none", "power-cap thermal", "none"]
    assert all(math.isnan(value) for value in table.column("cpu_c"))
    assert table.gpus == 2


def test_one_attempt_of_a_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "telemetry.csv").write_text(TABLE)
    assert list(read_telemetry(tmp_path / "telemetry.csv", attempt=2).column("iteration")) == [30]
    assert len(read_telemetry(tmp_path / "none.csv")) == 0
    assert len(parse_telemetry("")) == len(parse_telemetry("\0,\n,,,\n")) == 0


CELLS = st.sampled_from(("1", "-1", "nan", "inf", "1e999", "", "x", "2026-11-21", "0001-01-01"))
NAMES = st.sampled_from(
    ("time", "iteration", "cpu_percent", "gpu3_throttle", "gpu3_use_percent", "", "é")
)


@given(st.lists(NAMES, max_size=6), st.lists(st.lists(CELLS, max_size=6), max_size=12), st.text())
def test_damaged_tables_are_read_as_far_as_they_go(
    names: list[str], cells: list[list[str]], end: str
) -> None:
    lines = [",".join(names), *(",".join(["2026-11-21T20:00:00", *row]) for row in cells), end]
    table = parse_telemetry("\n".join(lines))
    columns = [*table.columns.values(), *table.throttle.values()]
    assert all(len(column) == len(table) for column in columns)
    find_bottleneck(table)


def test_a_table_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    for text in ("1,2\n", "3,"):
        with open_table(path, "a,b\n") as stream:
            stream.write(text.encode())
    with open_table(path, "a,b\n") as stream:  # after a kill in the middle of a line
        stream.write(b"5,6\n")
    assert path.read_text() == "a,b\n1,2\n3,\n5,6\n"


def test_a_table_of_other_columns_is_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    for header in ("a,b\n", "a,b,c\n", "a,b\n", "a,b,c\n"):
        with open_table(path, header) as stream:
            stream.write(b"-\n")
    assert path.read_text() == "a,b\n-\n-\n"
    assert (tmp_path / "telemetry-2.csv").read_text() == "a,b,c\n-\n-\n"


def test_a_counter_that_is_set_back_has_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 12.0, 14.0, 15.0, 16.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    rate = Rate()
    assert [rate.per_second(count) for count in (100, 150, 20, None, 30)] == [
        *(None, 25.0, None, None, None)
    ]


def test_memory_is_that_of_the_kernel_or_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert total is not None
    meter = HostMeter(tmp_path, tmp_path)
    sample = meter.read()
    if meter._cgroup.memory is None:
        assert sample.memory_total_mib == int(total[1]) / 1024
    (tmp_path / "memory.current").write_text(f"{300 << 20}")
    (tmp_path / "memory.stat").write_text(f"inactive_file {44 << 20}\n")
    meter._cgroup = Cgroup(memory=1 << 30, memory_folder=tmp_path)
    sample = meter.read()
    assert (sample.memory_used_mib, sample.memory_total_mib) == (256, 1024)
    assert sample.memory_available_mib == 768


def test_a_quota_counts_instead_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((100.0, 110.0))
    meter = CpuMeter(Cgroup(cores=2.5, cpu_folder=tmp_path))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    statistics = tmp_path / "cpu.stat"
    statistics.write_text("usage_usec 1000000\nnr_periods 100\nnr_throttled 10\n")
    meter.read()
    deadline = time.perf_counter() + 0.05  # the kernel counts in hundredths of a second
    while time.perf_counter() < deadline:
        pass
    statistics.write_text("usage_usec 21000000\nnr_periods 200\nnr_throttled 35\n")
    use = meter.read()
    # 20 s of computing in 10 s, of 25 s that were allowed; the quota ran out in 25 of 100 periods
    assert (use.cores, use.busy, use.throttled) == (2.5, 80.0, 25.0)


def test_the_processor_is_as_busy_as_the_kernel_says() -> None:
    meter = CpuMeter(Cgroup())
    meter.read()
    before = _read_stat()
    time.sleep(0.5)
    use, after = meter.read(), _read_stat()
    # Fields of /proc/stat, in the order of man 5 proc: idle is the fourth, iowait the fifth.
    spent = [b - a for a, b in zip(before, after, strict=True)][:8]
    busy = 100 * (sum(spent) - spent[3] - spent[4] - spent[7]) / sum(spent)
    if len(os.sched_getaffinity(0)) == os.cpu_count():
        assert use.busy == pytest.approx(busy, abs=15)
    assert use.busiest_core is not None
    assert use.busy is not None
    assert use.busy <= use.busiest_core + 1e-6 <= 100 + 1e-3
    assert use.cores == len(os.sched_getaffinity(0))


def _read_stat() -> list[int]:
    first = Path("/proc/stat").read_text().splitlines()[0]
    return [int(word) for word in first.split()[1:]]


@pytest.mark.parametrize("broken", ["cpu_times", "virtual_memory", "swap_memory", "cpu_freq"])
def test_what_cannot_be_read_is_empty_and_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError("not in this container")

    monkeypatch.setattr(psutil, broken, fail)
    monkeypatch.setattr(psutil, "net_io_counters", fail)
    monkeypatch.setattr(psutil, "disk_io_counters", fail)
    monkeypatch.setattr(psutil, "sensors_temperatures", fail)
    meter = HostMeter(tmp_path / "gone", tmp_path)
    meter.read()
    sample = meter.read()
    told = {
        "cpu_times": sample.cpu_percent,
        "virtual_memory": sample.memory_used_mib,
        "swap_memory": sample.swap_used_mib,
    }
    assert told.pop(broken, None) is None
    assert (sample.net_in_mib_s, sample.run_busy_percent, sample.cpu_c) == (None, None, None)
    assert told["virtual_memory" if broken != "virtual_memory" else "swap_memory"] is not None


def test_the_warmest_sensor_of_the_processor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def __init__(self, current: float | None) -> None:
            self.current = current

    sensors = {"nvme": [Entry(81.0)], "coretemp": [Entry(61.0), Entry(64.5), Entry(None)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    assert read_temperature() == 64.5
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"nvme": [Entry(81.0)]})
    assert read_temperature() is None


def test_the_disk_of_a_folder_is_the_one_that_findmnt_names(tmp_path: Path) -> None:
    if shutil.which("findmnt") is None:
        pytest.skip("findmnt is not on PATH")
    command = ["findmnt", "-n", "-o", "SOURCE", "--target", os.fspath(tmp_path)]
    source = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    name = find_disk(tmp_path)
    expected = Path(source).resolve().name if source.startswith("/dev/") else ""
    assert name == expected.partition("[")[0]
    if not name:
        pytest.skip(f"the folder of the tests lies on no disk: {source}")
    meter, started = DiskMeter(name), time.monotonic()
    meter.read(read_disks())
    with open(tmp_path / "block", "wb") as stream:
        stream.write(os.urandom(8 << 20))
        stream.flush()
        os.fsync(stream.fileno())
    use = meter.read(read_disks())
    assert use.write is not None
    assert use.write * (time.monotonic() - started) >= 8
    assert use.busy is not None
    assert 0 <= use.busy <= 100


def test_files_of_btrfs_lie_on_the_disk_that_is_mounted(tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/class/block/nvme0n1p2").mkdir(parents=True)
    mounts = f"36 28 {number} /@home /home rw,noatime shared:1 - btrfs /dev/nvme0n1p2 rw,ssd\n"
    (tmp_path / "proc/self/mountinfo").write_text(f"22 27 0:99 / /proc rw - proc proc rw\n{mounts}")
    assert find_disk(tmp_path, root=tmp_path) == "nvme0n1p2"
    (tmp_path / "proc/self/mountinfo").write_text(
        f"36 28 {number} / /data rw - nfs4 server:/data rw\n"
    )
    assert find_disk(tmp_path, root=tmp_path) == ""


@pytest.fixture
def busy_tree(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that computes in a child, and waits itself."""
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
        "print(child.pid, flush=True)\nchild.wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    yield process
    os.killpg(process.pid, 9)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_an_engine_is_counted_with_what_it_started(busy_tree: subprocess.Popen[bytes]) -> None:
    assert busy_tree.stdout is not None
    child = int(busy_tree.stdout.readline())
    meter = EngineMeter(busy_tree.pid)
    meter.read()
    before, started = _ticks(busy_tree.pid) + _ticks(child), time.monotonic()
    time.sleep(0.6)
    sample = meter.read(gpu_memory=[None, 100.0, 28.0])
    used = (_ticks(busy_tree.pid) + _ticks(child) - before) / os.sysconf("SC_CLK_TCK")
    assert set(meter.processes) == {busy_tree.pid, child}
    assert (sample.engine_processes, sample.engine_threads) == (2, 2)
    assert sample.engine_cpu_percent == pytest.approx(
        100 * used / (time.monotonic() - started), abs=10
    )
    assert sample.engine_rss_mib == pytest.approx(_rss(busy_tree.pid) + _rss(child), abs=2)
    assert sample.engine_gpu_mib == 128


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime, of man 5 proc


def _rss(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def test_an_engine_that_shares_its_core_waits_for_it() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel does not tell how long threads wait for a core")
    core = str(min(os.sched_getaffinity(0)))
    code = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    rivals = [subprocess.Popen([sys.executable, "-c", code, core]) for _ in range(2)]
    time.sleep(0.4)
    meter = EngineMeter(rivals[0].pid)
    meter.read()
    time.sleep(0.8)
    sample = meter.read()
    for process in rivals:
        process.kill()
        process.wait()
    assert sample.engine_cpu_percent is not None
    assert sample.engine_core_wait_percent is not None
    # It never sleeps: what it does not get of half a core, it waits for.
    assert sample.engine_cpu_percent < 80
    assert 20 < sample.engine_core_wait_percent <= 100


def test_an_engine_that_is_gone_has_no_values() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    meter = EngineMeter(process.pid)
    assert meter.read().engine_processes == 1
    process.communicate(b"\n")
    assert meter.read() == EngineSample()
    assert EngineMeter(process.pid).read() == EngineSample()


def test_the_documented_columns_are_those_of_the_table() -> None:
    document = (PROJECT / "docs/telemetry.md").read_text(encoding="utf-8")
    first, second = document.split("| column | unit | what it is |")[1:]
    documented = [re.findall(r"`(\w+)`", _first_cells(part)) for part in (first, second)]
    assert documented[0] == format_telemetry_header(0).rstrip("\n").split(",")
    names = format_telemetry_header(1).rstrip("\n").split(",")
    assert [f"gpu0_{name}" for name in documented[1]] == names[len(documented[0]) :]


def _first_cells(text: str) -> str:
    rows = (line for line in text.splitlines() if line.startswith("| `"))
    return " ".join(row.split("|")[1] for row in rows)
