"""Why an engine ended, from what real engines, drivers and kernels print."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.engine.xid import Xid, find_xids
from darknet_kit.formats.logevent import Finished, Iteration
from darknet_kit.formats.logstream import iter_log
from darknet_kit.train.health import causes
from darknet_kit.train.health.causes import Death, find_cause
from darknet_kit.train.health.deaths import count_oom_kills, find_crash, find_oom_kill
from darknet_kit.train.health.divergence import LossWatch
from darknet_kit.train.health.pulse import Clocks, Pulse
from darknet_kit.train.supervision import policy
from tests.conftest import PROJECT

# The first column is what the programs print: as recorded logs have it (pjreddie/darknet issue 491,
# a crash of hank-ai's V4), and as these programs' sources put their messages together.
SAID = [
    ("CUDA Error: out of memory: Resource temporarily unavailable", 1, "out-of-memory"),
    ("CUDA Error: out of memory: Cannot allocate memory", 1, "out-of-memory"),
    ("cuDNN Error: CUDNN_STATUS_ALLOC_FAILED: Success", 1, "out-of-memory"),
    ("current CUDA error: status=2 cudaErrorMemoryAllocation: out of memory", -6, "out-of-memory"),
    ("CUDA memory allocation failed (1.2 GiB).", -6, "out-of-memory"),
    ("Cuda malloc failed: Success", 1, "out-of-memory"),
    ("Calloc error - possibly out of CPU RAM: Cannot allocate memory", 1, "host-out-of-memory"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", -6, "host-out-of-memory"),
    ("CUDA Error: an illegal memory access was encountered: Success", 1, "cuda-error"),
    ("CUDA Error: unspecified launch failure: File exists", 1, "cuda-error"),
    ("cuDNN Error: CUDNN_STATUS_EXECUTION_FAILED: Success", 1, "cuda-error"),
    (" cuBLAS status Error in: file: ./src/gemm.c function: gemm_ongpu()", 1, "cuda-error"),
    ("cuDNN Error: CUDNN_STATUS_BAD_PARAM: Resource temporarily unavailable", 1, "cudnn-refused"),
    ("CUDA Error: GPU is lost: Success", 1, "gpu-lost"),
    ("CUDA Error: no CUDA-capable device is detected: Success", 1, "no-gpu"),
    (
        "current CUDA error: status=101 cudaErrorInvalidDevice: invalid device ordinal",
        -6,
        "no-gpu",
    ),
    (
        "CUDA Error: CUDA driver version is insufficient for CUDA runtime version: Success",
        1,
        "old-driver",
    ),
    (
        "CUDA Error: no kernel image is available for execution on the device: Success",
        1,
        "wrong-gpu-code",
    ),
    (
        "darknet: error while loading shared libraries: libcudnn.so.8: cannot open shared object "
        "file: No such file or directory",
        127,
        "missing-library",
    ),
    ("Couldn't open file: /data/labels/dog 1.txt", 0, "missing-label"),
    ('failed to open annotation file "/data/dog.txt"', -6, "missing-label"),
    ("Couldn't open file: ../../train.txt", 0, "missing-file"),
    ("Couldn't open file: project.weights", 1, "missing-file"),
    ('invalid class id in "/d/a.txt" (line #1, id=7)', -6, "bad-label"),
    ("invalid coordinates for class ID #3 in /d/a.txt", -6, "bad-label"),
    ('Cannot load image "/d/a.jpg"', 0, "unreadable-image"),
    (" Error in load_data_detection() - OpenCV ", -11, "unreadable-image"),
    ('failed to load image file "/d/a.jpg"', -6, "unreadable-image"),
    ("Layer before convolutional layer must output image.", 1, "wrong-cfg"),
    (
        "Error: l.outputs == params.inputs, filters= in the [convolutional]-layer doesn't "
        "correspond to classes= or mask= in [yolo]-layer: Success",
        1,
        "wrong-cfg",
    ),
    ('key "decay" on line #9 should be numeric, but found "5e-4"', -6, "wrong-cfg"),
    ("expected to read 1024 fields, but only read 7", -6, "wrong-weights"),
    ("write(): No space left on device", 1, "disk-full"),
    ("error: a_last.weights: cannot write: the disk is full", 1, "disk-full"),
    ("", -signal.SIGILL, "illegal-instruction"),
    ("", 128 + signal.SIGILL, "illegal-instruction"),
    ("", -signal.SIGSEGV, "crashed"),
    ("", -signal.SIGKILL, "killed"),
    ("", -signal.SIGTERM, "killed"),
    ("stdbuf: failed to run command '/d/darknet': No such file", 127, "engine-gone"),
    ("", 0, "engine-ended"),
    ("", 3, "engine-ended"),
]


@pytest.mark.parametrize(("line", "returncode", "code"), SAID)
def test_an_end_is_named(line: str, returncode: int, code: str) -> None:
    before = " Try to set subdivisions=64 in your cfg-file. "
    position = "CUDA status Error: file: ./src/dark_cuda.c: func: cuda_make_array() line: 373"
    assert find_cause(Death(returncode, [before, position, line])).code == code


def test_sentences_hold_what_the_engine_named() -> None:
    missing = find_cause(Death(0, ["Couldn't open file: /data/labels/dog 1.txt"]))
    assert missing.message == "the engine ends at an image without a label: /data/labels/dog 1.txt"
    library = find_cause(Death(127, [SAID[18][0]]))
    assert library.message.endswith("libcudnn.so.8")


FALLEN = (
    "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
)
PAGE_FAULT = "NVRM: Xid (PCI:0000:3b:00): 31, pid=4711, Ch 00000008, intr 10000000. MMU Fault"


def test_the_drivers_lines_name_what_befell_the_gpu() -> None:
    # The second form has no number (NVIDIA/NVSentinel issue 155).
    bare = r"NVRM: The NVIDIA GPU 0000:b3:00.0\x0aNVRM: fallen off the bus and is not responding"
    found = find_xids([FALLEN, "usb 1-1: new device", PAGE_FAULT, bare])
    assert [(xid.number, xid.card) for xid in found] == [
        (79, "0000:01:00"),
        (31, "0000:3b:00"),
        (79, ""),
    ]


def test_a_gpu_off_the_bus_explains_whatever_the_engine_says() -> None:
    line = "CUDA Error: unspecified launch failure: Success"
    cause = find_cause(Death(1, [line], find_xids([PAGE_FAULT, FALLEN])))
    assert (cause.code, cause.message) == ("gpu-lost", "the GPU fell off the bus (Xid 79)")
    assert FALLEN in cause.evidence


def test_a_lesser_error_of_the_driver_speaks_only_where_the_engine_does_not() -> None:
    xids: list[Xid] = find_xids([PAGE_FAULT])
    label = find_cause(Death(0, ["Couldn't open file: /d/a.txt"], xids))
    assert label.code == "missing-label"
    cuda = find_cause(Death(1, ["CUDA Error: an illegal memory access was encountered"], xids))
    assert (cuda.code, "Xid 31" in cuda.message) == ("cuda-error", True)


# Lines of kernels 6.1 and 3.10.
OOM = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/job,task_memcg=/job,task=darknet,pid=26996,uid=0",
    "Out of memory: Killed process 26996 (darknet) total-vm:9000000kB, anon-rss:8000000kB",
    "Killed process 26996 (darknet) total-vm:9000000kB, anon-rss:8000000kB, file-rss:0kB",
)
SEGFAULT = (
    "darknet[26996]: segfault at 7fcaa8d50043 ip 00007fcd7719180b sp 00007fcd60ec5e20 error 4 in "
    "libopencv_imgcodecs.so.4.6.0[1880b,7fcd77187000+38000]"
)


@pytest.mark.parametrize("line", OOM)
def test_the_oom_killer_is_told_from_other_killers(line: str) -> None:
    assert find_oom_kill([line, SEGFAULT], 26996, "python") == line
    assert find_oom_kill([line], 7, "darknet") == line  # seen from inside a container
    assert find_oom_kill([line], 7, "python") == ""
    cause = find_cause(Death(-9, [], oom_line=line))
    assert (cause.code, cause.evidence) == ("host-out-of-memory", (line,))
    assert find_cause(Death(-9, [], oom_kills=1)).code == "host-out-of-memory"
    assert find_cause(Death(-11, [], oom_kills=1)).code == "crashed"


def test_a_crash_is_told_with_its_place() -> None:
    assert find_crash([SEGFAULT], 26996) == SEGFAULT
    assert find_crash([SEGFAULT], 2699) == ""
    assert find_cause(Death(-11, crash_line=SEGFAULT)).evidence == (SEGFAULT,)


@pytest.mark.parametrize(
    ("cgroup", "file"),
    [("0::/job\n", "job/memory.events"), ("4:memory:/job\n", "memory/job/memory.oom_control")],
)
def test_oom_kills_are_counted_in_both_versions_of_control_groups(
    tmp_path: Path, cgroup: str, file: str
) -> None:
    own = tmp_path / "cgroup"
    own.write_text("9:name=systemd:/\n" + cgroup)
    assert count_oom_kills(tmp_path, own) is None
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("low 0\noom 5\noom_kill 3\n")
    assert count_oom_kills(tmp_path, own) == 3


@pytest.mark.parametrize("name", ["classic", "hank_ai"])
def test_no_recorded_training_is_taken_for_lost(
    shared_data: Callable[[str], Path], name: str
) -> None:
    for log in sorted(shared_data(f"D_logs/{name}").iterdir()):
        watch = LossWatch(burn_in=1000)
        seen = [watch.look(event) for event in iter_log(log) if isinstance(event, Iteration)]
        assert not any(seen), log


def iteration(number: int, avg_loss: float) -> Iteration:
    return Iteration(number, avg_loss, avg_loss, 0.001, 1.0, number * 64)


def test_nan_in_the_average_loss_is_the_end(shared_data: Callable[[str], Path]) -> None:
    log = shared_data("D_logs/snippets/AlexeyAB_issue786_nan.txt")
    (event,) = [event for event in iter_log(log) if isinstance(event, Iteration)]
    assert "nan at iteration 2,677" in LossWatch(1000).look(event)


def test_a_loss_that_explodes_is_lost_and_a_leap_is_not() -> None:
    watch = LossWatch(burn_in=100)
    for number in range(1, 500):
        assert not watch.look(iteration(number, 500 / number))
    leap = [watch.look(iteration(500 + n, 40.0)) for n in range(99)]
    assert not any(leap)
    assert not watch.look(iteration(600, 2.0))
    high = [watch.look(iteration(601 + n, 40.0)) for n in range(100)]
    assert [bool(found) for found in high] == [False] * 99 + [True]
    assert watch.sound_until == 600
    giant = LossWatch(burn_in=1000)
    assert [bool(giant.look(iteration(n, 5e6))) for n in range(1, 12)] == [False] * 9 + [True] * 2


class Machine:
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.now = Clocks(100.0, 100.0, 1e9)

    def run(self, seconds: float, *, boot: float = 0.0, wall: float = 0.0) -> None:
        running, at, day = self.now.running, self.now.boot, self.now.wall
        self.now = Clocks(running + seconds, at + seconds + boot, day + seconds + boot + wall)


def live(pulse: Pulse, machine: Machine, seconds: int) -> str:
    """Let time pass without a word from the engine; return what the pulse says first."""
    for _ in range(seconds):
        machine.run(1.0)
        if said := pulse.tick():
            return said
    return ""


def under_way(pace: float, minutes: float = 0.0) -> tuple[Pulse, Machine]:
    machine = Machine()
    pulse = Pulse(minutes, lambda: machine.now)
    for number in range(1, 60):
        for _ in range(int(pace)):
            machine.run(1.0)
            pulse.hear(b"v3 (mse loss ...")
            assert not pulse.tick()
        pulse.note(iteration(number, 1.0))
    return pulse, machine


def test_silence_is_a_stall_after_ten_minutes_or_twenty_iterations() -> None:
    pulse, machine = under_way(pace=2)
    assert not live(pulse, machine, 599)
    assert "said nothing for 10 minutes" in live(pulse, machine, 5)
    pulse, machine = under_way(pace=60)  # 20 iterations are 20 minutes
    assert not live(pulse, machine, 1195)
    assert live(pulse, machine, 10)


def test_the_limit_may_be_given() -> None:
    pulse, machine = under_way(pace=2, minutes=1)
    assert not live(pulse, machine, 58)
    assert live(pulse, machine, 5)


def test_map_may_take_longer() -> None:
    pulse, machine = under_way(pace=2)
    pulse.hear(b" calculation mAP (mean average precision)...\n")
    assert not live(pulse, machine, 1790)
    assert "computing mAP" in live(pulse, machine, 20)


def test_an_engine_that_hangs_in_its_exit_is_not_waited_for() -> None:
    pulse, machine = under_way(pace=2)
    pulse.note(Finished(59))
    assert not live(pulse, machine, 118)
    assert live(pulse, machine, 5)


def test_talk_without_an_iteration_is_a_stall_in_the_end() -> None:
    pulse, machine = under_way(pace=2)
    said, before = "", machine.now.running
    for _ in range(3000):
        machine.run(1.0)
        pulse.hear(b"Warning: in txt-labels class_id=-1 >= classes=2\n")
        if said := pulse.tick():
            break
    assert "finished no iteration for 40 minutes" in said
    assert machine.now.running - before > 2390


@pytest.mark.parametrize(
    ("seconds", "boot", "wall"),
    [
        (0.0, 7200.0, 0.0),  # suspended
        (7200.0, 0.0, 0.0),  # dkit was stopped, or its clock ran on in a paused guest
        (0.0, 0.0, 7200.0),  # a paused guest whose clock was put right later
    ],
)
def test_a_machine_that_stood_still_blames_nobody(seconds: float, boot: float, wall: float) -> None:
    pulse, machine = under_way(pace=2)
    machine.run(seconds, boot=boot, wall=wall)
    assert not pulse.tick()
    assert pulse.paused == pytest.approx(7200, abs=6)
    assert pulse.pauses == 1
    assert not live(pulse, machine, 500)
    assert pulse.since_pause == pytest.approx(500, abs=6)


def test_every_code_is_documented() -> None:
    documented = (PROJECT / "docs" / "training.md").read_text()
    codes = {code for code, *_ in causes._SAID} | {code for code, *_ in causes._SIGNALS.values()}
    for code in codes | policy.HOPELESS | {"diverged", "stalled", "engine-ended"}:
        assert f"`{code}`" in documented, code
