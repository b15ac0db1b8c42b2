"""What is installed: drivers, toolkits, engines and Python's packages, judged against the GPU."""

import dataclasses
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from darknet_kit.doctor import opencv
from darknet_kit.doctor.check import Check
from darknet_kit.doctor.compiler import check_compiler
from darknet_kit.doctor.cuda import check_toolchain
from darknet_kit.doctor.darknet import check_choice, check_darknets
from darknet_kit.doctor.examination import examine
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.opencv import check_python_opencv
from darknet_kit.doctor.probes import Wish
from darknet_kit.doctor.python import judge_torch
from darknet_kit.engine import modules
from darknet_kit.engine.driver import Fit, find_needed_driver, judge_driver
from darknet_kit.engine.libraries import Library, find_conflict
from darknet_kit.engine.modules import Told
from darknet_kit.engine.nvml import GpuFacts, NvmlFacts
from darknet_kit.errors import ToolchainError
from tests.recorded_machines import write, write_machine, write_nvml
from tests.test_engine_gpucode import SM_86
from tests.test_engine_toolchain import LIBRARIES, WORKSTATION, change, part, with_toolkit

H200 = NvmlFacts((GpuFacts(0, "NVIDIA H200", capability=90),), "580.65.06", "13.0")
RTX_3090 = NvmlFacts((GpuFacts(0, "NVIDIA GeForce RTX 3090", capability=86),), "580.65.06", "13.0")
GTX_1080 = NvmlFacts((GpuFacts(0, "NVIDIA GeForce GTX 1080", capability=61),), "580.65.06", "13.0")
NOTHING = NvmlFacts(error="library-not-found")


def by_code(checks: Iterable[Check]) -> dict[str, str]:
    return {check.code: check.evidence for check in checks}


@pytest.mark.parametrize(
    ("cuda", "oldest", "shipped"),
    [
        # CUDA Compatibility, table 1, and the release notes' table of drivers (Linux x86_64).
        ("13.0", "580", "580.65.06"),
        ("13.9", "580", ""),
        ("12.4", "525", "550.54.14"),
        ("12.4.1", "525", "550.54.14"),
        ("11.8", "450.80.02", "520.61.05"),
        ("10.2", "440.33", "440.33"),
        ("8.0", "375.26", "375.26"),
        ("7.5", "", ""),
        ("", "", ""),
    ],
)
def test_which_driver_a_cuda_needs(cuda: str, oldest: str, shipped: str) -> None:
    needed = find_needed_driver(cuda)
    assert (needed.oldest, needed.shipped) == (oldest, shipped)


@pytest.mark.parametrize(
    ("cuda", "version", "runs", "fit"),
    [
        ("12.0", "525.60.12", "", Fit.OLDER),
        ("12.0", "525.147.05", "", Fit.WELL),
        ("12.0", "470.42.01", "", Fit.TOO_OLD),
        ("12.0", "", "", Fit.WELL),
        ("7.5", "340.29", "", Fit.WELL),
        # What the driver says, counts: with cuda-compat 13.0, one of 535 runs programs of it.
        ("13.0", "535.183.01", "13.0", Fit.WELL),
        ("13.0", "535.183.01", "12.2", Fit.TOO_OLD),
        ("12.8", "535.183.01", "12.2", Fit.OLDER),
        ("11.8", "535.183.01", "12.2", Fit.WELL),
        ("10.2", "418.39", "10.1", Fit.TOO_OLD),  # before 11, each toolkit needs its own driver
        ("13.9", "580.65.06", "13.0", Fit.OLDER),
    ],
)
def test_a_driver_against_a_cuda(cuda: str, version: str, runs: str, fit: Fit) -> None:
    assert judge_driver(cuda, version, runs) is fit


@pytest.mark.parametrize(
    ("driver", "code"),
    [
        ("580.65.06", ""),
        ("595.45.04", ""),
        ("575.51.03", "driver-too-old"),
        ("580.64.00", "driver-older"),
    ],
)
def test_a_driver_against_cuda_13(driver: str, code: str) -> None:
    told = dataclasses.replace(H200, driver=driver, cuda="")
    found = by_code(check_toolchain(WORKSTATION, told))
    assert {"driver-too-old", "driver-older"} & found.keys() == ({code} if code else set())


def test_a_gpu_that_this_cuda_does_not_know_any_more() -> None:
    toolchain = change(driver=dataclasses.replace(WORKSTATION.driver, gpus=()))
    found = by_code(check_toolchain(toolchain, GTX_1080))
    assert "GTX 1080" in found["gpu-too-old-for-cuda"]
    assert "needs CUDA 12.9 or older" in found["gpu-too-old-for-cuda"]


def test_a_toolkit_that_lacks_a_library() -> None:
    lacking = (Library("cublas", None, None), *LIBRARIES[:1], *LIBRARIES[2:])
    found = {one.code: one for one in check_toolchain(with_toolkit(libraries=lacking), H200)}
    assert "cublas_v2.h" in found["cuda-incomplete"].evidence
    assert "cuda-libraries-dev-13-0" in found["cuda-incomplete"].cure


def test_no_toolkit_matters_to_a_gpu_alone() -> None:
    nothing = change(toolkits=())
    assert by_code(check_toolchain(nothing, H200)).keys() == {"no-nvcc"}
    assert by_code(check_toolchain(nothing, NOTHING)) == {}
    assert by_code(check_toolchain(WORKSTATION, NOTHING)).keys() == {"cuda"}


def test_more_toolkits_are_named() -> None:
    first = WORKSTATION.toolkits[0]
    older = dataclasses.replace(
        first, cuda=dataclasses.replace(first.cuda, version="11.8", nvcc=Path("/old/bin/nvcc"))
    )
    found = by_code(check_toolchain(change(toolkits=(first, older)), H200))
    assert found["other-cuda"] == "11.8 (/old/bin/nvcc)"


@pytest.mark.parametrize(
    ("header", "library", "code"),
    [
        ("9.1.0", "libcudnn.so.9.1.0", "cudnn"),
        ("9.1.0", "libcudnn.so.9", "cudnn"),
        ("9.1.0", "libcudnn.so.8.9.7", "cudnn-mismatch"),
        ("8.9.7", "libcudnn.so.8.5.0", "cudnn-mismatch"),
        ("8.9.7", "libcudnn.so.8.9.2", "cudnn"),
        ("", "libcudnn.so.9", "cudnn"),
    ],
)
def test_cudnn_header_and_library(tmp_path: Path, header: str, library: str, code: str) -> None:
    (tmp_path / library).touch()
    (tmp_path / "libcudnn.so").symlink_to(library)
    file = tmp_path / "libcudnn.so"
    cudnn = Library("cudnn", tmp_path / "cudnn.h", file, header, find_conflict(header, file))
    found = by_code(check_toolchain(with_toolkit(libraries=(*LIBRARIES[:4], cudnn)), H200))
    assert {"cudnn", "cudnn-mismatch", "no-cudnn"} & found.keys() == {code}


def test_a_recorded_toolkit_is_read_from_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CPATH", "LIBRARY_PATH", "CUDNN_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", [])  # where pip's packages of NVIDIA's would be
    write_machine(tmp_path)
    define = "#define CUDNN_{} {}\n"
    version = define.format("MAJOR", 8) + define.format("MINOR", 9) + define.format("PATCHLEVEL", 7)
    write(
        tmp_path,
        {
            "usr/local/cuda-11.8/version.json": '{"cuda" : {"name" : "CUDA SDK", "version" : '
            '"11.8.20220929"}}',
            "usr/local/cuda-10.2/version.txt": "CUDA Version 10.2.89\n",
            "usr/local/cuda-11.8/include/cudnn.h": "",
            "usr/local/cuda-11.8/include/cudnn_version.h": version,
            "usr/local/cuda-11.8/lib64/libcudnn.so.8.5.0": "",
        },
    )
    (tmp_path / "usr/local/cuda-11.8/lib64/libcudnn.so").symlink_to("libcudnn.so.8.5.0")
    gpu = {"index": 0, "name": "Tesla K80", "capability": 37}
    write_nvml(tmp_path, driver="440.33.01", cuda="10.2", gpus=[gpu])
    found = by_code(examine(Wish(machine=Machine(tmp_path))).checks)
    assert found["cuda"].startswith("11.8 (")
    assert "needs driver 450.80.02, this is 440.33.01" in found["driver-too-old"]
    assert "header is of version 8.9.7 and the library of 8.5.0" in found["cudnn-mismatch"]


def test_a_complete_compiler() -> None:
    found = by_code(check_compiler(WORKSTATION))
    assert found.keys() == {"compiler", "cmake"}
    assert found["compiler"] == "gcc 13.2.0, g++ 13.2.0, make 1.0, git 1.0"


def test_a_compiler_that_is_not_there() -> None:
    gone = dataclasses.replace(part("g++", ""), present=False, evidence="`g++` is not on PATH")
    old = part("cmake", "3.22.1")
    found = by_code(check_compiler(change(gxx=gone, cmake=old)))
    assert found["no-compiler"] == "`g++` is not on PATH"
    assert "no-cmake" in found  # hank-ai's asks for 3.24


def test_a_compiler_that_hangs() -> None:
    found = by_code(check_compiler(change(gcc=part("gcc", ""))))
    assert found["no-compiler"] == "gcc does not answer"


def test_a_gcc_that_nvcc_refuses_unless_an_older_one_is_there() -> None:
    new = change(gcc=part("gcc", "16.1.0"))
    found = {check.code: check for check in check_toolchain(new, H200)}
    assert "gcc up to 15, and this machine has 16.1.0" in found["gcc-too-new"].evidence
    assert "g++-15" in found["gcc-too-new"].cure
    older = dataclasses.replace(
        with_toolkit(host_compiler="/usr/bin/g++-15"), gcc=part("gcc", "16.1.0")
    )
    assert "gcc-too-new" not in by_code(check_toolchain(older, H200))
    # Nor where another toolkit accepts this one.
    newer = dataclasses.replace(new.toolkits[0].cuda, newest_gcc=16)
    both = dataclasses.replace(
        new, toolkits=(*new.toolkits, dataclasses.replace(new.toolkits[0], cuda=newer))
    )
    assert "gcc-too-new" not in by_code(check_toolchain(both, H200))


def write_darknet(path: Path, says: str, code: bytes = b"") -> Path:
    """Write a program that says the first lines of a darknet, and holds code for GPUs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"#!/bin/sh\necho '{says}'\nexit 0\n".encode() + code)
    path.chmod(0o755)
    return path


ON_GPU = " CUDA-version: 13000 (13000), cuDNN: 9.1.0, GPU count: 1"
CODE = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 64) + SM_86


@pytest.mark.parametrize(
    ("says", "code", "nvml", "expected"),
    [
        (ON_GPU, CODE, RTX_3090, "darknet"),
        (ON_GPU, CODE, H200, "darknet-lacks-gpu"),
        (ON_GPU, b"", H200, "darknet"),  # its code may be in a library
        (" GPU isn`t used", b"", H200, "darknet-cpu"),
        (" GPU isn`t used", b"", NOTHING, "darknet"),
        ("hello", b"", NOTHING, "darknet-broken"),
    ],
)
def test_a_darknet_and_this_gpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    code: bytes,
    nvml: NvmlFacts,
    expected: str,
) -> None:
    darknet = write_darknet(tmp_path / "darknet", says.replace("`", "'\"'\"'"), code)
    monkeypatch.setenv("DKIT_DARKNET", str(darknet))
    found = by_code(check_darknets(nvml))
    assert found.keys() == {expected}
    assert str(darknet) in found[expected]


def test_no_darknet_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DKIT_DARKNET", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_code(check_darknets(NOTHING)).keys() == {"no-darknet"}
    error = ToolchainError("no engine was found", code="no-engine", hint="Make one.")
    assert [check.cure for check in check_choice(error, None)] == ["Make one."]


@pytest.mark.parametrize(
    ("told", "nvml", "code"),
    [
        (Told(version="2.13.0+cpu"), NOTHING, "torch"),
        (Told(version="2.13.0+cpu"), H200, "torch-without-cuda"),
        (Told(version="2.13.0", cuda="13.0", remark="driver too old"), H200, "torch-without-cuda"),
        (
            Told(version="2.13.0", cuda="13.0", usable=True, architectures=("sm_80", "sm_90")),
            H200,
            "torch",
        ),
        (
            Told(version="2.13.0", cuda="13.0", usable=True, architectures=("sm_80",)),
            RTX_3090,  # 8.6 runs code for 8.0
            "torch",
        ),
        (
            Told(version="2.13.0", cuda="13.0", usable=True, architectures=("sm_75", "sm_90a")),
            GTX_1080,
            "torch-lacks-gpu",
        ),
        (
            Told(version="2.13.0", cuda="13.0", usable=True, architectures=("sm_75", "compute_75")),
            H200,
            "torch",
        ),
    ],
)
def test_pytorch_and_this_gpu(told: Told, nvml: NvmlFacts, code: str) -> None:
    (check,) = judge_torch(told, nvml)
    assert check.code == code
    assert told.remark in check.evidence


def use_modules(folder: Path, monkeypatch: pytest.MonkeyPatch, **sources: str) -> None:
    """Put modules before all others, for this Python and those that it starts."""
    for name, source in sources.items():
        write(folder, {f"{name}.py": source})
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            "cv2-broken",
            "libGL.so.1",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "cv2-broken", "code -11"),
        ("__version__ = '4.9'\ndef getBuildInformation(): return ' GUI:  GTK3'", "cv2", "by GTK3"),
        ("__version__ = '4.9'\ndef getBuildInformation(): return ''", "cv2", "4.9"),
    ],
)
def test_an_opencv_that_can_be_imported_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, code: str, said: str
) -> None:
    use_modules(tmp_path, monkeypatch, cv2=source)
    monkeypatch.setattr(opencv, "has_module", lambda _name: True)
    monkeypatch.setattr(opencv, "_list_packages", list)
    found = by_code(check_python_opencv())
    assert found.keys() == {code}
    assert said in found[code]


def test_a_module_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_modules(tmp_path, monkeypatch, torch="import time; time.sleep(60)")
    monkeypatch.setattr(modules, "_PATIENCE", 0.5)
    assert "no answer in" in modules.ask_torch().error
