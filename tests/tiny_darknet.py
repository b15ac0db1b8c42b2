"""A stand-in for upstream's source: small, but built by a real make and gcc.

Its makefile takes the variables of AlexeyAB's and honours GPU, ARCH, CC, CPP and NVCC; its program
starts with the lines by which dkit knows that flavour. The CUDA toolkit beside it is made of
scripts, headers and real shared objects, and knows the capabilities that CUDA 13.0 lists.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

MAKEFILE = """\
GPU=0
CUDNN=0
OPENCV=0
OPENMP=0
AVX=0
ARCH= -gencode arch=compute_50,code=[sm_50,compute_50]
CC=gcc
CPP=g++
NVCC=nvcc
CFLAGS=-Wall -Isrc
LDFLAGS=-lm
OBJ=obj/darknet.o obj/layers.o
ifeq ($(GPU), 1)
CFLAGS+= -DGPU
LDFLAGS+= -lcuda -lcudart -lcublas -lcurand
OBJ+= obj/kernels.o
endif
ifeq ($(CUDNN), 1)
CFLAGS+= -DCUDNN
endif

all: obj darknet
obj:
\tmkdir -p obj
darknet: $(OBJ)
\t$(CPP) $^ -o $@ $(LDFLAGS)
obj/%.o: src/%.c
\t@if [ -s failure.txt ]; then cat failure.txt >&2; exit 1; fi
\t@if [ -e slow.txt ]; then touch started.txt; sleep 60; fi
\t$(CC) $(CFLAGS) -c $< -o $@
obj/%.o: src/%.cu
\t$(NVCC) $(ARCH) --compiler-options "$(CFLAGS)" -c $< -o $@
"""

PROGRAM = r"""#include <stdio.h>
#include <string.h>
#include "layers.h"
#ifdef GPU
#include <cublas_v2.h>
#include <curand.h>
int cublas(void);
int driver(void);
int kernels(void);
#endif
/* Two iterations, in AlexeyAB's words, and weights for the network that dkit tries: 101450 floats
   is (3*9+4)*8 + (8*9+4)*16 + (16*9+4)*32 + (32*9+4)*64 + (64*9+4)*128 + (128+1)*18. */
static int train(void)
{
    int version[5] = {0, 2, 5, 8, 0};
    float floats[101450] = {0};
    FILE *weights = fopen("backup/trial_final.weights", "wb");
    printf("\n 1: 30.5, 30.5 avg loss, 0.001000 rate, 0.1 seconds, 4 images, -1.0 hours left\n");
    printf("\n 2: 29.5, 30.4 avg loss, 0.001000 rate, 0.1 seconds, 8 images, 0.1 hours left\n");
    fwrite(version, sizeof(version), 1, weights);
    fwrite(floats, sizeof(floats), 1, weights);
    return fclose(weights);
}
int main(int argc, char **argv)
{
    if (argc < 2) return puts("-mAP_epochs") < 0;
    if (argc > 4 && !strcmp(argv[2], "train")) return train();
#ifdef GPU
    fprintf(stderr, " CUDA-version: 13000 (13000), GPU count: %d \n",
        cublas() + kernels() + driver());
#else
    printf(" GPU isn't used \n");
#endif
    fprintf(stderr, " OpenCV isn't used - data augmentation will be slow \n");
    fprintf(stderr, "Not an option: %s\n", argv[layers() > 0 ? 1 : 0]);
    return 0;
}
"""

SOURCES = {
    "Makefile": MAKEFILE,
    "LICENSE": "Anybody may do anything.\n",
    "src/darknet.c": PROGRAM,
    "src/layers.h": "int layers(void);\n",
    "src/layers.c": '#include "layers.h"\nint layers(void) { return 2; }\n',
    "src/kernels.cu": "int kernels(void) { return 0; }\n",
}

# Refuses what it does not know in nvcc's words, compiles the rest as C with gcc, and adds the
# headers of a fat binary as nvcc 13.5 writes them, of 64 bytes for each capability.
NVCC = r"""#!/bin/sh
known="75 80 86 87 88 89 90 100 103 110 120 121"
for word in "$@"; do
    case "$word" in
    --version) echo "Cuda compilation tools, release 13.0, V13.0.88"; exit 0;;
    --list-gpu-arch) for one in $known; do echo "compute_$one"; done; exit 0;;
    --dryrun)
        echo '#$ INCLUDES="-IHOME/include"  ' >&2
        echo '#$ LIBRARIES=  "-LHOME/lib64/stubs" "-LHOME/lib64"' >&2
        exit 0;;
    arch=compute_*)
        arch=${word#arch=compute_}; arch=${arch%%,*}
        case " $known " in
        *" $arch "*)
            codes="$codes .short 2,257; .long 64; .quad 0,0; .long 0,$arch; .zero 32;"
            size=$((size + 64));;
        *) echo "nvcc fatal   : Unsupported gpu architecture 'compute_$arch'" >&2; exit 1;;
        esac;;
    esac
done
while [ "$1" != "-c" ]; do shift; done
code=".pushsection .nv_fatbin; .long 0xba55ed50; .short 1,16; .quad $size; $codes .popsection"
{ cat "$2"; echo "__asm__(\"$code\");"; } | gcc -x c -c - -o "$4"
"""


def write_tree(folder: Path, changed: Mapping[str, str] = SOURCES) -> Path:
    """Write the source tree, with `changed` files replaced or added."""
    for name, text in {**SOURCES, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def git(folder: Path, *words: str) -> str:
    """Run git as somebody whose settings are not those of this machine."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit_tree(folder: Path) -> str:
    """Make a git repository of a source tree and return its commit."""
    git(folder, "init", "-q", "-b", "master", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a tree")
    return git(folder, "rev-parse", "HEAD")


def write_cuda(home: Path) -> Path:
    """Write a toolkit whose libcublas has a numbered name only, as NVIDIA's wheels have it."""
    for name in ("cuda_runtime.h", "cublas_v2.h", "curand.h"):
        _write(home / "include" / name, "")
    _write(home / "include/cuda.h", "int driver(void);\nCUresult cuInit(unsigned int);\n")
    _write(home / "include/crt/host_config.h", "#error gcc versions later than 15 are not\n")
    _write(home / "bin/nvcc", NVCC.replace("HOME", str(home))).chmod(0o755)
    for name in ("lib64/libcudart.so", "lib64/libcurand.so"):
        _write_library(home / name, "")
    # The stub carries the name of the driver's own library, which only a driver brings.
    _write_library(home / "lib64/stubs/libcuda.so", "int driver(void) { return 0; }", ".1")
    _write_library(home / "lib64/libcublas.so.13", "int cublas(void) { return 1; }")
    return home


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if text.startswith("#!"):
        path.chmod(0o755)
    return path


def _write_library(path: Path, source: str, ending: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soname = f"-Wl,-soname,{path.name}{ending}"
    words = ["gcc", "-shared", "-fPIC", soname, "-x", "c", "-", "-o", str(path)]
    subprocess.run(words, input=source, text=True, check=True)


TOOLS = (
    *(
        "as",
        "cat",
        "chmod",
        "cmake",
        "cp",
        "g++",
        "gcc",
        "git",
        "ld",
        "make",
        "mkdir",
        "pkg-config",
    ),
    *("rm", "sh", "sleep", "touch", "uname"),
)


def write_tools(folder: Path, *missing: str) -> Path:
    """Make a folder for PATH that holds this machine's compilers, and nothing of NVIDIA's."""
    folder.mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        if found and tool not in missing:
            (folder / tool).symlink_to(found)
    return folder
