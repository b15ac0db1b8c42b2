"""What is found on a machine, and what is decided from it.

Programs are the machine's own compilers and scripts that answer as NVIDIA's do.
"""

import dataclasses
import shutil
import time
from pathlib import Path

import pynvml
import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import nvidia
from darknet_kit.engine.cuda import Gpu
from darknet_kit.engine.libraries import Library, find_libraries
from darknet_kit.engine.nvidia import Driver, find_driver
from darknet_kit.engine.plan import BuildPlan, plan_build
from darknet_kit.engine.toolchain import (
    Part,
    Toolchain,
    Toolkit,
    find_toolchain,
    parse_cpu_flags,
    parse_cpu_model,
)
from darknet_kit.engine.toolkit import Cuda, find_cudas
from darknet_kit.errors import DkitError, ToolchainError, UsageError
from tests.recorded_nvml import RecordedLibrary, install, show_gpu
from tests.tiny_darknet import write_cuda, write_tools

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "g++", "make"))), reason="no gcc, g++ and make on PATH"
)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand on a machine with compilers and nothing of NVIDIA's; return its folder of programs."""
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDNN_HOME", "CPATH", "LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = write_tools(tmp_path / "tools")
    monkeypatch.setenv("PATH", str(folder))
    install(monkeypatch, None)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the root of an empty file system, of an AMD CPU of 2012 (FX-8350: no AVX2)."""
    folder = tmp_path / "root"
    (folder / "proc").mkdir(parents=True)
    (folder / "proc/cpuinfo").write_text(
        "processor\t: 0\nflags\t\t: fpu sse2 pni ssse3 sse4_1 sse4_2 avx sse4a fma4\n\n"
    )
    return folder


def part(name: str, version: str = "1.0") -> Part:
    return Part(name, True, f"/usr/bin/{name}", version)


CUDA = Cuda(
    nvcc=Path("/opt/cuda/bin/nvcc"),
    version="13.0",
    capabilities=(75, 80, 86, 89, 90),
    includes=(Path("/opt/cuda/include"),),
    folders=(Path("/opt/cuda/lib64"),),
    newest_gcc=15,
)
LIBRARIES = (
    Library(
        "cudart", Path("/opt/cuda/include/cuda_runtime.h"), Path("/opt/cuda/lib64/libcudart.so")
    ),
    Library("cublas", Path("/opt/cuda/include/cublas_v2.h"), Path("/opt/cuda/lib64/libcublas.so")),
    Library("curand", Path("/opt/cuda/include/curand.h"), Path("/opt/cuda/lib64/libcurand.so")),
    Library("cuda", Path("/opt/cuda/include/cuda.h"), Path("/usr/lib/x86_64-linux-gnu/libcuda.so")),
    Library(
        "cudnn",
        Path("/usr/include/cudnn.h"),
        Path("/usr/lib/x86_64-linux-gnu/libcudnn.so"),
        "9.1.0",
    ),
)
H200 = Driver((Gpu("NVIDIA H200", 90),), "NVIDIA's driver shows NVIDIA H200", "580.65.06", "13.0")
WORKSTATION = Toolchain(
    cores=16,
    avx=part("avx", ""),
    gcc=part("gcc", "13.2.0"),
    gxx=part("g++", "13.2.0"),
    make=part("make"),
    git=part("git"),
    cmake=part("cmake", "3.28.3"),
    openmp=part("openmp", ""),
    opencv=part("opencv", "4.6.0"),
    driver=H200,
    toolkits=(Toolkit(CUDA, LIBRARIES),),
)
NO_GPU = dataclasses.replace(WORKSTATION, driver=Driver((), "NVIDIA's driver shows no GPU"))


def change(**fields: object) -> Toolchain:
    return dataclasses.replace(WORKSTATION, **fields)  # type: ignore[arg-type]


def with_toolkit(**fields: object) -> Toolchain:
    toolkit = dataclasses.replace(WORKSTATION.toolkits[0], **fields)  # type: ignore[arg-type]
    return change(toolkits=(toolkit,))


def switches(plan: BuildPlan) -> str:
    names = ("GPU", "CUDNN", "CUDNN_HALF", "OPENCV", "OPENMP", "AVX")
    return "".join(plan.value(name) for name in names)


def test_a_machine_without_nvidia(tools: Path, root: Path) -> None:
    found = find_toolchain(root)
    assert found.gcc.present
    assert found.gcc.major >= 4
    assert found.cores >= 1
    assert (found.driver.gpus, found.toolkits) == ((), ())
    assert "shows no GPU (NVML Shared Library Not Found)" in found.driver.evidence
    assert not found.avx
    assert "avx2" in found.avx.evidence
    assert plan_build(found).value("GPU") == "0"


def test_nothing_is_found_where_nothing_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    found = find_toolchain(tmp_path / "nowhere")
    for item in (found.gcc, found.gxx, found.make, found.opencv, found.openmp, found.avx):
        assert not item
        assert item.evidence
    with pytest.raises(ToolchainError) as refused:
        plan_build(found)
    assert refused.value.code == "no-compiler"
    assert "`g++` is not on PATH" in refused.value.message


def test_openmp_is_known_by_a_program_that_runs(tools: Path, root: Path) -> None:
    assert find_toolchain(root).openmp  # gcc comes with libgomp
    (tools / "gcc").unlink()
    (tools / "gcc").write_text("#!/bin/sh\necho 'cc1: error: no -fopenmp here' >&2; exit 1\n")
    (tools / "gcc").chmod(0o755)
    assert "no -fopenmp here" in find_toolchain(root).openmp.evidence


def test_driver_and_toolkit(tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpu(monkeypatch)
    home = write_cuda(root / "usr/local/cuda-13.0")
    driver, (cuda,) = find_driver(), find_cudas(root=root)
    assert driver.gpus == (Gpu("NVIDIA H200", 90, 143771),)
    assert (driver.version, driver.cuda) == ("580.65.06", "13.0")
    assert (cuda.nvcc, cuda.version, cuda.newest_gcc) == (home / "bin/nvcc", "13.0", 15)
    assert cuda.capabilities[0] == 75
    libraries = {one.name: one for one in find_libraries(cuda, root)}
    assert libraries["cublas"].file == home / "lib64/libcublas.so.13"
    assert libraries["cuda"].file == home / "lib64/stubs/libcuda.so"
    assert all(libraries[name] for name in ("cudart", "cublas", "curand", "cuda"))
    assert libraries["cudnn"].missing == ("cudnn.h", "libcudnn.so")


def test_the_newest_toolkit_is_taken_and_a_named_one_first(
    tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cuda(root / "usr/local/cuda-9.2")
    newest = write_cuda(root / "usr/local/cuda-12.10")
    named = write_cuda(root / "opt/cuda")
    assert find_cudas(root=root)[0].nvcc == newest / "bin/nvcc"
    monkeypatch.setenv("CUDA_HOME", str(named))
    assert [one.nvcc for one in find_cudas(root=root)][:2] == [
        named / "bin/nvcc",
        newest / "bin/nvcc",
    ]
    # Of one that is named, the others are out of the question.
    assert [one.nvcc for one in find_cudas(str(newest))] == [newest / "bin/nvcc"]


def test_libraries_in_other_places(
    tools: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cuda,) = find_cudas(root=write_cuda(root / "usr/local/cuda").parents[2])
    wheel = tmp_path / "site/nvidia/cudnn"
    for path in (wheel / "include/cudnn.h", wheel / "lib/libcudnn.so.9"):
        path.parent.mkdir(parents=True)
        path.write_text("")
    (wheel / "include/cudnn_version.h").write_text(
        "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 28\n#define CUDNN_PATCHLEVEL 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    cudnn = find_libraries(cuda, root)[-1]
    assert (cudnn.name, cudnn.version, cudnn.missing) == ("cudnn", "9.28.0", ())
    assert cudnn.file == wheel / "lib/libcudnn.so.9"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "libcudnn.so").write_text("")
    monkeypatch.setenv("LIBRARY_PATH", str(mine))
    assert find_libraries(cuda, root)[-1].file == mine / "libcudnn.so"


def test_a_driver_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "read_nvml_facts", lambda: time.sleep(5))
    monkeypatch.setattr(nvidia, "_SLOW", 0.2)
    driver = find_driver()
    assert (driver.gpus, driver.evidence) == (
        (),
        "NVIDIA's driver shows no GPU (no answer in 0 seconds)",
    )


def test_drivers_with_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordedLibrary(start=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH))
    assert "RM version mismatch" in find_driver().evidence
    install(monkeypatch, RecordedLibrary({"gone": True}))
    assert "GPU 0: gpu-is-lost" in find_driver().evidence
    install(monkeypatch, RecordedLibrary({"gone": True}, {"name": b"GTX 970"}))
    driver = find_driver()
    assert driver.gpus == (Gpu("GTX 970", 0),)
    assert "GTX 970, compute capability not told" in driver.evidence


def test_cpu_flags() -> None:
    assert parse_cpu_flags("flags\t\t: fpu avx2\nflags : x\n") == {"fpu", "avx2"}
    assert parse_cpu_flags("Features\t: fp asimd\n") == frozenset()  # an ARM has no flags
    assert parse_cpu_model("processor : 0\nmodel name\t: i7\nmodel name : x\n") == "i7"
    assert parse_cpu_model("Features\t: fp asimd\n") == ""


@pytest.mark.parametrize(
    ("toolchain", "options", "expected"),
    [
        (WORKSTATION, {}, "111111"),
        (WORKSTATION, {"gpu": True}, "111111"),
        (WORKSTATION, {"gpu": False}, "000111"),
        (NO_GPU, {}, "000111"),
        (NO_GPU, {"arch": [86]}, "111111"),
        (WORKSTATION, {"without": ["cudnn"]}, "100111"),
        (WORKSTATION, {"without": ["cudnn-half", "opencv"]}, "110011"),
        (WORKSTATION, {"without": ["openmp", "avx"]}, "111100"),
        (with_toolkit(libraries=LIBRARIES[:4]), {}, "100111"),  # no cuDNN
        (
            with_toolkit(cuda=dataclasses.replace(CUDA, capabilities=(61, 90))),
            {"arch": [61]},
            "110111",
        ),
        (change(toolkits=()), {}, "000111"),
        (with_toolkit(libraries=(Library("cudart", None, None), *LIBRARIES[1:])), {}, "000111"),
        (change(avx=Part("avx", False, "the CPU does not offer avx2")), {}, "111110"),
    ],
)
def test_switches(toolchain: Toolchain, options: dict[str, object], expected: str) -> None:
    plan = plan_build(toolchain, **options)  # type: ignore[arg-type]
    assert switches(plan) == expected
    assert all(setting.reason for setting in plan.settings)


def test_arch_replaces_the_list_of_the_makefile() -> None:
    plan = plan_build(NO_GPU, arch=[86, 89])
    assert plan.value("ARCH") == (
        "-gencode arch=compute_86,code=[sm_86,compute_86] "
        "-gencode arch=compute_89,code=[sm_89,compute_89]"
    )
    assert plan.elsewhere
    assert any("--without avx" in note for note in plan.notes)
    assert plan_build(NO_GPU).value("ARCH") == ""


def test_compilers_are_told_of_places_off_the_beaten_track() -> None:
    plan = plan_build(WORKSTATION)
    assert plan.value("NVCC") == "/opt/cuda/bin/nvcc -I/opt/cuda/include"
    assert plan.value("CPP") == (
        "g++ -I/opt/cuda/include -L/opt/cuda/lib64 -Wl,-rpath,/opt/cuda/lib64"
    )
    assert plan.value("CC").startswith("gcc ")
    assert "/usr/include" not in " ".join(plan.words)
    assert plan.links == ()


def test_words_survive_make_and_the_shell() -> None:
    odd = Path("/my $cuda/it's")
    library = Library("curand", odd / "curand.h", odd / "libcurand.so.10")
    plan = plan_build(with_toolkit(libraries=(*LIBRARIES[:2], library, *LIBRARIES[3:])))
    (word,) = (word for word in plan.words if word.startswith("CC="))
    assert "-I/my $$cuda/it" in word
    assert plan.links == (odd / "libcurand.so.10",)
    assert "-L../dkit-lib" in plan.value("CPP")


@pytest.mark.parametrize(
    ("toolchain", "options", "code"),
    [
        (NO_GPU, {"gpu": True}, "no-gpu"),
        (WORKSTATION, {"gpu": False, "arch": [90]}, "cpu-with-arch"),
        (change(toolkits=()), {"gpu": True}, "no-nvcc"),
        (
            with_toolkit(libraries=(Library("cudart", None, None), *LIBRARIES[1:])),
            {"gpu": True},
            "cuda-incomplete",
        ),
        (change(gcc=part("gcc", "16.1.0")), {"gpu": True}, "host-compiler-too-new"),
        (change(driver=dataclasses.replace(H200, cuda="12.4")), {"gpu": True}, "driver-too-old"),
        (change(driver=Driver((Gpu("GTX 970", 0),), "")), {"gpu": True}, "unknown-gpu"),
        (change(driver=Driver((Gpu("GTX 1080", 61),), "")), {"gpu": True}, "gpu-too-old-for-cuda"),
        (change(cmake=part("cmake", "3.22.1")), {"flavor": Flavor.HANK_AI}, "no-cmake"),
        (change(cmake=Part("cmake", False, "none")), {"flavor": Flavor.HANK_AI}, "no-cmake"),
        (change(opencv=Part("opencv", False, "none")), {"flavor": Flavor.HANK_AI}, "no-opencv"),
        (
            WORKSTATION,
            {"flavor": Flavor.HANK_AI, "without": ["opencv"]},
            "hank-without-opencv",
        ),
    ],
)
def test_what_is_refused(toolchain: Toolchain, options: dict[str, object], code: str) -> None:
    with pytest.raises(DkitError) as refused:
        plan_build(toolchain, **options)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert refused.value.hint
    usage = code in ("cpu-with-arch", "hank-without-opencv")
    assert isinstance(refused.value, UsageError) == usage


@pytest.mark.parametrize(
    ("driver", "install", "pip"),
    [
        # NVIDIA's list of CUDA GPUs, and its release notes: what ended with which.
        (H200, "CUDA 11.8 or newer", True),
        (dataclasses.replace(H200, cuda="12.4"), "CUDA 11.8 or newer", False),
        (Driver((Gpu("GTX 1080", 61),), "", "580.65.06", "13.0"), "CUDA 12.9 or older", False),
        (
            Driver((Gpu("Tesla K80", 37), Gpu("RTX 2080", 75)), "", "470.42.01", "11.4"),
            "CUDA 11.8 or older",
            False,
        ),
    ],
)
def test_the_cuda_to_install_is_one_for_these_gpus(driver: Driver, install: str, pip: bool) -> None:
    with pytest.raises(ToolchainError) as refused:
        plan_build(change(toolkits=(), driver=driver), gpu=True)
    assert refused.value.hint.startswith(f"Install {install} from NVIDIA")
    assert ("--cuda pip" in refused.value.hint) is pip


def test_what_no_package_cures_is_told_first() -> None:
    """A toolkit that lacks a library, and would not compile for the GPU with it either."""
    lacking = with_toolkit(libraries=(Library("cudart", None, None), *LIBRARIES[1:]))
    with pytest.raises(ToolchainError) as refused:
        plan_build(lacking, arch=[37])
    assert refused.value.code == "gpu-too-old-for-cuda"
    assert "needs CUDA 11.8 or older" in refused.value.message


def test_a_machine_whose_gpu_is_not_shown_is_told_of_the_doctor() -> None:
    (note, *_) = plan_build(NO_GPU).notes
    assert note.startswith("for the CPU: NVIDIA's driver shows no GPU")
    assert "`dkit doctor`" in note


def test_a_gpu_that_cannot_be_used_is_not_passed_over_in_silence() -> None:
    plan = plan_build(change(toolkits=()))
    assert not plan.gpu
    assert plan.notes[0].startswith("there is a GPU, and this build does not use it")


def test_an_older_gxx_is_used_where_the_usual_one_is_too_new() -> None:
    new = with_toolkit(host_compiler="/usr/bin/g++-15")
    new = dataclasses.replace(new, gcc=part("gcc", "16.1.0"))
    assert "-ccbin /usr/bin/g++-15" in plan_build(new).value("NVCC")


def test_an_older_gxx_is_found(tools: Path, root: Path) -> None:
    write_cuda(root / "usr/local/cuda")
    (tools / "gcc").unlink()
    (tools / "gcc").write_text("#!/bin/sh\necho 'gcc (Debian 16.1.0-2) 16.1.0'\n")
    (tools / "gcc").chmod(0o755)
    assert find_toolchain(root).host_compiler == ""
    for version in (9, 15, 16):
        (tools / f"g++-{version}").symlink_to(tools / "g++")
    assert find_toolchain(root).host_compiler == str(tools / "g++-15")


def test_cmake_settings_of_hank() -> None:
    plan = plan_build(NO_GPU, flavor=Flavor.HANK_AI, arch=[86, 89], without=["avx"])
    assert "-DDARKNET_CUDA_ARCHITECTURES=86;89" in plan.words
    assert "-DDARKNET_TRY_CUDA=ON" in plan.words
    assert "-DENABLE_SSE_AND_AVX=OFF" in plan.words
    assert "-DCUDA_cublas_LIBRARY:FILEPATH=/opt/cuda/lib64/libcublas.so" in plan.words
    assert "-Dcudnn=/usr/lib/x86_64-linux-gnu/libcudnn.so" in plan.words
    assert plan.links == ()
    assert "-DDARKNET_TRY_CUDA=OFF" in plan_build(NO_GPU, flavor=Flavor.HANK_AI).words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"without": ["cudnn"]}, ["-Dcudnn=OFF"]),
        ({"without": ["cudnn-half"]}, ["-DCMAKE_CXX_FLAGS=-UCUDNN_HALF"]),
        ({"without": ["openmp"]}, ["-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON"]),
        # No nvcc knows it yet: PTX of the newest, which CMake calls virtual.
        ({"arch": [130]}, ["-DDARKNET_CUDA_ARCHITECTURES=90-virtual"]),
    ],
)
def test_what_hank_is_told_beside(options: dict[str, object], words: list[str]) -> None:
    plan = plan_build(WORKSTATION, flavor=Flavor.HANK_AI, **options)  # type: ignore[arg-type]
    assert set(words) <= set(plan.words)


def test_hank_gets_no_half_precision_without_tensor_cores() -> None:
    old = with_toolkit(cuda=dataclasses.replace(CUDA, capabilities=(61, 90)))
    plan = plan_build(old, flavor=Flavor.HANK_AI, arch=[61])
    assert "-DCMAKE_CUDA_FLAGS=-UCUDNN_HALF" in plan.words
    assert plan.value("cudnn")


def test_versions_are_those_of_what_is_used() -> None:
    plan = plan_build(WORKSTATION, without=["opencv"])
    assert plan.versions == ("gcc 13.2.0", "g++ 13.2.0", "CUDA 13.0", "cuDNN 9.1.0")
    assert plan_build(NO_GPU).versions == ("gcc 13.2.0", "g++ 13.2.0", "OpenCV 4.6.0")


def test_opencv_in_a_place_of_its_own_is_found_at_the_start() -> None:
    opencv = dataclasses.replace(part("opencv", "4.6.0"), folders=(Path("/opt/opencv/lib"),))
    for toolchain in (change(opencv=opencv), dataclasses.replace(NO_GPU, opencv=opencv)):
        assert "-Wl,-rpath,/opt/opencv/lib" in plan_build(toolchain).value("CPP")
        assert "opencv" not in plan_build(toolchain, without=["opencv"]).value("CPP")


def test_known_trouble_is_told_before_it_comes() -> None:
    assert any("first mAP" in note for note in plan_build(WORKSTATION).notes)
    assert not plan_build(WORKSTATION, without=["cudnn"]).notes
    assert any("gradients" in note for note in plan_build(NO_GPU).notes)
