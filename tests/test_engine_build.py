"""Building: a real git, make and gcc on a small tree, and upstream's own where it is at hand.

DKIT_TEST_DARKNET_SOURCE names a checkout of AlexeyAB's Darknet; building it takes half a minute.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import build as build_module
from darknet_kit.engine import source as source_module
from darknet_kit.engine.build import Built, build, target_folder
from darknet_kit.engine.find import find_engine
from darknet_kit.engine.plan import BuildPlan, plan_build
from darknet_kit.engine.source import Source, find_source
from darknet_kit.engine.toolchain import find_toolchain
from darknet_kit.engine.upstream import Pin
from darknet_kit.errors import BuildError, DkitError, UsageError
from tests.recorded_nvml import install, show_gpu
from tests.tiny_darknet import SOURCES, commit_tree, write_cuda, write_tools, write_tree

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("git", "gcc", "g++", "make"))), reason="no git, gcc, g++ and make"
)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand on a machine with compilers, nothing of NVIDIA's, and an empty home."""
    for name in ("CUDA_PATH", "CUDNN_HOME", "CPATH", "LIBRARY_PATH", "DKIT_DARKNET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "no-cuda"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = write_tools(tmp_path / "tools", "pkg-config")
    monkeypatch.setenv("PATH", str(folder))
    install(monkeypatch, None)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a committed tree, and pin its commit."""
    folder = write_tree(tmp_path / "checkout")
    pin = Pin(Flavor.ALEXEYAB, (f"file://{folder}",), commit_tree(folder), "", "", False)
    monkeypatch.setattr(source_module, "find_pin", lambda _flavor: pin)
    monkeypatch.setattr(source_module, "THIRD_PARTY", tmp_path / "third_party")
    return folder


@pytest.fixture
def cuda(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = write_cuda(tmp_path / "cuda home")
    monkeypatch.setenv("CUDA_HOME", str(home))
    return home


def plan_here(**options: object) -> BuildPlan:
    return plan_build(find_toolchain(), jobs=2, **options)  # type: ignore[arg-type]


def build_here(source: Source, **options: object) -> Built:
    plan = plan_here(**options)
    return build(plan, source, target_folder(plan, source))


def test_cpu(checkout: Path) -> None:
    source = find_source(Flavor.ALEXEYAB)
    plan = plan_here()
    counts: list[tuple[int, int]] = []
    built = build(
        plan,
        source,
        target_folder(plan, source),
        progress=lambda done, total: counts.append((done, total)),
    )
    assert built.fresh
    assert built.folder.name == f"alexeyab-{source.commit[:7]}-cpu"
    assert counts == [(1, 2), (2, 2)]  # darknet.c and layers.c
    assert {path.name for path in built.folder.iterdir()} == {
        *("LICENSE", "build.json", "build.log", "darknet")
    }
    assert [path.name for path in built.folder.parent.iterdir()] == [built.folder.name]
    record = json.loads((built.folder / "build.json").read_bytes())
    assert record["commit"] == source.commit
    assert record["settings"]["GPU"] == "0"
    assert record["verification"] == {
        "version": "",
        "features": "CPU",
        "gpu_code": "",
        "trial": "2 iterations on 4 drawn images, average loss 30.4",  # what the program says
    }
    engine = find_engine("darknet")
    assert (engine.path, engine.commit) == (built.binary, source.commit)
    assert engine.features.gpu is False


def test_again_is_up_to_date(checkout: Path) -> None:
    first = build_here(find_source(Flavor.ALEXEYAB))
    before = first.binary.stat()
    again = build_here(find_source(Flavor.ALEXEYAB, str(checkout)))  # the same commit
    assert not again.fresh
    assert first.binary.stat().st_mtime_ns == before.st_mtime_ns
    plan = plan_here()
    assert build(plan, again.source, first.folder, rebuild=True).fresh
    assert first.binary.stat().st_ino != before.st_ino


@pytest.mark.parametrize("damage", ["binary", "record", "setting", "source"])
def test_what_is_not_the_same_is_built_again(damage: str, checkout: Path) -> None:
    source = find_source(Flavor.ALEXEYAB, str(checkout))
    built = build_here(source)
    if damage == "binary":
        built.binary.write_bytes(built.binary.read_bytes()[:-1])
    elif damage == "record":
        (built.folder / "build.json").write_text("{}")
    elif damage == "source":
        (checkout / "src/layers.h").write_text("int layers(void); /* mine */\n")
        source = find_source(Flavor.ALEXEYAB, str(checkout))
    without = ["openmp"] if damage == "setting" else []
    assert build_here(source, without=without).fresh


def test_gpu_gets_the_arch_that_the_makefile_lacks(checkout: Path, cuda: Path) -> None:
    """The makefile's own list fails with this nvcc; a numbered libcublas is linked all the same."""
    alone = subprocess.run(
        ["make", "GPU=1", f"NVCC='{cuda}/bin/nvcc'", "obj", "obj/kernels.o"],
        cwd=write_tree(checkout.parent / "alone"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Unsupported gpu architecture 'compute_50'" in alone.stderr
    built = build_here(find_source(Flavor.ALEXEYAB), arch=[90])
    assert built.folder.name.endswith("-cuda")
    log = (built.folder / "build.log").read_text()
    assert "-gencode arch=compute_90,code=[sm_90,compute_90]" in log
    assert "compute_50" not in log
    # There was a stub to link with, and no more.
    record = json.loads((built.folder / "build.json").read_bytes())
    assert record["verification"]["gpu_code"] == "code for 9.0"
    assert record["verification"]["trial"].startswith("not run: it is built for an NVIDIA GPU")
    assert "libcuda.so.1" in built.obstacle


def test_what_could_not_train_does_so_once_there_is_a_driver(
    checkout: Path, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = find_source(Flavor.ALEXEYAB)
    assert build_here(source, arch=[90]).verification["trial"].startswith("not run: ")
    show_gpu(monkeypatch)
    (cuda / "lib64/libcuda.so.1").symlink_to(cuda / "lib64/stubs/libcuda.so")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(cuda / "lib64"))
    again = build_here(source)
    assert not again.fresh
    trial = "2 iterations on 4 drawn images, average loss 30.4"
    assert again.verification["trial"] == trial
    record = json.loads((again.folder / "build.json").read_bytes())
    assert record["verification"]["trial"] == trial


def test_a_gpu_at_work_for_somebody_else_is_no_fault_of_the_build(
    checkout: Path, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = SOURCES["src/darknet.c"]
    full = 'return puts(" CUDA Error: out of memory") > 0;'  # AlexeyAB's words, and it ends with 1
    (checkout / "src/darknet.c").write_text(program.replace("return train();", full))
    show_gpu(monkeypatch)
    (cuda / "lib64/libcuda.so.1").symlink_to(cuda / "lib64/stubs/libcuda.so")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(cuda / "lib64"))
    built = build_here(find_source(Flavor.ALEXEYAB, str(checkout)))
    assert built.verification["trial"] == "not run: another program has the GPU's memory"


def test_gpu_of_this_machine(checkout: Path, cuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpu(monkeypatch)
    (cuda / "lib64/libcuda.so.1").symlink_to(cuda / "lib64/stubs/libcuda.so")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(cuda / "lib64"))
    built = build_here(find_source(Flavor.ALEXEYAB))
    assert built.verification["features"] == "GPU"
    assert built.verification["trial"].startswith("2 iterations on 4 drawn images")
    assert built.obstacle == ""
    assert find_engine().path == built.binary


def test_a_gpu_build_that_does_not_run_here_has_failed(
    checkout: Path, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_gpu(monkeypatch)  # a GPU, and no libcuda.so.1
    with pytest.raises(BuildError) as failed:
        build_here(find_source(Flavor.ALEXEYAB), gpu=True)
    assert failed.value.code == "wrong-binary"
    assert "libcuda.so.1" in failed.value.message


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nvcc fatal   : Unsupported gpu architecture 'compute_50'", "unsupported-gpu-arch"),
        ("x.c:1:10: fatal error: opencv2/core.hpp: No such file or directory", "opencv-incomplete"),
        ("x.c:9:1: error: something that nobody has seen before", "build-failed"),
    ],
)
def test_a_failure_names_its_cause(message: str, code: str, checkout: Path) -> None:
    (checkout / "failure.txt").write_text(f"{message}\n")
    source = find_source(Flavor.ALEXEYAB, str(checkout))
    said: list[str] = []
    plan = plan_here()
    folder = target_folder(plan, source)
    with pytest.raises(BuildError) as failed:
        build(plan, source, folder, tell=said.append)
    assert failed.value.code == code
    assert failed.value.exit_code == 4
    assert failed.value.path is not None
    assert message in Path(failed.value.path).read_text()
    assert message in said[-1]
    assert not folder.exists()
    # The cause removed, the same call finishes the work.
    (checkout / "failure.txt").write_text("")
    assert build(plan, source, folder).fresh


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("src/layers.h", "#include <nobody.h>\n", "missing-header"),
        ("src/layers.c", "int layers(void) { return 2 }\n", "build-failed"),
        ("Makefile", "darknet:\n\tgcc src/layers.c -o $@ -lnobody\n", "missing-library"),
        ("src/darknet.c", "int main(void) { return 0; }\n", "not-darknet"),
    ],
)
def test_sources_that_cannot_become_a_darknet(
    name: str, text: str, code: str, checkout: Path
) -> None:
    (checkout / name).write_text(text)
    with pytest.raises(BuildError) as failed:
        build_here(find_source(Flavor.ALEXEYAB, str(checkout)))
    assert failed.value.code == code


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # An average loss that is no number, a crash in the second iteration, weights that are
        # none, cut or no numbers.
        ("30.4 avg", "-nan avg", "the loss of iteration 2 is nan"),
        (
            '    printf("\\n 2:',
            '    fflush(stdout); raise(11); printf("\\n 2:',
            "1 of 2 iterations, and SIGSEGV ended it",
        ),
        ("sizeof(floats), 1, w", "sizeof(floats) - 4, 1, w", "left 101449 weights of 101450"),
        ("{0};\n    FILE", "{0.0f / 0.0f};\n    FILE", "weights that are no numbers"),
        ("trial_final.weights", "trial_last.weights", "left no weights"),
    ],
)
def test_a_darknet_that_cannot_train_is_not_taken(
    old: str, new: str, words: str, checkout: Path
) -> None:
    program = SOURCES["src/darknet.c"]
    assert old in program
    changed = "#include <signal.h>\n" + program.replace(old, new)
    (checkout / "src/darknet.c").write_text(changed)
    with pytest.raises(BuildError) as failed:
        build_here(find_source(Flavor.ALEXEYAB, str(checkout)))
    assert failed.value.code == "trial-failed"
    assert words in failed.value.message
    assert failed.value.path is not None
    assert " 1: 30.5, 30.5 avg loss" in Path(failed.value.path).read_text()


def test_code_for_another_gpu_is_noticed(checkout: Path, cuda: Path) -> None:
    """A makefile that goes its own way: it compiles for 8.0, whatever it is told."""
    makefile = (checkout / "Makefile").read_text()
    mine = makefile.replace("$(ARCH)", "-gencode arch=compute_80,code=[sm_80,compute_80]")
    (checkout / "Makefile").write_text(mine)
    with pytest.raises(BuildError) as failed:
        build_here(find_source(Flavor.ALEXEYAB, str(checkout)), arch=[86, 90])
    assert failed.value.code == "wrong-binary"
    assert "it has code for 8.0, and none for 9.0" in failed.value.message  # 8.6 runs that of 8.0


@pytest.mark.parametrize("content", [None, "mine"])
def test_a_folder_of_somebody_else_is_refused(
    content: str | None, checkout: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    if content is None:
        folder.write_text("a file")
    else:
        folder.mkdir()
        (folder / "thesis.txt").write_text(content)
    with pytest.raises(UsageError) as refused:
        build(plan_here(), find_source(Flavor.ALEXEYAB), folder)
    assert refused.value.code == "folder-in-use"
    assert folder.exists()


def test_a_folder_that_cannot_be_written(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DkitError) as failed:
        build(plan_here(), find_source(Flavor.ALEXEYAB), tmp_path / "file" / "folder")
    assert failed.value.code == "not-a-folder"


@pytest.fixture
def slow_build(checkout: Path, tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Start a build in a process of its own that stops at its first file for a minute."""
    (checkout / "slow.txt").write_text("")
    script = (
        "from tests.test_engine_build import *\n"
        # A shell that starts tests in the background lets them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"source_module.THIRD_PARTY = Path({str(tmp_path)!r}) / 'third_party'\n"
        f"build_here(find_source(Flavor.ALEXEYAB, {str(checkout)!r}))\n"
    )

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[1],
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        engines = tmp_path / "data/darknet-kit/engines"
        while not list(engines.glob(".*/source/started.txt")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        return process

    return start


def make_fast(checkout: Path, tmp_path: Path) -> None:
    (checkout / "slow.txt").unlink()
    for work in (tmp_path / "data/darknet-kit/engines").glob(".*"):
        (work / "source/slow.txt").unlink(missing_ok=True)


def test_interrupted_compilers_end_and_the_next_call_goes_on(
    checkout: Path, tmp_path: Path, slow_build: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = slow_build()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert not list((tmp_path / "data/darknet-kit/engines").glob("*/darknet"))
    make_fast(checkout, tmp_path)
    # The lock is free at once: nothing that was started is left.
    assert build_here(find_source(Flavor.ALEXEYAB, str(checkout))).fresh


def test_after_a_kill_the_next_call_goes_on(
    checkout: Path, tmp_path: Path, slow_build: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """Its make is still at work when the next call comes, and holds the lock."""
    process = slow_build()
    process.kill()
    process.wait(30)
    (started,) = (tmp_path / "data/darknet-kit/engines").glob(".*/source/started.txt")
    sleepers = list(_find_processes(started.parent, b"sleep"))
    said: list[str] = []

    def tell(sentence: str) -> None:
        said.append(sentence)
        if "was killed" in sentence:
            make_fast(checkout, tmp_path)
            for sleeper in sleepers:  # the slow compilers end
                os.kill(sleeper, signal.SIGKILL)

    source, plan = find_source(Flavor.ALEXEYAB, str(checkout)), plan_here()
    assert build(plan, source, target_folder(plan, source), tell=tell).fresh
    assert said[0] == "waiting for the compilers of a build that was killed"


def _find_processes(folder: Path, word: bytes) -> Iterator[int]:
    """Yield the processes that work in a folder and have a word on their command line."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                os.readlink(place / "cwd") == str(folder)
                and word in (place / "cmdline").read_bytes()
            ):
                yield int(place.name)


def test_two_builds_of_the_same_do_not_meet(
    checkout: Path, tmp_path: Path, slow_build: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = slow_build()
    try:
        with pytest.raises(DkitError) as refused:
            build_here(find_source(Flavor.ALEXEYAB, str(checkout)))
        assert refused.value.code == "build-running"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_who_waited_for_a_build_that_ended_well_begins_anew(tmp_path: Path) -> None:
    """Its lock is the file of a folder that is gone."""
    work = tmp_path / ".darknet.building"
    work.mkdir()
    with open(work / ".lock", "w") as others:
        others.write(f"{_dead_process()}\n")
        others.flush()
        fcntl.flock(others, fcntl.LOCK_EX)

        def end(_sentence: str) -> None:
            shutil.rmtree(work)
            fcntl.flock(others, fcntl.LOCK_UN)

        with build_module._locked(work, end) as lock:
            assert os.fstat(lock).st_ino == (work / ".lock").stat().st_ino
            assert (work / ".lock").read_text() == f"{os.getpid()}\n"


def test_who_waits_is_told_when_another_dkit_comes_first(tmp_path: Path) -> None:
    with open(tmp_path / ".lock", "w") as others:
        others.write(f"{_dead_process()}\n")
        others.flush()
        fcntl.flock(others, fcntl.LOCK_EX)

        def come(_sentence: str) -> None:
            (tmp_path / ".lock").write_text(f"{os.getpid()}\n")

        with (
            pytest.raises(DkitError, match="another build is at work"),
            build_module._locked(tmp_path, come),
        ):
            pass


def _dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_half_an_object_is_not_linked(checkout: Path, tmp_path: Path) -> None:
    """A machine that lost power leaves files that are new and empty."""
    source = find_source(Flavor.ALEXEYAB, str(checkout))
    (checkout / "failure.txt").write_text("a power cut\n")
    with pytest.raises(BuildError):
        build_here(source)
    (checkout / "failure.txt").write_text("")
    tree = next((tmp_path / "data/darknet-kit/engines").glob(".*/source"))
    for name in ("darknet.o", "layers.o"):
        (tree / "obj" / name).write_bytes(b"")
    assert build_here(source).fresh


def test_upstream_itself(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = os.environ.get("DKIT_TEST_DARKNET_SOURCE")
    if not place:
        pytest.skip("DKIT_TEST_DARKNET_SOURCE names no checkout of AlexeyAB's Darknet")
    source = find_source(Flavor.ALEXEYAB, place)
    built = build_here(source, gpu=False)
    assert built.verification["features"].startswith("CPU")
    assert built.verification["trial"].startswith("2 iterations on 4 drawn images")
    engine = find_engine("darknet")
    assert (engine.path, engine.flavor) == (built.binary, Flavor.ALEXEYAB)
