"""Why a build of darknet failed: the messages that users report, what they mean, the cure.

Gathered from the issues of AlexeyAB/darknet (471, 5905, 6021, 6616, 6942, 8245, 8821),
pjreddie/darknet (1347, 2177, 2245, 2478) and hank-ai/darknet (76, 92, 129).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """A known reason. `meaning` and `cure` may use the groups of `pattern` as {0}, {1}."""

    code: str
    pattern: re.Pattern[str]
    meaning: str
    cure: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause found in a log, in words for this log."""

    code: str
    meaning: str
    cure: str


def _cause(code: str, pattern: str, meaning: str, cure: str) -> Cause:
    return Cause(code, re.compile(pattern), meaning, cure)


_CAUSES = (
    _cause(
        "disk-full",
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "Free about 1 GB and run the same command: it goes on where it stopped.",
    ),
    _cause(
        "compiler-killed",
        r"Killed signal terminated program|fatal error: Killed|virtual memory exhausted"
        r"|out of memory allocating|died due to signal 9",
        "the compiler was killed, as a rule because memory ran out",
        "Run it again with --jobs 1.",
    ),
    _cause(
        "compiler-crashed",
        r"internal compiler error|died due to signal 11",
        "the compiler itself crashed",
        "Run it again with --jobs 1; where it crashes at the same file again, take another gcc or "
        "CUDA, and where at another one, test the memory.",
    ),
    _cause(
        "unsupported-gpu-arch",
        r"[Uu]nsupported gpu architecture '?(?:compute|sm)_(\d+)(\d)",
        "this CUDA does not compile for compute capability {0}.{1}",
        "Name one that it knows with --arch; `nvcc --list-gpu-arch` lists them.",
    ),
    _cause(
        "host-compiler-too-new",
        r"unsupported GNU version! gcc versions later than (\d+)",
        "this CUDA accepts gcc up to version {0}",
        "`apt-get install g++-{0}`; dkit then finds it by itself.",
    ),
    _cause(
        "host-compiler-too-new",
        r'identifier "__builtin_ia32_\w+" is undefined'
        r"|parameter packs not expanded with (?:'|\")\.\.\.",
        "this CUDA cannot read the headers of this machine's gcc, which is newer",
        "Put an older g++ first on PATH, or take a newer CUDA: --cuda pip brings one.",
    ),
    _cause(
        "libc-too-new",
        r'exception specification is incompatible with that of previous function "(\w+)"',
        "this CUDA and this machine's C library declare {0} in different ways: CUDA is older",
        "Take a newer CUDA: --cuda pip brings one.",
    ),
    _cause(
        "cudnn-too-new",
        r"'?(?:CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT|CUDNN_CONVOLUTION_FWD_PREFER_FASTEST"
        r"|cudnnGetConvolutionForwardAlgorithm)'? (?:undeclared|was not declared|\[-W)",
        "this source was written for cuDNN 7, which lost these functions with version 8",
        "Build the pinned source instead of this one, or add --without cudnn.",
    ),
    _cause(
        "gcc-too-strict",
        r"error: .*\[-W(?:error=)?(?:incompatible-pointer-types|implicit-function-declaration"
        r"|int-conversion|implicit-int)\]",
        "this source has conversions that gcc refuses since version 14",
        "Build the pinned source, or install gcc 13 and g++ 13 and put them first on PATH.",
    ),
    _cause(
        "opencv-too-new",
        r"(?:unknown type name|undeclared|not declared|does not name a type).*?"
        r"\b(IplImage|CvCapture|cvLoadImage|CV_\w+)|\b(?:IplImage|CvCapture|cvLoadImage)'? "
        r"(?:undeclared|was not declared|does not name a type)",
        "this source does not know the OpenCV that is installed",
        "Build the pinned source instead of this one, or add --without opencv.",
    ),
    _cause(
        "opencv-incomplete",
        r"fatal error: (opencv2?/\S+): No such file",
        "the header {0} is missing: OpenCV's development files are not complete",
        "`apt-get install libopencv-dev`, or add --without opencv.",
    ),
    _cause(
        "cmake-opencv",
        r'package configuration file provided by "OpenCV"|Could NOT find OpenCV',
        "CMake does not find OpenCV",
        "`apt-get install libopencv-dev`.",
    ),
    _cause(
        "cmake-too-old",
        r"CMake (\d[\d.]*) or higher is required",
        "this source needs CMake {0} or newer",
        "`pip install cmake` brings a new one.",
    ),
    _cause(
        "no-tags",
        r"fatal: No (?:names found|tags can describe)|REGEX, mode MATCH needs",
        "this source has no git tags, from which hank-ai's CMake files read their version",
        "Take a whole clone: `git fetch --tags --unshallow` in it, or leave --source out. An "
        "archive without git's files will not do.",
    ),
    _cause(
        "cuda-compiler-broken",
        r"The CUDA compiler identification is unknown|CUDA compiler\s.*is not able to compile",
        "CMake tried nvcc on a small program, and that failed",
        "The log has what nvcc said. `dkit build` of AlexeyAB's asks less of it; --cuda names "
        "another.",
    ),
    _cause(
        "leftover-library",
        r"older version of (?:libdarknet\.so|darknet\.h) is|/usr/local/lib/libdarknet\.so",
        "an older Darknet was installed into /usr/local, and its library is in the way",
        "Remove /usr/local/lib/libdarknet.so and /usr/local/include/darknet*.",
    ),
    _cause(
        "compiler-too-old",
        r"fatal error: (?:filesystem|string_view|optional|charconv): No such file"
        r"|unrecognized command.line option '?-std=(?:c\+\+17|gnu\+\+17)",
        "this source is written in C++17, and this gcc is older than that",
        "Install gcc 9 and g++ 9 or newer and put them first on PATH.",
    ),
    _cause(
        "missing-header",
        r"fatal error: (\S+): No such file",
        "the header {0} is missing",
        "Install the package that has it (`apt-file search {0}`), or name its folder with CPATH.",
    ),
    _cause(
        "missing-driver-library",
        r"cannot find -l(cuda)\b",
        "the linker does not find libcuda.so, which comes with the driver",
        "Install the driver, or name a folder with the toolkit's stub with LIBRARY_PATH.",
    ),
    _cause(
        "opencv-incomplete",
        r"cannot find -l(opencv_\w+)",
        "the library {0} is missing: OpenCV's development files are not complete",
        "`apt-get install libopencv-dev`, or add --without opencv.",
    ),
    _cause(
        "missing-library",
        r"cannot find -l:?([\w.+-]+)",
        "the linker does not find the library {0}",
        "Install its development package, or name its folder with LIBRARY_PATH.",
    ),
    _cause(
        "opencv-mismatch",
        r"undefined reference to [`'](cv::[^('\s]+|cv[A-Z]\w+)",
        "headers and libraries of OpenCV are of different versions ({0} is missing)",
        "Remove the OpenCV that does not belong here, or add --without opencv.",
    ),
    _cause(
        "newer-libstdc++",
        r"undefined reference to .*@(GLIBCXX_[\d.]+|CXXABI_[\d.]+)",
        "a library was made by a newer g++ than this one ({0} is missing)",
        "Put the newer g++ first on PATH; where the library is conda's, leave its environment.",
    ),
    _cause(
        "cuda-mismatch",
        r"undefined reference to [`'](cu(?:dnn|blas|rand|da)?[A-Z]\w+)",
        "headers and libraries of CUDA or cuDNN are of different versions ({0} is missing)",
        "Name one CUDA with --cuda; --without cudnn leaves cuDNN out.",
    ),
    _cause(
        "openmp-mismatch",
        r"undefined reference to [`']((?:omp_|GOMP_)\w+)",
        "the compiler does OpenMP and the linker does not find it ({0} is missing)",
        "Add --without openmp.",
    ),
    _cause(
        "unknown-cpu-flags",
        r"(?:unrecognized|unknown|unsupported) [\w\s-]*(?:option|argument):? '?"
        r"(-m(?:avx|sse)[\w.]*)",
        "the compiler does not know {0}: this CPU is no x86",
        "Add --without avx.",
    ),
)


def find_cause(lines: Iterable[str]) -> Finding | None:
    """Find the first line of a build log that names a known cause."""
    for line in lines:
        for cause in _CAUSES:
            match = cause.pattern.search(line)
            if match:
                words = [word or "" for word in match.groups()]
                return Finding(cause.code, cause.meaning.format(*words), cause.cure.format(*words))
    return None
