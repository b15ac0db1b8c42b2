"""What a training waits for, by tables that were made up for each case."""

import pytest

from darknet_kit.formats.logevent import Iteration
from darknet_kit.formats.telemetry import Telemetry, parse_telemetry
from darknet_kit.train.telemetry.bottleneck import find_bottleneck
from darknet_kit.train.telemetry.waiting import Waiting

Column = float | str | list[float | str]
WELL: dict[str, Column] = {
    "cpu_cores": 8,
    "cpu_percent": 50,
    "cpu_core_percent": 70,
    "cpu_iowait_percent": 1,
    "cpu_steal_percent": 0,
    "swap_mib_s": 0,
    "data_busy_percent": 10,
    "engine_cpu_percent": 350,
}
GPU: dict[str, Column] = {
    "gpu0_use_percent": 97,
    "gpu0_engine_mib": 9000,
    "gpu0_c": 71,
    "gpu0_power_limit_w": 350,
    "gpu0_sm_mhz": 1755,
    "gpu0_throttle": "power-cap",
}
HOT = ["none", "none", "power-cap thermal", "hardware-slowdown hardware-thermal"]


def table(columns: dict[str, Column], rows: int = 12) -> Telemetry:
    """Make a table; a list is repeated from row to row."""
    lines = [",".join(("time", "attempt", "iteration", *columns))]
    for row in range(rows):
        cells = [
            f"{column[row % len(column)] if isinstance(column, list) else column}"
            for column in columns.values()
        ]
        lines.append(f"2026-11-21T20:{row:02}:00+00:00,1,{row + 1},{','.join(cells)}")
    return parse_telemetry("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("columns", "waiting", "kind", "evidence"),
    [
        (WELL | GPU, 2, "gpu", "GPU 97 % busy"),
        (WELL | GPU, None, "gpu", "GPU 97 % busy"),
        (WELL | GPU | {"gpu0_use_percent": 41}, 38, "loader", "38 % of the time waiting"),
        (
            WELL | GPU | {"gpu0_use_percent": 41, "cpu_percent": 99, "engine_cpu_percent": 770},
            None,
            "loader",
            "processor 99 % of 8 cores",
        ),
        (
            WELL | GPU | {"gpu0_use_percent": 30, "data_busy_percent": 96},
            55,
            "disk",
            "disk 96 % busy",
        ),
        (WELL | GPU | {"cpu_iowait_percent": 40}, 55, "disk", "55 % of the time waiting"),
        (WELL | GPU | {"data_busy_percent": 96}, 3, "gpu", "97 % busy"),  # but nobody waits for it
        (
            WELL | GPU | {"gpu0_throttle": HOT, "gpu0_c": [70, 88], "gpu0_sm_mhz": [1980, 1400]},
            2,
            "heat",
            "slowed down 50 % of the time, at up to 88 °C, at 1,690 of 1,980 MHz",
        ),
        (
            WELL | GPU | {"gpu0_sm_mhz": [1980, 1200, 1200]},
            2,
            "power",
            "limit of 350 W 100 % of the time, at 1,200 of 1,980 MHz",
        ),
        (WELL | GPU | {"gpu0_throttle": "power-brake"}, 2, "power", "100 % of the time"),
        (
            WELL | GPU | {"gpu0_throttle": ["none", "hardware-slowdown", "none", "none"]},
            2,
            "power",
            "the GPU's hardware, or its supply, held it back 25 % of the time",
        ),
        (WELL | GPU | {"cpu_steal_percent": 23}, 38, "host", "23 %"),
        (WELL | GPU | {"swap_mib_s": [0, 0, 80, 0]}, 38, "memory", "25 % of the time"),
        (WELL | GPU | {"gpu0_use_percent": 70}, 5, "none", "GPU 70 % busy"),
        # on the processor
        (WELL | {"cpu_percent": 96, "engine_cpu_percent": 760}, 1, "cpu", "96 % of 8 cores"),
        (WELL | {"engine_cpu_percent": 99}, 1, "cpu", "computes on 1 of 8 cores"),
        (
            WELL | {"cpu_percent": 99, "engine_cpu_percent": 200, "engine_core_wait_percent": 61},
            1,
            "others",
            "waited for a core 61 % of the time; of a processor that is 99 % busy it had 25 %",
        ),
        # it has the one core that it can use, whatever the others do
        (
            WELL | {"cpu_percent": 99, "engine_cpu_percent": 99, "engine_core_wait_percent": 1},
            1,
            "cpu",
            "computes on 1 of 8 cores",
        ),
        # it waits for itself: more threads than cores
        (
            WELL | {"cpu_percent": 99, "engine_cpu_percent": 780, "engine_core_wait_percent": 61},
            1,
            "cpu",
            "99 % of 8 cores",
        ),
        # a GPU that somebody else or nobody uses is not the engine's
        (
            WELL | GPU | {"gpu0_engine_mib": "", "gpu0_use_percent": 0, "engine_cpu_percent": 100},
            1,
            "cpu",
            "computes on 1 of 8 cores",
        ),
        # nothing at all can be read
        ({"cpu_percent": ""}, None, "none", ""),
    ],
)
def test_the_bottleneck_is_named(
    columns: dict[str, Column], waiting: float | None, kind: str, evidence: str
) -> None:
    told = {"engine_image_wait_percent": "" if waiting is None else waiting}
    found = find_bottleneck(table({**columns, **told}))
    assert found is not None
    assert found.kind == kind
    assert evidence in str(found)


def test_of_several_gpus_those_of_the_engine_count() -> None:
    second = {name.replace("gpu0", "gpu1"): value for name, value in GPU.items()}
    idle = WELL | GPU | {"gpu0_engine_mib": 0, "gpu0_throttle": "thermal"} | second
    found = find_bottleneck(table(idle))
    assert found is not None
    assert (found.kind, found.numbers["gpu_count"]) == ("gpu", 1)
    both = WELL | GPU | second | {"gpu1_use_percent": 79}
    found = find_bottleneck(table(both))
    assert found is not None
    assert (found.numbers["gpu_count"], found.numbers["gpu_use"]) == (2, 88)  # (97 + 79) / 2


def test_before_the_first_iteration_nothing_counts() -> None:
    assert find_bottleneck(table(WELL | GPU, rows=5)) is None
    assert find_bottleneck(parse_telemetry("")) is None


def test_waiting_is_the_share_of_all_iterations_but_the_first() -> None:
    waiting = Waiting()
    for number, (loaded, computed) in enumerate([(9.0, 1.0), (0.5, 1.5), (1.0, 2.0)], start=1):
        waiting.note_line(b"Loaded: %f seconds - performance bottleneck on CPU\n" % loaded)
        waiting.note_line(b"v3 (mse loss, Normalizer: (iou: 0.75, obj: 1.00, cls: 1.00)\n")
        waiting.note(Iteration(number, 1.0, 1.0, 0.001, computed, 64 * number))
    assert waiting.take_share() == pytest.approx(100 * 1.5 / 5.0)
    assert waiting.take_share() is None  # since then


def test_waiting_of_hank_ai_stands_in_the_line_of_the_iteration() -> None:
    waiting = Waiting()
    for number, load in enumerate((b"2.5 seconds", b"250.0 milliseconds"), start=1):
        waiting.note_line(
            b"%d: loss=196.240, avg loss=196.240, last=none, best=none, next=1000, rate=0.0, "
            b"load 64=%b, train=0.75 seconds, 64 images, time remaining=unknown\n" % (number, load)
        )
        waiting.note(Iteration(number, 196.24, 196.24, 0.0, 0.75, 64 * number))
    assert waiting.take_share() == pytest.approx(25.0)


def test_an_engine_that_tells_nothing_of_loading_has_no_share() -> None:
    waiting = Waiting()
    waiting.note(Iteration(1, 1.0, 1.0, 0.001, 2.0, 64))
    waiting.note(Iteration(2, 1.0, 1.0, 0.001, 2.0, 128))
    assert waiting.take_share() is None
