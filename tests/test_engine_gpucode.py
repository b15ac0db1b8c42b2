"""The code for GPUs inside a program: as nvcc 13.5 left it, and as a real nvcc leaves it here."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_kit.engine.gpucode import GpuCode, read_engine_code, read_gpu_code

# The headers that nvcc 13.5 wrote for -gencode arch=compute_86,code=[sm_86,compute_86] and
# arch=compute_120,code=compute_120; the bodies behind them are left out.
FATBIN = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 64 + 80 + 80)
SM_86 = bytes.fromhex(
    "02000101400000000000000000000000000000000000000008000100560000000000000000000000"
    "110000000000000000000000000000000000000000000000"
)
COMPUTE_86 = bytes.fromhex(
    "01000101500000000000000000000000fd0000004000000005000900560000000000000000000000"
    "11800000000000000000000000000000890100000000000048000000000000000000000000000000"
)
COMPUTE_120 = COMPUTE_86.replace(b"\x56\0\0\0", b"\x78\0\0\0")


def test_headers_of_nvcc(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes(100) + FATBIN + SM_86 + COMPUTE_86 + COMPUTE_120)
    code = read_gpu_code(program)
    assert (code.native, code.ptx) == ((86,), (86, 120))
    assert str(code) == "code for 8.6 and PTX for 8.6 12.0"


@pytest.mark.parametrize("length", [0, 1, 16, 20, 50, 96, 120])
def test_a_program_that_was_cut_off(length: int, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes((FATBIN + SM_86 + COMPUTE_86)[:length])
    assert read_gpu_code(program).native == ((86,) if length >= 48 else ())


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    program = tmp_path_factory.mktemp("any") / "program"
    program.write_bytes(FATBIN + tail)
    assert all(isinstance(one, int) for one in read_gpu_code(program).native)


@pytest.mark.parametrize(
    ("code", "gpu", "expected"),
    [
        # CUDA C++ Programming Guide, "Compute Capability": machine code of the same major
        # revision and a minor one not above; PTX of any capability not above.
        (GpuCode(native=(80,)), 86, True),
        (GpuCode(native=(86,)), 80, False),
        (GpuCode(native=(86,)), 90, False),
        (GpuCode(ptx=(86,)), 90, True),
        (GpuCode(ptx=(90,)), 86, False),
        (GpuCode(native=(100,)), 103, True),
        (GpuCode(native=(100,)), 120, False),
        (GpuCode(), 75, False),
    ],
)
def test_which_gpus_run_it(code: GpuCode, gpu: int, expected: bool) -> None:
    assert code.runs_on(gpu) is expected


def test_a_program_without_code_for_gpus() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    assert not read_gpu_code(Path(shell).resolve())


def test_code_in_the_library_of_a_darknet(tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("ldd") is None:
        pytest.skip("no gcc and ldd on PATH")
    inside = ", ".join(map(str, FATBIN + SM_86))
    library = f"const unsigned char code[] = {{{inside}}};\n"
    program = "extern const unsigned char code[]; int main(void) { return code[0]; }\n"
    for name, source, words in (
        ("libdarknet.so", library, ["-shared", "-fPIC"]),
        ("darknet", program, ["-L.", "-ldarknet", "-Wl,-rpath,$ORIGIN"]),
    ):
        (tmp_path / f"{name}.c").write_text(source)
        argv = ["gcc", f"{name}.c", *words, "-o", name]
        subprocess.run(argv, cwd=tmp_path, check=True)
    assert not read_gpu_code(tmp_path / "darknet")
    assert read_engine_code(tmp_path / "darknet").native == (86,)


def test_a_real_nvcc(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not on PATH")
    (tmp_path / "kernel.cu").write_text("__global__ void twice(float *x) { x[threadIdx.x] *= 2; }")
    words = ["-gencode", "arch=compute_86,code=[sm_86,compute_86]"]
    words += ["-gencode", "arch=compute_90,code=sm_90", "-c", "kernel.cu", "-o", "kernel.o"]
    subprocess.run([nvcc, *words], cwd=tmp_path, check=True, capture_output=True)
    assert read_gpu_code(tmp_path / "kernel.o") == GpuCode((86, 90), (86,))
