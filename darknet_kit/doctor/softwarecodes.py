"""Codes of what is installed, to build and to train with."""

from darknet_kit.doctor.rows import Group, Row, Verdict

_OK, _NOTE, _WARNING = Verdict.OK, Verdict.NOTE, Verdict.WARNING
_PROBLEM = Verdict.PROBLEM

_COMPILER = {
    "compiler": Row(Group.COMPILER, _OK, "gcc, g++, make and git, which `dkit build` needs"),
    "no-compiler": Row(
        Group.COMPILER,
        _WARNING,
        "`dkit build` cannot work without gcc, g++, make and git",
        "`apt-get install build-essential git`.",
    ),
    "cmake": Row(Group.COMPILER, _OK, "CMake, which hank-ai's darknet is built with"),
    "no-cmake": Row(
        Group.COMPILER,
        _NOTE,
        "no CMake of 3.24 or newer: hank-ai's darknet cannot be built",
        "`pip install cmake`.",
    ),
    "no-openmp": Row(
        Group.COMPILER,
        _NOTE,
        "no OpenMP: what a darknet built here does on the CPU, it does on one core",
        "`apt-get install libgomp1`, or gcc instead of clang.",
    ),
    "gcc-too-new": Row(
        Group.COMPILER,
        _WARNING,
        "gcc is newer than what this nvcc accepts",
        "Install the g++ named here; dkit then finds it by itself.",
    ),
}
_CUDA = {
    "driver": Row(Group.CUDA, _OK, "NVIDIA's driver, and the newest CUDA that it runs"),
    "cuda": Row(Group.CUDA, _OK, "the CUDA toolkit with which `dkit build` compiles"),
    "other-cuda": Row(
        Group.CUDA, _NOTE, "more CUDA toolkits", "`dkit build --cuda PATH` takes another one."
    ),
    "no-nvcc": Row(
        Group.CUDA,
        _NOTE,
        "a GPU and no nvcc: darknet cannot be built for it. PyTorch needs none",
        "Install NVIDIA's CUDA toolkit, or train with the embedded engine.",
    ),
    "driver-too-old": Row(
        Group.CUDA,
        _PROBLEM,
        "the driver is older than what this CUDA needs: what is built does not start",
        "Update the driver, or name an older CUDA with --cuda.",
    ),
    "driver-older": Row(
        Group.CUDA,
        _NOTE,
        "the driver is older than the toolkit, of the same generation: code must be compiled for "
        "this very GPU, which `dkit build` does",
        "Nothing, unless a program fails with `unsupported toolchain`: then update the driver.",
    ),
    "cuda-incomplete": Row(
        Group.CUDA,
        _WARNING,
        "headers or libraries that darknet needs are missing from the toolkit",
        "Install the toolkit's `cuda-libraries-dev` package.",
    ),
    "gpu-too-old-for-cuda": Row(
        Group.CUDA,
        _PROBLEM,
        "this CUDA compiles for newer GPUs only",
        "Install the older CUDA beside this one and name it with `dkit build --cuda`.",
    ),
    "cudnn": Row(Group.CUDA, _OK, "cuDNN, header and library of one version"),
    "no-cudnn": Row(
        Group.CUDA,
        _NOTE,
        "no cuDNN to compile with: darknet trains slower",
        "`apt-get install libcudnn9-dev-cuda-13` (or -12) from NVIDIA's repository.",
    ),
    "cudnn-mismatch": Row(
        Group.CUDA,
        _PROBLEM,
        "cuDNN's header and library are of two versions: darknet may not start, or crash",
        "Remove one; `apt-get install --reinstall` the -dev package of the other.",
    ),
}
_OPENCV = {
    "opencv-dev": Row(Group.OPENCV, _OK, "OpenCV for darknet, by pkg-config"),
    "no-opencv-dev": Row(
        Group.OPENCV,
        _NOTE,
        "no OpenCV to build with: darknet without mosaic, and slower at loading",
        "`apt-get install libopencv-dev pkg-config`.",
    ),
    "cv2": Row(Group.OPENCV, _OK, "OpenCV in this Python, with or without windows"),
    "no-cv2": Row(
        Group.OPENCV,
        _NOTE,
        "no OpenCV in this Python: no embedded engine",
        "`pip install 'darknet-kit[torch]'`.",
    ),
    "cv2-broken": Row(
        Group.OPENCV,
        _PROBLEM,
        "OpenCV is installed in this Python and cannot be imported",
        "`pip uninstall opencv-python opencv-contrib-python`, then "
        "`pip install --force-reinstall opencv-python-headless`, which needs no screen.",
    ),
    "two-cv2": Row(
        Group.OPENCV,
        _WARNING,
        "two packages that write into the same folder cv2: the one installed last counts",
        "Uninstall all of them, then `pip install opencv-python-headless`.",
    ),
}
_DARKNET = {
    "darknet": Row(Group.DARKNET, _OK, "a darknet that starts here"),
    "no-darknet": Row(
        Group.DARKNET,
        _NOTE,
        "no darknet was found; the embedded engine needs none",
        "`dkit build` makes one.",
    ),
    "darknet-broken": Row(
        Group.DARKNET,
        _WARNING,
        "a darknet that does not start here",
        "`dkit build --rebuild` makes one for this machine.",
    ),
    "darknet-cpu": Row(
        Group.DARKNET,
        _WARNING,
        "a darknet for the CPU, where a GPU is",
        "`dkit build --gpu`.",
    ),
    "darknet-lacks-gpu": Row(
        Group.DARKNET,
        _PROBLEM,
        "a darknet without code for this GPU: it ends with `no kernel image`",
        "`dkit build --gpu --rebuild`.",
    ),
    "trial": Row(Group.DARKNET, _OK, "an engine trained for two iterations (--deep)"),
    "trial-failed": Row(
        Group.DARKNET,
        _PROBLEM,
        "an engine that starts, and fails at training for two iterations (--deep)",
        "`dkit build --rebuild` for a darknet; or train with another one: `dkit train --engine`.",
    ),
    "engine": Row(Group.DARKNET, _OK, "what `dkit train` takes, and why"),
    "engine-refused": Row(
        Group.DARKNET,
        _PROBLEM,
        "`dkit train` will not train this cfg with this engine",
        "Train with another one: `dkit train --engine`.",
    ),
    "engine-doubt": Row(
        Group.DARKNET,
        _WARNING,
        "this engine trains this cfg less well than it could",
        "Train with another one (`dkit train --engine`), or change the cfg.",
    ),
    "wrong-gradients": Row(
        Group.DARKNET,
        _WARNING,
        "on a CPU this darknet computes wrong gradients for [route], [upsample] and [shortcut]; "
        "`dkit train` refuses those",
        "`pip install 'darknet-kit[torch]'` brings the embedded engine, which is right.",
    ),
    "no-engine": Row(
        Group.DARKNET,
        _PROBLEM,
        "nothing to train with",
        "`pip install 'darknet-kit[torch]'`, or `dkit build`.",
    ),
}
_PYTHON = {
    "python": Row(Group.PYTHON, _OK, "this Python and dkit"),
    "torch": Row(Group.PYTHON, _OK, "PyTorch, and what it computes on"),
    "no-torch": Row(
        Group.PYTHON,
        _NOTE,
        "no PyTorch: no embedded engine",
        "`pip install 'darknet-kit[torch]'`.",
    ),
    "torch-broken": Row(
        Group.PYTHON,
        _PROBLEM,
        "PyTorch is installed and cannot be imported",
        "`pip install --force-reinstall 'darknet-kit[torch]'`.",
    ),
    "torch-without-cuda": Row(
        Group.PYTHON,
        _WARNING,
        "there is a GPU, and PyTorch does not use it",
        "Where it is the CPU build, `pip install --force-reinstall torch` brings the default one.",
    ),
    "torch-lacks-gpu": Row(
        Group.PYTHON,
        _PROBLEM,
        "PyTorch has no code for this GPU",
        "Install the PyTorch whose notes name this GPU: an older one for an older GPU, or the "
        "newest.",
    ),
    "no-charts": Row(
        Group.PYTHON,
        _NOTE,
        "no matplotlib or pandas: no charts",
        "`pip install 'darknet-kit[charts]'`.",
    ),
    "computes": Row(
        Group.PYTHON, _OK, "PyTorch multiplied matrices and the result is right (--deep)"
    ),
    "computes-wrong": Row(
        Group.PYTHON,
        _PROBLEM,
        "PyTorch fails at multiplying matrices, or the result is wrong (--deep)",
        "If it says `no kernel image`, PyTorch is too old or too new for this GPU; else suspect "
        "the card.",
    ),
}

SOFTWARE_CODES = {**_COMPILER, **_CUDA, **_OPENCV, **_DARKNET, **_PYTHON}
