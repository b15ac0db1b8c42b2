"""Messages of failed builds. Each line is what a compiler, linker or CMake printed: those marked
with a number stand in that issue, those marked "run" were made with the tool itself."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.engine.causes import _CAUSES, find_cause
from tests.conftest import PROJECT


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        # nvcc 13.0 with AlexeyAB's default ARCH; run
        (
            "nvcc fatal   : Unsupported gpu architecture 'compute_50'",
            "unsupported-gpu-arch",
            "5.0",
        ),
        # /usr/local/cuda/include/crt/host_config.h of CUDA 13.0
        (
            "#error -- unsupported GNU version! gcc versions later than 15 are not supported!",
            "host-compiler-too-new",
            "g++-15",
        ),
        # AlexeyAB 5905, pjreddie 2245
        (
            "./src/convolutional_layer.c:153:13: error: "
            "'CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT' undeclared (first use in this "
            "function); did you mean 'CUDNN_CONVOLUTION_FWD_ALGO_DIRECT'?",
            "cudnn-too-new",
            "cuDNN 7",
        ),
        # pjreddie 1347, with OpenCV 4
        (
            "./src/image_opencv.cpp:12:1: error: 'IplImage' does not name a type",
            "opencv-too-new",
            "OpenCV",
        ),
        ("./src/image.c:16:5: error: unknown type name 'CvCapture'", "opencv-too-new", "opencv"),
        (
            "image_opencv.cpp:18:10: fatal error: opencv2/opencv.hpp: No such file or directory",
            "opencv-incomplete",
            "libopencv-dev",
        ),
        (
            "src/dark_cuda.h:42:10: fatal error: curand.h: No such file or directory",  # run
            "missing-header",
            "curand.h",
        ),
        (
            "/usr/bin/ld: cannot find -lopencv_dnn: No such file or directory",  # run
            "opencv-incomplete",
            "opencv_dnn",
        ),
        ("/usr/bin/ld: cannot find -lcuda: No such file", "missing-driver-library", "stub"),
        ("/usr/bin/ld: cannot find -lcudart: No such file", "missing-library", "cudart"),
        ("/usr/bin/ld: cannot find -lcublas", "missing-library", "cublas"),
        (
            "/usr/bin/ld: image_opencv.o: undefined reference to `cv::Mat::deallocate()'",
            "opencv-mismatch",
            "cv::Mat::deallocate",
        ),
        ("as: /tmp/x.o: No space left on device", "disk-full", "disk"),
        (
            "g++: fatal error: Killed signal terminated program cc1plus",
            "compiler-killed",
            "--jobs 1",
        ),
        (
            "gcc: error: unrecognized command-line option '-msse4.1'; did you mean '-mcpu='?",
            "unknown-cpu-flags",
            "-msse4.1",
        ),
        # gcc 12 with -Werror=incompatible-pointer-types, which gcc 14 has by default; run
        (
            "src/yolo_layer.c:67:38: error: passing argument 1 of 'cudaHostAlloc' from "
            "incompatible pointer type [-Werror=incompatible-pointer-types]",
            "gcc-too-strict",
            "gcc 13",
        ),
        (
            "x.c:1:1: error: implicit declaration of function 'f' "
            "[-Wimplicit-function-declaration]",
            "gcc-too-strict",
            "gcc",
        ),
        # as, on a full tmpfs; run
        (
            "/tmp/ccIeRrfD.s: Fatal error: can't write 20 bytes to section .data of obj/image.o: "
            "'No space left on device'",
            "disk-full",
            "1 GB",
        ),
        # CUDA 12 with glibc 2.41
        (
            "/usr/local/cuda-12.8/include/crt/math_functions.h(2556): error: exception "
            'specification is incompatible with that of previous function "cospi"',
            "libc-too-new",
            "--cuda pip",
        ),
        # CUDA 11 with gcc 11 and newer
        (
            "/usr/include/c++/11/bits/std_function.h:435:145: error: parameter packs not "
            "expanded with '...':",
            "host-compiler-too-new",
            "older g++",
        ),
        ("nvcc error   : 'cicc' died due to signal 9 (Kill signal)", "compiler-killed", "memory"),
        ("during GIMPLE pass: vect\nx.c:1:1: internal compiler error", "compiler-crashed", "gcc"),
        # ld with a header and no library of one name; run
        (
            "dark_cuda.c:(.text+0x7a): undefined reference to `cuCtxGetCurrent'",
            "cuda-mismatch",
            "cuCtxGetCurrent",
        ),
        ("x.c:(.text): undefined reference to `cudnnCreate'", "cuda-mismatch", "--without cudnn"),
        ("x.c:(.text): undefined reference to `GOMP_parallel'", "openmp-mismatch", "openmp"),
        (
            "ld: libopencv_core.so: undefined reference to `std::__throw@GLIBCXX_3.4.32'",
            "newer-libstdc++",
            "GLIBCXX_3.4.32",
        ),
        (
            "src-lib/darknet.hpp:12:10: fatal error: filesystem: No such file or directory",
            "compiler-too-old",
            "C++17",
        ),
        # hank-ai's CMake files on a shallow clone and on an archive; run
        (
            "  STRING sub-command REGEX, mode MATCH needs at least 5 arguments total to",
            "no-tags",
            "git fetch --tags",
        ),
        # hank-ai's own words, CM_misc.cmake
        (
            "  Looks like an older version of libdarknet.so is installed in /usr/local/lib/.",
            "leftover-library",
            "/usr/local/lib/libdarknet.so",
        ),
        ("-- The CUDA compiler identification is unknown", "cuda-compiler-broken", "nvcc"),
        # hank-ai 92, 129; CMake 3.25's own words
        (
            '  Could not find a package configuration file provided by "OpenCV" with any of',
            "cmake-opencv",
            "libopencv-dev",
        ),
        (
            "  CMake 3.24 or higher is required.  You are running version 3.22.1",
            "cmake-too-old",
            "3.24",
        ),
    ],
)
def test_known_cause(line: str, code: str, words: str) -> None:
    finding = find_cause(["gcc -c x.c -o x.o", line, "make: *** [Makefile:198: x.o] Error 1"])
    assert finding is not None
    assert finding.code == code
    assert words in f"{finding.meaning} {finding.cure}"
    assert "{" not in finding.meaning + finding.cure


@pytest.mark.parametrize(
    "line",
    [
        "src/x.c:5:9: warning: unused variable 'i' [-Wunused-variable]",
        # a warning, not an error: gcc 12 goes on
        "x.c:1:1: warning: passing argument 1 of 'f' [-Wincompatible-pointer-types]",
        "gcc -DOPENCV -I/usr/include/opencv4 -msse4.1 -c ./src/image_opencv.cpp -o image_opencv.o",
        "make: *** [Makefile:198: obj/x.o] Error 1",
        "",
    ],
)
def test_ordinary_lines_name_no_cause(line: str) -> None:
    assert find_cause([line]) is None


def test_the_first_cause_counts() -> None:
    finding = find_cause(["fatal error: a.h: No such file", "fatal error: b.h: No such file"])
    assert finding is not None
    assert "a.h" in finding.meaning


def test_words_of_this_machines_nvcc(tmp_path: Path) -> None:
    """The header of CUDA refuses a gcc that is newer than it, which -D pretends here."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not on PATH")
    (tmp_path / "x.cu").write_text("__global__ void f() {}\n")
    words = [nvcc, "-U__GNUC__", "-D__GNUC__=99", "-c", "x.cu", "-o", "x.o"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    finding = find_cause(done.stderr.splitlines())
    assert finding is not None
    assert finding.code == "host-compiler-too-new"


def test_words_of_this_machines_linker(tmp_path: Path) -> None:
    program = tmp_path / "x.c"
    program.write_text("int main(void) { return 0; }\n")
    done = subprocess.run(
        ["gcc", program, "-o", tmp_path / "x", "-lcudnn_of_nobody"],
        capture_output=True,
        text=True,
        check=False,
    )
    finding = find_cause(done.stderr.splitlines())
    assert finding is not None
    assert finding.code == "missing-library"
    assert "cudnn_of_nobody" in finding.meaning


def test_all_codes_are_documented() -> None:
    """The table in docs/building.md has what a build can fail with, and nothing else."""
    document = (PROJECT / "docs/building.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([\w+-]+)` \|", document, re.M)
    names = ("build", "compilation", "cuda", "flavor", "source", "stub", "target", "toolkit")
    modules = [PROJECT / f"darknet_kit/engine/{name}.py" for name in (*names, "verification")]
    raised = {code for path in modules for code in _codes_raised(path)}
    causes = {cause.code for cause in _CAUSES}
    assert documented == sorted(raised | causes | {"build-failed"})


def _codes_raised(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in ("BuildError", "ToolchainError", "DkitError"):
            values = (word.value for word in node.keywords if word.arg == "code")
            yield from (str(one.value) for one in values if isinstance(one, ast.Constant))


@given(st.text())
def test_any_line_is_taken(line: str) -> None:
    find_cause([line, f"fatal error: {line}: No such file"])
