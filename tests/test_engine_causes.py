"""Messages of failed builds. Each line is what a compiler, linker or CMake printed: those marked
with a number stand in that issue, those marked "run" were made with the tool itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.engine.causes import find_cause


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


@given(st.text())
def test_any_line_is_taken(line: str) -> None:
    find_cause([line, f"fatal error: {line}: No such file"])
