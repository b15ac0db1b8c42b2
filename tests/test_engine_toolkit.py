"""CUDA as pip installs it, toolkits that will not do, and a stub of the driver's library.

The layout of the packages is that of nvidia-cuda-nvcc 13.5.37, nvidia-cublas 13.10, nvidia-curand
10.4, nvidia-cudnn-cu13 9.28 and nvidia-cuda-nvcc-cu12 12.9, looked at on PyPI.
"""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import wheels
from darknet_kit.engine.cuda import capabilities_of, first_cuda, last_cuda
from darknet_kit.engine.libraries import find_libraries
from darknet_kit.engine.plan import plan_build
from darknet_kit.engine.stub import build_stub
from darknet_kit.engine.toolchain import Part, find_toolchain
from darknet_kit.engine.toolkit import PIP, find_cudas
from darknet_kit.errors import ToolchainError
from tests.recorded_nvml import install, show_gpu
from tests.tiny_darknet import write_cuda, write_tools

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on PATH")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand on a machine with compilers and nothing of NVIDIA's; return its root."""
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDNN_HOME", "CPATH", "LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(write_tools(tmp_path / "tools", "pkg-config")))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    install(monkeypatch, None)
    return tmp_path / "root"


@pytest.fixture
def packages(machine: Path, tmp_path: Path) -> Path:
    """Install NVIDIA's packages: libraries with numbered names, no libcuda, cuDNN apart."""
    folder = tmp_path / "site-packages/nvidia"
    home = write_cuda(folder / "cu13")
    (home / "lib64").rename(home / "lib")
    shutil.rmtree(home / "lib/stubs")
    for name in ("libcudart.so", "libcurand.so"):
        (home / "lib" / name).rename(home / "lib" / f"{name}.13")
    nvcc = home / "bin/nvcc"
    nvcc.write_text(nvcc.read_text().replace("lib64", "lib"))
    for name in ("nvvm/bin/cicc", "../cudnn/include/cudnn.h", "../cudnn/lib/libcudnn.so.9"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("")
    return folder


def test_packages_build_for_a_gpu_without_a_driver(packages: Path, machine: Path) -> None:
    found = find_toolchain(machine, PIP)
    assert found.cuda is not None
    assert (found.cuda.nvcc, found.cuda.wheels) == (packages / "cu13/bin/nvcc", packages)
    plan = plan_build(found, arch=[90])
    assert plan.value("CUDNN") == "1"
    assert {path.name for path in plan.links} == {
        *("libcublas.so.13", "libcudart.so.13", "libcurand.so.13", "libcudnn.so.9")
    }
    assert plan.stub == packages / "cu13/include/cuda.h"
    run_path = [word for word in plan.value("CPP").split() if "-rpath" in word]
    assert run_path == [
        f"-Wl,-rpath,{packages}/cu13/lib",
        f"-Wl,-rpath,{packages}/cudnn/lib",
    ]


def test_the_machines_own_toolkit_comes_first(packages: Path, machine: Path) -> None:
    own = write_cuda(machine / "usr/local/cuda-12.9")
    assert [one.nvcc for one in find_cudas(root=machine)] == [
        own / "bin/nvcc",
        packages / "cu13/bin/nvcc",
    ]
    assert [one.wheels for one in find_cudas(PIP, machine)] == [packages]


@pytest.mark.parametrize("below", ["", "lib/python3.12/site-packages"])
def test_another_environment_is_named_by_its_folder(
    below: str, packages: Path, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    place = tmp_path / "env" / below
    place.mkdir(parents=True)
    packages.rename(place / "nvidia")
    (cuda,) = find_cudas(str(tmp_path / "env"), machine)
    assert cuda.nvcc == place / "nvidia/cu13/bin/nvcc"
    cudnn = next(one for one in find_libraries(cuda, machine) if one.name == "cudnn")
    assert cudnn.file == place / "nvidia/cudnn/lib/libcudnn.so.9"


@pytest.mark.parametrize(
    ("removed", "missing", "package"),
    [
        ("lib/libcublas.so.13", "libcublas.so", "nvidia-cublas"),
        ("include/curand.h", "curand.h", "nvidia-curand"),
        # These belong to the compiler, whose version the script tells: 13.0.
        ("include/cuda_runtime.h", "cuda_runtime.h", "'nvidia-cuda-runtime==13.0.*'"),
        ("nvvm/bin/cicc", "nvvm/bin/cicc", "'nvidia-nvvm==13.0.*'"),
        ("include/crt/host_config.h", "include/crt/host_config.h", "'nvidia-cuda-crt==13.0.*'"),
    ],
)
def test_a_part_that_pip_did_not_bring(
    removed: str, missing: str, package: str, packages: Path, machine: Path
) -> None:
    (packages / "cu13" / removed).unlink()
    # That of the system may be of another CUDA.
    (machine / "usr/lib").mkdir(parents=True)
    (machine / "usr/lib/libcublas.so").write_text("")
    with pytest.raises(ToolchainError) as refused:
        plan_build(find_toolchain(machine, PIP), arch=[90])
    assert refused.value.code == "cuda-incomplete"
    assert f"is incomplete: {missing} not found" in refused.value.message
    assert refused.value.hint == f"`{sys.executable} -m pip install {package}` brings them."


def test_packages_without_nvcc(machine: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as refused:
        find_cudas(PIP, machine)
    assert refused.value.code == "no-nvcc"
    names = "nvidia-cuda-nvcc nvidia-cublas nvidia-curand nvidia-cudnn-cu13"
    assert f"-m pip install {names}`" in refused.value.hint
    # Those for CUDA 12, which PyTorch brings.
    (tmp_path / "site-packages/nvidia/cuda_runtime/include").mkdir(parents=True)
    with pytest.raises(ToolchainError, match="CUDA 12 or older, whose packages hold no nvcc"):
        find_cudas(PIP, machine)


def test_cudnns_header_and_library_of_different_versions(packages: Path, machine: Path) -> None:
    """A leftover of another version is no cuDNN to build with, and the plan says why."""
    version = "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 9\n#define CUDNN_PATCHLEVEL 7\n"
    (packages / "cudnn/include/cudnn_version.h").write_text(version)
    plan = plan_build(find_toolchain(machine, PIP), arch=[90])
    assert (plan.value("CUDNN"), plan.value("CUDNN_HALF")) == ("0", "0")
    (why,) = (one.reason for one in plan.settings if one.name == "CUDNN")
    assert "the header is of version 8.9.7 and the library of 9" in why
    assert "/cudnn/" not in plan.value("CPP")


def test_nvcc_of_the_runtimes_version(packages: Path) -> None:
    """PyTorch brings CUDA 13's libraries, and no nvcc."""
    header = packages / "cu13/include/cuda_runtime_api.h"
    header.write_text("#define CUDART_VERSION 13010\n")
    assert "'nvidia-cuda-nvcc==13.1.*' nvidia-cublas " in wheels.install_line()


def test_a_toolkit_that_will_not_do_is_passed_over(
    packages: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An RTX 3090 under a driver for CUDA 12: pip's 13.0 is too new, and /usr/local's has all."""
    show_gpu(monkeypatch, "NVIDIA GeForce RTX 3090", (8, 6), 12_040)
    with pytest.raises(ToolchainError) as refused:
        plan_build(find_toolchain(machine), gpu=True)
    assert refused.value.code == "driver-too-old"
    older = write_cuda(machine / "usr/local/cuda-12.4")
    nvcc = older / "bin/nvcc"
    nvcc.write_text(nvcc.read_text().replace("13.0", "12.4"))
    broken = write_cuda(machine / "usr/local/cuda-12.9")
    nvcc = broken / "bin/nvcc"
    nvcc.write_text(nvcc.read_text().replace("13.0", "12.9"))
    (broken / "include/curand.h").unlink()
    plan = plan_build(find_toolchain(machine))
    assert plan.value("NVCC").startswith(str(older / "bin/nvcc"))
    assert plan.notes[0].startswith(f"{broken}/bin/nvcc was passed over: CUDA 12.9")
    assert "curand.h" in plan.notes[0]


def test_libraries_that_a_toolkit_lacks_may_be_pips(packages: Path, machine: Path) -> None:
    home = write_cuda(machine / "usr/local/cuda-13.0")
    assert "pip" not in " ".join(plan_build(find_toolchain(machine), arch=[90]).notes)
    (home / "lib64/libcurand.so").unlink()
    plan = plan_build(find_toolchain(machine), arch=[90])
    assert f"{home}/bin/nvcc comes without curand: those that pip brought" in " ".join(plan.notes)
    assert plan.value("NVCC").startswith(f"{home}/bin/nvcc ")
    assert f"-rpath,{packages}/cu13/lib" in plan.value("CPP")
    (home / "include/curand.h").unlink()
    ready = dataclasses.replace(
        find_toolchain(machine),
        cmake=Part("cmake", True, "", "3.28"),
        opencv=Part("opencv", True, "", "4.6"),
    )
    plan = plan_build(ready, flavor=Flavor.HANK_AI, arch=[90])
    assert plan.value("CMAKE_CUDA_FLAGS") == f"-I{packages}/cu13/include"


def test_a_stub_asks_for_the_drivers_own_library(tmp_path: Path) -> None:
    header = tmp_path / "cuda.h"
    header.write_text(
        "#define cuMemAlloc cuMemAlloc_v2\n"
        "CUresult CUDAAPI cuCtxGetCurrent(CUcontext *pctx);\n"
        "CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);\n"
    )
    build_stub(header, tmp_path / "libcuda.so")
    program = "int cuCtxGetCurrent(void *); int cuMemAlloc_v2(void *, long);\n"
    program += "int main(void) { return cuCtxGetCurrent(0) + cuMemAlloc_v2(0, 0); }\n"
    words = ["gcc", "-x", "c", "-", "-o", "program", "-L.", "-lcuda"]
    subprocess.run(words, input=program, text=True, cwd=tmp_path, check=True)
    done = subprocess.run(
        [tmp_path / "program"], env={}, capture_output=True, text=True, check=False
    )
    assert "libcuda.so.1: cannot open shared object file" in done.stderr


@pytest.mark.parametrize(
    ("cuda", "lowest", "highest", "lacks"),
    [
        # NVIDIA's release notes and the lists of `nvcc --help` of each.
        ("8.0", 20, 62, 70),
        ("9.0", 30, 70, 72),
        ("9.2", 30, 72, 75),
        ("10.2", 30, 75, 80),
        ("11.0", 35, 80, 86),
        ("11.3", 35, 86, 87),
        ("11.7", 35, 87, 89),
        ("11.8", 35, 90, 30),
        ("12.0", 50, 90, 37),
        ("12.6", 50, 90, 100),
        ("12.8", 50, 120, 121),
        ("12.9", 50, 121, 110),
        ("13.0", 75, 121, 70),
    ],
)
def test_what_each_cuda_compiles_for(cuda: str, lowest: int, highest: int, lacks: int) -> None:
    known = capabilities_of(cuda)
    assert (known[0], known[-1]) == (lowest, highest)
    assert lacks not in known


def test_the_nvcc_of_this_machine_agrees_with_the_table() -> None:
    for cuda in find_cudas():
        # Newer ones may know what no table does yet.
        assert set(capabilities_of(cuda.version)) <= set(cuda.capabilities)


@pytest.mark.parametrize(
    ("capability", "first", "last"),
    [(61, "8.0", "12.9"), (90, "11.8", ""), (120, "12.8", ""), (37, "6.5", "11.8"), (999, "", "")],
)
def test_which_cuda_to_take(capability: int, first: str, last: str) -> None:
    assert (first_cuda(capability), last_cuda(capability)) == (first, last)
